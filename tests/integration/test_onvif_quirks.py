"""The table of quirks in the ONVIF driver's README: complete, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMBERED = 25


def table() -> list[tuple[str, str]]:
    """Number and tests of each row."""
    section = (ROOT / "drivers/onvif/README.md").read_text().partition("\n## Quirks\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    assert all(len(row) == 4 for row in rows), [row for row in rows if len(row) != 4]
    return [(row[0].strip(), row[3].strip()) for row in rows[2:]]


def defined(*folders: str) -> set[str]:
    """The names of all tests in the files of some folders."""
    return {
        node.name
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_quirk_has_its_row() -> None:
    numbers = [number for number, _ in table()]
    assert [number for number in numbers if number.isdecimal()] == [str(n) for n in range(1, NUMBERED + 1)]
    assert set(numbers) - {str(n) for n in range(1, NUMBERED + 1)} == {"reply", "more"}


def test_every_row_has_tests_that_are_there() -> None:
    known = defined("tests", "bridge/testing/checks")
    for number, tests in table():
        named = re.findall(r"`(test_\w+)`", tests)
        assert named or tests.startswith("*no test:*"), f"row {number} has neither a test nor a reason"
        assert not set(named) - known, f"row {number} names tests that are not there"
        if number.isdecimal() and named:
            assert any(name.startswith(f"test_q{int(number):02}_") for name in named), f"row {number}"


def test_every_test_of_a_quirk_is_in_the_table() -> None:
    listed = {name for _, tests in table() for name in re.findall(r"`(test_\w+)`", tests)}
    mine = {name for name in defined("tests/integration") if re.match(r"test_(q\d\d|bad_replies)_", name)}
    assert mine <= listed, mine - listed
