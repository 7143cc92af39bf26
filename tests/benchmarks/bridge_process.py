"""The bridge as a process of its own, for benchmarks that measure it from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
KEY, SECRET = "bench-key", "bench-secret"
SINK = {"name": "bench", "type": "pusher_server", "key": KEY, "secret": SECRET}


class Bridge:
    """`device-bridge run` on a simulated site; killed when the block ends."""

    def __init__(
        self, folder: Path, site: dict[str, Any], watch: dict[str, Any], onvif: dict[str, Any] | None = None
    ) -> None:
        config = folder / "config.json"  # JSON is YAML
        inventory = {
            "bridge": {
                "data": str(folder / "data"),
                "http": {"listen": "127.0.0.1:0"},
                "callbacks": {"listen": "127.0.0.1:0"},
                "log": {"format": "json"},
                **site.get("bridge", {}),
            },
            "delivery": {"sinks": site.get("sinks", [SINK])},
            "defaults": {**site.get("defaults", {}), "watch": watch, "onvif": onvif or {}},
            "sites": site.get("sites", []),
            "devices": site["devices"],
        }
        config.write_text(json.dumps(inventory))
        binary = Path(sys.prefix) / "bin" / "device-bridge"
        self.process = subprocess.Popen(
            [binary, "run", "-c", config, "--log-level", "info"], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            if '"bridge runs"' in line:
                self.url = json.loads(line)["url"]
                break
        # Nobody reads on: what it logs from here must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE / 1e6

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def __enter__(self) -> Bridge:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def counter(metrics: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(float(m[1]) for m in re.finditer(rf"^{name}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE))


def quantile(before: str, after: str, name: str, share: float) -> float:
    """The upper bound of the bucket in which that share of a histogram's new observations lies, in its unit."""
    buckets: dict[float, float] = {}
    for text, sign in ((after, 1), (before, -1)):
        for m in re.finditer(rf'^{name}_bucket{{[^}}]*le="([^"]+)"[^}}]*}} (\S+)$', text, re.MULTILINE):
            buckets[float(m[1])] = buckets.get(float(m[1]), 0.0) + sign * float(m[2])
    total = buckets.get(float("inf"), 0.0)
    return next((bound for bound, count in sorted(buckets.items()) if count >= total * share), float("inf"))
