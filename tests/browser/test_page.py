"""The page in a real browser: devices and pushes appear, the filter filters, and a wrong token is asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import BINARY, Process

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


def _browser() -> str:
    if CHROMIUM is None:
        if os.environ.get("DEVICE_BRIDGE_TEST_ALL"):
            pytest.fail("chromium is missing: apt-get install chromium")
        pytest.skip("chromium is not installed: apt-get install chromium")
    return CHROMIUM


def dom(url: str, folder: Path, *, wait_ms: int = 6000) -> str:
    """What the page has become after that much time."""
    done = subprocess.run(
        [_browser(), *QUIET, f"--user-data-dir={folder}", f"--virtual-time-budget={wait_ms}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_the_page(tmp_path: Path) -> None:
    _browser()
    ready = tmp_path / "ready.json"
    with Process(BINARY, "demo", "--cameras", "3", "--push-lines", "--ready-file", ready) as demo:
        demo.wait_for(ready.exists)
        told = json.loads(ready.read_text())
        page = dom(f"{told['http']}/#token={told['token']}", tmp_path / "a")
        assert page.count('<span class="badge ') >= 5, "a status for each of three cameras and two panels"
        assert "cam-02" in page
        assert "camera_status_updated" in page
        assert told["token"] not in page
        refused = dom(f"{told['http']}/#token=wrong", tmp_path / "b")
        assert "a token is needed" in refused
        assert "cam-02" not in refused
