"""From an entry of `config_templates:` to a `Template`, for the inventory and for files that are imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from bridge.config.devices import fingerprint
from bridge.config.effective import Layer, find
from bridge.config.fields import secret_paths, values_at
from bridge.config.layers import Drivers, check_driver
from bridge.config.models import TemplateEntry
from bridge.config.problems import PathPart
from bridge.config.references import is_reference
from bridge.config.validate import Report, Validator
from bridge.config.yaml12 import Map
from bridge.settings.templates import VARIABLES, Match, Template, has_open_variable, unknown_variables
from bridge.settings.vocabulary import flatten

Path = tuple[PathPart, ...]


def read_templates(layers: Sequence[Layer], check: Validator, drivers: Drivers) -> tuple[Template, ...]:
    """Those of the templates that are right; what is wrong with the others goes into the report."""
    first: dict[int, Layer] = {}
    templates = []
    for layer in layers:
        template = _read(layer, check, drivers)
        number = layer.block.get("id")
        if isinstance(number, int) and first.setdefault(number, layer) is not layer:
            line = first[number].block.value_mark("id").line
            check.report.error(
                find([layer], ("id",)), f"the template in line {line} has this id already", "each has its own"
            )
        elif template is not None:
            templates.append(template)
    return tuple(templates)


def _read(layer: Layer, check: Validator, drivers: Drivers) -> Template | None:
    report = check.report
    valid = check(TemplateEntry, layer.block, [layer])
    match = layer.block.get("match")
    if isinstance(match, Map):
        check_driver([Layer(layer.origin, (*layer.path, "match"), match)], match.get("driver"), drivers, report)
    vendor, secrets = _vendor(layer, check, drivers)
    secrets |= _secrets(TemplateEntry, layer.block, ())
    settings = layer.block.get("settings")
    for path, text in _texts(settings, ("settings",)):
        if path not in secrets:
            _check_variables(layer, path, text, report)
    if valid is None or vendor is None:
        return None
    if not flatten(valid.settings):
        report.error(find([layer], ("settings",)), "says nothing", "write what devices are to be set to below it")
    if valid.automatic and valid.notify is None:
        place = find([layer], ("automatic",))
        report.warn(place, "nobody hears what came of it", "say notify: with the id of a user of the VMS")
    values: dict[str, Any] = {
        "id": valid.id,
        "name": valid.name,
        "settings": valid.settings.model_copy(update={"vendor": vendor}) if vendor else valid.settings,
        "match": Match(**dict(valid.match)),
        "fit": valid.values,
        "reboot": valid.reboot == "allow",
        "needs_streams": valid.needs_streams,
        "automatic": frozenset(valid.automatic),
        "notify": valid.notify,
        "references": {".".join(map(str, path[1:])): text for path, text in secrets.items() if is_reference(text)},
    }
    return Template(**values, fingerprint=fingerprint(values))


def _vendor(
    layer: Layer, check: Validator, drivers: Drivers
) -> tuple[dict[str, dict[str, Any]] | None, dict[Path, str]]:
    """What only certain families have, as their drivers read it, and the secrets in there as they are written; None
    instead after reporting what is wrong."""
    settings = layer.block.get("settings")
    said = settings.get("vendor") if isinstance(settings, Map) else None
    found: dict[str, dict[str, Any]] = {}
    secrets: dict[Path, str] = {}
    wrong = False
    for name, block in said.items() if isinstance(said, Map) else ():
        path = ("settings", "vendor", name)
        driver = check_driver([layer], name, drivers, check.report, at=path)
        model = driver.VendorSettings if driver else None
        if driver is not None and model is None:
            place = find([layer], path, at_key=True)
            check.report.error(place, f"the driver {driver.name} has no settings of its own", "remove the block")
        valid = check(model, block, [layer], path) if model else None
        if model is None or valid is None:
            wrong = True
            continue
        secrets |= _secrets(model, block, path)
        found[name] = valid.model_dump(exclude_unset=True)
    return None if wrong else found, secrets


def _secrets(model: type[BaseModel], block: Any, path: Path) -> dict[Path, str]:
    return {
        (*path, *at): text
        for secret in secret_paths(model)
        for at, text in values_at(block, secret)
        if isinstance(text, str)
    }


def _texts(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict | list):
        for part, inside in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(inside, (*path, part))


def _check_variables(layer: Layer, path: Path, text: str, report: Report) -> None:
    place = find([layer], path)
    for name in unknown_variables(text):
        report.error(place, "there is no such variable", report.suggest(name, VARIABLES))
    if has_open_variable(text):
        report.error(place, "a variable begins here and does not end", "close it: ${device.name}")
