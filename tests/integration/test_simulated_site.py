"""A site of simulated devices: its inventory, its scenario, its control API."""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
import yaml

from bridge import registry
from bridge.config.load import load
from bridge.model import Kind
from bridge.testing import site as site_module
from bridge.testing.clock import FakeClock
from bridge.testing.simulator import Fault
from bridge.testing.site import SimulatedSite, SiteError, ensure_open_files
from bridge.testing.site_control import SiteControl
from drivers.onvif.simulated.actions import ACTIONS
from tests.integration.onvif_raw import until


def mixed() -> SimulatedSite:
    site = SimulatedSite(cameras=3, seed=7)
    site.add("onvif", kind=Kind.INTERCOM, name="Front door")
    site.add("onvif", kind=Kind.SERVER, channels=4)
    return site


async def test_the_inventory() -> None:
    async with mixed() as site:
        told = yaml.safe_load(site.inventory_yaml())
        assert told == site.inventory()
        assert [one["id"] for one in told["devices"]] == ["cam-01", "cam-02", "cam-03", "door-01", "nvr-01"]
        first, *_, door, recorder = told["devices"]
        assert first == {
            "id": "cam-01",
            "name": "Main gate 1",
            "site": "simulated",
            "driver": "onvif",
            "address": "127.0.0.1",
            "credentials": {"username": "admin", "password": "s3cret-pass"},
            "onvif": {"port": site.members["cam-01"].simulator.port},
            "vms": {"id": 1, "name": "Main gate 1", "group_id": 1},
        }
        assert door["vms"] == {"id": 1, "name": "Front door"}
        assert (door["kind"], recorder["kind"], "vms" in recorder) == ("intercom", "server", False)
        assert [channel["vms"]["id"] for channel in recorder["channels"]] == [4, 5, 6, 7]
        assert len({one["onvif"]["port"] for one in told["devices"]}) == 5


async def test_the_loader_takes_the_inventory(tmp_path: Path) -> None:
    async with mixed() as site:
        file = tmp_path / "site.yaml"
        file.write_text(site.inventory_yaml())
        devices = load(file).devices
        assert [(one.id, one.kind, len(one.channels)) for one in devices] == [
            (member.id, member.kind, 4 if member.kind is Kind.SERVER else 1) for member in site
        ]


async def test_a_start_that_fails_leaves_nothing_running() -> None:
    async with SimulatedSite(cameras=1) as site:
        taken = site.members["cam-01"].simulator.port
        other = SimulatedSite(cameras=2)
        other.add("onvif", port=taken)
        with pytest.raises(OSError, match=str(taken)):
            await other.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", other.members["cam-01"].simulator.port)


def test_unknown_drivers_have_no_simulator() -> None:
    with pytest.raises(KeyError):
        SimulatedSite(cameras=1, driver="nobody")


async def test_a_thousand_cameras_start_in_seconds() -> None:
    try:
        ensure_open_files(1000)
    except SiteError as error:
        pytest.skip(str(error))
    began = time.monotonic()
    async with SimulatedSite(cameras=1000) as site:
        assert time.monotonic() - began < 5
        assert len({member.simulator.port for member in site}) == 1000


# --- open files


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1024, 4096]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limits.__setitem__(slice(2), list(new)))
    ensure_open_files(50)
    assert limits == [1024, 4096]
    ensure_open_files(200)
    assert limits == [4096, 4096]
    with pytest.raises(SiteError, match=r"1000 simulated devices need \d+ open files, .* may have 4096: raise"):
        ensure_open_files(1000)


# --- the scenario


async def _history(seed: int, turns: int, *, cameras: int = 6) -> list[dict[str, Any]]:
    clock = FakeClock()
    async with SimulatedSite(cameras=cameras, seed=seed) as site:
        with structlog.testing.capture_logs() as told:
            task = asyncio.create_task(site.scenario(clock))
            for _ in range(turns):
                await clock.advance(0.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # What was going on is over.
            assert all(not member.simulator.faults for member in site)
            assert not any(member.simulator.state.lost for member in site)
        return [dict(one) for one in told]


async def test_the_scenario_begins_at_once_and_goes_on() -> None:
    told = await _history(1, 60)
    assert [one["event"] for one in told if one["event"] in ("motion began", "stream lost", "device went away")][
        :3
    ] == [
        "motion began",
        "stream lost",
        "device went away",
    ]
    events = [one["event"] for one in told]
    assert {"motion ended", "stream is back", "device is back"} <= set(events)
    assert all(one["device"].startswith("cam-") for one in told)
    assert len(set(events)) > 8


async def test_the_same_seed_tells_the_same_story() -> None:
    assert await _history(3, 30) == await _history(3, 30)
    assert await _history(3, 30) != await _history(4, 30)


async def test_a_site_of_one_is_not_always_down() -> None:
    told = await _history(1, 200, cameras=1)
    assert len(told) > 20


def test_every_incident_is_one_that_onvif_devices_can_have() -> None:
    assert all(one.fault is not None or one.action in ACTIONS for one in site_module.INCIDENTS if not one.at_panels)


async def test_panels_have_visitors() -> None:
    site = SimulatedSite()
    site.add_panels(len(registry.panel_simulators()))
    async with site:
        (visit,) = (one for one in site_module.INCIDENTS if one.at_panels)
        able = [one.simulator.driver for one in site if await site_module._Running(one, visit, {}).begin(Log())]
    assert set(able) == set(registry.panel_simulators()) - {"onvif"}
    assert len({one.simulator.address for one in site}) == len(able) + 1, "each has an address of its own"


class Log:
    def info(self, *_: object, **__: object) -> None: ...


# --- the control API


class Control:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=body, **more) as response:
            text = await response.text()
            return response.status, (yaml.safe_load(text) if text else None)


