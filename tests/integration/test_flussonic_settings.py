"""Templates on the streams of a simulated Flussonic server, through the whole bridge: planned, written, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.errors import Unsupported
from bridge.jobs.records import Initiator, Item
from bridge.model import Capability
from bridge.secrets import Secret
from bridge.settings.limits import Between, Either, OneOf, allows, legal, nearest
from bridge.settings.plan import plan, shown
from bridge.settings.selection import Selection
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Settings, flatten, unflatten
from bridge.testing.measuring import everything_said
from drivers.flussonic import addresses, settings, simulator
from drivers.flussonic.settings import FlussonicSettings
from tests.integration.flussonic_rig import Site, alone, running, site
from tests.support import until

ALL, WHO = Selection(), Initiator(13)
RTSP = "rtsp://192.0.2.9/cam-1/1"


def said(**fields: Any) -> Settings:
    """As the inventory reads it."""
    valid = FlussonicSettings.model_validate(fields)
    return Settings.model_validate({"vendor": {"flussonic": valid.model_dump(exclude_unset=True)}})


async def applied(one: Site, **fields: Any) -> Item:
    """A template with these settings on every camera; what came of it on the first."""
    wanted = said(**fields)
    one.bridge.library.take([Template(12, "T", wanted, needs_streams=False, fingerprint=repr(fields))])
    return (await ended(one, await one.bridge.configurator.apply(ALL, [12], WHO)))[0]


async def ended(one: Site, job: int) -> list[Item]:
    records = one.bridge.configurator.records

    async def over() -> bool:
        found = await records.job(job)
        return found is not None and found.ended_at is not None

    await until(over, 20)
    return await records.items(job)


async def values(one: Site) -> dict[str, Any]:
    """What is read of the first camera, by the names of the settings."""
    async with one.runner.mailbox.exclusive() as driver:
        found = await driver.read_settings(one.runner.device.channels[0], ["vendor"])
    return {path.rpartition(".")[2]: value for path, value in flatten(found.settings).items()}


WANTED: dict[str, Any] = {
    "high_title": "Yard",
    "high_disabled": False,
    "high_static": False,
    "high_inputs": [RTSP, "rtsp://192.0.2.9/spare"],
    "high_source_timeout": "30s",
    "high_clients_timeout": "off",
    "high_retry_limit": 5,
    "high_dvr_root": "/storage",
    "high_dvr_expiration": "7d",
    "high_dvr_storage_limit": "50GB",
    "high_dvr_disk_usage_limit": 90,
    "high_thumbnails": "on_demand",
    "low_title": "Yard, small",
    "low_thumbnails": "on",
}
AS_WRITTEN = {
    "name": "cam-1",
    "title": "Yard",
    "static": False,
    "inputs": [
        {"priority": 1, "url": "rtsp://admin:secret@192.0.2.9/cam-1/1"},
        {"url": "rtsp://admin:secret@192.0.2.9/spare"},
    ],
    "source_timeout": 30,
    "clients_timeout": False,
    "retry_limit": 5,
    "dvr": {"root": "/storage", "expiration": 604_800, "storage_limit": 50_000_000_000, "disk_usage_limit": 90},
    "thumbnails": {"enabled": "ondemand"},
}


async def test_applied_then_read_then_nothing_to_do(tmp_path: Path) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        await one.up(1)
        item = await applied(one, **WANTED)
        assert (item.state, item.detail) == ("ok", "")
        assert server.media["cam-1"].config == AS_WRITTEN
        assert server.media["cam-1-low"].config["title"] == "Yard, small"
        assert server.writes() == 2, "one request for each stream"
        now = await values(one)
        wanted = {path.rpartition(".")[2]: value for path, value in flatten(said(**WANTED)).items()}
        assert {name: now[name] for name in wanted} == wanted
        assert await one.bridge.configurator.drift(ALL) == []
        assert (await applied(one, **WANTED)).state == "ok"
        assert server.writes() == 2, "twice writes nothing"
        rows = [row for row in await one.bridge.store.outbox_after(0, 1000) if row.type == "camera_config_apply"]
        assert [json.loads(row.body)["data"]["status"] for row in rows] == ["ok", "ok"]


async def test_the_way_back_brings_logins_and_the_archive_back(tmp_path: Path) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        server.media["cam-1"].config["dvr"] = {"root": "s3://key:s3cr3t@host/bucket", "dvr_limit": 86400}
        before = json.loads(json.dumps(server.media["cam-1"].config))
        await one.up(1)
        now = await values(one)
        assert (now["high_dvr_root"], now["high_dvr_expiration"]) == ("s3://host/bucket", 86400)
        item = await applied(
            one,
            high_inputs=["http://192.0.2.7/other"],
            high_input_username="",
            high_dvr_root="",
            high_title="Other",
        )
        assert (item.state, item.detail) == ("ok", "")
        config = server.media["cam-1"].config
        assert (config["inputs"], "dvr" in config) == ([{"url": "http://192.0.2.7/other"}], False)
        (back,) = await ended(one, await one.bridge.configurator.rollback(ALL, WHO))
        assert (back.state, back.detail) == ("ok", "")
        after = server.media["cam-1"].config
        assert [one["url"] for one in after["inputs"]] == [one["url"] for one in before["inputs"]]
        assert (after["dvr"], after["title"]) == (before["dvr"], "")


async def test_a_login_is_written_and_in_no_text(tmp_path: Path) -> None:
    word = "c4m:Pa/ss@1"
    with everything_said() as told:
        async with running(cameras=1) as server, site(tmp_path, server) as one:
            await one.up(1)
            secret = {"high_input_username": "viewer", "high_input_password": Secret(word)}
            assert (await applied(one, high_inputs=[RTSP], **secret)).state == "ok"
            (only,) = server.media["cam-1"].config["inputs"]
            assert only["url"] == "rtsp://viewer:c4m%3APa%2Fss%401@192.0.2.9/cam-1/1"
            now = await values(one)
            assert (now["high_inputs"], now["high_input_username"]) == ((RTSP,), "viewer")
            assert server.writes() == 1
            await applied(one, high_inputs=[RTSP], **secret)
            assert server.writes() == 1, "a password that is there already is not written again"
            planned = await one.bridge.configurator.plan(ALL)
            everything = [
                *map(str, told),
                *(str(change) for p in planned for change in (p.plan.changes if p.plan else ())),
            ]
        everything.append((tmp_path / "data" / "bridge.db").read_bytes().decode("latin-1"))
        for text in everything:
            assert word not in text
            assert "c4m%3APa" not in text
            assert "admin:secret" not in text


async def test_a_password_goes_to_no_other_host(tmp_path: Path) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        await one.up(1)
        item = await applied(one, high_inputs=["rtsp://192.0.2.66/cam"])
        assert item.state == "error"
        assert "rtsp://192.0.2.66/cam needs the password of admin: say high_input_password" in item.detail
        assert server.writes() == 0
        item = await applied(one, low_input_username="", low_input_password=Secret("x"))
        assert "a password needs a user" in item.detail


async def test_inputs_that_look_the_same_are_left_alone(tmp_path: Path) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        server.media["cam-1"].config["inputs"] = [{"url": f"rtsp://{name}:x@192.0.2.9/1"} for name in ("a", "b")]
        before = server.configuration()
        await one.up(1)
        assert (await values(one))["high_inputs"] == ("rtsp://192.0.2.9/1", "rtsp://192.0.2.9/1")
        item = await applied(one, high_inputs=["rtsp://192.0.2.9/1"])
        assert "two of its inputs look the same" in item.detail
        assert server.configuration() == before
        assert (await applied(one, high_title="Yard")).state == "ok"


async def test_a_refusal_comes_with_the_words_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(cameras=1) as server, site(tmp_path, server) as one:
        await one.up(1)
        before = server.configuration()
        item = await applied(one, high_dvr_expiration="7d")
        assert item.state == "error"
        assert "it refuses the change: wrong dvr.root" in item.detail
        # The other shape of an error.
        monkeypatch.setattr(simulator, "_STREAM_KEYS", simulator._STREAM_KEYS - {"retry_limit"})
        item = await applied(one, high_retry_limit=3)
        assert "it refuses the change: unknown key retry_limit" in item.detail
        assert server.configuration() == before


async def test_what_comes_from_the_servers_template_is_told(tmp_path: Path) -> None:
    templates = {"yard": {"dvr": {"root": "/storage", "expiration": 3600}, "source_timeout": 20}}
    async with alone(cameras=1, templates=templates) as (driver, server):
        server.media["cam-1"].config["template"] = "yard"
        channel = driver.device.channels[0]
        found = await driver.read_settings(channel, ["vendor"])
        now = found.settings.vendor["flussonic"]  # type: ignore[index]
        assert (now["high_template"], now["high_source_timeout"], now["high_dvr_expiration"]) == ("yard", 20, 3600)
        assert now["high_inherited"] == ("dvr", "source_timeout", "static")
        assert plan(found, found.settings).empty
        todo = plan(found, said(high_dvr_expiration=7200))
        await driver.apply(channel, todo.steps()[0])
        assert server.media["cam-1"].config["dvr"] == {"root": "/storage", "expiration": 7200}, (
            "all of it is its own now"
        )
        refused = plan(found, said(high_template="other")).refusals
        assert [one.reason for one in refused] == ["it is yard and cannot be changed"]


async def test_streams_of_somebody_elses_configuration_are_left_alone() -> None:
    async with alone(cameras=1) as (driver, server):
        server.media["cam-1"].config |= {"named_by": "external", "title": "Y"}
        found = await driver.read_settings(driver.device.channels[0], ["vendor"])
        (refusal,) = plan(found, said(high_title="X")).refusals
        assert refusal.reason == "it is Y and cannot be changed"
        assert plan(found, said(low_title="X")).changes


async def test_a_stream_that_is_not_there_has_no_settings() -> None:
    async with alone(cameras=1) as (driver, server):
        del server.media["cam-1-low"]
        found = await driver.read_settings(driver.device.channels[0], ["vendor", "osd_text"])
        (refusal,) = plan(found, said(low_title="X")).refusals
        assert refusal.reason == "the device has no such setting"
        assert (await driver.read_settings(driver.device.channels[0], ["osd_text"])).limits.fields == {}


async def test_older_servers_cannot_be_set_up() -> None:
    async with alone(cameras=1, version=20) as (driver, _):
        assert Capability.SETTINGS not in (await driver.probe()).capabilities
        with pytest.raises(Unsupported, match="up to version 21"):
            await driver.read_settings(driver.device.channels[0], ["vendor"])


@pytest.mark.parametrize(
    "fields",
    [
        {"high_inputs": ["rtsp://admin:pass@192.0.2.9/1"]},
        {"high_inputs": ["http://192.0.2.9/?password=x"]},
        {"high_inputs": ["192.0.2.9"]},
        {"high_inputs": ["rtsp://h/1"] * 9},
        {"high_dvr_root": "s3://key:secret@host/bucket"},
        {"high_dvr_disk_usage_limit": 101},
        {"high_source_timeout": 0},
        {"high_source_timeout": "never"},
        {"high_retry_limit": 0},
        {"high_thumbnails": "yes"},
        {"title": "X"},
    ],
)
def test_what_no_template_may_say(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        said(**fields)
    assert "pass@" not in str(caught.value)


def test_a_limit_of_one_or_the_other() -> None:
    either = Either((OneOf(("off", "default")), Between(1, 100, 1)))
    assert [allows(either, value) for value in ("off", 1, 100.0, 101, "on")] == [True, True, True, False, False]
    assert (nearest(either, 200), nearest(either, "on")) == (100, None)
    assert legal(either) == "off, default, or 1 to 100"


words = st.text(st.characters(exclude_characters="*", exclude_categories=("Cs",)), min_size=6, max_size=20)


@given(words, words, st.sampled_from(["rtsp://{}@h/x", "http://{}@h:80?a=b", "rtsp://h/user=a_password={}_channel=1"]))
def test_no_address_shows_its_secret(name: str, word: str, form: str) -> None:
    full = addresses.with_login("rtsp://h/x", name, word)
    assert (addresses.username(full), addresses.password(full)) == (name, word)
    assert addresses.shown(full) == "rtsp://h/x"
    for text in (form.format(f"{name}:s3cr3t{word}"), form.format("user:s3cr3t")):
        assert "s3cr3t" not in addresses.shown(text)
        assert addresses.shown(addresses.shown(text)) == addresses.shown(text)


stream_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["url", "root", "expiration", "enabled"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["title", "static", "inputs", "dvr", "thumbnails", "template",
                                        "config_on_disk", "source_timeout", "retry_limit"]), stream_json))  # fmt: skip
def test_whatever_a_server_says_can_be_read(stream: dict[str, Any]) -> None:
    found = settings.values(stream)
    assert set(found) | {"input_password"} == set(settings.SETTINGS)
    flat = {f"vendor.flussonic.high_{name}": value for name, value in found.items()}
    again = flatten(unflatten(flat))
    assert again == flat
    for value in again.values():
        shown(value)
