"""What of ours stands in a panel's configuration: action URLs and the target of its syslog. Never anybody else's.

The configuration is read, compared and mended, and nothing is written while it is right. A key in which somebody else's
address stands is left alone and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from bridge.driver import Callback, DriverIO, SyslogRegistration
from bridge.errors import Rejected, Unsupported
from drivers.akuvox import actions, zones
from drivers.akuvox.api import Api

SYSLOG = "Config.Settings.LOGLEVEL.RemoteSyslog"
SERVER = "Config.Settings.LOGLEVEL.RemoteServer"
PORT = "Config.Settings.LOGLEVEL.RemoteServerPort"
_ALWAYS = (SYSLOG, SERVER, PORT, actions.ENABLE, zones.OFFSET, zones.CITY)
# In io.memory: the secret in our URLs (of `standing_callback`), our target, and that we switched action URLs on.
_PATH, _TARGET, _SWITCHED = "callback", "syslog", "switched_on"


class Standing:
    """`urls` and `syslog` say how it stands, for people: ours, taken (somebody else's), none (it has no such thing),
    refused (it does not take ours), off (the bridge does not listen)."""

    __slots__ = ("_api", "_io", "_keys", "_told", "changed", "syslog", "urls", "zone")

    def __init__(self, api: Api, io: DriverIO) -> None:
        self._api = api
        self._io = io
        self._keys: tuple[str, ...] | None = None  # which ones it has; None until it was asked for all
        self._told = ""
        self.urls = self.syslog = "off"
        self.changed = False  # a target was written since the panel started: it holds after a reboot
        self.zone: tzinfo | None = None

    def forget(self) -> None:
        """It may be another panel, or firmware: ask for all of its keys again."""
        self._keys = None

    async def look(self, callback: Callback | None, syslog: SyslogRegistration | None) -> bool:
        """Read, compare, mend; whether something of ours was missing that had been there. Raises DeviceErrors."""
        config = await self._read()
        before = self.urls, self.syslog
        urls, targets = self._of_urls(config, callback), self._of_syslog(config, syslog)
        self._report()
        refusal: Rejected | Unsupported | None = None
        if urls:
            if actions.ENABLE in urls:
                await self._io.memory.put(_SWITCHED, "1")
            try:
                await self._api.write(urls)
            except (Rejected, Unsupported) as error:
                # The other way may work all the same.
                self.urls, refusal = "refused", error
        if targets:
            await self._io.memory.put(_TARGET, f"{targets[SERVER]}:{targets[PORT]}")
            try:
                await self._api.write(targets)
                self.changed = True
            except (Rejected, Unsupported) as error:
                self.syslog, refusal = "refused", error
        if refusal is not None:
            raise refusal
        return (bool(urls) and before[0] == "ours") or (bool(targets) and before[1] == "ours")

    async def take_back(self) -> None:
        """Ours, all of it, and nothing else."""
        path, target, switched = (self._io.memory.get(key) for key in (_PATH, _TARGET, _SWITCHED))
        if path is None and target is None:
            return
        self._keys = None
        config = await self._read()
        mine = {key: "" for key, value in config.items() if path and actions.is_event(key) and path in value}
        others = any(actions.is_event(key) and value and key not in mine for key, value in config.items())
        if switched and not others and config.get(actions.ENABLE) == "1":
            mine[actions.ENABLE] = "0"
        if target and _target(config) == target:
            mine |= {SYSLOG: "0", SERVER: ""}
        if mine:
            await self._api.write(mine)
        for key in (_TARGET, _SWITCHED):
            await self._io.memory.put(key, None)
        self.urls = self.syslog = "off"

    async def _read(self) -> dict[str, str]:
        config = await self._api.read(self._keys)
        if self._keys is None:
            self._keys = (*(key for key in _ALWAYS if key in config), *filter(actions.is_event, config))
            config = {key: config[key] for key in self._keys}
        self.zone = zones.zone(config.get(zones.OFFSET, ""), config.get(zones.CITY, ""))
        return config

    def _of_urls(self, config: Mapping[str, str], callback: Callback | None) -> dict[str, str]:
        """What is to be written."""
        if callback is None:
            self.urls = "off"
            return {}
        keys = [key for key in config if actions.is_event(key)]
        free = [key for key in keys if not config[key].strip() or callback.path in config[key]]
        on = config.get(actions.ENABLE) == "1"
        if not keys:
            self.urls = "none"
        elif not free or (not on and len(free) < len(keys)):
            # Switched on, the panel would call those others, too.
            self.urls = "taken"
        else:
            self.urls = "ours"
            wanted = {key: actions.url_for(callback.url, key) for key in free}
            writing = {key: url for key, url in wanted.items() if config[key] != url}
            return writing if on else {**writing, actions.ENABLE: "1"}
        return {}

    def _of_syslog(self, config: Mapping[str, str], syslog: SyslogRegistration | None) -> dict[str, str]:
        if syslog is None:
            self.syslog = "off"
        elif SYSLOG not in config:
            self.syslog = "none"
        else:
            ours, there = f"{syslog.host}:{syslog.port}", _target(config)
            if there in (None, ours, self._io.memory.get(_TARGET)):
                self.syslog = "ours"
                wanted = {SYSLOG: "1", SERVER: syslog.host, PORT: str(syslog.port)}
                return {} if there == ours else wanted
            self.syslog = "taken"
        return {}

    def _report(self) -> None:
        """Once, until it is another."""
        taken = [word for word, state in (("action URLs", self.urls), ("syslog", self.syslog)) if state == "taken"]
        told = " and ".join(taken)
        if told and told != self._told:
            self._io.log.warning("somebody else's address stands in the panel, which is left alone", setting=told)
        self._told = told


def _target(config: Mapping[str, str]) -> str | None:
    """Where its lines go, None where nowhere."""
    if config.get(SYSLOG) != "1" or not config.get(SERVER):
        return None
    return f"{config[SERVER]}:{config.get(PORT, '514')}"