@pytest.fixture
async def site() -> Any:
    async with mixed() as made:
        yield made


@pytest.fixture
async def control(site: SimulatedSite) -> Any:
    served = SiteControl(site)
    await served.start()
    async with aiohttp.ClientSession() as session:
        yield Control(session, served.url)
    await served.stop()


async def test_listing(site: SimulatedSite, control: Control) -> None:
    status, body = await control("GET", "/devices")
    assert (status, len(body["devices"])) == (200, 5)
    assert body["devices"][3] == {
        "id": "door-01",
        "name": "Front door",
        "kind": "intercom",
        "driver": "onvif",
        "address": "127.0.0.1",
        "port": site.members["door-01"].simulator.port,
        "faults": {},
        "seen": {},
        "subscriptions": 0,
    }
    status, body = await control("GET", "/inventory")
    assert body == site.inventory()


async def test_faults_come_and_go(site: SimulatedSite, control: Control) -> None:
    faults = site.members["cam-01"].simulator.faults
    status, body = await control("POST", "/devices/cam-01/faults", {"fault": "slow", "value": 0.5})
    assert (status, body["faults"]) == (200, {"slow": 0.5})
    await control("POST", "/devices/cam-01/faults", {"fault": "closed", "seconds": 0.05})
    assert Fault.CLOSED in faults
    await until(lambda: Fault.CLOSED not in faults)
    # One that was renewed for ever does not end when the first would have.
    await control("POST", "/devices/cam-01/faults", {"fault": "html", "seconds": 0.05})
    await control("POST", "/devices/cam-01/faults", {"fault": "html"})
    await asyncio.sleep(0.1)
    assert set(faults) == {Fault.SLOW, Fault.HTML}
    assert (await control("DELETE", "/devices/cam-01/faults/slow"))[1]["faults"] == {"html": True}
    assert (await control("DELETE", "/devices/cam-01/faults"))[1]["faults"] == {}


async def test_things_happen(site: SimulatedSite, control: Control) -> None:
    simulator = site.members["nvr-01"].simulator
    status, _ = await control("POST", "/devices/nvr-01/act", {"action": "stream_loss", "channel": 2})
    assert (status, len(simulator.state.lost)) == (200, 2)
    booted = simulator.state.booted_at
    assert (await control("POST", "/devices/nvr-01/reboot", {"seconds": 0.05}))[0] == 202
    assert (await control("POST", "/devices/nvr-01/reboot", {}))[0] == 409
    await until(lambda: simulator.state.booted_at > booted)


async def test_settings_are_seen_and_changed(site: SimulatedSite, control: Control) -> None:
    path = "/devices/cam-01"
    before = (await control("GET", f"{path}/configuration"))[1]
    token = next(iter(before["video_encoder"]))
    change = {"action": "configure", "setting": "video_encoder", "token": token, "bitrate": 777}
    assert (await control("POST", f"{path}/act", change))[0] == 200
    after = (await control("GET", f"{path}/configuration"))[1]
    assert after["video_encoder"][token] == before["video_encoder"][token] | {"bitrate": 777}
    assert "s3cret-pass" not in str(after)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "where", "says"),
    [
        ("POST", "/devices/cam-1/faults", {"fault": "slow"}, 404, "path", "did you mean 'cam-01'?"),
        ("POST", "/devices/cam-01/faults", {"fault": "slwo"}, 400, "fault", "did you mean 'slow'?"),
        ("POST", "/devices/cam-01/faults", {}, 400, "fault", "it is one of closed"),
        ("DELETE", "/devices/cam-01/faults/jnuk", None, 400, "fault", "did you mean 'junk'?"),
        ("POST", "/devices/cam-01/faults", {"fault": "slow", "value": "long"}, 400, "value", "from 0 to 86400"),
        ("POST", "/devices/cam-01/faults", {"fault": "redirect", "value": 1}, 400, "value", "http://"),
        ("POST", "/devices/cam-01/faults", {"fault": "junk", "second": 1}, 400, "body", "did you mean 'seconds'?"),
        ("POST", "/devices/cam-01/faults", [], 400, "body", "object"),
        ("POST", "/devices/cam-01/act", {"action": "motoin"}, 400, "action", "did you mean 'motion'?"),
        ("POST", "/devices/cam-01/act", {}, 400, "action", "motion"),
        ("POST", "/devices/cam-01/act", {"action": "motion", "channel": 9}, 400, "action", "0 to 0"),
        ("POST", "/devices/cam-01/reboot", {"seconds": -1}, 400, "seconds", "from 0"),
        ("POST", "/devices/cam-01/act", {"action": "configure", "setting": "ntpp"}, 400, "action", "'ntp'"),
        ("GET", "/devices/cam-9/configuration", None, 404, "path", "did you mean 'cam-0"),
        ("GET", "/device", None, 404, "GET /device", "GET /devices"),
        ("PUT", "/devices", None, 405, "PUT /devices", "GET /devices"),
    ],
)
async def test_errors_say_how_to_mend(
    control: Control, method: str, path: str, body: Any, status: int, where: str, says: str
) -> None:
    got, error = await control(method, path, body)
    assert (got, error["where"]) == (status, where)
    assert says in error["mend"]
    assert error["error"]


async def test_bodies_of_web_pages_are_refused(control: Control) -> None:
    async with control.session.post(f"{control.url}/devices/cam-01/faults", data='{"fault": "junk"}') as response:
        assert response.status == 415
        assert (await response.json())["where"] == "Content-Type"


async def test_loopback_only(site: SimulatedSite) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        await SiteControl(site).start("0.0.0.0")
