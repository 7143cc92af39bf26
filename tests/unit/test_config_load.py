from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from textwrap import dedent, indent

import pytest

from bridge.config.load import InvalidInventory, Problem, load
from bridge.config.models import PusherHttp, PusherServer, Watch
from bridge.config.types import Listen
from bridge.model import Channel, Kind, Policy
from tests.unit.config_support import ENV, FILE, HEAD, BoxConfig, errors, problems, read, stub_drivers, warnings


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


def device(text: str) -> str:
    """An inventory of one device; `text` are lines of it."""
    lines = indent(dedent(text).strip() + "\n", "    ")
    return f"{HEAD}devices:\n  - id: a\n    driver: box\n    address: 192.0.2.1\n{lines}"


# -- what comes out --------------------------------------------------------------------------------------------------


def test_the_least_inventory_is_full_of_defaults() -> None:
    inventory = read("")
    bridge = inventory.bridge
    assert bridge.http.listen == Listen("127.0.0.1", 8080)
    assert bridge.data == Path.cwd() / "device-bridge-data"
    assert bridge.name
    assert bridge.callbacks is None
    assert inventory.delivery.channel_prefix == "private-"
    assert inventory.delivery.outbox.max_age == 14 * 86400
    assert inventory.devices == ()
    assert [warning.what for warning in inventory.warnings] == [
        "there are no sinks: nobody gets the pushes",
        "there are no devices",
    ]


def test_a_device_becomes_a_device() -> None:
    text = """
    kind: camera
    name: Entrance
    site: s
    credentials: {username: admin, password: env:P}
    streams: [one, two]
    vms: {id: 5, lat: 1, is_favorite: on}
    watch: {poll: 5s, flap_damping: off}
    box: {mode: slow, gap: 1500ms}
    """
    inventory = read(device(text) + "sites: [{id: s}]\n", ENV | {"P": "pass"})
    (one,) = inventory.devices
    assert (one.id, one.kind, one.driver, one.address) == ("a", Kind.CAMERA, "box", "192.0.2.1")
    assert (one.name, one.site) == ("Entrance", "s")
    assert one.credentials is not None
    assert (one.credentials.username, one.credentials.password.reveal()) == ("admin", "pass")
    assert one.channels == (Channel("", None, ("one", "two"), {"id": 5, "lat": 1.0, "is_favorite": True}),)
    assert one.policy == Policy(poll=5.0, flap_damping=False)
    assert one.config == BoxConfig(mode="slow", gap=1.5)
    assert inventory.warnings == ()
    assert {secret.reveal() for secret in inventory.secrets} == {"sink-secret", "pass"}


def test_names_default_to_ids_and_kinds_to_what_the_driver_serves() -> None:
    text = f"""{HEAD}
devices:
  - {{id: a, driver: box, address: 192.0.2.1, vms: {{id: 1}}}}
  - {{id: b, driver: panel, address: 192.0.2.2, vms: {{id: 1}}, panel: {{community: env:S}}}}
"""
    one, other = read(text, ENV).devices
    assert (one.name, one.kind, other.kind) == ("a", Kind.CAMERA, Kind.INTERCOM)


def test_an_intercom_without_an_address_is_not_set_up_yet() -> None:
    (one,) = read(f"{HEAD}devices: [{{id: a, driver: box, kind: intercom, vms: {{id: 1}}}}]", ENV).devices
    assert one.address == ""
    assert "has no address" in errors(f"{HEAD}devices: [{{id: a, driver: box}}]", ENV)[0]


def test_channels() -> None:
    text = """
    kind: server
    channels:
      - {key: yard, source: V1, name: Yard, streams: [x], vms: {id: 1}}
      - {source: V2, vms: {id: 2, name: Own}}
      - {vms: {id: 3}, key: null, source: ~}
    """
    (one,) = read(device(text), ENV).devices
    assert one.channels == (
        Channel("yard", "V1", ("x",), {"name": "Yard", "id": 1}),
        Channel("V2", "V2", (), {"id": 2, "name": "Own"}),
        Channel("3", None, (), {"id": 3}),
    )


