"""The schema, the example and the reference say the same as the models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from bridge.config import yaml12
from bridge.config.fields import reachable
from bridge.config.load import load
from bridge.config.models import (
    Bridge,
    Defaults,
    DeviceFields,
    GroupEntry,
    LoginBlock,
    Root,
    SinkTls,
    SiteEntry,
    Tls,
)
from bridge.config.schema import default_text, inventory_schema
from bridge.config.units import parse_size
from bridge.pushes.resource import CameraFields, IntercomFields
from bridge.settings import vocabulary
from bridge.settings.templates import VARIABLES as VARIABLES_OF_TEMPLATES
from drivers.analytics.config import AnalyticsConfig
from drivers.flussonic.config import FlussonicConfig
from drivers.onvif.config import OnvifConfig
from drivers.snmp.config import SnmpConfig
from tests.unit.config_support import stub_drivers

HERE = Path(__file__).parents[2]
EXAMPLE = HERE / "config.example.yaml"
REFERENCE = HERE / "docs" / "configuration.md"
VARIABLES = re.findall(r"^# {3}([A-Z_]+) {2,}", EXAMPLE.read_text(), re.MULTILINE)
DRIVERS = [FlussonicConfig, *reachable(OnvifConfig), *reachable(SnmpConfig), *reachable(AnalyticsConfig)]
MODELS: list[type[BaseModel]] = [*reachable(Root), CameraFields, IntercomFields, *DRIVERS]
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]
# What devices can be set to has a reference of its own.
DOCUMENTED = [(model, name) for model, name in FIELDS if model.__module__ != vocabulary.__name__]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return inventory_schema()


def complaints(schema: dict[str, Any], text: str) -> list[str]:
    root = yaml12.load(text.encode()).root
    return [error.message for error in Draft202012Validator(schema).iter_errors(root)]


# -- the example -----------------------------------------------------------------------------------------------------


def test_the_example_loads_without_a_warning() -> None:
    inventory = load(EXAMPLE, environ=dict.fromkeys(VARIABLES, "a-secret"))
    assert inventory.warnings == ()
    assert len(inventory.devices) == 10
    assert len(inventory.disabled) == 1
    assert len(inventory.delivery.sinks) == 3


def test_the_example_needs_the_variables_that_it_names() -> None:
    named = set(re.findall(r"env:([A-Z_]+)", EXAMPLE.read_text()))
    assert named == set(VARIABLES)


def test_the_example_fits_the_schema(schema: dict[str, Any]) -> None:
    assert complaints(schema, EXAMPLE.read_text()) == []


def test_the_example_with_its_commented_fields_fits_the_schema(schema: dict[str, Any]) -> None:
    text = re.sub(r"^( +)# (?=(?:tls|certificate|key|ca|  \w+):)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    assert "certificate" in str(yaml12.load(text.encode()).root)
    assert complaints(schema, text) == []


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_the_example_has_every_field(model: type[BaseModel], name: str) -> None:
    assert re.search(rf"(^|[\s{{,-]){name}:", EXAMPLE.read_text(), re.MULTILINE)


def test_the_example_has_only_addresses_for_documentation() -> None:
    found = set(re.findall(r"\d+\.\d+\.\d+\.\d+", EXAMPLE.read_text()))
    assert all(one.startswith("192.0.2.") or one in ("127.0.0.1", "0.0.0.0") for one in found)


# -- the schema ------------------------------------------------------------------------------------------------------


def test_the_schema_is_one_and_whole(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    references = set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', text))
    assert text.count('"$ref"') == len(re.findall(r'"\$ref": "#/\$defs/', text))
    assert references == set(schema["$defs"])


def test_the_schema_describes_every_field_and_tells_its_default(schema: dict[str, Any]) -> None:
    for model in reachable(Root):
        properties = (schema if model is Root else schema["$defs"][model.__name__])["properties"]
        for name, field in model.model_fields.items():
            assert properties[name]["description"] == field.description
            assert properties[name].get("default") == default_text(field)
    assert schema["$defs"]["Outbox"]["properties"]["max_age"]["default"] == "14d"
    assert schema["$defs"]["Http"]["properties"]["listen"]["default"] == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "text",
    [
        "devices: [{id: a}]",
        "devices: [{id: a, watch: {poll: null}, credentials: {password: env:X}, vms: {lat: 1}, onvif: {port: null}}]",
        "devices: [{id: a, enabled: off, vms: {id: 1, is_favorite: yes}}]",
        "defaults: {watch: {poll: 1h30m, offline_after: 5, retry_cap: 250ms}}",
        "sites: [{id: s, name: null, onvif: {timeout: 5}}]",
        "delivery: {sinks: [{type: pusher_server, name: a, key: k, secret: env:X, buffer: 1MiB, app_id: null}]}",
        "bridge: ~\ndevices: null",
        "{}",
    ],
)
def test_the_schema_lets_pass(schema: dict[str, Any], text: str) -> None:
    assert complaints(schema, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "x: 1",
        "devices: [{address: h}]",
        "devices: [{id: null}]",
        "devices: [{id: a, adress: h}]",
        "devices: [{id: a, onvif: {prt: 1}}]",
        "devices: [{id: a, onvif: {port: 99999}}]",
        "devices: [{id: a, watch: {poll: 5 minutes}}]",
        "devices: [{id: a, vms: {id: x}}]",
        "devices: [{id: a, kind: cam}]",
        "sites: [{name: x}]",
        "delivery: {sinks: [{type: pusher_http, name: a}]}",
        "delivery: {sinks: [{type: other, name: a}]}",
        "bridge: {http: {listen: 8080}}",
        "bridge: {http: {url: 'http://u:p@h'}}",
        "[]",
    ],
)
def test_the_schema_catches(schema: dict[str, Any], text: str) -> None:
    assert complaints(schema, text) != []


@pytest.fixture
def _stubs() -> Iterator[None]:
    with stub_drivers():
        yield


@pytest.mark.usefixtures("_stubs")
def test_the_schema_has_the_block_of_every_installed_driver() -> None:
    schema = inventory_schema()
    for name in ("Defaults", "SiteEntry", "GroupEntry", "DeviceEntry"):
        properties = schema["$defs"][name]["properties"]
        assert {"box", "panel", "broken"} <= properties.keys()
        assert "does not import" in properties["broken"]["description"]
    assert complaints(schema, "defaults: {panel: {}, box: {accounts: [{token: env:X}]}}") == []
    assert complaints(schema, "defaults: {panel: {communty: x}}") != []


def test_every_field_has_a_description() -> None:
    for model in MODELS:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


# -- the reference ---------------------------------------------------------------------------------------------------

# Where docs/configuration.md describes the fields of each model.
SECTIONS: dict[str, str] = {
    "Root": "",
    "Bridge": "## bridge",
    "Log": "### bridge.log",
    "Http": "### bridge.http",
    "Tls": "### bridge.http",
    "Callbacks": "### bridge.callbacks",
    "Files": "### bridge.files",
    "Syslog": "### bridge.syslog",
    "Delivery": "## delivery",
    "Outbox": "### delivery.outbox",
    "PusherServer": "### delivery.sinks, type pusher_server",
    "PusherHttp": "### delivery.sinks, type pusher_http",
    "SinkTls": "### delivery.sinks, type pusher_http",
    "TemplateEntry": "## config_templates",
    "TemplateMatch": "### match",
    "DeviceEntry": "## devices",
    "Events": "### delivery.events",
    "WebhookSink": "### delivery.sinks, type webhook",
    "LoginBlock": "## devices",
    "Watch": "### watch",
    "ChannelEntry": "### channels",
    "CameraFields": "### vms, of a camera or a channel",
    "IntercomFields": "### vms, of an intercom panel",
    "FlussonicConfig": "### flussonic",
    "OnvifConfig": "### onvif",
    "SnmpConfig": "### snmp",
    "PortConfig": "### snmp.ports",
    "AnalyticsConfig": "### analytics",
    "ProcessFields": "### analytics.fields",
    "JobFields": "### analytics.job_fields",
    "TrapsBlock": "### bridge.traps",
    "UplinkBlock": "### uplink",
    "PowerCycleBlock": "### uplink.power_cycle",
    "Defaults": "## defaults, sites, groups",
    "SiteEntry": "## defaults, sites, groups",
    "GroupEntry": "## defaults, sites, groups",
}


def section(heading: str) -> str:
    text = REFERENCE.read_text()
    if not heading:
        return text
    start = text.index(f"\n{heading}\n") + 1
    end = re.compile(r"^#{2,3} ", re.MULTILINE).search(text, start + len(heading))
    return text[start : end.start() if end else None]


def documented(heading: str) -> dict[str, str]:
    """The fields in a section's tables, each with what stands in the column for its default."""
    found: dict[str, str] = {}
    for row in section(heading).splitlines():
        cells = [cell.strip() for cell in row.split("|")]
        if row.startswith("| `"):
            found.update(dict.fromkeys(re.findall(r"`(\w+)`", cells[1]), cells[2]))
    return found


