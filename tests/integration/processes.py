"""The bridge and the simulated site as real processes, the way people run them."""

from __future__ import annotations

import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

BINARY = Path(sys.prefix) / "bin" / "device-bridge"


_random = random.SystemRandom()  # hypothesis sets the other one back


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody has. It is below those that the kernel gives to whoever asks for any (ip(7),
    ip_local_port_range), so that no other test gets it before it is listened on."""
    while True:
        port = _random.randrange(10_000, 32_000)
        with suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """A child process whose lines can be waited for. Killed when the block ends."""

    def __init__(self, *arguments: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        self.child = subprocess.Popen(
            [*map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", **(environ or {})},
            cwd=cwd,
            start_new_session=True,  # what is started by what we start gets our signals, too
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news: queue.Queue[None] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.child.stdout, self.out), (self.child.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            self._news.put(None)

    def wait_for(self, condition: Callable[[], Any], limit: float = 20.0) -> Any:
        """Until `condition()` is true; checked at every line, and now and then."""
        deadline = time.monotonic() + limit
        while not (found := condition()):
            if self.child.poll() is not None:
                for reader in self._readers:
                    reader.join(5)
                if found := condition():
                    return found
                raise AssertionError(f"ended with {self.child.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {limit:g} s: {self.tail()}")
            try:
                self._news.get(timeout=0.1)
            except queue.Empty:
                continue
        return found

    def says(self, text: str, limit: float = 20.0, count: int = 1) -> None:
        """Until it has printed `count` lines with the text, on either stream."""
        self.wait_for(lambda: sum(text in line for line in [*self.out, *self.err]) >= count, limit)

    def tail(self) -> str:
        return "\n".join([*self.out[-15:], *self.err[-15:]])

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.child.pid, number)

    def wait(self, limit: float = 20.0) -> int:
        code = self.child.wait(limit)
        for reader in self._readers:
            reader.join(5)
        return code

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.wait()


class Site(Process):
    """`device-bridge simulate`, with its control API."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.inventory = folder / "site.yaml"
        super().__init__(BINARY, "simulate", "--json", "--port", "0", "--inventory", self.inventory, *options)
        line = self.wait_for(lambda: next((line for line in self.out if line.startswith("{")), None))
        self.url: str = json.loads(line)["control"]

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def subscriptions(self) -> list[int]:
        return [one["subscriptions"] for one in self.control("GET", "/devices")["devices"]]


def cli(*arguments: str | Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the CLI to its end."""
    return subprocess.run(
        [BINARY, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "200", **(environ or {})},
        check=False,
    )