def test_a_server_and_a_switch_have_no_channel_by_themselves() -> None:
    for kind in ("server", "switch"):
        (one,) = read(device(f"kind: {kind}"), ENV).devices
        assert one.channels == ()
        assert "nothing to the VMS by itself" in errors(device(f"kind: {kind}\nvms: {{id: 1}}"), ENV)[0]


def test_sinks() -> None:
    text = """
    delivery:
      sinks:
        - {name: a, type: pusher_server, key: k, secret: env:S, buffer: 2MB, activity_timeout: 1m}
        - {name: b, type: pusher_http, url: "http://h:6002/x/", app_id: a, key: k, secret: env:S, batch: 4, timeout: 3}
    """
    server, http = read(text, ENV).delivery.sinks
    assert isinstance(server, PusherServer)
    assert isinstance(http, PusherHttp)
    assert (server.buffer, server.activity_timeout, server.app_id) == (2_000_000, 60.0, "device-bridge")
    assert (http.url, http.batch, http.timeout, http.secret.reveal()) == ("http://h:6002/x", 4, 3.0, "sink-secret")


def test_disabled_devices_are_checked_and_left_out() -> None:
    inventory = read(device("enabled: no\nvms: {id: 1}"), ENV)
    assert inventory.devices == ()
    assert inventory.disabled == ("a",)
    assert errors(device("enabled: no\nvms: {id: x}"), ENV)
    assert not warnings(device("enabled: no"), ENV)


def test_a_watch_block_is_a_policy() -> None:
    assert {name: field.default for name, field in Watch.model_fields.items()} == {
        field.name: field.default for field in fields(Policy)
    }


def test_everything_is_frozen() -> None:
    inventory = read(device("vms: {id: 1}"), ENV)
    with pytest.raises(FrozenInstanceError):
        inventory.digest = ""  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        problems("a: 1")[0].what = ""  # type: ignore[misc]


# -- inheritance -----------------------------------------------------------------------------------------------------

LAYERED = (
    HEAD
    + """
defaults:
  driver: box
  credentials: {username: admin, password: env:S}
  watch: {poll: 10s, retry_cap: 20s, alarm_max: 30s}
  box: {port: 81, gap: 2s}
  panel: {community: env:S}
  vms: {is_bridge: true, name: D}
sites:
  - {id: s, name: House, group: g, watch: {poll: 11s, retry_cap: 21s}}
groups:
  - {id: g, watch: {poll: 12s}, box: {port: 82}}
  - {id: h}
devices:
  - {id: a, address: 192.0.2.1, vms: {id: 1}}
  - {id: b, address: 192.0.2.2, site: s, vms: {id: 2}, watch: {offline_failures: 9}}
  - {id: c, address: 192.0.2.3, site: s, group: h, vms: {id: 3}, watch: {retry_cap: null}, box: null}
  - {id: d, address: 192.0.2.4, kind: intercom, vms: {id: 1, name: P}, credentials: null, box: {port: null}}
  - {id: e, address: 192.0.2.5, driver: panel, vms: null}
"""
)


def test_inheritance() -> None:
    a, b, c, d, e = read(LAYERED, ENV).devices
    assert a.policy == Policy(poll=10, retry_cap=20, alarm_max=30)
    assert b.policy == Policy(poll=12, retry_cap=21, alarm_max=30, offline_failures=9)
    assert c.policy == Policy(poll=11, retry_cap=60, alarm_max=30)
    assert (a.config, b.config) == (BoxConfig(port=81, gap=2), BoxConfig(port=82, gap=2))
    assert c.config == BoxConfig()  # null takes the whole block away
    assert d.config == BoxConfig(port=80, gap=2)  # and here one field of it
    assert (a.credentials is not None, d.credentials) == (True, None)
    assert (b.name, b.site) == ("b", "s")  # a site's name is its own
    assert a.channels[0].vms == {"is_bridge": True, "name": "D", "id": 1}
    assert d.channels[0].vms == {"id": 1, "name": "P"}  # cameras' fields do not concern a panel
    assert e.channels[0].vms == {}
    assert type(e.config).__name__ == "PanelConfig"


