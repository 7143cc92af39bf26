"""Watch a bridge on a simulated site in which everything goes wrong all the time, and see that it keeps its shape.

`make soak` for half an hour, `make soak ARGS="--minutes 5"` for less. It ends with 1 when the bridge grew, kept files,
met a bug of a driver, fell behind with its pushes, or lost a device for good.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.bridge_process import Bridge, counter

CAMERAS, PANELS, MEDIA_SERVERS = 60, 21, 2
EVERY = 5.0  # seconds between two looks
WARM_UP = 0.25  # of the time: until everything has happened once, memory still grows
MAY_GROW = 1.10  # of its memory after that
MOST_WAITING = 500  # pushes that a sink may be behind


def look(bridge: Bridge) -> dict[str, float]:
    told = bridge.metrics()
    return {
        "rss_mb": round(bridge.rss_mb(), 1),
        "files": float(len(list(Path(f"/proc/{bridge.process.pid}/fd").iterdir()))),
        "online": counter(told, r'bridge_devices\{[^}]*reach="online"[^}]*\}'),
        "pushes": counter(told, "bridge_pushes_total"),
        "events": counter(told, "bridge_events_total"),
        "bugs": counter(told, "bridge_driver_faults_total"),
        "behind": counter(told, "bridge_outbox_lag"),
        "dropped": counter(told, "bridge_outbox_dropped_total"),
    }


def verdict(looks: list[dict[str, float]], devices: int) -> list[str]:
    """What is wrong, for people."""
    late = looks[int(len(looks) * WARM_UP) :]
    part = max(1, len(late) // 4)
    first, last = (sum(one["rss_mb"] for one in some) / part for some in (late[:part], late[-part:]))
    wrong = []
    if last > first * MAY_GROW:
        wrong.append(f"its memory grew from {first:.0f} to {last:.0f} MB")
    if late[-1]["files"] > max(one["files"] for one in late[:part]) + devices:
        wrong.append(f"{late[-1]['files']:.0f} files are open at the end")
    if late[-1]["bugs"]:
        wrong.append(f"drivers raised what they must not, {late[-1]['bugs']:.0f} times: see the log")
    if late[-1]["dropped"] or max(one["behind"] for one in late) > MOST_WAITING:
        wrong.append("it fell behind with its pushes")
    if max(one["online"] for one in late[-part:]) < 0.5 * devices:
        wrong.append(f"only {late[-1]['online']:.0f} of {devices} devices are online")
    if late[-1]["pushes"] == late[0]["pushes"] or late[-1]["events"] == late[0]["events"]:
        wrong.append("nothing happens any more")
    return wrong


def site(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    inventory, binary = folder / "site.yaml", Path(sys.prefix) / "bin" / "device-bridge"
    process = subprocess.Popen(
        [
            binary, "simulate", "--json", "--scenario", "--port", "0", "--cameras", str(CAMERAS),
            "--panels", str(PANELS), "--media-servers", str(MEDIA_SERVERS), "--inventory", inventory,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    written = yaml.load(inventory.read_text(), yaml.CSafeLoader)
    written["bridge"] = {"syslog": {"listen": "127.0.0.1:0"}}
    return process, written


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated, written = site(folder)
        try:
            watch = {"poll": 3, "offline_failures": 2, "offline_after": "4s"}
            with Bridge(folder, written, watch, {"timeout": 3}) as bridge:
                looks: list[dict[str, float]] = []
                end = time.monotonic() + minutes * 60
                while time.monotonic() < end:
                    time.sleep(EVERY)
                    looks.append(look(bridge))
                    left = f"{max(0.0, end - time.monotonic()) / 60:.1f} min left"
                    print(left, *(f"{key} {value:g}" for key, value in looks[-1].items()), sep="  ", flush=True)
        finally:
            simulated.kill()
            simulated.wait()
    wrong = verdict(looks, len(written["devices"]))
    print("\n".join(wrong) or "it keeps its shape")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
