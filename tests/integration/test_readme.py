"""The README's commands, run exactly as printed."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.processes import Process, cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """The lines of each shell block under a heading."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)]


def shell(line: str, folder: Path) -> Process:
    return Process("bash", "-c", f"exec {line}", cwd=folder, environ={"MAKEFLAGS": "", "MAKELEVEL": "", "ARGS": ""})


def test_quick_start() -> None:
    ((line,),) = commands("Quick start")
    with shell(line, ROOT) as demo:
        demo.says("Look at them: http://127.0.0.1:", 60)
        demo.says("camera_status_updated", 30, count=20)
        demo.says("→ inactive", 60)
        demo.signal(signal.SIGINT)
        demo.wait(10)
        assert "Traceback" not in demo.tail()


@pytest.mark.timeout(180)
def test_step_by_step(tmp_path: Path) -> None:
    # In a folder of its own, with the environment in the place where it is in the project's.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (simulate,), (check, run), (devices, watch), (happen,) = commands("The same, step by step")
    with shell(simulate, tmp_path) as site:
        site.says("5 simulated devices are up")
        with shell(check, tmp_path) as checking:
            assert checking.wait(60) == 0, checking.tail()
            assert "all answer" in checking.tail()
        with shell(run, tmp_path) as bridge:
            bridge.says("status changed", count=5)
            with shell(devices, tmp_path) as table:
                assert table.wait() == 0, table.tail()
                assert sum("cam-0" in line for line in table.out) == 5
            with shell(watch, tmp_path) as pushes:
                pushes.says("camera_status_updated", count=5)
                with shell(happen, tmp_path) as curl:
                    assert curl.wait() == 0, curl.tail()
                pushes.says("cam-01 → inactive", 60)


def test_its_inventory_samples_are_right(tmp_path: Path) -> None:
    blocks = re.findall(r"^( *)```yaml\n(.*?)```", README, re.DOTALL | re.MULTILINE)
    texts = [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in blocks]
    devices, server, http = texts
    config = tmp_path / "config.yaml"
    config.write_text(devices + server + http)
    secrets = {"CAMERA_PASSWORD": "x1y2z3", "PUSHER_SECRET": "a", "VMS_SECRET": "b"}
    done = cli("check", "-c", config, environ=secrets)
    assert done.returncode == 0, done.stderr
    assert "1 devices, 2 sinks" in done.stdout


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
