"""What holds for one device, and which line of the inventory says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bridge import registry
from bridge.config.effective import Layer, Leaf, leaves, merge
from bridge.config.fields import secret_paths
from bridge.config.layers import collect, entries
from bridge.config.load import load_bytes
from bridge.config.models import DeviceEntry, Watch
from bridge.config.problems import PathPart
from bridge.config.references import is_reference
from bridge.config.root import read_root
from bridge.config.validate import Report
from bridge.secrets import MASK


def explain(path: Path, device: str, *, environ: Mapping[str, str] = os.environ) -> tuple[Leaf, ...]:
    """Every value that holds for a device, inherited ones first, then what is built in (`place` is None).

    References to secrets are shown, secrets are masked. Raises InvalidInventory, KeyError for an unknown device.
    """
    data = path.read_bytes()
    load_bytes(data, path, environ=environ)
    report = Report(str(path))
    root = read_root(data, report)
    assert root is not None  # it loads
    index, block = next(((i, one) for i, one in entries(root, "devices", report) if one["id"] == device), (0, None))
    if block is None:
        raise KeyError(device)
    layers, inherited = collect(root).of(Layer("device", ("devices", index), block))
    merged = merge(inherited, block)
    driver: str = merged["driver"]
    config = registry.load(driver).Config
    for other in merged.keys() & set(registry.names()) - {driver}:
        del merged[other]
    secrets = {*secret_paths(DeviceEntry), *((driver, *inner) for inner in secret_paths(config))}
    said = tuple(_masked(leaf, secrets) for leaf in leaves(layers, merged))
    return (*said, *_built_in("watch", Watch, merged), *_built_in(driver, config, merged))


def _masked(leaf: Leaf, secrets: set[tuple[str, ...]]) -> Leaf:
    # A value above a secret (a list of logins, say) may hold it as well.
    holds_secret = any(_leads(leaf.path, secret) for secret in secrets)
    if not holds_secret or leaf.value is None or (isinstance(leaf.value, str) and is_reference(leaf.value)):
        return leaf
    return replace(leaf, value=MASK)


def _leads(path: tuple[PathPart, ...], secret: tuple[str, ...]) -> bool:
    return len(path) <= len(secret) and all(want in ("*", part) for want, part in zip(secret, path, strict=False))


def _built_in(key: str, model: type[BaseModel], merged: Mapping[str, Any]) -> Iterator[Leaf]:
    said = merged.get(key) or {}
    for name, field in model.model_fields.items():
        if said.get(name) is None and not field.is_required():
            yield Leaf((key, name), field.get_default(call_default_factory=True), None)
