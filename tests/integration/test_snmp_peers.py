"""The SNMP driver against agents that are not ours: Debian's snmpd, and snmpsim with walks of devices."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.errors import AuthFailed, Rejected, Unreachable, Unsupported
from bridge.model import Capability, Command, Credentials, Device, Kind, Port, ServerSample
from bridge.secrets import Secret
from drivers.host.driver import sample as own_sample
from drivers.snmp.config import SnmpConfig
from drivers.snmp.driver import SnmpDriver
from tests import peers
from tests.integration.net_snmp import AUTH, PRIVACY, USER, snmpd
from tests.integration.processes import free_port
from tests.support import until

CLIENTS = ("gufo", "pysnmp")
VERSIONS = ("1", "2c", "3")


def driver(port: int, kind: Kind = Kind.SERVER, *, password: str = "", user: str = "", **block: Any) -> SnmpDriver:
    version = block.setdefault("version", "2c")
    block.setdefault("timeout", 1.0)
    if version == "3":
        block.setdefault("privacy_password", PRIVACY)
    config = SnmpConfig.model_validate({"port": port, **block})
    login = Credentials(user or f"{USER}-sha256", Secret(password or (AUTH if version == "3" else "public")))
    device = Device("peer", kind, "snmp", "127.0.0.1", credentials=login, channels=(), config=config)
    http: Any = None
    io = DriverIO(device_id="peer", http=http, clock=SystemClock(), random=random.Random(1), memory=ShortMemory())
    return SnmpDriver(device, config, io)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(tmp_path_factory.mktemp("snmpd")) as port:
        yield port


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_real_agent_is_read(agent: int, client: str, version: str) -> None:
    one = driver(agent, client=client, version=version)
    try:
        identity, reading = await one.probe(), await one.poll()
        assert identity.model.startswith("Linux")
        assert reading.facts["name"] == "peer"
        assert isinstance(reading.facts["uptime"], int)
        (taken,) = reading.samples
        assert isinstance(taken, ServerSample)
    finally:
        await one.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("user", "auth"), [("sha", "sha1"), ("sha256", "sha256"), ("sha512", "sha512")])
async def test_every_way_to_sign(agent: int, client: str, user: str, auth: str) -> None:
    one = driver(agent, client=client, version="3", user=f"{USER}-{user}", auth=auth)
    try:
        assert (await one.poll()).facts["name"] == "peer"
    finally:
        await one.close()


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_load_of_a_server_is_that_of_the_host(agent: int, client: str) -> None:
    one = driver(agent, client=client)
    try:

        async def both() -> tuple[ServerSample, ServerSample]:
            (taken,) = (await one.poll()).samples
            assert isinstance(taken, ServerSample)
            return taken, own_sample("127.0.0.1")

        async def agree() -> bool:
            # snmpd keeps the load for a few seconds, and the memory moves meanwhile.
            taken, own = await both()
            memory = 0.02 * own.memory_total
            return (
                abs(taken.load_1 - own.load_1) <= 2
                and abs(taken.memory_available - own.memory_available) <= memory
                and abs(taken.memory_used - own.memory_used) <= memory
            )

        taken, own = await both()
        assert (taken.cpu_count, taken.memory_total) == (os.cpu_count(), own.memory_total)
        assert taken.load_5 == pytest.approx(own.load_5, abs=5)
        assert taken.load_15 == pytest.approx(own.load_15, abs=5)
        await until(agree, 30, "SNMP and the kernel tell the same load and memory")
    finally:
        await one.close()


@pytest.mark.parametrize("client", CLIENTS)
async def test_who_is_refused_is_told_so(agent: int, client: str) -> None:
    for block, error in (
        ({"version": "2c", "password": "wrong"}, Unreachable),  # nobody answers a wrong community
        ({"version": "3", "password": "wrong-password"}, AuthFailed),
        ({"version": "3", "user": "nobody"}, AuthFailed),
        ({"version": "3", "privacy_password": "wrong-password"}, (Unreachable, AuthFailed)),
    ):
        one = driver(agent, client=client, timeout=0.3, **block)
        with pytest.raises(error):
            await one.probe()
        await one.close()


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_writing_needs_the_right_to(agent: int, version: str) -> None:
    oid = "1.3.6.1.2.1.11.30.0"  # snmpEnableAuthenTraps
    reader, writer = driver(agent, version=version), driver(agent, version=version, password="private")
    try:
        with pytest.raises(Rejected):
            await reader._client.write(oid, 1)
        await writer._client.write(oid, 1)
        assert await writer._client.get([oid]) == {oid: 1}
    finally:
        await reader.close()
        await writer.close()


# -- snmpsim ---------------------------------------------------------------------------------------------------------

ADMIN, DETECTION, OPERATIONAL = "1.3.6.1.2.1.105.1.1.1.3.1", "1.3.6.1.2.1.105.1.1.1.6.1", "1.3.6.1.2.1.2.2.1.8"
WALKS = {
    # A camera that has no system group and speaks in units, as Hikvision's do.
    "hikvision": """\