def test_what_is_equal_is_one_object() -> None:
    a, b, *_ = read(
        HEAD
        + "defaults: {driver: box, credentials: {username: u, password: env:S}}\ndevices:\n"
        + "- {id: a, address: 192.0.2.1, watch: {poll: 30s}, box: {port: 9}}\n"
        + "- {id: b, address: 192.0.2.2, watch: {poll: 30}, box: {port: 9}}\n",
        ENV,
    ).devices
    assert a.policy is b.policy
    assert a.credentials is b.credentials
    assert a.config is b.config


def test_a_driver_whose_block_can_change_gets_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BoxConfig.model_config, "frozen", False)
    a, b = read(
        f"{HEAD}defaults: {{driver: box}}\ndevices: [{{id: a, address: 192.0.2.1}}, {{id: b, address: 192.0.2.2}}]", ENV
    ).devices
    assert a.config == b.config
    assert a.config is not b.config


def test_null_falls_back_to_what_is_built_in_not_to_nothing() -> None:
    text = f"{HEAD}defaults: {{driver: box, box: {{limit: 7}}}}\ndevices: [{{id: a, address: h, box: {{limit: ~}}}}]"
    assert read(text, ENV).devices[0].config.limit == 5


def test_null_in_bridge_and_delivery() -> None:
    inventory = read("bridge: {name: ~, http: {url: null, listen: null}, log: ~}\ndelivery: {sinks: null, outbox: ~}")
    assert inventory.bridge.http.listen.port == 8080
    assert inventory.delivery.sinks == ()


# -- fingerprints ----------------------------------------------------------------------------------------------------


def test_a_fingerprint_changes_with_anything_that_matters_and_nothing_else() -> None:
    base = "name: n\nvms: {id: 1, name: v}\nbox: {port: 9}\ncredentials: {username: u, password: env:P}"
    environ = ENV | {"P": "one"}

    def of(text: str, environ: dict[str, str] = environ) -> str:
        return read(device(text), environ).devices[0].fingerprint

    same = of(base)
    assert of(base + "\n# a comment\nwatch: {poll: 30}") == same
    assert of(base, environ | {"OTHER": "x"}) == same
    assert of(base.replace("id: 1, name: v", "name: v, id: 1")) == same
    for other in (
        base.replace("name: n", "name: m"),
        base.replace("id: 1,", "id: 2,"),
        base.replace("port: 9", "port: 8"),
        base.replace("username: u", "username: v"),
        base + "\nwatch: {poll: 31s}",
        base + "\nstreams: [x]",
        base + "\nkind: intercom",
    ):
        assert of(other) != same
    assert of(base, environ | {"P": "two"}) != same


def test_a_digest_covers_the_whole_file_and_its_secrets() -> None:
    text = device("vms: {id: 1}")
    digest = read(text, ENV).digest
    assert read(f"# comment\n{text}", ENV).digest == digest
    assert read(text, ENV | {"S": "changed"}).digest != digest
    assert read(text + "bridge: {locale: ru}\n", ENV).digest != digest
    assert read(text.replace("id: a", "id: b"), ENV).digest != digest


