"""The inventory: one YAML file in, an immutable `Inventory` or all of its problems out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.config.devices import Reader, fingerprint
from bridge.config.effective import Layer, find
from bridge.config.layers import Drivers, check_layers, collect, entries
from bridge.config.models import Bridge, Delivery, Root
from bridge.config.problems import InvalidInventory, Problem
from bridge.config.references import References
from bridge.config.root import read_bytes, read_root
from bridge.config.settings import read_bridge, read_delivery
from bridge.config.templates import read_templates
from bridge.config.validate import Report, Validator
from bridge.config.yaml12 import Map
from bridge.model import Device
from bridge.secrets import Secret
from bridge.settings.templates import Template

__all__ = ["InvalidInventory", "Inventory", "Problem", "load", "load_bytes"]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything the file says: inherited values and secrets resolved, paths absolute.

    `devices` has the enabled ones, in the order of the file; `disabled` the ids of the others. `digest` changes with
    anything that matters, secrets included, and stays the same over comments and layout.
    """

    path: Path
    bridge: Bridge
    delivery: Delivery
    devices: tuple[Device, ...]
    disabled: tuple[str, ...]
    templates: tuple[Template, ...]
    warnings: tuple[Problem, ...]
    secrets: frozenset[Secret]
    digest: str


def load(path: Path, *, environ: Mapping[str, str] = os.environ) -> Inventory:
    """Read the inventory. `environ` is where `env:` and `cred:` look. Raises InvalidInventory with all problems."""
    return load_bytes(read_bytes(path), path, environ=environ)


def load_bytes(data: bytes, path: Path, *, environ: Mapping[str, str] = os.environ) -> Inventory:
    """As `load`, of a text that is or will be the file `path`. Raises InvalidInventory."""
    report = Report(str(path))
    references = References(path.absolute().parent, environ)
    root = read_root(data, report)
    inventory = _read(root, path, Validator(report, references)) if root is not None else None
    if inventory is None:
        # Raised here, outside of every `except`: no exception that saw a value may hang on to this one.
        raise InvalidInventory(report.problems)
    return inventory


def _read(root: Map, path: Path, check: Validator) -> Inventory | None:
    report = check.report
    file = [Layer("file", (), root)]
    for key in root:
        if key not in Root.model_fields:
            report.error(find(file, (key,), at_key=True), "unknown key", report.suggest(key, Root.model_fields))
    bridge = read_bridge(root, check)
    delivery = read_delivery(root, check)
    drivers, layers = Drivers(), collect(root)
    check_layers(root, layers, check, drivers)
    listed_templates = [
        Layer("file", ("config_templates", index), block) for index, block in entries(root, "config_templates", report)
    ]
    templates = read_templates(listed_templates, check, drivers)
    reader = Reader(layers, check, drivers)
    listed = entries(root, "devices", report)
    devices = [reader.read(index, block) for index, block in listed]
    if not listed:
        report.warn(find(file, ("devices",)), "there are no devices", "add one; device-bridge discover finds some")
    if report.failed or bridge is None or delivery is None:
        return None
    enabled = tuple(device for device in devices if device is not None)
    reader.check_uplinks(enabled)
    if report.failed:
        return None
    return Inventory(
        path=path,
        bridge=bridge,
        delivery=delivery,
        devices=enabled,
        disabled=tuple(reader.disabled),
        templates=templates,
        warnings=tuple(report.problems),
        secrets=check.references.resolved,
        digest=fingerprint(
            [
                bridge,
                delivery,
                [template.fingerprint for template in templates],
                [device.fingerprint for device in enabled],
                reader.disabled,
            ]
        ),
    )
