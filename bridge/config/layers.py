"""What devices inherit from: the `defaults`, `sites` and `groups` of an inventory.

Each layer is checked by itself, whether a device uses it or not, and so are blocks of drivers that none of its
devices has. A layer may be incomplete; what is missing is found when a device needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge import registry
from bridge.config.effective import Layer, Merged, Origin, find, merge
from bridge.config.models import Defaults, DeviceFields, GroupEntry, SiteEntry
from bridge.config.problems import PathPart
from bridge.config.validate import Report, Validator
from bridge.config.yaml12 import Map, Seq
from bridge.driver import AnyDriver
from bridge.model import Kind
from bridge.pushes.resource import CameraFields, IntercomFields


class Drivers:
    """The installed drivers, each imported when the inventory first mentions it."""

    def __init__(self) -> None:
        self.names: dict[str, None] = dict.fromkeys(registry.names())
        self.told: set[str] = set()  # of which it was said that they do not work

    def load(self, name: str) -> type[AnyDriver] | None:
        """None for a driver that is not installed or does not work."""
        try:
            return registry.load(name)
        except (KeyError, registry.BrokenDriver):
            return None

    def trouble(self, name: str) -> str:
        """Why `load` gave None for an installed driver."""
        try:
            registry.load(name)
        except registry.BrokenDriver as error:
            return str(error)
        return ""


@dataclass(slots=True)
class Layers:
    """Every layer of a file, by id."""

    defaults: Layer
    sites: dict[str, Layer] = field(default_factory=dict)
    groups: dict[str, Layer] = field(default_factory=dict)
    _merged: dict[tuple[str, str], tuple[tuple[Layer, ...], Merged]] = field(default_factory=dict)

    def of(self, own: Layer) -> tuple[tuple[Layer, ...], Merged]:
        """The layers of a device, uppermost first, its own among them, and what the others amount to."""
        site = _first_said("site", own.block, self.defaults.block)
        site = site if isinstance(site, str) and site in self.sites else ""
        group = _first_said("group", own.block, *([self.sites[site].block] if site else []), self.defaults.block)
        group = group if isinstance(group, str) and group in self.groups else ""
        if (site, group) not in self._merged:
            self._merged[site, group] = self._merge(self.sites.get(site), self.groups.get(group))
        below, inherited = self._merged[site, group]
        return (own, *below), inherited

    def _merge(self, site: Layer | None, group: Layer | None) -> tuple[tuple[Layer, ...], Merged]:
        layers = tuple(layer for layer in (group, site, self.defaults) if layer is not None)
        merged: Merged = {}
        for layer in reversed(layers):
            said = {key: value for key, value in layer.block.items() if key not in layer.about_itself}
            merged = merge(merged, said)
        return layers, merged


def entries(
    root: Map, key: Literal["sites", "groups", "config_templates", "devices"], report: Report
) -> list[tuple[int, Map]]:
    """The blocks in one of the file's lists, with their numbers; anything else in there is reported."""
    whole = Layer("file", (), root)
    listed = root.get(key)
    if listed is None:
        return []
    if not isinstance(listed, Seq):
        report.error(find([whole], (key,)), "must be a list", "write its entries on lines that begin with -")
        return []
    blocks = []
    for index, entry in enumerate(listed):
        if isinstance(entry, Map):
            blocks.append((index, entry))
        else:
            place = find([whole], (key, index))
            report.error(place, "must be a block of fields", "begin it with an id: - id: …")
    return blocks


def collect(root: Map) -> Layers:
    """The layers of a file as they are written; of two with the same id the first. Nothing is checked."""
    defaults = root.get("defaults")
    layers = Layers(Layer("defaults", ("defaults",), defaults if isinstance(defaults, Map) else Map(0)))
    lists: tuple[tuple[str, Origin, tuple[str, ...], dict[str, Layer]], ...] = (
        ("sites", "site", ("id", "name"), layers.sites),
        ("groups", "group", ("id",), layers.groups),
    )
    for key, origin, about_itself, known in lists:
        listed = root.get(key)
        for index, block in enumerate(listed if isinstance(listed, Seq) else ()):
            if isinstance(block, Map) and isinstance(block.get("id"), str):
                known.setdefault(block["id"], Layer(origin, (key, index), block, about_itself))
    return layers