def test_fingerprints_are_the_same_in_every_process(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("devices: [{id: a, driver: onvif, address: 192.0.2.1, vms: {lat: 1, id: 1, name: x}}]")
    program = (
        "import sys; from pathlib import Path; from bridge.config.load import load; i = load(Path(sys.argv[1]));"
        "sys.stdout.write(i.digest + i.devices[0].fingerprint)"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


# -- problems --------------------------------------------------------------------------------------------------------


def test_the_promised_form_of_a_problem() -> None:
    text = (
        "devices:\n"
        + "  - {id: x, driver: box, address: 192.0.2.9}\n" * 2
        + "  - id: y\n    driver: box\n    adress: h\n"
    )
    assert 'config.yaml:6:5: devices[2].adress: unknown key; did you mean "address"?' in errors(text)
    assert str(Problem("f", 0, 0, "", "w")) == "f: w"
    assert str(Problem("f", 1, 2, "p", "w", "m", "warning")) == "f:1:2: warning: p: w; m"


BAD = """\
bridge:
  nam: x
  http: {listen: 127.0.0.1:1}
  callbacks: {listen: 0.0.0.0:1, url: "http://u:p@h"}
delivery:
  sinks:
    - {name: a, type: pusher_serve}
    - {name: b, type: pusher_http, url: ftp://x, key: k, batch: 11}
    - 5
defaults: {drivr: x, vms: {id: 1}, watch: {poll: abc}, snmp: {}}
sites: [{id: s}, {id: s}, {name: x}, 7]
groups: {a: b}
devices:
  - id: a
    driver: box
    address: http://192.0.2.1/x
    vms: {id: "5", lat: 100}
    streams: A
    site: t
  - id: a
    driver: bx
    address: 192.0.2.2:80
    onvif: {}
  - id: b
    driver: broken
    address: 192.0.2.3
    credentials: {username: u}
  - id: c
    driver: panel
    kind: camera
    address: "192.0.2.300"
    box: {}
    watch: {offline_failures: 2.5, flap_damping: maybe}
"""


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    found = [problem for problem in problems(BAD) if problem.severity == "error"]
    assert [(one.line, one.path, one.what) for one in found] == [
        (2, "bridge.nam", "unknown key"),
        (4, "bridge.callbacks.listen", "is where bridge.http listens already"),
        (4, "bridge.callbacks.url", "has a user name in it, maybe a password"),
        (7, "delivery.sinks[0].type", "there is no sink of this type"),
        (8, "delivery.sinks[1].app_id", "is missing"),
        (8, "delivery.sinks[1].secret", "is missing"),
        (8, "delivery.sinks[1].url", "must be a URL"),
        (8, "delivery.sinks[1].batch", "must be auto, off, or a number"),
        (9, "delivery.sinks[2]", "must be a block of fields"),
        (10, "defaults.drivr", "unknown key"),
        (10, "defaults.vms.id", "an id belongs to one device"),
        (10, "defaults.watch.poll", "must be a duration"),
        (10, "defaults.snmp", "unknown key"),
        (11, "sites[1].id", "this id is already used in line 11"),
        (11, "sites[2]", "has no id"),
        (11, "sites[3]", "must be a block of fields"),
        (12, "groups", "must be a list"),
        (16, "devices[0].address", "must be a host, not a URL"),
        (17, "devices[0].vms.id", "must be a whole number, without quotes"),
        (17, "devices[0].vms.lat", "must be 90 or less"),
        (18, "devices[0].streams", "must be a list"),
        (19, "devices[0].site", "there is no such site"),
        (20, "devices[1].id", "this id is already used in line 14"),
        (21, "devices[1].driver", "no driver of that name is installed"),
        (22, "devices[1].address", "must be a host, without a port"),
        (23, "devices[1].onvif", "unknown key"),
        (
            25,
            "devices[2].driver",
            "driver 'broken' of a-package 1.0 does not import: ImportError: no such thing",
        ),
        (27, "devices[2].credentials.password", "is missing"),
        (28, "devices[3].panel.community", "is missing"),
        (30, "devices[3].kind", "the driver panel does not serve devices of this kind"),
        (31, "devices[3].address", "is not an IP address or a host name"),
        (32, "devices[3].box", "this block is for another driver than the device's (panel)"),
        (33, "devices[3].watch.offline_failures", "must be a whole number, without quotes"),
        (33, "devices[3].watch.flap_damping", "must be true or false (on, off, yes and no do as well)"),
    ]
    assert all(one.mend for one in found)


def test_a_wrong_value_that_many_inherit_is_told_once_and_where_it_is_written() -> None:
    text = HEAD + "defaults:\n  driver: box\n  watch: {poll: never}\ndevices:\n"
    text += "".join(f"  - {{id: d{n}, address: 192.0.2.{n}, vms: {{id: {n}}}}}\n" for n in range(1, 9))
    assert [one.partition(": must")[0] for one in errors(text, ENV)] == ["config.yaml:4:17: defaults.watch.poll"]


def test_what_only_the_merge_shows_is_told_at_the_device() -> None:
    text = f"""{HEAD}
defaults: {{driver: box, box: {{gap: 0}}}}
devices:
  - {{id: a, address: 192.0.2.1, vms: {{id: 1}}}}
  - id: b
    address: 192.0.2.2
    box: {{mode: slow}}
"""
    (found,) = errors(text, ENV)
    assert found.startswith("config.yaml:8:5: devices[1].box: slow needs a gap")


def test_the_id_of_a_site_is_not_that_of_a_device() -> None:
    text = "sites: [{id: s, name: S}]\ngroups: [{id: g}]\ndevices:\n- {driver: box, address: h, site: s, group: g}\n"
    assert errors(text)[0].startswith("config.yaml:4:3: devices[0].id: is missing")


@pytest.mark.parametrize(
    ("line", "path", "what"),
    [
        ("box: {port: 0}", "box.port", "must be 1 or more"),
        ("box: {port: x}", "box.port", "must be a whole number"),
        ("box: {mode: fats}", "box.mode", "is none of the words that can stand here; write fast or slow"),
        ("box: {size: [1]}", "box.size", "must be a whole number, without quotes, or must be text"),
        ("box: {size: 13}", "box.size", "13 brings bad luck"),
        ("box: {size: 14}", "box", "cannot be checked: the check itself fails with KeyError"),
        ("box: {gap: -1}", "box.gap", "must be a duration"),
        ("box: {accounts: [{login: a}, {logn: b}]}", "box.accounts[1].login", "is missing"),
        ("box: {accounts: [{login: a, limt: 5}]}", "box.accounts[0]", "unknown key"),
        ("box: 5", "box", "must be a block of fields"),
        ("box: {1: 2}", "box", "every key must be text"),
        ("vms: {start_at: 2026-11-23}", "vms.start_at", "is not in the right form; expected: earliest archive"),
        ("vms: []", "vms", "must be a block of fields"),
        ("vms: {id: 1, x: 2}", "vms.x", "unknown key"),
        ("kind: intercom\nvms: {id: 1, lat: 5}", "vms.lat", "unknown key; known: id or name"),
        ("kind: cam", "kind", "is none of the words that can stand here; write camera, intercom, server or switch"),
        ("kind: 5", "kind", "is none of the words"),
        ("name: 5", "name", "must be text; put it in quotes"),
        ("enabled: maybe", "enabled", "must be true or false"),
        ("enabled:\n  x: y", "enabled", "must be true or false"),
        ("watch: {poll: 0}", "watch.poll", "must be more than 0"),
        ("watch: {pol: }", "watch.pol", 'unknown key; did you mean "poll"?'),
        ("streams: [1]", "streams[0]", "must be text"),
        ("streams: {a: b}", "streams", "must be a list"),
        ("credentials: hunter22", "credentials", "must be a block of fields"),
        ("channels: [{vms: {id: 1}, foo: 1}]", "channels[0].foo", "unknown key"),
        ("channels: [{key: a b}]", "channels[0].key", "is not in the right form"),
        ("channels: [5]", "channels[0]", "must be a block of fields"),
        ("channels: {}", "channels", "must be a list"),
        ("channels: [{key: x}, {key: x}]", "channels[1].key", "another channel of this device has the same key"),
        ("channels: [{source: x}, {source: x}]", "channels[1].source", "another channel"),
        ("vms: {id: 1}\nchannels: [{vms: {id: 2}}]", "vms", "a device with channels has none of its own"),
        ("streams: [x]\nchannels: [{vms: {id: 2}}]", "streams", "a device with channels has none of its own"),
        ("site: nowhere", "site", "there is no such site"),
        ("group: nobody", "group", "there is no such group"),
        ("group: [x]", "group", "must be text"),
    ],
)
def test_wrong_devices(line: str, path: str, what: str) -> None:
    found = errors(device(line), ENV)
    assert any(f" devices[0].{path}: {what}" in one for one in found), found


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("http://192.0.2.1", "not a URL"),
        ("rtsp://admin:hunter22@192.0.2.1/live", "user name"),
        ("admin:hunter22@192.0.2.1", "user name"),
        ("192.0.2.1/onvif", "without a path"),
        ("192.0.2.1:8080", "without a port"),
        ("'[2001:db8::1]:80'", "without a port"),
        ("'[2001:db8::1]'", "plain address"),
        ("192.0.2", "is not an IP address"),
        ("192.0.2.300", "is not an IP address"),
        ("192.000.002.001", "is not an IP address"),
        ("'2001:db8::x'", "is not an IP address"),
        ("'a b'", "is not an IP address"),
        ("-a", "is not an IP address"),
        ("''", "is not an IP address"),
        ("5", "must be an IP address or a host name"),
    ],
)
def test_wrong_addresses(address: str, what: str) -> None:
    found = errors(f"{HEAD}devices: [{{id: a, driver: box, vms: {{id: 1}}, address: {address}}}]", ENV)
    assert len(found) == 1
    assert what in found[0]
    assert "; " in found[0]
    assert "hunter22" not in found[0]


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "'2001:db8::1'", "'fe80::1%eth0'", "cam-1", "cam_1.example.net", "камера.local", "a.b."]
)
def test_right_addresses(address: str) -> None:
    text = f"{HEAD}devices: [{{id: a, driver: box, vms: {{id: 1}}, address: {address}}}]"
    assert read(text, ENV).devices[0].address == address.strip("'")


