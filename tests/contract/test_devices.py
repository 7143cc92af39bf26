"""docs/devices.md says who really does what: it is made of what the contract kit proves, and of nothing else.

A capability stands there because a test class of this folder claims it and the kit checks claims both ways; an event
because the kit lets it happen and sees it arrive; a setting because the kit writes it and reads it back.
`python -m tests.contract.test_devices` writes the tables anew.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from bridge.model import Capability, EventKind, Kind
from bridge.settings.vocabulary import SECTIONS, Settings, flatten, section_of
from bridge.testing.checks.base import Contract

PAGE = Path(__file__).parent.parent.parent / "docs" / "devices.md"
HEADINGS = {"Capabilities": Capability, "Events": EventKind, "Settings": None}
_DEFINED = re.compile(r"def (test_[a-z0-9_]+)\(")
# What comes from the bridge itself, or from every driver.
_OURS = frozenset({EventKind.RESYNC, EventKind.VENDOR})


def contracts() -> Iterator[type[Contract]]:
    """The test classes of this folder that run the kit on a driver of ours."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file.stem in ("test_the_kit", "test_third_party", "test_devices", "test_the_guide"):
            continue
        module = importlib.import_module(f"tests.contract.{file.stem}")
        for name, one in vars(module).items():
            if name.startswith("Test") and isinstance(one, type) and issubclass(one, Contract):
                yield one


def proven(what: Callable[[type[Contract]], Iterable[str]]) -> dict[str, set[str]]:
    """By driver, what any of its test classes proves."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in contracts():
        found[one.driver.name] |= set(what(one))
    return dict(sorted(found.items(), key=lambda item: (Kind.INTERCOM not in kinds(item[0]), item[0])))


def kinds(driver: str) -> frozenset[Kind]:
    return next(one.driver.kinds for one in contracts() if one.driver.name == driver)


def _settings(one: type[Contract]) -> Iterator[str]:
    for sample in one.settings_samples:
        yield from (section_of(path) for path in flatten(Settings.model_validate(sample)))


def _capabilities(one: type[Contract]) -> Iterator[str]:
    yield from one.driver.capabilities - one.lacks


def _events(one: type[Contract]) -> Iterator[str]:
    yield from (happening.kind for happening in one.happenings)


def table(found: dict[str, set[str]], columns: Iterable[str]) -> str:
    """Drivers down, what they can do across; what nobody can do has no column."""
    used = [one for one in columns if any(one in can for can in found.values())]
    rows = ["| driver | " + " | ".join(one.replace("_", " ") for one in used) + " |", "|---|" + ":-:|" * len(used)]
    for driver, can in found.items():
        label = f"[`{driver}`](../drivers/{driver}/README.md)"
        rows.append(f"| {label} | " + " | ".join("●" if one in can else "" for one in used) + " |")
    return "\n".join(rows)


def tables() -> dict[str, str]:
    return {
        "Capabilities": table(proven(_capabilities), [one.value for one in Capability]),
        "Events": table(proven(_events), [one.value for one in EventKind if one not in _OURS]),
        "Settings": table(proven(_settings), SECTIONS),
    }


def told() -> dict[str, str]:
    """The tables as they stand in the page, by their headings."""
    found = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading] = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    return found


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_page_says_what_the_kit_proves(heading: str) -> None:
    assert told()[heading] == tables()[heading], "bring it up to date: python -m tests.contract.test_devices"


def test_every_driver_of_ours_passes_the_kit() -> None:
    drivers = {file.parent.name for file in (PAGE.parent.parent / "drivers").glob("*/driver.py")}
    # The bridge's own host is no device that could be simulated.
    assert set(proven(_capabilities)) == drivers - {"host"}


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE.read_text()))
    folders = [PAGE.parent.parent / "tests", PAGE.parent.parent / "bridge" / "testing" / "checks"]
    written = {
        name for folder in folders for file in folder.rglob("*.py") for name in _DEFINED.findall(file.read_text())
    }
    assert len(named) > 50
    assert named <= written, f"the page names tests that are not there: {sorted(named - written)}"


def main() -> None:
    text = PAGE.read_text()
    for heading, new in tables().items():
        text = re.sub(
            rf"(^## {heading}\n(?:(?!^## |^\|).*\n)*)(?:^\|.*\n)*",
            lambda match, new=new: f"{match[1]}{new}\n",  # type: ignore[misc]
            text,
            flags=re.MULTILINE,
        )
    PAGE.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
