"""Does the driver keep to itself? No I/O before open(), nothing of its own in the process, no time but its clock's."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import logging
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from bridge.driver import AnyDriver
from bridge.model import Capability
from bridge.settings.vocabulary import SECTIONS
from bridge.testing.checks import isolation
from bridge.testing.checks.base import Contract, outcome
from bridge.testing.harness import Bench, Unit, on_a_loop
from bridge.testing.simulator import Fault

# Calls that a driver does not make, and what it does instead.
_FORBIDDEN = {
    "time.time": "io.clock.now().wall",
    "time.time_ns": "io.clock.now().wall",
    "time.monotonic": "io.clock.now().mono",
    "time.monotonic_ns": "io.clock.now().mono",
    "time.sleep": "await io.clock.sleep()",
    "asyncio.sleep": "io.clock.sleep()",
    "datetime.now": "io.clock.now().wall",
    "datetime.utcnow": "io.clock.now().wall",
    "datetime.today": "io.clock.now().wall",
    "date.today": "io.clock.now().wall",
    "asyncio.create_task": "nothing: the runner gives each driver the tasks it needs",
    "asyncio.ensure_future": "nothing: the runner gives each driver the tasks it needs",
    "logging.basicConfig": "nothing: the bridge sets logging up",
    "logging.getLogger": "io.log",
    "structlog.get_logger": "io.log",
    "print": "io.log",
    "threading.Thread": "asyncio.to_thread",
}
# Names that every module has, and that importing or warning about something changes.
_MODULE_S_OWN = frozenset({"__builtins__", "__cached__", "__warningregistry__"})
_CONTAINERS = (dict, list, set, bytearray)


class PurityChecks(Contract):
    async def _alone(self) -> isolation.Seen:
        async with self.bench() as bench:
            unit = await bench.unit()
            # The port of the moment does not matter, and without it all checks share one look.
            entry = json.dumps(unit.simulator.inventory()).replace(f": {unit.simulator.port}", ": 8081")
        module, name, own = self.driver.__module__, self.driver.__qualname__, json.dumps({**self.config})
        return await asyncio.to_thread(isolation.look, module, name, entry, own)

    @on_a_loop
    async def test_importing_it_does_nothing(self) -> None:
        seen = (await self._alone()).importing
        assert not seen, f"importing {self.driver.__module__} {'; '.join(seen)}. Do that in open()."

    @on_a_loop
    async def test_making_one_does_nothing(self) -> None:
        seen = (await self._alone()).making
        assert not seen, f"{self.driver.__name__}() {'; '.join(seen)}. Do that in open()."

    @on_a_loop
    async def test_its_clock_and_its_log_are_those_it_was_given(self) -> None:
        found = [
            f"{file}:{line} calls {call}(), a driver uses {instead}"
            for file in (await self._alone()).modules.values()
            for line, call in _calls(Path(file))
            # However much of the path was imported: `datetime.datetime.now` ends with `datetime.now`.
            for name, instead in _FORBIDDEN.items()
            if call == name or call.endswith(f".{name}")
        ]
        assert not found, (
            f"{'; '.join(found)}. (A simulator may do otherwise: keep it in a module that the driver does not import.)"
        )

    @on_a_loop
    async def test_a_whole_run_leaves_the_process_as_it_was(self) -> None:
        names = (await self._alone()).modules
        async with self.bench() as bench:
            unit = await bench.unit()
            # What is computed once and then kept is made here, and is no state.
            await self._whole_run(bench, unit)
            modules = [sys.modules[name] for name in names]
            state, environ, handlers = _state(modules), dict(os.environ), list(logging.getLogger().handlers)
            started = _note_tasks_of(Path(inspect.getfile(self.driver)).parent)
            await self._whole_run(bench, unit)
            asyncio.get_running_loop().set_task_factory(None)
            assert not started, f"the driver creates tasks: {', '.join(started)}. asyncio.timeout() needs none."
            changed = [name for name, value in _state(modules).items() if state.get(name) != value]
            assert not changed, (
                f"{', '.join(changed)} changed during a run: keep state in the instance, or in io.memory"
            )
            assert dict(os.environ) == environ, "os.environ changed during a run"
            assert logging.getLogger().handlers == handlers, "the root logger's handlers changed during a run"

    @on_a_loop
    async def test_two_of_them_share_nothing(self) -> None:
        async with self.bench() as bench:
            first, second = await bench.ready(await bench.unit(seed=1)), await bench.ready(await bench.unit(seed=2))
            one, other = await first.probe(), await second.probe()
            assert one != other, (
                "two simulated devices with different seeds identify themselves alike: either the simulator makes no "
                "difference between them, or the drivers share what they know"
            )
            await first.poll()
            await second.poll()
            assert await first.probe() == one, "after another driver's poll, probe() says something else than before"
            for name, value in _attributes(first):
                shared = isinstance(value, _CONTAINERS) and any(value is mine for _, mine in _attributes(second))
                assert not shared, f"two instances share the {type(value).__name__} in {name}: make it in __init__"

    async def _whole_run(self, bench: Bench, unit: Unit) -> None:
        driver = await bench.ready(unit)
        await driver.poll()
        if Capability.SETTINGS in self.driver.capabilities:
            await driver.read_settings(driver.device.channels[0], SECTIONS)
        if Capability.EVENTS in self.able:
            async with self.listen(driver):
                pass
        await unit.inject(Fault.JUNK)
        await outcome(driver.poll())
        await unit.clear()
        await driver.poll()
        await bench.close(driver)


def _calls(file: Path) -> Iterator[tuple[int, str]]:
    """Every call in a file: its line and what is called, `from x import y` resolved."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    whole = {
        alias.asname: f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    whole |= {
        alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        # The root logger may be looked at; a logger by name is for writing to it.
        if isinstance(node, ast.Call) and (node.args or not ast.unparse(node.func).endswith("getLogger")):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield node.lineno, f"{whole.get(first, first)}{dot}{rest}"


def _note_tasks_of(folder: Path) -> list[str]:
    """From now on, note the tasks that this loop makes of coroutines whose code is in a folder."""
    started: list[str] = []

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        code = getattr(coro, "cr_code", None)
        if code is not None and Path(code.co_filename).is_relative_to(folder):
            started.append(f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})")
        return asyncio.Task(coro, loop=loop, **options)

    asyncio.get_running_loop().set_task_factory(make)
    return started


def _state(modules: list[ModuleType]) -> dict[str, Any]:
    """What the globals of modules, and the attributes of their classes, refer to; containers with their contents."""
    found: dict[str, Any] = {}
    for module in modules:
        for name, value in vars(module).items():
            if name not in _MODULE_S_OWN:
                found[f"{module.__name__}.{name}"] = _snapshot(value)
            if isinstance(value, type) and value.__module__ == module.__name__:
                for inner, attribute in vars(value).items():
                    if not inner.startswith("__"):
                        found[f"{module.__name__}.{name}.{inner}"] = _snapshot(attribute)
    return found


def _snapshot(value: Any) -> Any:
    return (id(value), repr(value)) if isinstance(value, _CONTAINERS) else id(value)


def _attributes(driver: AnyDriver) -> Generator[tuple[str, Any], None, None]:
    for part in type(driver).__mro__:
        slots = part.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(driver, name):
                yield name, getattr(driver, name)
    yield from getattr(driver, "__dict__", {}).items()