@pytest.mark.parametrize(
    "listen", ["8080", "'8080'", "':8080'", "h:99999", "'::1:80'", "1.2.3:80", "'[x]:80'", "a b:1"]
)
def test_wrong_listen_addresses(listen: str) -> None:
    (found,) = errors(f"bridge: {{http: {{listen: {listen}}}}}")
    assert "bridge.http.listen: must be host:port" in found


def test_right_listen_addresses() -> None:
    for text, host, port in (("'[::1]:0'", "::1", 0), ("0.0.0.0:80", "0.0.0.0", 80), ("localhost:1", "localhost", 1)):
        listen = read(f"bridge: {{http: {{listen: {text}}}}}").bridge.http.listen
        assert listen == Listen(host, port)
        assert str(listen) == text.strip("'")


@pytest.mark.parametrize(
    "url", ["h", "ftp://h", "http://", "http://h:x", "http://h/?q", "http://h/#f", "'http://a b'", "7"]
)
def test_wrong_urls(url: str) -> None:
    (found,) = errors(f"bridge: {{http: {{url: {url}}}}}")
    assert "bridge.http.url: must be a URL" in found


def test_ports_that_clash() -> None:
    def clash(http: str, callbacks: str) -> bool:
        text = f"bridge: {{http: {{listen: '{http}'}}, callbacks: {{listen: '{callbacks}', url: 'http://h'}}}}"
        return any("listens already" in one for one in errors(text))

    assert clash("127.0.0.1:80", "127.0.0.1:80")
    assert clash("0.0.0.0:80", "192.0.2.1:80")
    assert clash("127.0.0.1:80", "[::]:80")
    assert not clash("127.0.0.1:80", "192.0.2.1:80")
    assert not clash("127.0.0.1:80", "127.0.0.1:81")
    assert not clash("127.0.0.1:0", "127.0.0.1:0")
    assert any("listens already" in one for one in errors("bridge: {callbacks: {listen: 127.0.0.1:8080}}"))


