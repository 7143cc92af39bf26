"""The inventory's file: its outermost block, and the block about the bridge itself.

Apart from the rest, because it needs no driver: commands that only talk to a running bridge start twice as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path

from pydantic import BaseModel

from bridge.config import yaml12
from bridge.config.effective import Place
from bridge.config.fields import reachable
from bridge.config.models import Bridge, Root
from bridge.config.problems import InvalidInventory, Problem, one_of
from bridge.config.references import References
from bridge.config.settings import read_bridge
from bridge.config.validate import Report, Validator
from bridge.config.yaml12 import Map
from bridge.config.yaml_errors import YamlError
from bridge.pushes.resource import CameraFields, IntercomFields


def load_bridge(path: Path) -> Bridge:
    """The `bridge` block alone, whatever the rest of the file says. Raises InvalidInventory."""
    report = Report(str(path))
    root = read_root(read_bytes(path), report)
    bridge = None
    if root is not None:
        bridge = read_bridge(root, Validator(report, References(path.absolute().parent, {})))
    if bridge is None or report.failed:
        raise InvalidInventory(report.problems)
    return bridge


def read_bytes(path: Path) -> bytes:
    """The file, or a little more than the longest that is taken. Raises InvalidInventory."""
    try:
        with open(path, "rb") as file:
            return file.read(yaml12.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
    raise InvalidInventory([Problem(str(path), 0, 0, "", f"cannot be read: {reason}", "check the path and its rights")])


def read_root(
    data: bytes, report: Report, what: str = "an inventory", begins: Sequence[str] = tuple(Root.model_fields)
) -> Map | None:
    """The file's outermost block; None after reporting why there is none. `begins`: the keys that it may have."""
    try:
        document = yaml12.load(data)
    except YamlError as error:
        # Nothing is known yet of what is secret in there, so only our own words are repeated.
        known = list(takewhile(lambda part: isinstance(part, int) or part in _words(), error.path))
        report.error(Place("file", tuple(known), error.mark, 0), error.what, error.mend)
        return None
    if document.rest is not None:
        place = Place("file", (), document.rest, 0)
        report.warn(place, "a second document begins here, which is not read", "remove it, or the line ---")
    if document.root is None:
        return Map(0)
    if not isinstance(document.root, Map):
        place = Place("file", (), document.mark, 0)
        report.error(place, f"{what} is a block of fields", f"begin with {one_of(begins)}, and a colon")
        return None
    return document.root


@cache
def _words() -> frozenset[str]:
    """The names of all fields of an inventory."""
    models: list[type[BaseModel]] = [*reachable(Root), CameraFields, IntercomFields]
    return frozenset(name for model in models for name in model.model_fields)