@pytest.mark.parametrize(("model", "name"), DOCUMENTED, ids=lambda value: getattr(value, "__name__", value))
def test_the_reference_tells_of_every_field_and_its_default(model: type[BaseModel], name: str) -> None:
    heading = SECTIONS[model.__name__]
    if model is Root:
        assert any(f"{name}" in line for line in section("").splitlines() if line.startswith("## "))
    elif model in (Defaults, SiteEntry, GroupEntry):
        # "Each can say whatever a device can": only what is their own is told again.
        assert name in DeviceFields.model_fields or f"`{name}`" in section(heading)
    elif model in (Tls, SinkTls, LoginBlock):
        assert f"`{name}`" in section(heading)  # told in the row of the block
    else:
        said, default = documented(heading)[name], default_text(model.model_fields[name])
        if default not in (None, []):
            assert said in (f"`{default}`", f"`{str(default).lower()}`") or as_value(said) == default


def as_value(cell: str) -> Any:
    text = cell.strip("`")
    value = yaml12.load(text.encode()).root
    return parse_size(text) if text.endswith("B") else value


def test_the_reference_links_to_its_own_sections() -> None:
    headings = re.findall(r"^#+ (.*)$", REFERENCE.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(#([^)]+)\)", REFERENCE.read_text())) <= anchors


def test_the_reference_tells_of_every_variable() -> None:
    said = dict(re.findall(r"^\| `\$\{([a-z_.]+)\}` \| (.*) \|$", section("### Variables"), re.MULTILINE))
    assert said == {name: what for name, (what, _) in VARIABLES_OF_TEMPLATES.items()}


def test_the_bridge_has_a_host_name_by_default() -> None:
    assert Bridge().name
