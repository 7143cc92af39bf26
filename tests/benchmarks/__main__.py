"""Run benchmarks: `python -m tests.benchmarks NAME --json`, or `--all --write FILE`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

# Name, what its figures mean, and the bars: figure → (bound, what is measured). Bounds are upper ones, but for "min".
BARS: dict[str, dict[str, tuple[float | None, str]]] = {
    "cli_start": {
        "help_s": (0.4, "`device-bridge --help`, whole process, seconds"),
        "import_s": (1.5, "import of the service, seconds"),
    },
    "inventory": {
        "load_5000_s": (3.0, "load an inventory of 5,000 devices, seconds"),
        "check_5000_s": (None, "the whole offline check of it, seconds"),
    },
    "onvif_poll": {
        "cpu_ratio_to_floor": (1.3, "CPU of a poll and a pull / a raw aiohttp and lxml exchange of the same bytes"),
        "cpu_ratio_to_stock": (1 / 6, "the same / stock onvif-zeep"),
        "kb_per_camera": (10.0, "memory of a watched camera without its socket, KB"),
    },
    "onvif_1000": {
        "core_share": (0.15, "of a core, 1,000 cameras polled every 30 s and long-polled for events"),
        "rss_mb": (200.0, "memory of the bridge with them, MB"),
        "late_p99_ms": (None, "how late a poll begins, 99th percentile, milliseconds"),
    },
    "event_latency": {
        "p50_ms": (None, "camera event to client's socket at 100 events a second, median, milliseconds"),
        "p99_ms": (50.0, "the same, 99th percentile"),
    },
    "fanout": {
        "cpu_us_per_message": (12.0, "CPU a delivered message, 1,000 subscribers, 900-byte bodies, microseconds"),
        "ratio_to_aiohttp": (0.85, "the same / a plain aiohttp send loop"),
        "ratio_to_best": (None, "the same / the best peer there is"),
        "stuck_p99_ratio": (2.0, "the healthy ones' 99th percentile with one stuck subscriber / without"),
    },
    "template_bulk": {
        "wall_s": (60.0, "a template of five sections on 500 cameras with 50 ms answers, seconds"),
        "cpu_ms_per_camera": (40.0, "the bridge's CPU for it, a camera, milliseconds"),
    },
    "flussonic_poll": {
        "core_share": (0.03, "of a core, 5,000 streams on 5 Flussonic servers polled every 10 s"),
        "rss_mb": (None, "memory of the bridge with them, MB"),
    },
    "flussonic_events": {
        "lost": (0.0, "events lost of 1,000 a second"),
        "sink_p99_ms": (50.0, "how long the server waits for the answer to a batch, 99th percentile, milliseconds"),
        "core_share": (None, "of a core, while they come"),
    },
    "panels_300": {
        "core_share": (0.08, "of a core, 300 panels of all families polled every 30 s, their events open"),
        "kb_per_panel": (100.0, "memory of the bridge a panel, KB"),
        "late_p99_ms": (None, "how late a poll begins, 99th percentile, milliseconds"),
    },
    "panel_latency": {
        "p50_ms": (None, "panel event to a webhook's receiver, 100 panels, 50 events a second, median, milliseconds"),
        "p99_ms": (100.0, "the same, 99th percentile"),
        "lost": (0.0, "events that did not arrive"),
    },
    "snmp_get": {
        "cpu_us": (100.0, "CPU of a GET of five objects, microseconds"),
        "ratio_to_gufo": (None, "the same / gufo-snmp alone"),
        "ratio_to_pysnmp": (0.1, "the same / stock pysnmp"),
        "ratio_to_net_snmp": (None, "the same / net-snmp's C library"),
    },
    "snmp_5000": {
        "core_share": (0.06, "of a core, 5,000 targets polled every 30 s"),
        "kb_per_target": (5.0, "memory of a watched target without its line in the inventory, KB"),
        "rss_kb_per_target": (
            None,
            "memory of the bridge with them over that of an idle one, inventory and all, KB each",
        ),
        "late_p99_ms": (None, "how late a poll begins, 99th percentile, milliseconds"),
    },
    "traps": {
        "lost": (0.0, "of 20,000 traps, 2,000 a second from 200 devices, those that were not recorded"),
        "core_share": (None, "of a core while they come"),
    },
    "outbox": {"pushes_per_s": (None, "pushes committed with their state, delivered and acknowledged, a second")},
}
LIMIT = 120.0


def run_one(name: str) -> dict[str, float]:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    figures: dict[str, float] = module.run()
    return figures


def show(name: str, figures: dict[str, float]) -> bool:
    ok = True
    for figure, value in figures.items():
        bound, text = BARS.get(name, {}).get(figure, (None, ""))
        met = bound is None or value <= bound
        ok = ok and met
        mark = "      " if bound is None else "  ok  " if met else " MISS "
        limit = f"at most {bound:.3g}" if bound is not None else ""
        print(f"{mark} {name}.{figure:<22} {value:>12.4g}  {limit:<16} {text}")
    return ok


def run_all(write: Path | None) -> bool:
    results: dict[str, dict[str, float]] = {}
    ok = True
    for name in BARS:
        # Each in a process of its own: what one leaves behind in memory is not the next one's.
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks", name, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
            check=True,
        )
        results[name] = json.loads(done.stdout.splitlines()[-1])
        ok = show(name, results[name]) and ok
    if write is not None:
        write.write_text(page(results))
    return ok


def page(results: dict[str, dict[str, float]]) -> str:
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores, {platform.machine()}, "
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}.",
        "Anyone can repeat it; absolute times depend on the machine, ratios much less.",
        "",
        "| benchmark | figure | value | bar | what it is |",
        "|---|---|---|---|---|",
    ]
    for name, figures in results.items():
        for figure, value in figures.items():
            bound, text = BARS.get(name, {}).get(figure, (None, ""))
            bar = "" if bound is None else f"≤ {bound:.3g}" + ("" if value <= bound else " **missed**")
            lines.append(f"| `{name}` | {figure} | {value:.3g} | {bar} | {text} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(BARS)}")
    parser.add_argument("--json", action="store_true", help="print one object, figure to number, and nothing else")
    parser.add_argument("--all", action="store_true", help="run every benchmark")
    parser.add_argument("--write", type=Path, help="with --all: write the results to this file, as Markdown")
    arguments = parser.parse_args()
    if arguments.all:
        sys.exit(0 if run_all(arguments.write) else 1)
    if arguments.name is None:
        parser.error("name a benchmark, or say --all")
    figures = run_one(arguments.name)
    if arguments.json:
        print(json.dumps(figures))
    elif not show(arguments.name, figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
