"""What a driver does when it is imported and made, seen from a fresh process.

`python -m bridge.testing.checks.isolation` reads one JSON object from standard input and writes one to its output. An
audit hook sees what cannot be seen where the driver is long imported, and it cannot be taken off again.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from bridge.driver import AnyDriver, DriverIO, ShortMemory
from bridge.supervisor import http_session
from bridge.testing.clock import FakeClock
from bridge.testing.harness import device_of

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
_SAID = {
    "socket.__new__": "opens a socket",
    "socket.getaddrinfo": "asks the name service",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "forks",
    "_thread.start_new_thread": "starts a thread",
    "os.mkdir": "makes a directory",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
}


@dataclass(frozen=True)
class Seen:
    """What was seen. `modules` are the files of the driver's own modules by name; the simulator's are not among them,
    if the driver does not import it."""

    importing: tuple[str, ...]
    making: tuple[str, ...]
    modules: Mapping[str, str]


@cache
def look(module: str, name: str, entry: str, own: str) -> Seen:
    """Import and make a driver in a process of its own; `entry` and `own` are the arguments of `device_of`, as JSON."""
    assert "<locals>" not in name, f"{name} has to stand at the top of a module"
    question = {
        "module": module,
        "name": name,
        "package": module.rpartition(".")[0] or module,
        "entry": json.loads(entry),
        "own": json.loads(own),
    }
    process = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-B", "-m", __spec__.name],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
    )
    assert process.returncode == 0, f"importing {module} fails in a fresh process: {process.stderr[-2000:]}"
    # Whatever a driver prints on import comes before.
    answer = json.loads(process.stdout.splitlines()[-1])
    return Seen(tuple(answer["importing"]), tuple(answer["making"]), answer["modules"])


class _Watch:
    """The audit hook; it notes what happens while `seen` is a list."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        if event == "open":
            path, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITES):
                self._note(f"opens {path} for writing")
        elif event in _SAID:
            self._note(_SAID[event])

    def _note(self, what: str) -> None:
        assert self.seen is not None
        where = sys._getframe(2)
        while where.f_back is not None and _is_python_s_own(where.f_code.co_filename):
            where = where.f_back
        self.seen.append(f"{what} ({where.f_code.co_filename}:{where.f_lineno})")


def _is_python_s_own(file: str) -> bool:
    return file.startswith(("<frozen", os.path.dirname(os.__file__))) and "site-packages" not in file


def _globals() -> dict[str, Any]:
    root = logging.getLogger()
    return {
        "the root logger's handlers (who imports a driver sets logging up)": [repr(one) for one in root.handlers],
        "the root logger's level": root.level,
        "os.environ": dict(os.environ),
        "the running threads": sorted(one.name for one in threading.enumerate()),
    }


def _changes(before: dict[str, Any]) -> list[str]:
    after = _globals()
    return [f"changes {name}" for name in before if before[name] != after[name]]


async def _make(driver: type[AnyDriver], question: dict[str, Any], watch: _Watch) -> list[str]:
    device = device_of(question["entry"], driver, question["own"])
    async with http_session() as session:
        io = DriverIO(device_id="device-1", http=session, clock=FakeClock(), random=Random(1), memory=ShortMemory())
        before, tasks = _globals(), len(asyncio.all_tasks())
        seen: list[str] = []
        watch.seen = seen
        made = driver(device, device.config, io)
        watch.seen = None
        if len(asyncio.all_tasks()) > tasks:
            seen.append("creates a task")
        del made
        return seen + _changes(before)


def main() -> None:
    question = json.load(sys.stdin)
    # What the driver needs of others is imported, and does what it does, only once: changes of the process are seen
    # here, I/O of the driver's own modules in a second import of these alone.
    before = _globals()
    importlib.import_module(question["module"])
    importing = _changes(before)
    package = question["package"]
    mine = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    for name in mine:
        del sys.modules[name]
    watch = _Watch()
    seen: list[str] = []
    watch.seen = seen
    module = importlib.import_module(question["module"])
    watch.seen = None
    files = {name: sys.modules[name].__file__ for name in mine if name in sys.modules and sys.modules[name].__file__}
    driver: Any = module
    for part in question["name"].split("."):
        driver = getattr(driver, part)
    making = asyncio.run(_make(driver, question, watch))
    print(json.dumps({"importing": importing + seen, "making": making, "modules": files}))  # noqa: T201


if __name__ == "__main__":
    main()
