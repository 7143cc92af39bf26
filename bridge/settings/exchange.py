"""Templates in files: read from YAML or a spreadsheet, written as either.

What is written can be read again. A file from outside is an attack until it is read with bounds: it is validated
whole, by the same code as the inventory, and taken in whole or not at all. Docs: `docs/configuration.md`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from glob import escape
from pathlib import Path
from typing import Any, Literal

import yaml

from bridge.config.effective import Layer, Place, find
from bridge.config.layers import Drivers, entries
from bridge.config.problems import Problem
from bridge.config.references import References, is_for_imports
from bridge.config.root import read_root
from bridge.config.templates import read_templates
from bridge.config.validate import Report, Validator
from bridge.config.yaml12 import resolve
from bridge.config.yaml_errors import Mark
from bridge.model import Identity
from bridge.secrets import Secret
from bridge.settings.limits import Fixed
from bridge.settings.plan import Configuration
from bridge.settings.templates import Match, Template
from bridge.settings.vocabulary import Flat, flatten, split, unflatten

MAX_BYTES = 1 << 20
MAX_TEMPLATES = 1000
MAX_VALUES = 200_000  # aliases make much of little

Format = Literal["yaml", "xlsx"]
Document = dict[str, Any]  # a template as it stands in a file

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HEADER = """\
# Configuration templates of device-bridge. They can be imported again, or put into an inventory.
# There is no password in here: env:NAME is the environment variable that has it where the bridge is started.
"""


class InvalidImport(Exception):
    """Nothing of the file is taken. `problems` has every error, with its line or cell, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file says. `secrets` are those that its references lead to."""

    templates: tuple[Template, ...]
    secrets: frozenset[Secret]


def read(
    data: bytes, file: str, *, environ: Mapping[str, str] = os.environ, taken: Mapping[int, Template] | None = None
) -> Imported:
    """The templates of a file, YAML or xlsx by what is in it; `file` is its name for people. `taken` are those of the
    inventory, whose ids are not free. Takes time (to be run in a thread). Raises InvalidImport."""
    if data.startswith(_ZIP):
        # Takes 0.2 s to import, and most bridges never see a spreadsheet.
        from bridge.settings import sheets

        report: Report = (sheet := sheets.SheetReport(file))
        layers = sheets.read_sheet(data, sheet, MAX_TEMPLATES + 1) if len(data) <= MAX_BYTES else []
    else:
        report = Report(file)
        layers = _read_yaml(data, report) if len(data) <= MAX_BYTES and not data.startswith(_OLE) else []
    if len(data) > MAX_BYTES:
        refuse(report, f"the file has more than {MAX_BYTES >> 20} MB", "import it in parts")
    elif data.startswith(_OLE):
        refuse(report, "is an old .xls, or protected by a password", "save it as .xlsx without a password")
    elif not layers and not report.failed:
        refuse(report, "there are no templates in it", "an export shows how a file looks")
    if len(layers) > MAX_TEMPLATES:
        place = find([layers[MAX_TEMPLATES]], ())
        report.error(place, f"more than {MAX_TEMPLATES:,} templates up to here", "import them in parts")
        layers = []
    references = References(Path("/"), environ, imported=True)
    templates = read_templates(layers, Validator(report, references), Drivers())
    for layer in layers:
        if layer.block.get("id") in (taken or ()):
            what = "the inventory has a template with this id"
            report.error(find([layer], ("id",)), what, "change it there, or choose another id")
    if report.failed:
        raise InvalidImport(one for one in report.problems if one.severity == "error")
    return Imported(templates, references.resolved)


def refuse(report: Report, what: str, mend: str = "") -> None:
    """An error about the file as a whole."""
    report.error(Place("file", (), Mark(0, 0), 0), what, mend)


def _read_yaml(data: bytes, report: Report) -> list[Layer]:
    root = read_root(data, report, "a file of templates", ("config_templates",))
    if root is None:
        return []
    for key in root:
        if key != "config_templates":
            place = find([Layer("file", (), root)], (key,), at_key=True)
            report.error(place, "does not belong into a file of templates", "leave only config_templates: in it")
    values = 0
    left: list[dict[Any, Any] | list[Any]] = [root]
    while left and values <= MAX_VALUES:
        node = left.pop()
        values += len(node)
        left += [one for one in (node.values() if isinstance(node, dict) else node) if isinstance(one, dict | list)]
    if values > MAX_VALUES:
        refuse(report, f"has more than {MAX_VALUES:,} values, with its aliases written out", "import it in parts")
        return []
    return [
        Layer("file", ("config_templates", index), block) for index, block in entries(root, "config_templates", report)
    ]


def written(templates: Sequence[Template], format_: Format) -> bytes:
    """The templates as a file. Takes time. Raises ValueError, for people, for what a spreadsheet cannot hold."""
    documents = [document(template) for template in templates]
    if format_ == "xlsx":
        from bridge.settings import sheets

        return sheets.write_sheet(documents)
    return (
        _HEADER.encode()
        + yaml.dump(
            {"config_templates": documents}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000
        ).encode()
    )


def document(template: Template) -> Document:
    """A template as it stands in a file: no defaults, and references in the place of secrets."""
    settings: dict[str, Any] = {}
    for path, value in flatten(template.settings).items():
        section, name, leaf = split(path)
        block = settings.setdefault(section, {})
        (block.setdefault(name, {}) if name else block)[leaf] = _plain(value, path, template)
    match = template.match
    said = {
        "id": template.id,
        "name": template.name,
        "match": {key: word for key in Match.__slots__ if (word := getattr(match, key)) is not None},
        "values": None if template.fit == "exact" else template.fit,
        "reboot": "allow" if template.reboot else None,
        "needs_streams": None if template.needs_streams else False,
        "automatic": sorted(template.automatic),
        "notify": template.notify,
        "settings": settings,
    }
    return {key: value for key, value in said.items() if value not in (None, {}, [])}


def of_device(number: int, name: str, configuration: Configuration, identity: Identity) -> Template:
    """What a channel of a device is set to, as a template for its like. What cannot be set is left out."""
    current = flatten(configuration.settings)
    flat: Flat = {
        path: value for path, value in current.items() if not isinstance(configuration.limits.of(path, current), Fixed)
    }
    match = Match(manufacturer=escape(identity.manufacturer) or None, model=escape(identity.model) or None)
    return Template(number, name, unflatten(flat), match)


def _plain(value: Any, path: str, template: Template) -> Any:
    if isinstance(value, Secret):
        reference = template.references.get(path, "")
        # A name that can be imported again, once the variable is set.
        name = re.sub(r"[^A-Za-z0-9]+", "_", f"TEMPLATE_{template.id}_{path}").upper()
        return reference if is_for_imports(reference) else f"env:{name}"
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(inside, f"{path}.{key}", template) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inside, f"{path}.{index}", template) for index, inside in enumerate(value)]
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes every text that could be read as anything else: PyYAML goes by YAML 1.1."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN_WORD.fullmatch(text) and resolve(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)
