"""Debian's net-snmp as the other side: an agent of our own, and the commands that send notifications."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.processes import free_port

AUTH, PRIVACY = "auth-pass-12345", "privacy-pass-12345"
USER = "bridge"


def need(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing and not os.environ.get("DEVICE_BRIDGE_TEST_ALL"):
        pytest.skip(f"Debian's {', '.join(missing)} is not installed")
    assert not missing, f"{', '.join(missing)} is not installed"


@contextmanager
def snmpd(folder: Path, *, everywhere: bool = False) -> Iterator[int]:
    """The port of an agent on loopback: read-only `public`, `private` that may write, an SNMPv3 user for each of SHA-1,
    SHA-256 and SHA-512. `everywhere`: it answers on every address of 127.0.0.0/8."""
    need("snmpd")
    port = free_port(socket.SOCK_DGRAM)
    config = folder / "snmpd.conf"
    users = "\n".join(
        f"createUser {USER}-{name.replace('-', '').lower()} {name} {AUTH} AES {PRIVACY}\n"
        f"rouser {USER}-{name.replace('-', '').lower()} priv"
        for name in ("SHA", "SHA-256", "SHA-512")
    )
    address = f"udp:0.0.0.0:{port}" if everywhere else f"udp:127.0.0.1:{port}"
    config.write_text(f"agentaddress {address}\nrocommunity public\nrwcommunity private\nsysName peer\n{users}\n")
    path = shutil.which("snmpd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path is not None
    process = subprocess.Popen(
        [path, "-f", "-Le", "-C", "-c", config, "-p", folder / "pid", "-I", "-smux"],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "state"), "MIBS": ""},
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_answer(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# GET sysUpTime.0, v2c, community public: the smallest question.
_QUESTION = bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010103000500")


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert process.poll() is None, "snmpd ended"
            probe.sendto(_QUESTION, ("127.0.0.1", port))
            try:
                probe.recv(1500)
            except TimeoutError:
                continue
            return
    raise AssertionError("snmpd does not answer")


async def notify(program: str, port: int, *arguments: str) -> int:
    """Run snmptrap or snmpinform; its exit code."""
    need(program)
    process = await asyncio.create_subprocess_exec(
        program, *arguments[:-1], f"127.0.0.1:{port}", *arguments[-1].split("|"),
        env={**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": os.devnull},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()
