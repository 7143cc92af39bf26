"""Templates on simulated ONVIF cameras: every section, Media 1 and Media 2, and what real firmware does wrong."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Capability, Command
from bridge.secrets import Secret
from bridge.settings.selection import Selection
from bridge.settings.vocabulary import NAMED, SECTIONS, Settings, Value, flatten, split
from drivers.onvif.configuration.sections import OPERATIONS
from tests.integration.onvif_settings_site import ALL, ME, Site, site
from tests.support import until

FULL: Mapping[str, Any] = {"media2": True, "h265": True, "audio": True, "analytics": True, "event_brokers": 2}
WANTED: Mapping[str, Mapping[str, Any]] = {
    "osd_time": {"position": "lower_left", "date_format": "yyyy-MM-dd"},
    "osd_text": {"text": "${device.name} & <${camera.id}>", "position": "lower_left"},
    "imaging": {"brightness": 60, "contrast": 40, "white_balance": "manual"},
    "relays": {"RelayOutput_1": {"mode": "monostable", "duration": "5s", "idle": "closed"}},
    "clock": {"time_zone": "MSK-3", "daylight_saving": False},
    "ntp": {"servers": ["192.0.2.7", "ntp.example.net", "2001:db8::7"]},
    "video_encoder_first": {"resolution": "1920x1080", "fps": 12, "bitrate": 2048, "gop": 48, "quality": 50},
    "video_encoder_second": {"fps": 5, "bitrate": 256},
    "hostname": {"name": "gate-${camera.id}"},
    "users": {"viewer": {"role": "user", "password": Secret("view-Pass1")}},
}
# The make of seed 5 has no corners for its texts, and other dates.
OF_MAKE_5: Mapping[str, Mapping[str, Any]] = {
    "osd_time": {"date_format": "dd/MM/yyyy"},
    "osd_text": {"text": "${device.name} & <${camera.id}>"},
}
OF_MEDIA2: Mapping[str, Mapping[str, Any]] = {
    "audio": {"codec": "g711", "bitrate": 64},
    "motion_detection": {"sensitivity": 35},
    "event_targets": {"vms": {"url": "mqtt://192.0.2.9:1883"}},
    "video_encoder_first": {"codec": "h265", "profile": "main", "fps": 15, "bitrate": 1500, "bitrate_mode": "constant"},
}


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


def as_wanted(found: Mapping[str, Value], wanted: Mapping[str, Any]) -> bool:
    said = flatten(Settings.model_validate(wanted))
    return all(found[path] == value for path, value in said.items() if not isinstance(value, Secret))


# -- every section -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 4, 5])
@pytest.mark.parametrize("section", list(WANTED))
async def test_each_section_becomes_as_wanted(one: Site, section: str, seed: int) -> None:
    camera = await one.add(seed=seed)
    one.template(**{section: (OF_MAKE_5 if seed == 5 else WANTED).get(section, WANTED[section])})
    # What this make has not got, the nearest; what it has, exactly.
    one.change(fit="nearest")
    before = camera.state.configuration()
    assert await one.apply() == "done", await one.pushes()
    assert camera.state.configuration() != before
    assert await one.engine.drift(ALL) == []
    writes = _writes(camera)
    assert await one.apply() == "done"
    assert _writes(camera) == writes, "a second time there is nothing to write"
    assert [status for _, _, status, _ in await one.pushes()] == ["ok", "ok"]
    # And back.
    assert await one.finish(await one.engine.rollback(ALL, ME)) == "done"
    left = camera.state.configuration()
    for kind in before:
        assert _without_names(left[kind]) == _without_names(before[kind])


@pytest.mark.parametrize("section", list(OF_MEDIA2))
async def test_what_newer_cameras_have(one: Site, section: str) -> None:
    await one.add(**FULL)
    one.template(**{section: OF_MEDIA2[section]})
    assert await one.apply() == "done", await one.pushes()
    assert as_wanted(await one.read("cam", section), {section: OF_MEDIA2[section]})
    assert await one.engine.drift(ALL) == []


async def test_all_of_it_at_once(one: Site) -> None:
    camera = await one.add(seed=1, **FULL)
    one.template(**{**WANTED, **OF_MEDIA2, "video_encoder_first": {"codec": "h265", "fps": 15}})
    one.change(fit="nearest")
    assert await one.apply() == "done", await one.pushes()
    assert _order(camera)[-1] == "CreateUsers", "harmless first, users last"
    assert await one.engine.drift(ALL) == []


async def test_the_table_of_operations_has_every_setting_that_is_read(one: Site) -> None:
    fields = set()
    for seed in (0, 1, 4, 5):
        await one.add(f"cam-{seed}", seed=seed, **FULL)
        runner = one.runners[f"cam-{seed}"]
        async with runner.mailbox.exclusive() as driver:
            found = await driver.read_settings(runner.device.channels[0], SECTIONS)
        fields |= {_pattern(path) for path in found.limits.fields}
    assert fields == set(OPERATIONS), fields ^ set(OPERATIONS)


async def test_reading_writes_nothing(one: Site) -> None:
    camera = await one.add(**FULL)
    before = camera.state.configuration()
    await one.read()
    assert _writes(camera) == 0
    assert camera.state.configuration() == before


async def test_channels_of_a_recorder_are_told_apart(one: Site) -> None:
    recorder = await one.add(channels=2)
    one.template(video_encoder_first={"fps": 10}, osd_text={"text": "${channel.key}"})
    assert await one.apply() == "done", await one.pushes()
    assert len(await one.pushes()) == 2
    texts = [osd["text"] for osd in recorder.state.configuration()["osd"].values() if osd.get("text")]
    assert sorted(texts) == ["c0", "c1"]


async def test_high_stays_high_when_a_template_makes_it_the_smaller_one(one: Site) -> None:
    await one.add(seed=1)
    one.template(video_encoder_first={"resolution": "640x360"}, video_encoder_second={"resolution": "1280x720"})
    assert await one.apply() == "done", await one.pushes()
    found = await one.read()
    assert found["video_encoder_first.resolution"] == "640x360"
    assert found["video_encoder_second.resolution"] == "1280x720"


async def test_a_reboot_on_command(one: Site) -> None:
    camera = await one.add()
    async with one.runners["cam"].mailbox.exclusive() as driver:
        await driver.command(Command(Capability.REBOOT))
    await until(lambda: camera.seen["SystemReboot"] == 1)


# -- what goes wrong -----------------------------------------------------------------------------------------------

TEMPLATE: Mapping[str, Any] = {"ntp": {"servers": ["192.0.2.7"]}, "video_encoder_first": {"fps": 10, "bitrate": 2000}}


async def unchanged_but_told(one: Site, *words: str, template: Mapping[str, Any] = TEMPLATE, **traits: Any) -> None:
    """The camera is as before, and the push says what was wrong."""
    camera = await one.add(**traits)
    before = await one.read()
    one.template(**template)
    assert await one.apply() == "stopped"
    assert await one.read() == before, camera.state.configuration()
    ((_, number, status, reason),) = await one.pushes()
    assert (number, status) == (12, "error")
    assert all(word in str(reason) for word in words), reason


async def test_it_rejects_one_field(one: Site) -> None:
    await unchanged_but_told(one, "it refuses video_encoder_first", quirks={"rejects_a_field"})


async def test_it_adapts_a_value(one: Site) -> None:
    words = ("it answered OK and set video_encoder_first.bitrate to", "not 2000")
    await unchanged_but_told(one, *words, quirks={"adapts_bitrate"})


async def test_q25_it_ignores_a_write(one: Site) -> None:
    words = ("it answered OK and did nothing: video_encoder_first.bitrate is still",)
    await unchanged_but_told(one, *words, quirks={"ignores_writes"})


async def test_its_list_of_users_is_full(one: Site) -> None:
    template = {"osd_text": {"text": "Gate"}, "users": {"viewer": {"role": "user", "password": Secret("view-Pass1")}}}
    await unchanged_but_told(one, "it refuses users", "TooManyUsers", template=template, quirks={"full_user_list"})


async def test_q25_its_clock_stays_manual(one: Site) -> None:
    camera = await one.add(quirks={"clock_stays_manual"})
    await camera.act("configure", setting="clock", mode="Manual")
    before = await one.read()
    one.template(ntp={"servers": ["192.0.2.7"]})
    assert await one.apply() == "stopped"
    assert "it answered OK and did nothing: ntp.enabled is still false" in str(await one.pushes())
    assert await one.read() == before


@pytest.mark.parametrize("quirk", ["link_lost_after_write", "silent_after_write", "reboots_after_write"])
async def test_a_mishap_in_the_middle_is_waited_for(one: Site, quirk: str) -> None:
    await one.add(quirks={quirk}, reboot_seconds=0.3, mishap_seconds=0.5)
    one.template(**TEMPLATE)
    assert await one.apply() == "done", await one.pushes()
    assert as_wanted(await one.read(), TEMPLATE)
    assert [status for _, _, status, _ in await one.pushes()] == ["ok"]


async def test_q25_another_codec_that_needs_a_reboot(one: Site) -> None:
    camera = await one.add(media2=True, h265=True, quirks={"codec_needs_reboot"}, reboot_seconds=0.3)
    one.template(video_encoder_first={"codec": "h265"})
    one.change(fit="nearest")
    assert await one.apply() == "stopped"
    assert camera.seen["SystemReboot"] == 0
    assert (await one.read())["video_encoder_first.codec"] == "h264"


async def test_somebody_else_changes_it_between_plan_and_apply(one: Site) -> None:
    camera = await one.add()
    one.template(**TEMPLATE)
    name = await one.engine.save(await one.engine.plan(ALL, [12]))
    await camera.act("configure", setting="video_encoder", quality=33.0)
    before = await one.read()
    assert await one.finish(await one.engine.apply_plan(name, ME)) == "stopped"
    assert await one.read() == before
    assert "it has changed since the plan was made" in str(await one.pushes())


@pytest.mark.parametrize("quirk", ["zone_as_gmt", "zone_as_cst"])
async def test_zones_that_come_back_in_other_words(one: Site, quirk: str) -> None:
    await one.add(quirks={quirk})
    one.template(clock={"time_zone": "CST-8"})
    assert await one.apply() == "done", await one.pushes()
    one.template(clock={"time_zone": "MSK-3"})
    assert await one.apply() == "done", await one.pushes()


async def test_an_empty_reply_to_a_write_is_looked_behind(one: Site) -> None:
    await one.add(quirks={"empty_write_reply"})
    one.template(**TEMPLATE)
    assert await one.apply() == "done", await one.pushes()


async def test_q24_options_that_promise_too_much(one: Site) -> None:
    template = {"video_encoder_first": {"fps": 24}}
    await unchanged_but_told(one, "it refuses video_encoder_first", template=template, quirks={"options_too_wide"})


async def test_q24_h265_is_left_to_media_2(one: Site) -> None:
    await one.add(media2=True, h265=True, quirks={"media1_calls_it_h264"})
    before = (await one.read())["video_encoder_second.codec"]
    assert before == "h265"
    one.template(video_encoder_second={"fps": 10})
    assert await one.apply() == "done", await one.pushes()
    assert (await one.read())["video_encoder_second.codec"] == "h265"


async def test_one_text_and_no_more(one: Site) -> None:
    await one.add(quirks={"one_text_osd"})
    one.template(osd_text={"text": "A"})
    assert await one.apply() == "done", await one.pushes()
    one.template(osd_text={"text": "B"})
    assert await one.apply() == "done", await one.pushes()


async def test_imaging_that_only_get_services_knows(one: Site) -> None:
    await one.add(quirks={"imaging_not_in_capabilities"})
    one.template(imaging={"brightness": 70})
    assert await one.apply() == "done", await one.pushes()


async def test_replies_without_declared_prefixes(one: Site) -> None:
    await one.add(quirks={"undeclared_prefixes"}, seed=1)
    one.template(**{key: WANTED[key] for key in ("osd_text", "imaging", "video_encoder_first", "relays")})
    one.change(fit="nearest")
    assert await one.apply() == "done", await one.pushes()


async def test_a_password_goes_nowhere_but_to_the_camera(one: Site, capfd: Any, tmp_path: Path) -> None:
    await one.add()
    one.template(users={"viewer": {"role": "user", "password": Secret("canary-Pass1")}})
    assert await one.apply() == "done", await one.pushes()
    assert "canary-Pass1" not in "".join(capfd.readouterr())
    assert b"canary-Pass1" not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


async def test_a_role_without_a_password_is_refused_rather_than_cleared(one: Site) -> None:
    await one.add()
    one.template(users={"viewer": {"role": "user", "password": Secret("view-Pass1")}})
    assert await one.apply() == "done", await one.pushes()
    one.template(users={"viewer": {"role": "operator"}})
    assert await one.apply() == "stopped"
    assert "needs a password in the template" in str(await one.pushes())


async def test_a_target_that_was_removed_comes_back(one: Site) -> None:
    await one.add(**FULL)
    for target in ({"url": "mqtt://192.0.2.9:1883"}, {"absent": True}):
        one.template(event_targets={"vms": target})
        assert await one.apply() == "done", await one.pushes()
    assert "event_targets.vms.url" not in await one.read()
    assert await one.finish(await one.engine.rollback(ALL, ME)) == "done"
    assert (await one.read())["event_targets.vms.url"] == "mqtt://192.0.2.9:1883"


async def test_a_user_who_was_removed_cannot_come_back_and_that_is_told(one: Site) -> None:
    await one.add()
    for user in ({"role": "user", "password": Secret("view-Pass1")}, {"absent": True}):
        one.template(users={"viewer": user})
        assert await one.apply() == "done", await one.pushes()
    job = await one.engine.rollback(ALL, ME)
    assert await one.finish(job) == "stopped"
    (item,) = await one.engine.records.items(job)
    assert "could not be put back" in item.detail
    assert "needs a password" in item.detail


async def test_values_that_have_no_place_are_no_fault(one: Site) -> None:
    """No limit of the bit rate is 0 to some makes; others name themselves with a dot and an underscore."""
    camera = await one.add()
    await camera.act("configure", setting="hostname", name="cam_1.example.net")
    await camera.act("configure", setting="video_encoder", bitrate=0)
    found = await one.read()
    assert "hostname.name" not in found
    assert "video_encoder_first.bitrate" not in found
    assert found["video_encoder_first.codec"] == "h264"
    one.template(hostname={"name": "gate-1"}, video_encoder_first={"bitrate": 2048})
    assert await one.apply() == "done", await one.pushes()


async def test_only_the_cameras_that_are_meant(one: Site) -> None:
    first, second = await one.add("cam-1"), await one.add("cam-2")
    one.template(**TEMPLATE)
    await one.finish(await one.engine.apply(Selection(devices=("cam-2",)), [12], ME))
    assert (_writes(first), _writes(second) > 0) == (0, True)


def _writes(camera: Any) -> int:
    return sum(camera.seen[name] for name in _order(camera))


def _order(camera: Any) -> list[str]:
    """The operations that write, in the order in which they came first."""
    return [name for name in camera.seen if name.startswith(("Set", "Create", "Delete", "Add", "Modify"))]


def _without_names(table: Mapping[str, Any]) -> list[Any]:
    """What is set, whatever the tokens are: an OSD that comes back has a new one."""
    told = (repr(value) for value in table.values()) if isinstance(table, Mapping) else ()
    return sorted(re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.4f}", one) for one in told)


def _pattern(path: str) -> str:
    section, _, leaf = split(path)
    return f"{section}.*.{leaf}" if section in NAMED else path
