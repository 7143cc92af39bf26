"""The panel's one syslog target: taken where it is free, looked after, given back. Never anybody else's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.driver import Memory
from bridge.errors import ProtocolError
from drivers.beward.api import Api
from drivers.beward.models import truth

MODULE = "rsyslog_cgi"
LEVEL = 6  # informational: openings and calls are told at that level

# In io.memory: the target that we wrote, and what stood there before, switched off.
_OURS = "syslog_target"
_BEFORE = "syslog_before"
_FIELDS = ("Protocol", "ServerAddress", "ServerPort", "LogLevel")


@dataclass(frozen=True, slots=True)
class Slot:
    """What the panel has. `address` is "host:port" of where its lines go, "" while they go nowhere."""

    values: Mapping[str, str]

    @property
    def address(self) -> str:
        host = self.values.get("ServerAddress", "")
        on = truth(self.values.get("Enable")) and host not in ("", "0.0.0.0")  # noqa: S104 - compared, not listened on
        return f"{host}:{self.values.get('ServerPort', '')}" if on else ""

    def is_for(self, address: str) -> bool:
        """Whether everything that we need comes there."""
        level = self.values.get("LogLevel", "")
        udp = self.values.get("Protocol", "udp").lower() == "udp"
        return self.address == address and udp and (not level.isdecimal() or int(level) >= LEVEL)


class Target:
    __slots__ = ("_api", "_memory")

    def __init__(self, api: Api, memory: Memory) -> None:
        self._api = api
        self._memory = memory

    async def read(self) -> Slot | None:
        """None for a panel without syslog."""
        values = await self._api.ask(MODULE)
        return None if values is None else Slot(values)

    async def claim(self, host: str, port: int) -> str | None:
        """See to it that its lines come to us. Writes nothing when they do. Returns None when it is done, else where
        they go instead: a target that is somebody's is left alone."""
        address = f"{host}:{port}"
        slot, ours = await self.read(), self._memory.get(_OURS)
        if slot is None:
            return "nowhere: it has no syslog"
        if not slot.is_for(address):
            if slot.address not in ("", ours, address):
                return slot.address
            if ours is None:
                before = {key: slot.values[key] for key in _FIELDS if key in slot.values}
                await self._memory.put(_BEFORE, json.dumps(before))
            # Remembered first: what is written and not known to be ours would stay for ever.
            await self._memory.put(_OURS, address)
            await self._write({"Enable": "on", "Protocol": "udp", "ServerAddress": host, "ServerPort": port})
            kept = await self.read()
            if kept is None or not kept.is_for(address):
                raise ProtocolError("it takes a syslog target, and does not keep it")
        elif ours != address:
            await self._memory.put(_OURS, address)
        return None

    async def stands(self, host: str, port: int) -> bool:
        slot = await self.read()
        return slot is not None and slot.is_for(f"{host}:{port}")

    async def give_back(self) -> None:
        """Take ours out, and put back what stood there. Raises DeviceErrors."""
        ours = self._memory.get(_OURS)
        if ours is None:
            return
        slot = await self.read()
        if slot is not None and slot.address == ours:
            before = json.loads(self._memory.get(_BEFORE) or "{}")
            await self._write({"LogLevel": LEVEL, **before, "Enable": "off"})
        await self._memory.put(_OURS, None)
        await self._memory.put(_BEFORE, None)

    async def _write(self, values: Mapping[str, str | int]) -> None:
        await self._api.tell(MODULE, {"action": "set", "LogLevel": LEVEL, **values})
        await self._api.save()