def test_names_and_keys_of_sinks_are_their_own() -> None:
    text = """
    delivery:
      sinks:
        - {name: a, type: pusher_server, key: k, secret: env:S}
        - name: a
          type: pusher_server
          key: k
          secret: env:S
    """
    assert [one.partition(": delivery")[2].partition(";")[0] for one in errors(text, ENV)] == [
        ".sinks[1].name: the sink of line 4 has this name already",
        ".sinks[1].key: the sink of line 4 has this key already",
    ]


def test_ids_in_the_vms_are_unique_by_kind() -> None:
    text = f"""{HEAD}
defaults: {{driver: box}}
devices:
  - {{id: a, address: 192.0.2.1, vms: {{id: 1}}}}
  - {{id: b, address: 192.0.2.2, kind: intercom, vms: {{id: 1}}}}
  - {{id: c, address: 192.0.2.3, enabled: false, vms: {{id: 1}}}}
  - id: d
    address: 192.0.2.4
    kind: server
    channels: [{{vms: {{id: 2}}}}, {{vms: {{id: 1}}}}]
"""
    (found,) = errors(text, ENV)
    assert found.startswith("config.yaml:11:43: devices[3].channels[1].vms.id: this VMS id is already used in line 5")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (device(""), "devices[0]: has no vms.id"),
        (device("channels: [{vms: {name: x}}]"), "devices[0].channels[0]: has no vms.id"),
        ("devices: []", "there are no devices"),
        ("", "there are no sinks"),
        ("bridge: {http: {listen: 0.0.0.0:80}}", "HTTP without TLS"),
        ("bridge: {callbacks: {listen: 0.0.0.0:81}}", "devices cannot be told where to call"),
        ("bridge: {locale: de}", "no built-in words for this locale, only for en or ru"),
        (
            "bridge: {labels: {intercom.status.activ: x}}",
            'no push has this word; did you mean "intercom.status.active"?',
        ),
        ("a: 1\n---\nb: 2", "a second document begins here"),
        (
            device("") + "  - {id: b, driver: box, address: 192.0.2.1, box: {port: 80}}",
            "devices[1].address: the device of line 5 has the same driver, address and port",
        ),
    ],
)
def test_warnings(text: str, what: str) -> None:
    assert any(what in one for one in warnings(text, ENV)), warnings(text, ENV)


