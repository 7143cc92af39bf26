"""Templates on cameras: each ends as wanted or as before, the push says which, and there is one of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import AuthFailed, Rejected, Unreachable
from bridge.jobs.records import Initiator, Refused
from bridge.secrets import Secret
from bridge.settings.engine import Selection
from bridge.settings.plan import Step
from bridge.settings.templates import Match
from bridge.settings.vocabulary import flatten
from tests.support import until
from tests.unit.settings_world import AWAY, BEFORE, Camera, Unit, World, template

ALL, ME = Selection(), Initiator(user_id=13)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.open()
    world.templates = {12: template()}
    yield world
    await world.close()


def rejects(driver: Camera, step: Step) -> None:
    raise Rejected("ter:InvalidArgVal: frame rate not supported")


def ignores(driver: Camera, step: Step) -> None:
    """Answers OK and does nothing."""


def adapts(driver: Camera, step: Step) -> None:
    driver.unit.take(step)
    driver.unit.values["video_encoder_first.fps"] = 12.0


def goes_away(driver: Camera, step: Step) -> None:
    driver.unit.away = AWAY
    raise AWAY


def takes_it_and_goes_away(driver: Camera, step: Step) -> None:
    driver.unit.take(step)
    goes_away(driver, step)


WANTED = {**BEFORE, "osd_time.enabled": True, "video_encoder_first.fps": 10.0}


async def test_it_becomes_as_wanted_and_is_told_once(world: World) -> None:
    unit = await world.add()
    job = await world.engine.apply(ALL, [12], ME)
    assert await world.finish(job) == "done"
    assert unit.values == WANTED
    assert await world.pushes() == [(400, "ok", None)]
    (item,) = await world.engine.records.items(job)
    assert item.backup is not None
    assert item.backup["video_encoder_first.fps"] == 25
    # A second time there is nothing to write, and the initiator hears that as well.
    writes = unit.writes
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.writes == writes
    assert len(await world.pushes()) == 2
    assert await world.engine.drift(ALL) == []


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (rejects, "it refuses video_encoder_first: ter:InvalidArgVal: frame rate not supported"),
        (ignores, "it answered OK and did nothing: video_encoder_first.fps is still 25, not 10"),
        (adapts, "it answered OK and set video_encoder_first.fps to 12, not 10"),
    ],
)
async def test_what_a_device_does_not_take_is_told_and_undone(world: World, hook: Any, reason: str) -> None:
    unit = await world.add()
    unit.hooks = [lambda driver, step: driver.unit.take(step), hook]
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "stopped"
    assert unit.values == BEFORE
    assert await world.pushes() == [(400, "error", reason)]


@pytest.mark.parametrize("hook", [goes_away, takes_it_and_goes_away])
async def test_a_link_that_is_lost_on_the_way_is_waited_for(world: World, hook: Any) -> None:
    unit = await world.add()
    unit.hooks = [lambda driver, step: driver.unit.take(step), hook]
    job = await world.engine.apply(ALL, [12], ME)
    await world.pass_until(lambda: unit.away)
    await world.clock.advance(60)
    assert await world.pushes() == []
    unit.away = None
    assert await world.finish(job) == "done"
    assert unit.values == WANTED
    assert await world.pushes() == [(400, "ok", None)]


async def test_one_that_does_not_come_back_is_restored_when_it_does(world: World) -> None:
    unit = await world.add()
    unit.hooks = [lambda driver, step: driver.unit.take(step), takes_it_and_goes_away]
    job = await world.engine.apply(ALL, [12], ME)
    assert await world.finish(job, step=5.0) == "stopped"
    ((_, status, reason),) = await world.pushes()
    assert status == "error"
    assert reason is not None
    assert "went away while it was being set up" in reason
    assert "put back to how it was once it answers again" in reason
    assert unit.values == WANTED
    await world.pass_until(lambda: world.runners["cam"].state.reach.reach == "offline", step=5.0)
    unit.away = None
    await world.pass_until(lambda: unit.values == BEFORE, step=5.0)
    assert len(await world.pushes()) == 1, "its apply has had its push"

    async def paid() -> bool:
        return not await world.engine.records.owed("cam")

    await until(paid)


async def test_a_reboot_only_where_the_template_allows_it(world: World) -> None:
    unit = await world.add()
    unit.reboots_for = {"video_encoder_first"}
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "stopped"
    assert unit.reboots == 0
    assert unit.values == BEFORE
    assert "has to be rebooted before this holds, and the template does not allow that" in str(await world.pushes())
    world.templates = {12: template(reboot=True)}
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.reboots == 1
    assert unit.values == WANTED


async def test_nothing_is_written_where_something_stands_in_the_way(world: World) -> None:
    unit = await world.add()
    runner = world.runners["cam"]

    async def told() -> str:
        job = await world.engine.apply(Selection(devices=("cam",)), [12], ME)
        await world.finish(job)
        (item,) = await world.engine.records.items(job)
        return item.detail

    world.templates = {12: template(settings={"video_encoder_first": {"fps": 99}})}
    assert await told() == "video_encoder_first.fps: 99: the device does not take it; legal: 1 to 25"
    world.templates = {12: template(settings={"osd_text": {"text": "${camera.full_address}"}})}
    assert "${camera.full_address} is empty" in await told()
    world.templates = {12: template(match=Match(model="Z9"))}
    assert await told() == "the template is not for this device (Acme C1)"
    world.templates = {12: template(settings={"users": {"admin": {"absent": True}}})}
    assert "the bridge itself logs in with this account" in await told()
    world.templates = {12: template()}
    runner.state = replace(runner.state, identity=replace(unit.identity, model=""))
    assert "manufacturer and model are not known" in await told()
    runner.state = replace(runner.state, identity=unit.identity, authorised=False)
    assert "does not let the bridge in" in await told()
    unit.away = AuthFailed("it refuses the credentials")
    runner.state = replace(runner.state, authorised=True)
    assert await told() == "its settings cannot be read: it refuses the credentials"
    unit.away = AWAY
    runner.poll_soon()
    await world.pass_until(lambda: runner.state.reach.reach == "offline", step=5)
    assert await told() == "it does not answer (no connection: Connection refused): see to its power and network first"
    assert unit.writes == 0
    assert len(await world.pushes()) == 8


async def test_streams_have_to_be_up_unless_the_template_does_not_care(world: World) -> None:
    from bridge.model import Stream

    unit = Unit()
    unit.streams = (Stream("high", False),)
    await world.add(unit=unit, ready=False)
    await world.pass_until(lambda: world.runners["cam"].state.cameras[""].status.announced == "inactive")
    await world.finish(await world.engine.apply(ALL, [12], ME))
    assert "its streams are not all up (it is inactive)" in str(await world.pushes())
    world.templates = {12: template(needs_streams=False)}
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.values == WANTED


async def test_a_kept_plan_is_refused_by_a_camera_that_has_changed(world: World) -> None:
    first, second = await world.add("cam-1"), await world.add("cam-2")
    planned = await world.engine.plan(ALL, [12])
    assert [[str(change) for change in one.plan.changes] for one in planned if one.plan] == [
        ["osd_time.enabled: false → true", "video_encoder_first.fps: 25 → 10"]
    ] * 2
    assert first.writes == 0
    name = await world.engine.save(planned)
    second.values["video_encoder_first.bitrate"] = 1000
    assert await world.finish(await world.engine.apply_plan(name, ME)) == "stopped"
    assert first.values == WANTED
    assert second.writes == 0
    assert await world.pushes() == [
        (400, "ok", None),
        (401, "error", "it has changed since the plan was made: look at a new plan first"),
    ]
    with pytest.raises(Refused, match="there is no plan"):
        await world.engine.apply_plan("nonsense", ME)


async def test_a_password_is_written_once_and_never_told(world: World) -> None:
    unit = await world.add()
    said = {"users": {"viewer": {"role": "user", "password": Secret("s3cret-canary")}}}
    world.templates = {12: template(settings=said)}
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.passwords["viewer"] == "s3cret-canary"
    writes = unit.writes
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.writes == writes
    assert await world.engine.drift(ALL) == []
    # Somebody removes the account: its password is no longer there either.
    del unit.values["users.viewer.role"]
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "done"
    assert unit.writes == writes + 1
    assert b"s3cret-canary" not in b"".join(one.read_bytes() for one in world.folder.iterdir() if one.is_file())


async def test_a_full_list_of_users_undoes_the_rest(world: World) -> None:
    unit = await world.add()
    said = {"osd_time": {"enabled": True}, "users": {"viewer": {"role": "user", "password": Secret("s3cret")}}}
    world.templates = {12: template(settings=said)}

    def full(driver: Camera, step: Step) -> None:
        raise Rejected("ter:TooManyUsers: maximum number of supported users exceeded")

    unit.hooks = [lambda driver, step: driver.unit.take(step), full]
    assert await world.finish(await world.engine.apply(ALL, [12], ME)) == "stopped"
    assert unit.values == BEFORE
    assert "it refuses users: ter:TooManyUsers" in str(await world.pushes())


async def test_waves_stop_at_the_first_unexpected_result(world: World) -> None:
    for number in range(25):
        await world.add(f"cam-{number:02d}")
    world.units["cam-01"].always = rejects
    job = await world.engine.apply(ALL, [12], ME)
    items = await world.engine.records.items(job)
    assert [item.wave for item in items] == [0, 1, 1, *[2] * 22]
    assert await world.finish(job) == "stopped"
    pushes = await world.pushes()
    assert len(pushes) == len({camera for camera, _, _ in pushes}) == 25, "one for each camera"
    assert next(camera for camera, status, _ in pushes if status == "ok") == 400
    skipped = [reason for _, _, reason in pushes if reason and reason.startswith("not begun: cam-01 failed")]
    assert len(skipped) >= 22
    untouched = [name for name, unit in world.units.items() if unit.writes == 0]
    assert len(untouched) >= 22


async def test_cameras_that_are_away_are_told_and_stop_nobody(world: World) -> None:
    for number in range(12):
        await world.add(f"cam-{number:02d}")
    for name in ("cam-00", "cam-05"):
        world.units[name].away = AWAY
        world.runners[name].poll_soon()
        await world.pass_until(lambda name=name: world.runners[name].state.reach.reach == "offline", step=5.0)
    job = await world.engine.apply(ALL, [12], ME)
    assert (await world.engine.records.items(job))[0].device == "cam-01", "no canary that cannot sing"
    assert await world.finish(job) == "done"
    wrong = {camera: reason for camera, status, reason in await world.pushes() if status == "error"}
    assert wrong.keys() == {400, 405}
    assert all("it does not answer" in str(reason) for reason in wrong.values())
    assert len(await world.pushes()) == 12


async def test_a_cancelled_job_begins_no_more(world: World) -> None:
    for number in range(5):
        await world.add(f"cam-{number}")
    world.units["cam-0"].hooks = [goes_away]
    job = await world.engine.apply(ALL, [12], ME)
    await until(lambda: world.units["cam-0"].away)
    await world.engine.cancel(job)
    world.units["cam-0"].away = None
    assert await world.finish(job) == "cancelled"
    assert world.units["cam-0"].values == WANTED, "what was begun is brought to its end"
    assert sum(unit.writes for name, unit in world.units.items() if name != "cam-0") == 0
    assert [status for _, status, _ in await world.pushes()] == ["ok", *["error"] * 4]


async def test_it_stays_when_it_is_confirmed(world: World) -> None:
    unit = await world.add()
    job = await world.engine.apply(ALL, [12], ME, confirm=120)
    await world.pass_until(lambda: unit.values == WANTED)

    async def confirming() -> bool:
        found = await world.engine.records.job(job)
        return found is not None and found.state == "confirming"

    await world.pass_until(confirming)
    assert await world.pushes() == []
    await world.engine.confirm(job)
    assert await world.finish(job) == "done"
    assert await world.pushes() == [(400, "ok", None)]
    assert unit.values == WANTED
    with pytest.raises(Refused, match="waits for no confirmation"):
        await world.engine.confirm(job)


@pytest.mark.parametrize("restart", [False, True])
async def test_it_goes_back_when_nobody_confirms(world: World, restart: bool) -> None:
    unit = await world.add()
    job = await world.engine.apply(ALL, [12], ME, confirm=120)
    await world.pass_until(lambda: unit.values == WANTED)
    await world.clock.advance(60)
    if restart:
        await world.restart()
    assert unit.values == WANTED
    assert await world.finish(job, step=10.0) == "reverted"
    assert unit.values == BEFORE
    ((_, status, reason),) = await world.pushes()
    assert (status, reason) == ("error", "nobody confirmed it in time, so that it was put back to how it was")


async def test_the_way_back_on_request(world: World) -> None:
    unit = await world.add()
    job = await world.engine.apply(ALL, [12], ME)
    await world.finish(job)
    back = await world.engine.rollback(ALL, ME)
    assert await world.finish(back) == "done"
    assert unit.values == BEFORE
    assert len(await world.pushes()) == 1, "a rollback is no apply"
    with pytest.raises(Refused, match="nothing was changed there that could be undone"):
        await world.engine.rollback(ALL, ME)


async def test_a_restart_in_the_middle_goes_on_and_tells_once(world: World) -> None:
    for number in range(3):
        await world.add(f"cam-{number}")
    world.units["cam-0"].hooks = [lambda driver, step: driver.unit.take(step), takes_it_and_goes_away]
    job = await world.engine.apply(ALL, [12], ME)
    await world.pass_until(lambda: world.units["cam-0"].away)
    world.units["cam-0"].away = None
    await world.restart()
    assert await world.finish(job) == "done"
    assert [unit.values for unit in world.units.values()] == [WANTED] * 3
    assert sorted(await world.pushes()) == [(400, "ok", None), (401, "ok", None), (402, "ok", None)]
    (item, *_) = await world.engine.records.items(job)
    assert item.backup is not None
    assert item.backup["osd_time.enabled"] is False, "what was there before the first write, not before the second"


async def test_a_template_that_changed_meanwhile_is_not_half_applied(world: World) -> None:
    unit = await world.add()
    unit.hooks = [lambda driver, step: driver.unit.take(step), takes_it_and_goes_away]
    job = await world.engine.apply(ALL, [12], ME)
    await world.pass_until(lambda: unit.away)
    unit.away = None
    world.templates = {12: template(settings={"video_encoder_first": {"fps": 5}})}
    await world.restart()
    assert await world.finish(job) == "stopped"
    assert unit.values == BEFORE
    assert "the template was changed or removed while the job was under way" in str(await world.pushes())


async def test_a_new_camera_is_set_up_by_itself(world: World) -> None:
    world.templates = {12: template(automatic=frozenset({"first_seen", "replaced"}), notify=7)}
    unit = await world.add()
    await world.pass_until(lambda: unit.values == WANTED)

    async def pushed() -> bool:
        return len(await world.pushes()) == 1

    await world.pass_until(pushed)
    row = next(row for row in await world.store.outbox_after(0, 100) if row.type == "camera_config_apply")
    assert row.channel == "user.7"
    # It is no longer new after a restart, whatever has become of its settings.
    unit.values["video_encoder_first.fps"] = 20.0
    await world.restart()
    await world.clock.advance(120)
    assert unit.values["video_encoder_first.fps"] == 20.0
    # Another one in its place is.
    unit.identity = replace(unit.identity, serial="SN-other")
    world.runners["cam"]._identified = False
    world.runners["cam"].poll_soon()
    await world.pass_until(lambda: unit.values == WANTED)


async def test_a_new_camera_is_waited_for_until_it_is_ready(world: World) -> None:
    from bridge.model import Stream

    world.templates = {12: template(automatic=frozenset({"first_seen"}))}
    unit = Unit()
    unit.streams = (Stream("high", None),)
    await world.add(unit=unit, ready=False)
    await world.clock.advance(60)
    assert unit.writes == 0
    unit.streams = (Stream("high", True),)
    await world.pass_until(lambda: unit.values == WANTED, step=5.0)
    assert await world.pushes() == [], "nobody asked to hear of it"


async def test_cameras_that_are_known_are_not_new_to_a_new_template(world: World) -> None:
    unit = await world.add()
    world.templates = {12: template(automatic=frozenset({"first_seen"}))}
    world.runners["cam"]._identified = False
    world.runners["cam"].poll_soon()
    await world.clock.advance(120)
    assert unit.writes == 0


async def test_what_cannot_be_asked_for(world: World) -> None:
    await world.add()
    with pytest.raises(Refused, match="there is no template 99; there are: 12"):
        await world.engine.plan(ALL, [99])
    with pytest.raises(Refused, match="the inventory has no device nowhere"):
        await world.engine.plan(Selection(devices=("nowhere",)), [12])
    with pytest.raises(Refused, match="none of these templates is for any of these cameras"):
        await world.engine.apply(Selection(model="Z*"), [12], ME)
    with pytest.raises(Refused, match="has ended already"):
        await world.engine.cancel(1)


async def test_a_device_that_leaves_the_inventory_in_between(world: World) -> None:
    unit = await world.add()
    unit.hooks = [goes_away]
    job = await world.engine.apply(ALL, [12], ME)
    await until(lambda: unit.away)
    runner = world.runners.pop("cam")
    await world.finish(job)
    (item,) = await world.engine.records.items(job)
    assert item.state == "error"
    await runner.stop()


async def test_junk_from_a_device_is_no_end_of_the_job(world: World) -> None:
    first = await world.add("cam-1")
    second = await world.add("cam-2")

    def bug(driver: Camera, step: Step) -> None:
        raise ZeroDivisionError

    first.hooks = [bug]
    job = await world.engine.apply(ALL, [12], ME)
    assert await world.finish(job) == "stopped"
    assert first.values == BEFORE
    assert second.writes == 0
    assert "the driver failed: ZeroDivisionError" in str(await world.pushes())
    assert len(await world.pushes()) == 2


def test_the_settings_of_these_tests_are_settings() -> None:
    from bridge.settings.vocabulary import unflatten

    assert flatten(unflatten(WANTED)) == WANTED
    assert isinstance(AWAY, Unreachable)
