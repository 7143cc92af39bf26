"""Time comes from the injected clock: nothing in the bridge or in a driver reads the system's by itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    ("time", "time"),
    ("time", "monotonic"),
    ("time", "sleep"),
    ("time", "perf_counter"),
    ("asyncio", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
}
# The clock itself, the command line (a person's time), and simulated devices, which have clocks of their own.
FREE = re.compile(r"bridge/(clock\.py|cli/|testing/)|drivers/\w+/(simulated/|simulator\.py)")


def sources() -> list[Path]:
    found = [path for folder in ("bridge", "drivers") for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if not FREE.match(str(path.relative_to(ROOT)))]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reads_the_system_clock(path: Path) -> None:
    tree = ast.parse(path.read_text())
    # asyncio.sleep(0) takes no time; it lets others have their turn.
    turns = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_zero(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and id(node) not in turns:
            name = (node.value.id, node.attr)
            assert name not in FORBIDDEN, f"{path.name}:{node.lineno} calls {'.'.join(name)}"


def _is_zero(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def test_no_core_module_imports_a_driver() -> None:
    for path in (ROOT / "bridge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in [module or "", *names]:
                assert not name.startswith("drivers"), f"{path}: imports {name}"
