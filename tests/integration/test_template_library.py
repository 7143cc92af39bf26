"""The templates in force: of the inventory and imported, over reloads, restarts and refused files."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.config.load import load
from bridge.secrets import MASK, Redactor, Secret
from bridge.service import Service
from bridge.settings.exchange import InvalidImport, read
from bridge.settings.library import Library, export
from bridge.settings.templates import Template
from bridge.settings.vocabulary import Settings
from bridge.store.store import Store
from bridge.testing.clock import FakeClock
from tests.support import until

ENV = {"TEMPLATE_P": "pass-word"}
OWN = Template(1, "Own", Settings())


def file(*numbers: int, said: str = "users: {a: {password: env:TEMPLATE_P}}") -> bytes:
    rows = [f"- {{id: {number}, name: N{number}, settings: {{{said}}}}}" for number in numbers]
    return "\n".join(["config_templates:", *rows]).encode()


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redact = Redactor()
        self.environ = dict(ENV)

    async def start(self) -> Library:
        self.store = await Store.open(self.folder, FakeClock())
        self.library = Library(self.store, FakeClock(), self.redact.learn, self.environ)
        await self.library.open([OWN])
        return self.library

    async def restart(self) -> Library:
        await self.store.close()
        return await self.start()

    async def pushes(self) -> list[tuple[str, dict[str, Any]]]:
        return [(row.channel, json.loads(row.body)) for row in await self.store.outbox_after(0, 100)]

    async def told(self) -> list[tuple[str, str, str]]:
        return [(channel, body["data"]["status"], body["message"]) for channel, body in await self.pushes()]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    one = World(tmp_path)
    await one.start()
    yield one
    await one.store.close()


async def test_an_import_is_told_and_survives(world: World) -> None:
    push = await world.library.import_file(file(12, 13), "templates.yaml", 13)
    assert push is not None
    message = "2 templates were imported: 12 N12, 13 N13"
    assert await world.told() == [("user.13", "ok", message)]
    assert (await world.pushes())[0][1] == {
        "data": {"type": "import_config", "status": "ok", "data": []},
        "subject": None,
        "message": message,
    }
    assert world.redact("it is pass-word") == f"it is {MASK}"
    before = dict(world.library.current())
    assert list(before) == [12, 13, 1]
    assert before[12].settings.users is not None
    assert before[12].settings.users["a"].password == Secret("pass-word")
    library = await world.restart()
    assert library.current() == before
    assert list(library.imported()) == [12, 13]
    assert b"pass-word" not in (world.folder / "bridge.db").read_bytes()
    assert await world.told() == [("user.13", "ok", message)]


async def test_a_refused_file_changes_nothing(world: World) -> None:
    await world.library.import_file(file(12), "a.yaml", 13)
    bad = file(12, said="hostname: {name: a}") + b"\n- {id: 14, name: x, settings: {users: {a: {password: hunter2}}}}"
    with pytest.raises(InvalidImport):
        await world.library.import_file(bad, "b.yaml", 13)
    assert (await world.told())[1] == (
        "user.13",
        "error",
        "nothing was imported, there is 1 error: b.yaml:3:54: config_templates[1].settings.users.a.password: a secret "
        "of an imported template stands where it may not; write env:TEMPLATE_… and set that variable where the bridge "
        "is started, or cred:template-…",
    )
    assert list(world.library.imported()) == [12]
    assert world.library.current()[12].settings.users is not None
    assert list((await world.restart()).imported()) == [12]


async def test_many_errors_fit_into_a_push(world: World) -> None:
    rows = b"\n".join(
        b"- {id: %d, name: x, settings: {osd_txt: {}, imaging: {brightness: x}}}" % n for n in range(2, 400)
    )
    with pytest.raises(InvalidImport):
        await world.library.import_file(b"config_templates:\n" + rows, "b.yaml", 13)
    ((_, _, message),) = await world.told()
    assert message.startswith("nothing was imported, there are 796 errors: b.yaml:2:")
    assert message.count("\n") == 5
    assert message.endswith("\nand 791 more")
    assert len(message) < 2000


async def test_an_id_of_the_inventory_is_refused_and_one_imported_before_is_replaced(world: World) -> None:
    with pytest.raises(InvalidImport, match="the inventory has a template with this id"):
        await world.library.import_file(file(1), "a.yaml", 13)
    await world.library.import_file(file(12), "a.yaml", 13)
    await world.library.import_file(file(12, said="hostname: {name: b}"), "b.yaml", 13)
    assert world.library.current()[12].settings == Settings.model_validate({"hostname": {"name": "b"}})
    assert (await world.restart()).current()[12].settings.users is None


async def test_the_inventory_wins_and_an_imported_one_comes_back(world: World) -> None:
    await world.library.import_file(file(12), "a.yaml", None)
    assert await world.told() == []  # there is nobody to hear it
    mine = Template(12, "Mine", Settings())
    world.library.take([mine])
    assert dict(world.library.current()) == {12: mine}
    world.library.take([])
    assert world.library.current()[12].name == "N12"


async def test_an_imported_template_can_be_removed(world: World) -> None:
    await world.library.import_file(file(12, 13), "a.yaml", 13)
    assert await world.library.remove(12)
    assert not await world.library.remove(12)
    assert not await world.library.remove(1)
    assert list(world.library.current()) == [13, 1]
    assert list((await world.restart()).current()) == [13, 1]


async def test_one_that_cannot_be_read_any_more_stays_out_until_it_can(world: World) -> None:
    await world.library.import_file(file(12), "a.yaml", 13)
    del world.environ["TEMPLATE_P"]
    assert list((await world.restart()).current()) == [1]
    world.environ |= ENV
    assert list((await world.restart()).current()) == [12, 1]


async def test_the_end_of_a_job_and_the_templates_are_one_transaction(world: World) -> None:
    with pytest.raises(RuntimeError):
        await world.library.import_file(file(12), "a.yaml", 13, lambda connection: _fail())
    assert list(world.library.current()) == [1]
    assert await world.told() == []
    assert list((await world.restart()).current()) == [1]


def _fail() -> Any:
    raise RuntimeError


# -- in the bridge ---------------------------------------------------------------------------------------------------


def inventory(folder: Path, *templates: str) -> Path:
    path = folder / "config.yaml"
    lines = ["bridge: {data: data, http: {listen: '127.0.0.1:0'}}", "config_templates:", *templates]
    path.write_text("\n".join(lines) + "\n")
    return path


ONE = "- {id: 1, name: One, settings: {hostname: {name: a}, users: {b: {password: env:HIDDEN}}}}"
TWO = "- {id: 2, name: Two, settings: {hostname: {name: b}}}"


async def test_the_bridge_reloads_templates_and_serves_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIDDEN", "hidden-word")
    bridge = Service(load(inventory(tmp_path, ONE)))
    await bridge.start()
    try:
        current = bridge.library.current
        assert [one.name for one in current().values()] == ["One"]
        applied = await bridge.reload(inventory(tmp_path, ONE, TWO))
        assert [one.name for one in current().values()] == ["One", "Two"]
        assert (applied.added, applied.removed, applied.restarted) == (0, 0, 0)
        for format_ in ("yaml", "xlsx"):
            url = await export(bridge.shelf, bridge.store, list(current().values()), format_, 13)
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                data = await response.read()
            assert f'filename="templates.{format_}"' in response.headers["Content-Disposition"]
            assert b"hidden-word" not in data
            found = read(data, "file", environ={"TEMPLATE_1_USERS_B_PASSWORD": "another"})
            assert [one.name for one in found.templates] == ["One", "Two"]
            row = (await bridge.store.outbox_after(0, 10))[-1]
            assert row.channel == "user.13"
            assert json.loads(row.body)["data"] == {"type": "export_config", "status": "ok", "data": {"url": url}}
    finally:
        await bridge.stop()


async def test_the_bridge_removes_files_whose_time_is_over(tmp_path: Path) -> None:
    clock = FakeClock()
    bridge = Service(load(inventory(tmp_path, TWO)), clock=clock)
    await bridge.start()
    try:
        await bridge.shelf.keep(await bridge.shelf.put(b"x", "a.txt", "text/plain"))
        (file,) = (tmp_path / "data" / "files").iterdir()
        await clock.advance(3 * 3600 - 60)
        assert file.exists()

        async def gone() -> bool:
            await clock.advance(60)
            return not file.exists()

        await until(gone)
    finally:
        await bridge.stop()


async def test_an_export_that_fails_is_told(tmp_path: Path) -> None:
    path = inventory(tmp_path, TWO)
    path.write_text(path.read_text().replace("data: data,", "data: data, files: {max_size: 5},"))
    bridge = Service(load(path))
    await bridge.start()
    try:
        with pytest.raises(Exception, match="does not fit in"):
            await export(bridge.shelf, bridge.store, list(bridge.library.current().values()), "yaml", 13)
        (row,) = await bridge.store.outbox_after(0, 10)
        assert json.loads(row.body)["data"] == {"type": "export_config", "status": "error", "data": []}
        assert list((tmp_path / "data" / "files").iterdir()) == []
    finally:
        await bridge.stop()
