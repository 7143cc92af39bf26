"""How long people wait for the command line, and services for their imports."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

NAME = "cli_start"
ROUNDS = 7


def _median(command: list[str]) -> float:
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def run() -> dict[str, float]:
    binary = str(Path(sys.prefix) / "bin" / "device-bridge")
    bare = _median([sys.executable, "-c", "pass"])
    service = "import bridge.service, bridge.cli.main; from bridge import registry; registry.load('onvif')"
    return {
        "help_s": _median([binary, "--help"]),
        "import_s": _median([sys.executable, "-c", service]) - bare,
    }
