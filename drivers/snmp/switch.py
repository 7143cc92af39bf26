"""A switch's ports: is there a link (IF-MIB), is there power (POWER-ETHERNET-MIB), and how to take and give that.

The number of a port in the inventory is the one on its front. It is taken for its ifIndex and for its number in PoE
group 1; where the switch counts otherwise (Linksys begins its ports with 49), `ports` of the driver's block says so.
"""

from __future__ import annotations

from bridge.driver import DriverIO
from bridge.errors import DeviceError, Rejected, Unsupported
from bridge.model import Port
from drivers.snmp.clients.seam import Client
from drivers.snmp.config import PortConfig, SnmpConfig
from drivers.snmp.values import integer

OPERATIONAL = "1.3.6.1.2.1.2.2.1.8"  # ifOperStatus
POWER_ADMIN = "1.3.6.1.2.1.105.1.1.1.3"  # pethPsePortAdminEnable, by group and port
POWER_STATUS = "1.3.6.1.2.1.105.1.1.1.6"  # pethPsePortDetectionStatus
ON, OFF = 1, 2  # TruthValue
_LINK = {1: True, 2: False, 6: False, 7: False}  # up; down, notPresent, lowerLayerDown
_POWER = {1: "disabled", 2: "searching", 3: "delivering", 4: "fault", 5: "test", 6: "fault"}
_OWED = "power_taken"  # in the memory: the port whose power is to be given back
_TRIES = 3
_PAUSE = 1.0
_OWN = PortConfig()


async def ports(client: Client, config: SnmpConfig) -> dict[int, Port]:
    """All ports that the switch tells of."""
    links = {integer(row): _LINK.get(integer(value) or 0) for row, value in (await client.column(OPERATIONAL)).items()}
    power = {row: _POWER.get(integer(value) or 0, "") for row, value in (await client.column(POWER_STATUS)).items()}
    renamed = {one.interface for one in config.ports.values()}
    numbers = {index for index in links if index is not None and 1 <= index <= 4096 and index not in renamed}
    return {
        number: Port(links.get(one.interface or number), power.get(_poe(one, number), ""))
        for number in sorted(numbers | config.ports.keys())
        for one in (config.ports.get(number, _OWN),)
    }


def _poe(port: PortConfig, number: int) -> str:
    return port.poe or f"1.{number}"


class PowerSwitch:
    """Takes the power from a port and gives it back, whatever comes in between: a lost answer, a cancelled command,
    the end of the bridge."""

    __slots__ = ("_client", "_config", "_cycling", "_io")

    def __init__(self, client: Client, config: SnmpConfig, io: DriverIO) -> None:
        self._client = client
        self._config = config
        self._io = io
        self._cycling = False

    async def cycle(self, number: int) -> None:
        """Returns once the switch says that the port has its power again. Raises Unsupported for a port that has
        none to take, Rejected, and other DeviceErrors."""
        oid = self._oid(number)
        was = integer((await self._client.get([oid])).get(oid))
        if was is None:
            raise Unsupported(f"the switch tells of no power on port {number}")
        if was != ON:
            raise Rejected(f"somebody switched the power of port {number} off; it stays off")
        await self._io.memory.put(_OWED, str(number))
        self._cycling = True
        try:
            await self._client.write(oid, OFF)
            await self._io.clock.sleep(self._config.off_seconds)
        finally:
            self._cycling = False
        await self.give_back()

    async def give_back(self) -> None:
        """What a command took and did not give back, if there is any: its answer was lost, it was cancelled, the bridge
        died. Raises DeviceError; then it is still owed."""
        owed = self._io.memory.get(_OWED)
        if owed is None or self._cycling or not owed.isdecimal():
            return
        oid = self._oid(int(owed))
        for left in reversed(range(_TRIES)):
            try:
                await self._client.write(oid, ON)
                if integer((await self._client.get([oid])).get(oid)) == ON:
                    await self._io.memory.put(_OWED, None)
                    return
                raise Rejected(f"the power of port {owed} does not come back")
            except DeviceError:
                if not left:
                    raise
                await self._io.clock.sleep(_PAUSE)

    def _oid(self, number: int) -> str:
        return f"{POWER_ADMIN}.{_poe(self._config.ports.get(number, _OWN), number)}"