def test_no_warnings_where_nothing_is_amiss() -> None:
    text = device("vms: {id: 1}") + "  - {id: b, driver: box, address: 192.0.2.1, box: {port: 81}, vms: {id: 2}}\n"
    text += "  - {id: c, driver: box, kind: switch, address: 192.0.2.3}\n"
    text += "bridge: {http: {listen: '[::1]:80'}, callbacks: {listen: 0.0.0.0:81, url: 'http://192.0.2.5:81'}}\n"
    assert problems(text, ENV) == []


def test_blocks_of_other_drivers_are_checked_in_layers_and_do_not_apply() -> None:
    good = f"{HEAD}defaults: {{driver: box, panel: {{}}, broken: {{x: 1}}}}\n"
    good += "devices: [{id: a, address: h, vms: {id: 1}}]"
    assert problems(good, ENV) == []
    (found,) = errors(good.replace("panel: {}", "panel: {communty: x}"), ENV)
    assert "defaults.panel: unknown key" in found
    assert "defaults.box.port" in errors(good.replace("panel: {}", "box: {port: x}"), ENV)[0]


def test_a_layer_may_be_incomplete() -> None:
    text = f"""{HEAD}
defaults: {{driver: box, credentials: {{username: u}}, box: {{mode: slow, gap: 0}}}}
devices: [{{id: a, address: h, vms: {{id: 1}}, credentials: {{password: env:S}}, box: {{gap: 1}}}}]
"""
    assert problems(text, ENV) == []


