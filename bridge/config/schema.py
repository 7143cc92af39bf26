"""The JSON Schema of an inventory, for editors (`# yaml-language-server: $schema=…`) and other tools.

Made from the models, with the block of every installed driver. It says what one may write: inside of `defaults`,
sites, groups and devices hardly anything is required, because the rest may come from another layer, and null takes
an inherited value away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from bridge import registry
from bridge.config.fields import reachable
from bridge.config.models import ChannelEntry, Defaults, DeviceEntry, GroupEntry, LoginBlock, Root, SiteEntry, Watch
from bridge.config.types import Listen, read_duration
from bridge.config.units import format_duration
from bridge.pushes.resource import CameraFields, IntercomFields
from bridge.settings.vocabulary import Settings

Schema = dict[str, Any]

_REF = "#/$defs/"
_LAYERS = (Defaults, SiteEntry, GroupEntry, DeviceEntry)
_ABOUT = ("description", "examples", "default")
_WORDS_FOR_BOOLEANS = ["on", "off", "yes", "no"]


def inventory_schema() -> Schema:
    """The schema as a JSON-compatible dict; all its references are inside of it."""
    configs, vendor, broken = _driver_models()
    tops: tuple[type[BaseModel], ...] = (Root, CameraFields, IntercomFields, *configs.values(), *vendor.values())
    models = dict.fromkeys(model for top in tops for model in reachable(top))
    references, whole = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=f"{_REF}{{model}}",
        schema_generator=_Generator,
    )
    definitions: dict[str, Schema] = whole["$defs"]

    def name_of(model: type[BaseModel]) -> str:
        return str(references[model, "validation"]["$ref"]).removeprefix(_REF)

    for model in reachable(Root):
        for key, field in model.model_fields.items():
            _print_default(field, definitions[name_of(model)]["properties"][key])
    vms = {"anyOf": [dict(references[model, "validation"]) for model in (CameraFields, IntercomFields)]}
    for model in (*_LAYERS, ChannelEntry):
        properties = definitions[name_of(model)]["properties"]
        properties["vms"] = {**vms, "description": properties["vms"]["description"]}
    for layer in _LAYERS:
        properties = definitions[name_of(layer)]["properties"]
        for driver, config in configs.items():
            about = f"what only the driver {driver} knows"
            properties[driver] = {**references[config, "validation"], "description": about}
        for driver, reason in broken.items():
            properties[driver] = {"type": "object", "description": reason}

    definitions[name_of(Settings)]["properties"]["vendor"] = {
        "type": "object",
        "description": Settings.model_fields["vendor"].description,
        "properties": {driver: dict(references[model, "validation"]) for driver, model in vendor.items()},
        "additionalProperties": False,
    }

    blocks: tuple[type[BaseModel], ...] = (LoginBlock, Watch, CameraFields, IntercomFields, *configs.values())
    for name in {name_of(model) for block in blocks for model in reachable(block)}:
        definitions[name].pop("required", None)
    for definition in definitions.values():
        required = definition.get("required", ())
        for key, field in definition.get("properties", {}).items():
            definition["properties"][key] = _loosened(field, null=key not in required)

    root = definitions.pop(name_of(Root))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "device-bridge inventory",
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def default_text(field: FieldInfo) -> str | int | float | bool | list[Any] | None:
    """A field's default as one would write it; None where there is none, or it is a whole block."""
    value = field.default
    if field.is_required() or isinstance(value, BaseModel):
        return None
    if isinstance(value, Listen | Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    if any(isinstance(mark, BeforeValidator) and mark.func is read_duration for mark in field.metadata):
        return format_duration(value)
    return value if isinstance(value, str | int | float | bool) else None


class _Generator(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        # Blocks tell their defaults field by field; `_print_default` writes those that JSON has no word for.
        return None if isinstance(dft, BaseModel | Listen | Path) else super().encode_default(dft)


def _print_default(field: FieldInfo, schema: Schema) -> None:
    default = default_text(field)
    schema.pop("default", None)
    if default is not None:
        schema["default"] = default


def _loosened(field: Schema, *, null: bool) -> Schema:
    """The schema of a field as the loader takes it: words for booleans, and null where nothing need be said."""
    about = {key: field[key] for key in _ABOUT if field.get(key) is not None}
    value = {key: part for key, part in field.items() if key not in _ABOUT and key != "title"}
    branches: list[Schema] = value.get("anyOf", [value])
    if any(branch.get("type") == "boolean" for branch in branches):
        branches = [*branches, {"enum": _WORDS_FOR_BOOLEANS}]
    if null and {"type": "null"} not in branches:
        branches = [*branches, {"type": "null"}]
    return {**(branches[0] if len(branches) == 1 else {"anyOf": branches}), **about}


def _driver_models() -> tuple[dict[str, type[BaseModel]], dict[str, type[BaseModel]], dict[str, str]]:
    """By driver: its part of the inventory, its own settings in templates, and what keeps it from being loaded."""
    configs: dict[str, type[BaseModel]] = {}
    vendor: dict[str, type[BaseModel]] = {}
    broken: dict[str, str] = {}
    for name in registry.names():
        try:
            driver = registry.load(name)
        except registry.BrokenDriver as error:
            broken[name] = str(error)
            continue
        configs[name] = driver.Config
        if driver.VendorSettings is not None:
            vendor[name] = driver.VendorSettings
    return configs, vendor, broken
