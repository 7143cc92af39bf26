"""How much a driver takes: sockets, memory, and what it says."""

from __future__ import annotations

import io
import logging
import os
import socket
import stat
import tracemalloc
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import structlog

_STATUS = Path("/proc/self/status")
_REFERENCES = Path("/proc/self/clear_refs")


def open_sockets() -> int:
    """How many network connections and datagram sockets this process has open; what only listens does not count."""
    return sum(_is_open_socket(int(name)) for name in os.listdir("/dev/fd"))


def _is_open_socket(descriptor: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as one:
            if one.family not in (socket.AF_INET, socket.AF_INET6):
                return False
            if one.type != socket.SOCK_DGRAM:
                one.getpeername()
    except OSError:  # it has no peer, or is gone by now
        return False
    return True


class Peak:
    """Bytes that were taken at most, above what was taken before."""

    value = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure the peak inside of the block: of Python's own allocator, and on Linux of the whole process, so that what
    a parser written in C takes is seen, too."""
    peak = Peak()
    python_only = not _reset_high_water()
    before = 0 if python_only else _status("VmRSS")
    tracemalloc.start()
    try:
        yield peak
        peak.value = tracemalloc.get_traced_memory()[1]
        if not python_only:
            peak.value = max(peak.value, _status("VmHWM") - before)
    finally:
        tracemalloc.stop()


def _reset_high_water() -> bool:
    try:
        _REFERENCES.write_text("5")  # proc(5): sets the peak to what is in use
    except OSError:
        return False
    return True


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


class _Records(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(0)
        self._said = said
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(self.format(record))


@contextmanager
def everything_said() -> Iterator[list[str]]:
    """Collect all that is logged or printed inside of the block, stack traces included."""
    said: list[str] = []

    def collect(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> NoReturn:
        said.append(repr(entry))
        raise structlog.DropEvent

    printed = io.StringIO()
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(
        processors=[structlog.processors.format_exc_info, collect],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    level, handler = root.level, _Records(said)
    root.addHandler(handler)
    root.setLevel(0)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield said
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)
        said.append(printed.getvalue())