def check_layers(root: Map, layers: Layers, check: Validator, drivers: Drivers) -> None:
    """Report what is wrong with the layers of a file."""
    if not isinstance(root.get("defaults"), Map | None):
        place = find([Layer("file", (), root)], ("defaults",))
        check.report.error(place, "must be a block of fields", "write key: value lines, indented below it")
    _check(layers.defaults, Defaults, layers, check, drivers)
    for index, block in entries(root, "sites", check.report):
        layer = Layer("site", ("sites", index), block)
        _check(layer, SiteEntry, layers, check, drivers)
        _check_id(layer, layers.sites, check.report)
    for index, block in entries(root, "groups", check.report):
        layer = Layer("group", ("groups", index), block)
        _check(layer, GroupEntry, layers, check, drivers)
        _check_id(layer, layers.groups, check.report)


def check_reference(
    layers: Sequence[Layer], key: Literal["site", "group"], known: Iterable[str], report: Report
) -> None:
    """Report a site or group that a layer names and that does not exist."""
    name = next((layer.block[key] for layer in layers if key in layer.block), None)
    if isinstance(name, str) and name not in known:
        report.error(
            find(layers, (key,)), f"there is no such {key}", report.suggest(name, known) or f"add it to {key}s"
        )


def check_driver(
    layers: Sequence[Layer],
    name: object,
    drivers: Drivers,
    report: Report,
    at: tuple[PathPart, ...] = ("driver",),
) -> type[AnyDriver] | None:
    """The driver of that name, or None after reporting why not. A name that is no text is reported by its model."""
    if not isinstance(name, str) or (driver := drivers.load(name)) is not None:
        return driver if isinstance(name, str) else None
    place = find(layers, at)
    if name in drivers.told:
        return None  # once is enough: it may be the driver of thousands
    if name in drivers.names:
        drivers.told.add(name)
        report.error(place, drivers.trouble(name), "mend the package that it comes from, or take another driver")
    else:
        mend = report.suggest(name, drivers.names) or "install a package that has one"
        report.error(place, "no driver of that name is installed", mend)
    return None


def vms_model(kind: object) -> type[CameraFields] | type[IntercomFields]:
    """The model of the `vms:` block. Cameras have all the fields that panels have."""
    return IntercomFields if kind == Kind.INTERCOM else CameraFields


def _first_said(key: str, *blocks: Map) -> Any:
    return next((block[key] for block in blocks if key in block), None)


def _check_id(layer: Layer, known: Mapping[str, Layer], report: Report) -> None:
    name = layer.block.get("id")
    if name is None:
        report.error(find([layer], ("id",)), "has no id", "give it one: - id: …")
    elif isinstance(name, str) and known[name].path != layer.path:
        first = known[name].block.value_mark("id").line
        report.error(find([layer], ("id",)), f"this id is already used in line {first}", "choose another")


def _check(layer: Layer, model: type[DeviceFields], layers: Layers, check: Validator, drivers: Drivers) -> None:
    block = dict(layer.block)
    for name in drivers.names:
        own = block.pop(name, None)
        if own is not None and (driver := drivers.load(name)) is not None:
            check(driver.Config, own, [layer], (name,), partial=True)
    vms = block.pop("vms", None)
    if isinstance(vms, dict) and "id" in vms:
        place = find([layer], ("vms", "id"), at_key=True)
        check.report.error(place, "an id belongs to one device", "move it to the device")
    if vms is not None:
        check(vms_model(block.get("kind")), vms, [layer], ("vms",), partial=True)
    check(model, block, [layer], partial=True, also_known=drivers.names)
    check_driver([layer], block.get("driver"), drivers, check.report)
    check_reference([layer], "site", layers.sites, check.report)
    check_reference([layer], "group", layers.groups, check.report)
