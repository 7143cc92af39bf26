"""`kill -9` at any moment, a hundred times under load: nothing that was committed is lost, nothing is doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_a_hundred_kills(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.store_under_fire", str(tmp_path), "100"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["missing"] == []
    assert found["out_of_order"] == 0
    assert found["pushes"] > 1000
    # The other side confirms nothing that outlives the kill, so what was under way goes out again, and no more.
    assert found["doubles"] <= found["unknown_outcomes"]


def test_forty_kills_while_templates_are_applied(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.templates_under_fire", str(tmp_path), "40"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["jobs"] > 5
    assert found["not_done"] == []
    assert found["too_many"] == found["too_few"] == {}, "one push for each camera and template"
    assert found["pushes"] == found["jobs"] * 18
    assert found["drift"] == []
