"""A driver of somebody else's package: installed with pip, found by its entry point, used, tested by its own suite."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "tests" / "third_party" / "bridge-driver-acme"

INVENTORY = """\
defaults:
  credentials: {username: bridge, password: "env:ACME_PASSWORD"}
devices:
  - id: gate
    driver: acme
    kind: intercom
    address: 192.0.2.20
    acme: {port: 8080, auth: bearer}
    vms: {id: 7}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package was installed: a folder that an interpreter is told of. No network is needed."""
    folder = tmp_path_factory.mktemp("acme")
    # A copy, because setuptools builds inside of the source.
    source = shutil.copytree(SOURCE, folder / "source")
    target = folder / "site"
    python(
        *("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile"),
        *("--disable-pip-version-check", "--target", str(target), str(source)),
    )
    return target


def python(*arguments: str, site: Path | None = None, cwd: Path = ROOT, **environ: str) -> str:
    path = os.pathsep.join([str(one) for one in (site, ROOT) if one is not None])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"{' '.join(arguments)} ends with {done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_command_line_lists_it(site: Path) -> None:
    listed = json.loads(python("-m", "bridge", "drivers", "--json", site=site))["drivers"]
    acme = next(one for one in listed if one["name"] == "acme")
    assert acme == {
        "name": "acme",
        "package": "bridge-driver-acme",
        "version": "1.0.0",
        "usable": True,
        "stability": "beta",
        "kinds": ["camera", "intercom"],
        "capabilities": ["events", "reboot", "settings", "streams"],
    }


def test_an_inventory_uses_it(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(INVENTORY)
    script = (
        "import sys; from pathlib import Path; from bridge.config.load import load; "
        "device, = load(Path(sys.argv[1])).devices; print(device.driver, device.kind, device.config)"
    )
    said = python("-c", script, str(file), site=site, ACME_PASSWORD="not-so-secret")
    assert said.strip() == "acme intercom port=8080 auth='bearer' timeout=5.0"
    checked = json.loads(
        python("-m", "bridge", "check", "--json", "-c", str(file), site=site, ACME_PASSWORD="not-so-secret")
    )
    assert checked["ok"]


def test_its_fields_are_in_the_schema(site: Path) -> None:
    schema = python("-m", "bridge", "schema", site=site)
    assert "basic: user name and password; bearer: the password is an API token" in schema


def test_its_simulator_makes_a_site(site: Path) -> None:
    script = (
        "from bridge.testing.site import SimulatedSite; from bridge.model import Kind; import asyncio\n"
        "async def main():\n"
        "    site = SimulatedSite(2, driver='acme')\n"
        "    site.add('acme', kind=Kind.INTERCOM)\n"
        "    async with site:\n"
        "        print(*(one['driver'] + ':' + one['kind'] for one in site.inventory()['devices']))\n"
        "asyncio.run(main())"
    )
    assert python("-c", script, site=site).split() == ["acme:camera", "acme:camera", "acme:intercom"]


def test_its_own_suite_passes(site: Path) -> None:
    """The kit outside of our tree: other settings of pytest, and a driver that is only installed."""
    suite = site.parent / "source" / "tests"
    said = python("-m", "pytest", "-q", "--tb=short", str(suite), site=site, cwd=suite.parent)
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert int(passed[1]) > 90
