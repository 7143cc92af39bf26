"""The simulated ONVIF device before clients that others wrote: onvif-zeep, zeep on the WSDLs, the npm package onvif.

What they read out of its replies is compared with what the device is. RTSP is a raw exchange.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zeep
from aiohttp import DigestAuthMiddleware, web
from lxml import etree
from onvif import ONVIFCamera
from zeep.exceptions import Fault
from zeep.transports import Transport
from zeep.wsse.username import UsernameToken

from bridge.model import Kind
from drivers.onvif.simulated.makes import MAKES
from drivers.onvif.simulator import OnvifSimulator
from tests import node
from tests.integration.onvif_raw import GET_INFO, LIMIT, MEDIA, MEDIA2, Raw, device, notifications

PASSWORD = "s3cret-pass"
BURST = 8  # properties of a camera with one input and one relay


def _seed_of_each_make() -> Iterator[int]:
    """Seeds that between them give every make."""
    left = {make.manufacturer for make in MAKES}
    seed = 0
    while left:
        make = OnvifSimulator(seed=seed).state.make.manufacturer
        if make in left:
            left.remove(make)
            yield seed
        seed += 1


SEEDS = list(_seed_of_each_make())


@pytest.fixture(scope="module")
def wsdl() -> str:
    files = distribution("onvif_zeep").files or []
    return str(next(Path(str(file.locate())).parent for file in files if file.name == "devicemgmt.wsdl"))


# --- onvif-zeep


def _read_with_onvif_zeep(port: int, wsdl: str) -> dict[str, Any]:
    camera = ONVIFCamera("127.0.0.1", port, "admin", PASSWORD, wsdl)
    management = camera.create_devicemgmt_service()
    media = camera.create_media_service()
    events = camera.create_events_service()
    profiles = media.GetProfiles()
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    return {
        "information": management.GetDeviceInformation(),
        "date": management.GetSystemDateAndTime(),
        "hostname": management.GetHostname(),
        "interfaces": management.GetNetworkInterfaces(),
        "ntp": management.GetNTP(),
        "users": management.GetUsers(),
        "scopes": management.GetScopes(),
        "endpoint": management.GetEndpointReference(),
        "capabilities": management.GetCapabilities({"Category": "All"}),
        "services": management.GetServices({"IncludeCapability": True}),
        "limits": management.GetServiceCapabilities(),
        "profiles": profiles,
        "profile": media.GetProfile({"ProfileToken": profiles[0].token}),
        "sources": media.GetVideoSources(),
        "source_configurations": media.GetVideoSourceConfigurations(),
        "encoders": media.GetVideoEncoderConfigurations(),
        "uris": [media.GetStreamUri({"StreamSetup": setup, "ProfileToken": one.token}).Uri for one in profiles],
        "snapshot": media.GetSnapshotUri({"ProfileToken": profiles[0].token}).Uri,
        "event_properties": events.GetEventProperties(),
        "event_limits": events.GetServiceCapabilities(),
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_onvif_zeep_reads_every_make(seed: int, wsdl: str) -> None:
    async with device(name="Back door", seed=seed, channels=2, media2=True) as raw:
        state = raw.simulator.state
        read = await asyncio.to_thread(_read_with_onvif_zeep, raw.simulator.port, wsdl)

        assert read["information"].SerialNumber == state.serial
        assert read["information"].Manufacturer == state.make.manufacturer
        assert read["date"].UTCDateTime.Date.Year >= 2024
        assert state.configuration()["clock"]["timezone"] == read["date"].TimeZone.TZ
        assert read["interfaces"][0].Info.HwAddress == state.mac
        assert read["ntp"].NTPManual[0].DNSname == "pool.ntp.org"
        assert read["users"][0].Username == "admin"
        assert "onvif://www.onvif.org/name/Back%20door" in [scope.ScopeItem for scope in read["scopes"]]
        assert f"urn:uuid:{state.uuid}" == read["endpoint"].GUID
        assert read["capabilities"].Media.XAddr == state.xaddr("trt")
        assert [service.Namespace for service in read["services"]].count(MEDIA) == 1
        assert [service.Namespace for service in read["services"]].count(MEDIA2) == 1
        assert all(service.XAddr.startswith(raw.origin) for service in read["services"])
        assert read["limits"].Security.HttpDigest is True
        assert [one.token for one in read["profiles"]] == list(state.profiles)
        assert read["profile"].VideoEncoderConfiguration.Resolution.Width == 2560
        assert [one.token for one in read["sources"]] == [source.token for source in state.sources]
        assert {one.SourceToken for one in read["source_configurations"]} == {one.token for one in read["sources"]}
        # A profile tells its channel by VideoSourceConfiguration/SourceToken.
        assert [one.VideoSourceConfiguration.SourceToken for one in read["profiles"]] == [
            profile.source.token for profile in state.profiles.values()
        ]
        assert len(read["encoders"]) == 4
        assert read["uris"] == [state.stream_uri(profile) for profile in state.profiles.values()]
        assert read["snapshot"].startswith(raw.origin)
        assert read["event_limits"].MaxPullPoints == 4
        # The library itself leaves one pull point behind in its constructor.
        assert raw.simulator.open_subscriptions() == 1
        assert raw.simulator.seen["auth_failed"] == 0


async def test_onvif_zeep_is_refused_with_a_wrong_password(wsdl: str) -> None:
    def ask(port: int) -> None:
        camera = ONVIFCamera("127.0.0.1", port, "admin", "wrong", wsdl)
        camera.create_devicemgmt_service().GetDeviceInformation()

    async with device() as raw:
        with pytest.raises(Exception, match="not Authorized"):
            await asyncio.to_thread(ask, raw.simulator.port)
        assert raw.simulator.seen["auth_failed"] == 2  # its constructor tries a pull point first


# --- plain zeep with the WSDLs

_PULL_POINT = "{http://www.onvif.org/ver10/events/wsdl}PullPointSubscriptionBinding"
_EVENTS = "{http://www.onvif.org/ver10/events/wsdl}EventBinding"
_MANAGER = "{http://www.onvif.org/ver10/events/wsdl}SubscriptionManagerBinding"
_PRODUCER = "{http://www.onvif.org/ver10/events/wsdl}NotificationProducerBinding"


class ZeepEvents:
    """zeep on events.wsdl, the replies checked strictly against the schema."""

    def __init__(self, wsdl: str, address: str) -> None:
        self._client = zeep.Client(
            f"{wsdl}/events.wsdl",
            transport=Transport(timeout=10, operation_timeout=10),
            wsse=UsernameToken("admin", PASSWORD, use_digest=True),
        )
        self.events = self._client.create_service(_EVENTS, address)
        self.producer = self._client.create_service(_PRODUCER, address)

    def pull_point(self, address: str) -> Any:
        return self._client.create_service(_PULL_POINT, address)

    def manager(self, address: str) -> Any:
        return self._client.create_service(_MANAGER, address)


@pytest.mark.parametrize("seed", SEEDS)
async def test_zeep_lives_through_a_pull_point(seed: int, wsdl: str) -> None:
    async with device(seed=seed) as raw:
        client = await asyncio.to_thread(ZeepEvents, wsdl, raw.simulator.state.xaddr("tev"))
        created = await asyncio.to_thread(client.events.CreatePullPointSubscription, InitialTerminationTime="PT30S")
        assert (created.TerminationTime - created.CurrentTime).total_seconds() == pytest.approx(30, abs=1)
        address = created.SubscriptionReference.Address._value_1
        pull_point, manager = client.pull_point(address), client.manager(address)

        burst = await asyncio.to_thread(pull_point.PullMessages, Timeout="PT5S", MessageLimit=100)
        assert len(burst.NotificationMessage) == BURST

        waiting = asyncio.create_task(asyncio.to_thread(pull_point.PullMessages, Timeout="PT8S", MessageLimit=100))
        await asyncio.sleep(0)
        await raw.simulator.act("motion", active=True)
        pulled = await asyncio.wait_for(waiting, LIMIT)
        (message,) = pulled.NotificationMessage
        element = message.Message._value_1
        assert element.get("PropertyOperation") == "Changed"
        assert [item.get("Value") for item in element.iter("{*}SimpleItem")][-1] == "true"

        renewed = await asyncio.to_thread(manager.Renew, TerminationTime="PT5M")
        assert (renewed.TerminationTime - renewed.CurrentTime).total_seconds() == pytest.approx(300, abs=1)
        await asyncio.to_thread(pull_point.SetSynchronizationPoint)
        again = await asyncio.to_thread(pull_point.PullMessages, Timeout="PT5S", MessageLimit=4)
        assert len(again.NotificationMessage) == 4
        assert raw.simulator.open_subscriptions() == 1
        await asyncio.to_thread(manager.Unsubscribe)
        assert raw.simulator.open_subscriptions() == 0
        with pytest.raises(Fault, match="not known") as caught:
            await asyncio.to_thread(pull_point.PullMessages, Timeout="PT1S", MessageLimit=1)
        assert caught.value.subcodes[0].localname == "ResourceUnknownFault"


async def test_notify_is_posted_to_the_consumer(wsdl: str) -> None:
    posted: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    async def take(request: web.BaseRequest) -> web.Response:
        posted.put_nowait((request.headers["Content-Type"], await request.read()))
        return web.Response(status=202)

    consumer = web.Server(take)
    listener = await asyncio.get_running_loop().create_server(consumer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        async with device(seed=SEEDS[1]) as raw:
            client = await asyncio.to_thread(ZeepEvents, wsdl, raw.simulator.state.xaddr("tev"))
            reference = {"Address": f"http://127.0.0.1:{port}/callback"}
            answer = await asyncio.to_thread(
                client.producer.Subscribe, ConsumerReference=reference, InitialTerminationTime="PT1M"
            )
            burst = 0
            while burst < BURST:
                kind, body = await asyncio.wait_for(posted.get(), LIMIT)
                assert kind.startswith("application/soap+xml")
                burst += len(notifications(etree.fromstring(body)))
            await raw.simulator.act("input", active=True)
            _, body = await asyncio.wait_for(posted.get(), LIMIT)
            (message,) = notifications(etree.fromstring(body))
            assert (message.topic, message.operation) == ("tns1:Device/Trigger/DigitalInput", "Changed")
            assert message.data == {"LogicalState": "true"}
            manager = client.manager(answer.SubscriptionReference.Address._value_1)
            await asyncio.to_thread(manager.Renew, TerminationTime="PT1M")
            await asyncio.to_thread(manager.Unsubscribe)
            assert raw.simulator.open_subscriptions() == 0
            await raw.simulator.act("input", active=False)
            assert posted.empty()
    finally:
        listener.close()
        await consumer.shutdown(1)


# --- the npm package onvif


@pytest.fixture(scope="module")
def node_js() -> str:
    return node.node()


@pytest.mark.parametrize(
    ("traits", "digest"),
    [
        ({"seed": SEEDS[0]}, False),
        ({"seed": SEEDS[1], "auth": "digest", "digest_algorithms": ("MD5",)}, True),
        ({"seed": SEEDS[2], "channels": 2, "kind": Kind.SERVER}, False),
        ({"seed": SEEDS[3], "quirks": {"axis_reference_parameters"}}, False),
    ],
    ids=["token", "digest", "recorder", "axis"],
)
async def test_the_npm_client(node_js: str, traits: dict[str, Any], digest: bool) -> None:
    async with device(name="Hall", **traits) as raw:
        process = await asyncio.create_subprocess_exec(
            node_js,
            str(node.HERE / "onvif_client.js"),
            json.dumps({"port": raw.simulator.port, "password": PASSWORD, "digest": digest}),
            env=node.environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            said = await asyncio.wait_for(_follow(process, raw), 20)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        state = raw.simulator.state
        connected = said[0]
        assert connected["is"] == "connected", said
        assert connected["information"]["serialNumber"] == state.serial
        assert connected["profiles"] == list(state.profiles)
        assert connected["stream"] == state.stream_uri(next(iter(state.profiles.values())))
        assert {"videoSource", "device", "monitoring", "media"} <= set(connected["topics"])
        assert said[-1]["is"] == "done", said
        changed = [one for one in said if one["is"] == "event" and one["operation"] == "Changed"]
        assert [one["data"] for one in changed] == [{"State": True}]
        assert raw.simulator.open_subscriptions() == 0


async def _follow(process: asyncio.subprocess.Process, raw: Raw) -> list[dict[str, Any]]:
    """All that the program says; motion begins once it has heard the state of things."""
    said: list[dict[str, Any]] = []
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(json.loads(line))
        if said[-1]["is"] == "event" and sum(one["is"] == "event" for one in said) == 1:
            await raw.simulator.act("motion", active=True)
    return said


# --- HTTP Digest, by aiohttp's own client


async def test_digest_by_aiohttp() -> None:
    async with device(auth="digest", digest_algorithms=("SHA-256", "MD5")) as raw:
        login = DigestAuthMiddleware("admin", PASSWORD, preemptive=True)
        async with aiohttp.ClientSession(middlewares=(login,)) as session:
            client = Raw(raw.simulator, session)
            for _ in range(3):
                assert (await client.ask(GET_INFO, header="")).one("SerialNumber") == raw.simulator.state.serial
        assert raw.simulator.seen["GetDeviceInformation"] == 4  # one challenge, then no more
        assert raw.simulator.seen["auth_failed"] == 0


async def test_basic_is_no_way_in() -> None:
    async with device(auth="digest") as raw:
        basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        answer = await raw.ask(GET_INFO, header="", headers={"Authorization": f"Basic {basic}"})
        assert answer.status == 401


# --- the snapshot


async def test_snapshot_needs_digest() -> None:
    async with device() as raw:
        url = f"{raw.origin}/onvif/snapshot/{next(iter(raw.simulator.state.profiles))}"
        async with raw.session.get(url) as response:
            assert response.status == 401
        login = DigestAuthMiddleware("admin", PASSWORD)
        async with aiohttp.ClientSession(middlewares=(login,)) as session, session.get(url) as response:
            assert response.content_type == "image/jpeg"
            assert (await response.read()).startswith(b"\xff\xd8")
