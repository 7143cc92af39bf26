"""Templates in the inventory: what comes out, and what is told about what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent, indent

import pytest

from bridge.config.load import Inventory
from bridge.secrets import Secret
from bridge.settings.templates import Match, Template
from bridge.settings.vocabulary import Codec, Relay, Switch
from tests.unit.config_support import ENV, HEAD, errors, read, stub_drivers, warnings

ENVIRON = {**ENV, "P": "pass-word", "T": "tok-en"}


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


def templates(text: str) -> str:
    """An inventory with these templates; the first line of `text` is line 3."""
    return f"{HEAD}config_templates:\n{indent(dedent(text).strip(), '  ')}\n"


def settings(text: str) -> str:
    """One template with these settings, which begin in line 6."""
    return templates("- id: 1\n  name: One\n  settings:\n" + indent(dedent(text).strip(), "    "))


def one(text: str) -> Template:
    (template,) = read(text, ENVIRON).templates
    return template


def test_a_template_of_three_lines() -> None:
    template = one(templates("- {id: 12, name: Night, settings: {imaging: {brightness: 50}}}"))
    assert (template.id, template.name, template.match) == (12, "Night", Match())
    assert (template.fit, template.reboot, template.needs_streams) == ("exact", False, True)
    assert (template.automatic, template.notify, dict(template.references)) == (frozenset(), None, {})
    assert template.settings.model_dump(exclude_unset=True) == {"imaging": {"brightness": 50}}
    assert template.fingerprint


def test_a_template_with_everything() -> None:
    text = """
    - id: 12
      name: Entrances
      match: {manufacturer: acme, model: DS-*, service: 8MP, driver: box}
      values: nearest
      reboot: allow
      needs_streams: off
      automatic: [first_seen, replaced]
      notify: 13
      settings:
        osd_text: {enabled: on, text: "${device.name}"}
        imaging: {ir_cut_filter: off}
        video_encoder_first: {codec: h265}
        relays: {1: {duration: 5s}}
        users: {vms: {role: operator, password: env:P}, old: {password: lit-eral}}
        vendor: {box: {port: 8080, accounts: [{login: a, token: env:T}], limit: null}}
    """
    inventory = read(templates(text), ENVIRON)
    (template,) = inventory.templates
    assert template.match == Match("acme", "DS-*", "8MP", "box")
    assert (template.fit, template.reboot, template.needs_streams) == ("nearest", True, False)
    assert (template.automatic, template.notify) == ({"first_seen", "replaced"}, 13)
    said = template.settings
    assert said.imaging is not None
    assert said.imaging.ir_cut_filter is Switch.OFF
    assert said.video_encoder_first is not None
    assert said.video_encoder_first.codec is Codec.H265
    assert said.relays == {"1": Relay(duration=5)}
    assert said.users is not None
    assert said.users["vms"].password == Secret("pass-word")
    assert said.vendor == {"box": {"port": 8080, "accounts": ({"login": "a", "token": Secret("tok-en")},)}}
    assert template.references == {"users.vms.password": "env:P", "vendor.box.accounts.0.token": "env:T"}
    assert {Secret("pass-word"), Secret("tok-en"), Secret("lit-eral")} <= inventory.secrets
    told = [one for one in warnings(templates(text), ENVIRON) if "secret itself" in one]
    assert len(told) == 1
    assert told[0].startswith(
        "config.yaml:16:71: warning: config_templates[0].settings.users.old.password: the secret itself stands here"
    )
    assert "lit-eral" not in str(template)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("osd_txt: {text: a}", '6:7: config_templates[0].settings.osd_txt: unknown key; did you mean "osd_text"?'),
        ("osd_text: {txt: a}", '6:18: config_templates[0].settings.osd_text.txt: unknown key; did you mean "text"?'),
        ("imaging: {brightness: 101}", "6:29: config_templates[0].settings.imaging.brightness: must be 100 or less"),
        ("osd_time: {position: middle}", "6:28: config_templates[0].settings.osd_time.position: is none of the words"),
        (
            'osd_text: {text: "${device.nmae}"}',
            '6:24: config_templates[0].settings.osd_text.text: there is no such variable; did you mean "device.name"?',
        ),
        ('osd_text: {text: "a ${device.name"}', "6:24: config_templates[0].settings.osd_text.text: a variable begins"),
        (
            'vendor: {box: {accounts: [{login: "${x}"}]}}',
            "6:41: config_templates[0].settings.vendor.box.accounts[0].login: there is no such variable",
        ),
        ('ntp: {servers: [a, "${devices.id}"]}', "6:26: config_templates[0].settings.ntp.servers[1]: there is no such"),
        (
            "users: {a: {password: env:NO}}",
            "6:29: config_templates[0].settings.users.a.password: the environment variable NO is not set; set NO",
        ),
        ("users: {a: {password: 17}}", "6:29: config_templates[0].settings.users.a.password: must be text"),
        (
            "vendor: {box: {prt: 1}}",
            '6:22: config_templates[0].settings.vendor.box.prt: unknown key; did you mean "port"?',
        ),
        ("vendor: {box: {port: 0}}", "6:28: config_templates[0].settings.vendor.box.port: must be 1 or more"),
        ("vendor: {bx: {}}", "6:16: config_templates[0].settings.vendor.bx: no driver of that name is installed; did"),
        ("vendor: {broken: {}}", "6:16: config_templates[0].settings.vendor.broken: driver 'broken' of a-package"),
        ("vendor: {panel: {}}", "6:16: config_templates[0].settings.vendor.panel: the driver panel has no settings of"),
        ("osd_text: {}", "5:5: config_templates[0].settings: says nothing; write what devices are to be set to"),
    ],
)
def test_what_is_wrong_with_settings(text: str, error: str) -> None:
    (told,) = errors(settings(text), ENVIRON)
    assert told.startswith(f"config.yaml:{error}")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("- {id: 1, settings: {hostname: {name: a}}}", "3:5: config_templates[0].name: is missing"),
        ("- {id: x, name: a, settings: {hostname: {name: a}}}", "3:10: config_templates[0].id: must be a whole number"),
        ("- {id: 0, name: a, settings: {hostname: {name: a}}}", "3:10: config_templates[0].id: must be 1 or more"),
        ("- {id: 1, name: a}", "3:5: config_templates[0].settings: is missing"),
        ("- one", "3:5: config_templates[0]: must be a block of fields"),
        (
            "- {id: 1, name: a, reboot: alow, settings: {hostname: {name: a}}}",
            "3:30: config_templates[0].reboot: is none of the words that can stand here; write allow or never",
        ),
        (
            "- {id: 1, name: a, automatic: [always], settings: {hostname: {name: a}}}",
            "3:34: config_templates[0].automatic[0]: is none of the words",
        ),
        (
            "- {id: 1, name: a, match: {driver: bocks}, settings: {hostname: {name: a}}}",
            "3:38: config_templates[0].match.driver: no driver of that name is installed",
        ),
        (
            "- {id: 1, name: a, match: {modell: x}, settings: {hostname: {name: a}}}",
            '3:30: config_templates[0].match.modell: unknown key; did you mean "model"?',
        ),
        (
            "- {id: 7, name: a, settings: {hostname: {name: a}}}\n- {id: 7, name: b, settings: {hostname: {name: b}}}",
            "4:10: config_templates[1].id: the template in line 3 has this id already",
        ),
    ],
)
def test_what_is_wrong_with_a_template(text: str, error: str) -> None:
    (told,) = errors(templates(text), ENVIRON)
    assert told.startswith(f"config.yaml:{error}")


def test_all_errors_at_once() -> None:
    text = """
    - {id: 1, name: a, settings: {imaging: {brightness: 200, contrast: x}, vendor: {box: {port: 0}}}}
    - {id: 1, nam: b, settings: {osd_text: {text: "${x}"}, users: {u: {password: env:NO}}}}
    """
    assert [told.split(":")[1] for told in errors(templates(text), ENVIRON)] == ["3"] * 3 + ["4"] * 5


def test_applied_by_itself_without_anybody_who_hears_of_it() -> None:
    text = templates("- {id: 1, name: a, automatic: [replaced], settings: {hostname: {name: a}}}")
    assert any("3:22: warning: config_templates[0].automatic: nobody hears" in told for told in warnings(text, ENVIRON))


def digests(text: str, environ: dict[str, str] = ENVIRON) -> tuple[str, str]:
    inventory: Inventory = read(settings(text), environ)
    return inventory.templates[0].fingerprint, inventory.digest


def test_the_fingerprint_changes_with_all_that_it_says() -> None:
    base = digests("users: {a: {password: env:P}}")
    assert digests("users: {a: {password: env:P}}  # as before") == base
    assert digests("users: {a: {password: env:P, role: user}}")[0] != base[0]
    other = digests("users: {a: {password: env:P}}", {**ENVIRON, "P": "another"})
    assert other[0] != base[0]
    assert other[1] != base[1]
    assert digests("vendor: {box: {accounts: [{login: a, token: env:T}]}}") != digests(
        "vendor: {box: {accounts: [{login: a, token: env:T}]}}", {**ENVIRON, "T": "another"}
    )


def test_services_are_inherited_down_to_the_channels() -> None:
    text = f"""{HEAD}
defaults: {{driver: box, service: 4MP}}
sites: [{{id: s, service: 8MP}}]
devices:
  - {{id: a, address: h, vms: {{id: 1}}}}
  - {{id: b, address: i, site: s, vms: {{id: 2}}}}
  - {{id: c, address: j, kind: server, channels: [{{vms: {{id: 3}}}}, {{service: 2MP, vms: {{id: 4}}}}]}}
  - {{id: d, address: k, service: null, vms: {{id: 5}}}}
"""
    found = {device.id: [channel.service for channel in device.channels] for device in read(text, ENV).devices}
    assert found == {"a": ["4MP"], "b": ["8MP"], "c": ["4MP", "2MP"], "d": [None]}
