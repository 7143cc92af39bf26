"""onvif-zeep's WSDL files where its installers put them, and where they do not: found, or told at start."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.onvif import wsdl
from tests.integration.processes import cli

REAL = wsdl.directory()
MENDED_BY = "pip install --force-reinstall --no-cache-dir --no-binary onvif-zeep onvif-zeep==0.2.12"
DEVICES = "devices:\n" + "".join(
    f"  - {{id: c{n}, driver: onvif, address: 192.0.2.{n}, vms: {{id: {n}}}, onvif: {{port: {n}}}}}\n"
    for n in (1, 2, 3)
)


def install(site: Path, *recorded: str) -> None:
    """What an installer leaves of onvif-zeep: its metadata, and a record of the files that it says it has put there."""
    info = site / "onvif_zeep-0.2.12.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onvif_zeep\nVersion: 0.2.12\n")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in ("onvif/__init__.py", *recorded)))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for packages that Python looks into first."""
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    monkeypatch.syspath_prepend(str(site))
    wsdl.directory.cache_clear()
    yield site
    wsdl.directory.cache_clear()


def test_a_wheel_that_another_python_built(elsewhere: Path) -> None:
    """Its files are in the folder of the Python that built it."""
    built = elsewhere.parents[1] / "python3.11" / "site-packages" / "wsdl"
    shutil.copytree(REAL, built)
    install(elsewhere, *(f"../../python3.11/site-packages/wsdl/{file.name}" for file in built.iterdir()))
    assert wsdl.directory() == built
    assert wsdl.problem() is None


def test_files_that_nobody_recorded(elsewhere: Path) -> None:
    install(elsewhere)
    shutil.copytree(REAL, elsewhere / "wsdl")
    assert wsdl.directory() == elsewhere / "wsdl"


@pytest.mark.parametrize("name", wsdl.NEEDED)
def test_one_file_is_missing(elsewhere: Path, name: str) -> None:
    shutil.copytree(REAL, elsewhere / "wsdl")
    (elsewhere / "wsdl" / name).unlink()
    install(elsewhere, "wsdl/devicemgmt.wsdl")
    problem = wsdl.problem()
    assert problem is not None
    assert "installed without its WSDL files" in problem
    assert str(elsewhere / "wsdl") in problem
    assert MENDED_BY in problem


def test_the_commands_say_so_once_and_before_anything_else(tmp_path: Path) -> None:
    """As after `pip install --target`, which leaves the files out."""
    install(tmp_path / "target")
    config = tmp_path / "config.yaml"
    config.write_text(DEVICES)
    broken = {"PYTHONPATH": str(tmp_path / "target")}
    for command, code in (("check", 3), ("run", 3)):
        done = cli(command, "-c", config, environ=broken)
        assert done.returncode == code
        assert (done.stdout + done.stderr).count(MENDED_BY) == 1, "not once for each device"
        assert "Traceback" not in done.stderr
    for arguments in (("demo",), ("probe", "192.0.2.1")):
        done = cli(*arguments, environ=broken)
        assert (done.returncode, MENDED_BY in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    done = cli("drivers", "--json", environ=broken)
    assert done.returncode == 1
    onvif = next(one for one in json.loads(done.stdout)["drivers"] if one["name"] == "onvif")
    assert MENDED_BY in onvif["reason"]