def test_a_layer_that_nobody_uses_is_checked_too() -> None:
    text = f"{HEAD}groups: [{{id: g, driver: bx, group: h, vms: {{latt: 1}}, credentials: {{password: env:NONE}}}}]"
    found = "\n".join(errors(text, ENV))
    for what in (
        "groups[0].driver: no driver",
        "groups[0].group: unknown key",
        "groups[0].vms.latt",
        "NONE is not set",
    ):
        assert what in found
    assert "sites[0].group: there is no such group" in errors(f"{HEAD}sites: [{{id: s, group: g}}]", ENV)[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a", "an inventory is a block of fields"),
        ("word", "an inventory is a block of fields"),
        ("devces: []", 'devces: unknown key; did you mean "devices"?'),
        ("bridge: 5", "bridge: must be a block of fields"),
        ("delivery: []", "delivery: must be a block of fields"),
        ("delivery: {sinks: {a: b}}", "delivery.sinks: must be a list"),
        ("defaults: 5", "defaults: must be a block of fields"),
        ("devices: {a: b}", "devices: must be a list"),
        ("devices: [{driver: box, address: h}]", "devices[0].id: is missing"),
        ("devices: [{id: a, address: h}]", "devices[0]: has no driver"),
        ("devices: [{id: a b, driver: box, address: h}]", "devices[0].id: is not in the right form"),
        ("bridge: {log: {level: loud}}", "write debug, info, warning or error"),
        ("bridge: {http: {tls: {certificate: nope.pem, key: nope.pem}}}", "bridge.http.tls.key: there is no such file"),
        ("delivery: {outbox: {max_rows: 0}}", "delivery.outbox.max_rows: must be 1 or more"),
        ("~: x", "config.yaml:1:1: unknown key"),
        ("5: x", "config.yaml:1:1: unknown key"),
        ("[a]: x", "a map or a list stands where a key belongs"),
        ("a: [", "value is expected"),
        ("a: 1\na: 2", "the same key twice in one map, first in line 1"),
    ],
)
def test_wrong_files(text: str, what: str) -> None:
    assert any(what in one for one in errors(text)), errors(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(InvalidInventory) as raised:
        load(path)
    assert str(raised.value) == f"{path}: cannot be read: No such file or directory; check the path and its rights"
    with pytest.raises(InvalidInventory):
        load(tmp_path)


def test_paths_start_at_the_inventory(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("bridge: {data: ./state, http: {tls: {certificate: c.pem, key: c.pem}}}")
    (tmp_path / "c.pem").write_text("x")
    bridge = load(path, environ={}).bridge
    assert bridge.data == tmp_path / "state"
    assert bridge.http.tls is not None
    assert bridge.http.tls.key == tmp_path / "c.pem"
    path.write_text("bridge: {data: /var/lib/x}")
    assert load(path, environ={}).bridge.data == Path("/var/lib/x")


def test_the_exception_lists_every_problem() -> None:
    with pytest.raises(InvalidInventory) as raised:
        read(BAD)
    assert str(raised.value) == "\n".join(map(str, raised.value.problems))
    assert raised.value.__context__ is None
    assert raised.value.problems[0].file == str(FILE)


def test_ten_thousand_errors_take_no_age() -> None:
    lines = [f"  - {{id: d{n}, driver: bx, address: h/{n}, site: s{n}, foo: 1}}" for n in range(2500)]
    found = problems("sites:\n" + "".join(f"  - id: t{n}\n" for n in range(2500)) + "devices:\n" + "\n".join(lines))
    assert sum(one.severity == "error" for one in found) == 10_000


# -- many ------------------------------------------------------------------------------------------------------------


def test_a_device_costs_little_memory() -> None:
    rows = (
        f"  - {{id: d{n}, address: 10.0.{n // 250}.{n % 250}, name: Camera {n}, vms: {{id: {n + 1}, group_id: 5}}, "
        f"watch: {{poll: 10s}}, box: {{port: 90}}}}\n"
        for n in range(1000)
    )
    text = HEAD + "defaults: {driver: box, credentials: {username: u, password: env:S}}\ndevices:\n" + "".join(rows)
    read(text, ENV)
    tracemalloc.start()
    inventory = read(text, ENV)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(inventory.devices) == 1000
    assert kept / 1000 < 1500  # bytes
