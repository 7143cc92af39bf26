"""Adding devices to an inventory that people keep by hand.

The new entries are inserted as text, and every byte that was there stays: comments, order, quotes, indentation, line
ends. The result is loaded before it replaces the file.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from ruamel.yaml.comments import CommentedMap

from bridge.config import yaml12
from bridge.config.effective import Layer, merge
from bridge.config.layers import Drivers, collect
from bridge.config.load import load, load_bytes
from bridge.config.problems import InvalidInventory, Problem
from bridge.config.splice import insert, render
from bridge.config.yaml12 import Map
from bridge.config.yaml_errors import YamlError
from bridge.model import Found

BACKUP = ".bak"
_LONGEST_ID = 40
_LONGEST_NAME = 100


def add_devices(
    path: Path,
    found: Sequence[Found],
    *,
    site: str | None = None,
    group: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[str]:
    """Append devices that discovery found to the inventory at `path`; returns the ids that they got.

    Those that are listed already (same driver and address, and no other port) are left out. The old text stays beside
    the file with the ending `.bak`. Raises InvalidInventory when the file does not load before or after, or is laid
    out in a way that cannot be added to, and OSError; the file is then as it was.
    """
    load(path, environ=environ)
    real = path.resolve()
    before = real.read_bytes()
    entries = _entries(_root(before), found, site, group)
    if not entries:
        return []
    text = before.decode()
    after = insert(text, entries).encode()
    _check_only_added(path, before, after, entries)
    load_bytes(after, path, environ=environ)
    _replace(real, before, after)
    return [str(entry["id"]) for entry in entries]


def _root(data: bytes) -> Map:
    root = yaml12.load(data).root
    return root if isinstance(root, Map) else Map(0)


def _entries(root: Map, found: Sequence[Found], site: str | None, group: str | None) -> list[CommentedMap]:
    """The new entries, for those of `found` that the inventory does not have."""
    layers = collect(root)
    taken: set[str] = set()
    listed: list[tuple[str, str, object]] = []
    for index, block in enumerate(root.get("devices") or ()):
        _, inherited = layers.of(Layer("device", ("devices", index), block))
        merged = merge(inherited, block)
        taken.add(block["id"])
        driver = merged["driver"]
        listed.append((driver, str(merged.get("address", "")).lower(), (merged.get(driver) or {}).get("port")))
    entries = []
    for one in found:
        here = (one.driver, one.address.lower(), one.port)
        if any(there[:2] == here[:2] and (there[2] == here[2] or None in (there[2], here[2])) for there in listed):
            continue
        listed.append(here)
        entries.append(_entry(one, taken, site, group))
    return entries


def _entry(found: Found, taken: set[str], site: str | None, group: str | None) -> CommentedMap:
    name = _line(found.name) or _line(f"{found.manufacturer} {found.model}")
    entry = CommentedMap(id=_unused(name or f"{found.driver}-{found.address}", taken), driver=found.driver)
    for key, value in (("name", name), ("address", found.address), ("site", site), ("group", group)):
        if value:
            entry[key] = value
    driver = Drivers().load(found.driver)
    told = {"port": found.port, **found.extra}
    known = driver.Config.model_fields if driver is not None else {}
    if block := {key: value for key, value in told.items() if value is not None and key in known}:
        entry[found.driver] = flow(block)
    return entry


def flow(block: Mapping[str, object]) -> CommentedMap:
    """A short map on one line: {port: 8000}."""
    short = CommentedMap(block)
    short.fa.set_flow_style()
    return short


def _line(text: str) -> str:
    """What a device says of itself, as one line of printable text."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST_NAME].strip()


def _unused(text: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    base = re.sub("[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_ID].strip("-") or "device"
    numbered = (f"{base}-{number}" for number in count(2))
    name = next(one for one in chain([base], numbered) if one not in taken)
    taken.add(name)
    return name


def _check_only_added(path: Path, before: bytes, after: bytes, entries: Sequence[CommentedMap]) -> None:
    """Hold the result against what was meant: the old inventory, and the new entries behind its devices."""
    old = _root(before)
    wanted = {**old, "devices": [*(old.get("devices") or ()), *entries]}
    try:
        if _root(after) == wanted:
            return
    except YamlError:
        pass
    lines = "\n".join(["devices:", *render(entries, "  ")])
    what = "the list is laid out in a way that cannot be added to"
    raise InvalidInventory([Problem(str(path), 0, 0, "devices", what, f"add these by hand:\n{lines}")])


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, whole or not at all, and keep `before` as the backup."""
    _write(path.with_name(path.name + BACKUP), before, like=path)
    if path.read_bytes() != before:
        problem = Problem(str(path), 0, 0, "", "was changed by somebody else at this very moment", "try again")
        raise InvalidInventory([problem])
    _write(path, after, like=path)


def _write(path: Path, data: bytes, *, like: Path) -> None:
    status = like.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            with suppress(PermissionError):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
