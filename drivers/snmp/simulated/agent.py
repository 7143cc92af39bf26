"""An SNMP agent without a socket: pysnmp's engine and command responders over a plain table of objects."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import Any

from pysnmp.entity import config
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.smi import error
from pysnmp.smi.instrum import AbstractMibInstrumController

from bridge.driver import SnmpUser
from bridge.traps.usm import Wire, add_user, engine_on

Oid = tuple[int, ...]
Table = dict[Oid, Callable[[], Any]]


def oid(dotted: str) -> Oid:
    return tuple(map(int, dotted.split(".")))


class Objects(AbstractMibInstrumController):  # type: ignore[misc]
    """The objects of an agent: each a function of its value. `written` is told of every SET, and may refuse it."""

    def __init__(self, table: Table, written: Callable[[Oid, int], bool]) -> None:
        self.table = table
        self._names = sorted(table)
        self._written = written

    def read_variables(self, *binds: Any, **_: Any) -> list[Any]:
        return [(name, self._value(tuple(name))) for name, _ in binds]

    def read_next_variables(self, *binds: Any, **_: Any) -> list[Any]:
        names, found = self._names, []
        for name, _ in binds:
            at = bisect.bisect_right(names, tuple(name))
            if at == len(names):
                found.append((name, rfc1905.endOfMibView))
            else:
                found.append((rfc1902.ObjectName(names[at]), self.table[names[at]]()))
        return found

    def write_variables(self, *binds: Any, **_: Any) -> list[Any]:
        for index, (name, value) in enumerate(binds):
            if not self._written(tuple(name), int(value)):
                raise error.NotWritableError(idx=index, name=name)
        return list(binds)

    def _value(self, name: Oid) -> Any:
        make = self.table.get(name)
        return rfc1905.noSuchInstance if make is None else make()


class Agent:
    """One agent: v1 and v2c with a community, or v3 with a user."""

    def __init__(self, objects: Objects, engine_id: bytes, community: str, user: SnmpUser | None) -> None:
        self.wire = Wire()
        self.engine = engine_on(self.wire, engine_id)
        if user is not None:
            add_user(self.engine, user)
        else:
            config.add_v1_system(self.engine, "simulated", community)
        own = context.SnmpContext(self.engine)
        own.unregister_context_name(b"")
        own.register_context_name(b"", objects)
        for responder in (
            cmdrsp.GetCommandResponder,
            cmdrsp.NextCommandResponder,
            cmdrsp.BulkCommandResponder,
            cmdrsp.SetCommandResponder,
        ):
            responder(self.engine, own)

    def refusals(self) -> int:
        """How many messages were refused for their credentials so far (RFC 3414 and 3418 count them)."""
        builder = self.engine.get_mib_builder()
        counted = 0
        for module, name in (
            ("__SNMP-USER-BASED-SM-MIB", "usmStatsWrongDigests"),
            ("__SNMP-USER-BASED-SM-MIB", "usmStatsUnknownUserNames"),
            ("__SNMP-USER-BASED-SM-MIB", "usmStatsDecryptionErrors"),
            ("__SNMPv2-MIB", "snmpInBadCommunityNames"),
        ):
            (counter,) = builder.import_symbols(module, name)
            counted += int(counter.syntax)
        return counted
