"""docs/drivers.md tells the truth: its code is in the files that it names, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge import errors
from bridge.driver import Driver, DriverIO
from bridge.model import Capability

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "drivers.md").read_text()
QUOTES = re.findall(r"<!-- from (\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
LINKS = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]


def test_it_quotes() -> None:
    assert len(QUOTES) == TEXT.count("<!-- from ") >= 8


@pytest.mark.parametrize(("file", "code"), QUOTES, ids=[str(number) for number in range(len(QUOTES))])
def test_a_quote_is_in_its_file(file: str, code: str) -> None:
    # The guide shows methods without the indentation of their class, with the blank lines that ruff gives them there.
    lines, quote = _filled((ROOT / file).read_text()), _filled(code)
    indented = ["    " + line for line in quote]
    found = any(lines[at : at + len(quote)] in (quote, indented) for at in range(len(lines)))
    assert found, f"{file} has changed: bring docs/drivers.md up to date"


def _filled(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()


def test_headings_that_are_linked_exist() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def test_every_error_capability_and_gift_is_told() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.DeviceError)]
    missing = [one.__name__ for one in kinds if one is not errors.DeviceError and f"`{one.__name__}" not in TEXT]
    missing += [one for one in Capability.__members__ if f"`Capability.{one}`" not in TEXT]
    missing += [name for name in DriverIO.__slots__ if name != "device_id" and f"| `{name}` |" not in TEXT]
    missing += [
        name for name in vars(Driver) if callable(getattr(Driver, name)) and name[0] != "_" and name not in TEXT
    ]
    assert not missing


def test_the_sizes_that_it_boasts_of() -> None:
    acme = ROOT / "tests" / "third_party" / "bridge-driver-acme" / "src" / "bridge_driver_acme"
    lines = {name: len((acme / name).read_text().splitlines()) for name in ("driver.py", "simulator.py")}
    assert f"a driver of {lines['driver.py']} lines" in TEXT
    assert f"simulated device of {lines['simulator.py']}" in TEXT.replace("\n", " ")
