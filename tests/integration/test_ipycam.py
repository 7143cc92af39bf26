"""The ONVIF driver against a camera that others wrote: PyPI's `ipycam`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.errors import AuthFailed, Unsupported
from bridge.model import Credentials, Device, Kind, Rung
from bridge.secrets import Secret
from bridge.supervisor import http_session
from drivers.onvif.config import OnvifConfig, StreamCheck
from drivers.onvif.driver import OnvifDriver
from tests.integration.processes import free_port
from tests.peers import python_peer

PASSWORD = "pw-1234567"


@contextmanager
def running(environ: Mapping[str, str]) -> Iterator[int]:
    """Its ONVIF port."""
    # opencv-python-headless stands in for opencv-python, which wants a desktop's libraries.
    python = python_peer("ipycam", ("numpy", "opencv-python-headless"), ("--no-deps", "ipycam==1.3.0"))
    port = free_port()
    camera = subprocess.Popen(
        [python, Path(__file__).with_name("ipycam_camera.py"), str(port), str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    assert camera.stdout is not None
    assert any(line == "up\n" for line in camera.stdout), "ipycam did not start"
    try:
        yield port
    finally:
        camera.kill()
        camera.wait()


@pytest.fixture(scope="module")
def ipycam() -> Iterator[int]:
    # Without ffmpeg it tells of streams that nobody serves.
    with running({**os.environ, "PATH": ""}) as port:
        yield port


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_session() as session:
        yield session


def driver(port: int, http: aiohttp.ClientSession, password: str = PASSWORD, check: str = "none") -> OnvifDriver:
    config = OnvifConfig(port=port, stream_check=StreamCheck(check))
    device = Device(
        "cam", Kind.CAMERA, "onvif", "127.0.0.1", credentials=Credentials("admin", Secret(password)), config=config
    )
    io = DriverIO(device_id="cam", http=http, clock=SystemClock(), random=random.Random(1), memory=ShortMemory())
    return OnvifDriver(device, config, io)


async def test_probe_and_poll(ipycam: int, http: aiohttp.ClientSession) -> None:
    camera = driver(ipycam, http)
    await camera.open()
    identity = await camera.probe()
    assert (identity.manufacturer, identity.model, identity.serial) == ("PythonCam", "VirtualCam-1", "PY-000001")
    reading = await camera.poll()
    assert reading.rung is Rung.READY
    assert [stream.name for stream in reading.streams[""]] == ["Profile_Main", "Profile_Sub"], "high first"
    assert all(stream.up for stream in reading.streams[""])
    assert all(stream.uri.startswith("rtsp://127.0.0.1:") for stream in reading.streams[""])
    assert abs(float(reading.facts["clock_offset"] or 0)) < 5
    await camera.close()


async def test_streams_that_nobody_serves_are_down(ipycam: int, http: aiohttp.ClientSession) -> None:
    camera = driver(ipycam, http, check="describe")
    await camera.open()
    reading = await camera.poll()
    assert [stream.up for stream in reading.streams[""]] == [False, False]
    assert reading.streams[""][0].detail == "no RTSP connection: Connection refused"


async def test_streams_that_it_serves_are_up(http: aiohttp.ClientSession) -> None:
    if shutil.which("ffmpeg") is None:
        if os.environ.get("DEVICE_BRIDGE_TEST_ALL"):
            pytest.fail("ffmpeg is missing: apt-get install ffmpeg")
        pytest.skip("ffmpeg is not installed: apt-get install ffmpeg")
    with running(os.environ) as port:
        camera = driver(port, http, check="describe")
        await camera.open()
        reading = await camera.poll()
        assert [stream.up for stream in reading.streams[""]] == [True, True]
        await camera.close()


async def test_a_wrong_password_is_an_auth_failure(ipycam: int, http: aiohttp.ClientSession) -> None:
    # It answers 401 without a challenge even to GetSystemDateAndTime.
    camera = driver(ipycam, http, password="wrong-password")
    await camera.open()
    with pytest.raises(AuthFailed):
        await camera.probe()


async def test_it_has_no_events_and_says_so_in_words(ipycam: int, http: aiohttp.ClientSession) -> None:
    camera = driver(ipycam, http)
    await camera.open()
    await camera.probe()
    with pytest.raises(Unsupported, match="Action not supported"):
        async for _ in camera.events():
            pass
