"""What a poll and a pull of an ONVIF camera cost: ours, a raw exchange of the same bytes, and stock onvif-zeep.

All three ask the same canned cameras for the date and for one event message, with a WS-UsernameToken, in turn, one
request in flight a camera. The raw exchange is the floor: strings, aiohttp and lxml, no error handling to speak of.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import aiohttp
from lxml import etree

from bridge import log
from bridge.clock import SystemClock
from bridge.driver import DriverIO, ShortMemory
from bridge.model import Channel, Credentials, Device, Kind, Policy
from bridge.secrets import Secret
from bridge.supervisor import http_session
from drivers.onvif import wsdl
from drivers.onvif.config import EventMode, OnvifConfig
from drivers.onvif.driver import OnvifDriver
from tests.benchmarks.kept_memory import kept_kb

NAME = "onvif_poll"
CAMERAS = 20
TURNS = 12  # polls and pulls of each camera in a round
ROUNDS = 7
STOCK_CAMERAS = CAMERAS
KEPT_CAMERAS = 300
USER, PASSWORD = "admin", "s3cret-pass"

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
TT = "{http://www.onvif.org/ver10/schema}"
PARTS = ("Year", "Month", "Day", "Hour", "Minute", "Second")
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"


def device(port: int, config: OnvifConfig, number: int = 1) -> Device:
    # Without an id in the VMS: no pushes, which would be counted as the camera's memory while the outbox keeps them.
    channel = Channel(vms={"name": f"Camera {number}", "group_id": 1})
    return Device(
        f"cam-{number}",
        Kind.CAMERA,
        "onvif",
        "127.0.0.1",
        name=f"Camera {number}",
        credentials=Credentials(USER, Secret(PASSWORD)),
        channels=(channel,),
        policy=Policy(poll=3600.0),
        config=config,
    )


# -- ours: the production path, driver.poll() and driver.events() ------------------------------------------------


async def ours(ports: list[int], http: aiohttp.ClientSession) -> Callable[[], Awaitable[None]]:
    drivers = []
    for port in ports:
        config = OnvifConfig(port=port, auth="wsse")
        io = DriverIO(device_id="cam", http=http, clock=SystemClock(), random=random.Random(1), memory=ShortMemory())
        driver = OnvifDriver(device(port, config), config, io)
        await driver.open()
        await driver.probe()
        await driver.poll()
        events = driver.events()
        await anext(events)  # the subscription is made
        drivers.append((driver, events))

    async def turn(driver: OnvifDriver, events: object) -> None:
        for _ in range(TURNS):
            await driver.poll()
            await anext(events)  # type: ignore[call-overload]

    async def play() -> None:
        await asyncio.gather(*(turn(*one) for one in drivers))

    return play


# -- the floor ---------------------------------------------------------------------------------------------------


def _token() -> str:
    nonce = os.urandom(16)
    created = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = base64.b64encode(hashlib.sha1(nonce + created.encode() + PASSWORD.encode()).digest()).decode()
    sent = base64.b64encode(nonce).decode()
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
    return (
        f'<w:Security s:mustUnderstand="1" xmlns:w="{wsse}-wssecurity-secext-1.0.xsd"><w:UsernameToken>'
        f"<w:Username>{USER}</w:Username>"
        f'<w:Password Type="{wsse}-username-token-profile-1.0#PasswordDigest">{digest}</w:Password>'
        f'<w:Nonce EncodingType="{wsse}-soap-message-security-1.0#Base64Binary">{sent}</w:Nonce>'
        f'<u:Created xmlns:u="{wsse}-wssecurity-utility-1.0.xsd">{created}</u:Created></w:UsernameToken></w:Security>'
    )


def _envelope(header: str, body: str) -> bytes:
    head = f"<s:Header>{header}</s:Header>" if header else ""
    start = f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{ENVELOPE}">'
    return f"{start}{head}<s:Body>{body}</s:Body></s:Envelope>".encode()


async def floor(ports: list[int], http: aiohttp.ClientSession) -> Callable[[], Awaitable[None]]:
    date = wsdl.message("devicemgmt", "GetSystemDateAndTime")
    pull = wsdl.message("pullpoint", "PullMessages", Timeout="PT30S", MessageLimit=100)
    wsa = "http://www.w3.org/2005/08/addressing"

    async def post(url: str, action: str, body: bytes, timeout: float) -> etree._Element:
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        limit = aiohttp.ClientTimeout(total=timeout)
        async with http.post(url, data=body, headers=headers, timeout=limit) as answer:
            return etree.fromstring(await answer.read())

    async def turn(port: int) -> None:
        for _ in range(TURNS):
            url = f"http://127.0.0.1:{port}/onvif/device_service"
            root = await post(url, date.action, _envelope("", date.body.decode()), 10)
            utc = root.find(f".//{TT}UTCDateTime")
            assert utc is not None
            datetime(
                *(
                    int(utc.findtext(f".//{TT}{part}") or 0)
                    for part in ("Year", "Month", "Day", "Hour", "Minute", "Second")
                ),  # type: ignore[arg-type]
                tzinfo=UTC,
            )
            url = f"http://127.0.0.1:{port}/onvif/subscription"
            header = (
                f'{_token()}<a:Action xmlns:a="{wsa}" s:mustUnderstand="1">{pull.action}</a:Action>'
                f'<a:MessageID xmlns:a="{wsa}">urn:uuid:{uuid.uuid4()}</a:MessageID>'
                f'<a:ReplyTo xmlns:a="{wsa}"><a:Address>{wsa}/anonymous</a:Address></a:ReplyTo>'
                f'<a:To xmlns:a="{wsa}" s:mustUnderstand="1">{url}</a:To>'
            )
            root = await post(url, pull.action, _envelope(header, pull.body.decode()), 40)
            for message in root.iter(f"{WSNT}NotificationMessage"):
                topic = message.findtext(f"{WSNT}Topic")
                items = {item.get("Name"): item.get("Value") for item in message.iter(f"{TT}SimpleItem")}
                assert topic
                assert items["IsMotion"] == "true"

    async def play() -> None:
        await asyncio.gather(*(turn(port) for port in ports))

    return play


# -- stock onvif-zeep, as its README says: one ONVIFCamera a device, threads -----------------------------------------


def stock(ports: list[int]) -> Callable[[], None]:
    logging.getLogger().addHandler(logging.NullHandler())
    from onvif import ONVIFCamera

    cameras = []
    for port in ports:
        camera = ONVIFCamera("127.0.0.1", port, USER, PASSWORD, str(wsdl.directory()))
        camera.create_pullpoint_service()
        cameras.append(camera)

    def turn(camera: object) -> None:
        for _ in range(TURNS):
            camera.devicemgmt.GetSystemDateAndTime()  # type: ignore[attr-defined]
            camera.pullpoint.PullMessages({"Timeout": "PT30S", "MessageLimit": 100})  # type: ignore[attr-defined]

    pool = ThreadPoolExecutor(len(cameras))
    return lambda: [None for _ in pool.map(turn, cameras)] and None


# -- memory ------------------------------------------------------------------------------------------------------


async def kept_memory(ports: list[int]) -> float:
    """KB that a watched camera takes between two polls, without its socket."""
    config = OnvifConfig(auth="wsse", events=EventMode.OFF)

    def make(number: int) -> Device:
        own = config.model_copy(update={"port": ports[number % len(ports)]})
        return device(ports[number % len(ports)], own, number + 1)

    # Connections are closed after each request: a camera is measured without its socket.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as http:
        return await kept_kb(OnvifDriver, make, KEPT_CAMERAS, http)


async def _run() -> dict[str, float]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.canned_camera", str(CAMERAS)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        ports: list[int] = json.loads(server.stdout.readline())
        async with http_session() as http:
            players = {"ours": await ours(ports, http), "floor": await floor(ports, http)}
            stock_play = await asyncio.to_thread(stock, ports[:STOCK_CAMERAS])
            costs: dict[str, list[float]] = {"ours": [], "floor": [], "stock": []}
            for number in range(ROUNDS + 1):
                for name, play in players.items():
                    began = time.process_time()
                    await play()
                    costs[name].append((time.process_time() - began) / (len(ports) * TURNS))
                if number % 2 == 0:
                    began = time.process_time()
                    await asyncio.to_thread(stock_play)
                    costs["stock"].append((time.process_time() - began) / (STOCK_CAMERAS * TURNS))
        # The first round warms everything up.
        cost = {name: statistics.median(values[1:]) for name, values in costs.items()}
        kb = await kept_memory(ports)
    finally:
        server.kill()
        server.wait()
    return {
        "cpu_ratio_to_floor": cost["ours"] / cost["floor"],
        "cpu_ratio_to_stock": cost["ours"] / cost["stock"],
        "kb_per_camera": kb,
        "cpu_us_per_poll_and_pull": cost["ours"] * 1e6,
    }


def run() -> dict[str, float]:
    log.configure("error")
    return asyncio.run(_run())
