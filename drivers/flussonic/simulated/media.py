"""Simulated streams: their configuration as it was written, and statistics that follow from what happens to them."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

DEAD_AFTER = 12.0  # seconds without frames until `alive` is false
Config = dict[str, Any]
_LOGIN = re.compile(r"//[^/@]*@")


class Media:
    """One stream. Times are seconds since the epoch; `version` decides units (23: seconds where 25 has ms)."""

    def __init__(
        self,
        config: Config,
        rng: random.Random,
        now: Callable[[], float],
        version: int,
        dead_after: float,
        templates: Mapping[str, Config],
    ) -> None:
        self.config = config
        self._templates = templates
        self._rng = rng
        self._now = now
        self._version = version
        self.dead_after = dead_after
        self.input = 0  # which of its inputs is in use
        self.watched = False  # for one on demand
        self.restart()

    def restart(self) -> None:
        """The server started anew: other ids, counters from nothing."""
        self.id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        self.source_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        self.opened_at = self._now()
        self.lost_at: float | None = None
        self.retries = 0

    @property
    def name(self) -> str:
        return str(self.config["name"])

    @property
    def on_demand(self) -> bool:
        return self.config.get("static") is False

    @property
    def idle(self) -> bool:
        return self.on_demand and not self.watched

    def lose(self) -> None:
        if self.lost_at is None:
            self.lost_at = self._now()

    def regain(self) -> None:
        self.lost_at = None
        self.retries += 1

    @property
    def delay(self) -> float:
        """Seconds since the last frame."""
        return 0.04 if self.lost_at is None else self._now() - self.lost_at

    @property
    def alive(self) -> bool:
        return not self.idle and not self.config.get("disabled") and self.delay <= self.dead_after

    @property
    def status(self) -> str:
        if self.idle:
            return "waiting"
        return "running" if self.lost_at is None else "error"

    @property
    def last_frame_at(self) -> float:
        return self._now() - self.delay

    def url(self) -> str:
        inputs = self.config.get("inputs") or [{"url": "publish://"}]
        return str(inputs[self.input % len(inputs)]["url"])

    def effective(self) -> Config:
        """What GET returns: template and defaults merged in, statistics, and what is on the disk."""
        written = {**self._templates.get(self.config.get("template", ""), {}), **self.config}
        inputs = [
            {"priority": number, **one, "stats": self._input_stats(number, one)}
            for number, one in enumerate(written.pop("inputs", []), 1)
        ]
        return {
            "named_by": "config",
            "static": True,
            "inputs": inputs,
            **written,
            "config_on_disk": self.config,
            "stats": self._stats(),
        }

    def without_logins(self) -> Config:
        """What is on the disk, without the passwords of its inputs."""
        inputs = [{**one, "url": _LOGIN.sub("//", one["url"])} for one in self.config.get("inputs", [])]
        return {**self.config, "inputs": inputs}

    def _stats(self) -> Config:
        alive, now = self.alive, self._now()
        bitrate = 2100 if alive else 0
        stats: Config = {
            "id": self.id,
            "source_id": self.source_id,
            "status": self.status,
            "alive": alive,
            "ts_delay": round(self.delay * 1000),
            "last_dts": round((self.last_frame_at - self.opened_at) * 1000),
            "last_dts_at": round(self.last_frame_at * 1000),
            "opened_at": round(self.opened_at * 1000),
            "lifetime": round((now - self.opened_at) * 1000),
            "bitrate": bitrate,
            "input_bitrate": bitrate,
        }
        if self._version < 24:
            more = {"client_count": 0, "retry_count": self.retries, "running": not self.idle, "url": self.url()}
            return {**stats, **more, **({"source_error": "timeout"} if self.lost_at else {})}
        return {**stats, "online_clients": 0, "agent_status": "not_connected"}

    def _input_stats(self, number: int, one: Config) -> Config:
        # The unit of an input's opened_at changed from seconds to milliseconds on the way to 25.
        opened = round(self.opened_at if self._version < 24 else self.opened_at * 1000)
        active = number - 1 == self.input and not self.idle
        return {"opened_at": opened, "url": one["url"], "active": active, "bytes": 123_456 if active else 0}


def merge(config: Config, change: Config) -> Config:
    """PUT: what is named is replaced, null takes away, `$reset` forgets the rest."""
    base = {"name": config["name"]} if change.get("$reset") else config
    merged = {**base, **{key: value for key, value in change.items() if key not in ("$reset", "stats", "name")}}
    return {key: value for key, value in merged.items() if value is not None}


def wrong(config: Config) -> str | None:
    """What a server does not take of a configuration, by the types of the vendor's OpenAPI document."""
    for key, kinds in _KINDS.items():
        if key in config and not _is(config[key], kinds):
            return key
    if any(not isinstance(one, dict) or "://" not in str(one.get("url")) for one in config.get("inputs", [])):
        return "inputs"
    dvr = config.get("dvr")
    if dvr is not None and not (dvr.get("root") or dvr.get("reference")):
        return "dvr.root"
    for key in ("expiration", "storage_limit", "disk_usage_limit"):
        if dvr is not None and not _is(dvr.get(key, 1), (int, type(None))):
            return f"dvr.{key}"
    enabled = config.get("thumbnails", {}).get("enabled", True)
    return None if enabled in (True, False, "ondemand") else "thumbnails.enabled"


_KINDS: Mapping[str, tuple[type, ...]] = {
    "title": (str,),
    "static": (bool,),
    "disabled": (bool,),
    "inputs": (list,),
    "source_timeout": (int, bool),
    "clients_timeout": (int, bool),
    "retry_limit": (int,),
    "dvr": (dict,),
    "thumbnails": (dict,),
}


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