1.3.6.1.4.1.39165.1.1.0|4|DS-2CD2185FWD-I
1.3.6.1.4.1.39165.1.3.0|4|V5.5.82
1.3.6.1.4.1.39165.1.4.0|4|44:19:b6:12:34:56
1.3.6.1.4.1.39165.1.7.0|4|15 PERCENT
1.3.6.1.4.1.39165.1.11.0|4|83 PERCENT
""",
    # A panel whose ifInOctets is an INTEGER, as 2N's is.
    "two_n": """\
1.3.6.1.2.1.1.1.0|4|2N IP Force
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.6530.11
1.3.6.1.2.1.1.3.0|67|123456
1.3.6.1.2.1.2.2.1.10.1|2|-5
1.3.6.1.4.1.6530.11.1.0|4|2N IP Force
1.3.6.1.4.1.6530.11.3.0|4|54-2354-8708
1.3.6.1.4.1.6530.11.4.0|4|2.22.0.31.8
1.3.6.1.4.1.6530.11.6.1.3.1|2|2
""",
    # A switch without sysUpTime, as some Eltex, whose PoE can be written.
    "switch": f"""\
1.3.6.1.2.1.1.1.0|4|MES2324P
1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.35265.1.81
{OPERATIONAL}.49|2|1
{OPERATIONAL}.50|2|7
{ADMIN}.1|2:writecache|value=1
{ADMIN}.2|2:writecache|value=2
{DETECTION}.1|2|3
{DETECTION}.2|2|1
""",
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """snmpsim on loopback; the community is the name of a walk."""
    python = peers.python_peer("snmpsim", ("snmpsim==1.2.2", "pysmi>=2.0", "cryptography>=45"))
    folder = tmp_path_factory.mktemp("snmpsim")
    (folder / "data").mkdir()
    for name, walk in WALKS.items():
        (folder / "data" / f"{name}.snmprec").write_text(walk)
    port = free_port(socket.SOCK_DGRAM)
    command = [
        python.parent / "snmpsim-command-responder", "--data-dir", folder / "data", "--cache-dir", folder / "cache",
        "--agent-udpv4-endpoint", f"127.0.0.1:{port}", "--logging-method", "null",
        f"--variation-module-options=writecache:file:{folder / 'written'}",
    ]  # fmt: skip
    if os.getuid() == 0:
        command += ["--process-user=root", "--process-group=root"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def of_walk(port: int, name: str, kind: Kind, client: str, **block: Any) -> SnmpDriver:
    one = driver(port, kind, password=name, client=client, **block)

    async def answers() -> bool:
        try:
            await one.probe()
        except Unreachable:
            return False
        return True

    await until(answers, 40, "snmpsim answers")
    return one


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_camera_without_a_system_group_and_numbers_with_units(simulated: int, client: str) -> None:
    one = await of_walk(simulated, "hikvision", Kind.INTERCOM, client)
    try:
        identity, reading = await one.probe(), await one.poll()
        assert (identity.manufacturer, identity.model, identity.macs) == (
            "Hikvision",
            "DS-2CD2185FWD-I",
            ("44:19:b6:12:34:56",),
        )
        assert reading.facts == {"cpu_percent": 15, "memory_percent": 83}
    finally:
        await one.close()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_panel_tells_whether_its_sip_account_is_registered(simulated: int, client: str) -> None:
    one = await of_walk(simulated, "two_n", Kind.INTERCOM, client)
    try:
        assert (await one.probe()).serial == "54-2354-8708"
        assert (await one.poll()).facts == {"uptime": 1234, "sip_1": "registered"}
    finally:
        await one.close()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_switch_whose_ports_begin_with_49(simulated: int, client: str) -> None:
    ports = {1: {"interface": 49}, 2: {"interface": 50}}
    one = await of_walk(simulated, "switch", Kind.SWITCH, client, ports=ports, off_seconds=1)
    try:
        assert Capability.POWER_CYCLE in (await one.probe()).capabilities
        assert (await one.poll()).ports == {1: Port(True, "delivering"), 2: Port(False, "disabled")}
        cycle = asyncio.create_task(one.command(Command(Capability.POWER_CYCLE, arguments={"port": 1})))
        watcher = driver(simulated, Kind.SWITCH, password="switch")
        seen = []

        async def switched_off() -> bool:
            seen.append((await watcher._client.get([f"{ADMIN}.1"]))[f"{ADMIN}.1"])
            return 2 in seen

        await until(switched_off, 10, "the power is taken")
        await cycle
        assert await watcher._client.get([f"{ADMIN}.1"]) == {f"{ADMIN}.1": 1}
        with pytest.raises(Rejected, match="somebody switched the power"):
            await one.power_cycle(2)
        with pytest.raises(Unsupported, match="no power on port 9"):
            await one.power_cycle(9)
        await watcher.close()
    finally:
        await one.close()
