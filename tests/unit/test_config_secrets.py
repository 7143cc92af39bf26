from __future__ import annotations

import copy
import json
import pickle
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config.load import InvalidInventory, Inventory, load_bytes
from bridge.config.references import References, Unresolved
from bridge.secrets import Secret
from tests.unit.config_support import ENV, FILE, HEAD, errors, problems, read, stub_drivers, warnings

CANARY = "Zx9-kAnArY_q7"


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


def login(password: str) -> str:
    return (
        f"{HEAD}devices:\n  - id: a\n    driver: box\n    address: h\n    vms: {{id: 1}}\n"
        f"    credentials:\n      username: u\n      password: {password}\n"
    )


# -- references ------------------------------------------------------------------------------------------------------


def test_an_environment_variable() -> None:
    one = read(login("env:P"), ENV | {"P": CANARY}).devices[0]
    assert one.credentials is not None
    assert one.credentials.password == Secret(CANARY)


def test_a_file_loses_its_line_end_and_nothing_else(tmp_path: Path) -> None:
    references = References(tmp_path, {})
    for number, (content, secret) in enumerate(
        [(" a b \n", " a b "), ("x\r\n", "x"), ("x", "x"), ("é\n", "é"), ("env:P\n", "env:P")]
    ):
        path = tmp_path / f"secret{number}"
        path.write_bytes(content.encode())
        assert references.resolve(f"file:{path.name}").reveal() == secret
        assert references.resolve(f"file:{path}").reveal() == secret


def test_a_systemd_credential(tmp_path: Path) -> None:
    (tmp_path / "cam").write_text("x\n")
    references = References(Path("/nowhere"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert references.resolve("cred:cam").reveal() == "x"
    assert references.cautions("cred:cam") == ()


def test_each_reference_is_looked_up_once(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("one")
    references = References(tmp_path, {})
    first = references.resolve("file:secret")
    path.unlink()
    assert references.resolve("file:secret") is first
    assert references.resolved == {Secret("one")}


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("env:MISSING", "the environment variable MISSING is not set"),
        ("env:EMPTY", "the environment variable EMPTY is empty"),
        ("env:", "env: takes the name"),
        ("env:a b", "env: takes the name"),
        ("file:missing", "cannot be read (No such file or directory)"),
        ("file:", "is not a file"),
        ("file:.", "is not a file"),
        ("file:empty", "is empty"),
        ("file:long", "too long"),
        ("file:binary", "more than one line of text"),
        ("file:lines", "more than one line of text"),
        ("cred:x", "CREDENTIALS_DIRECTORY is not set"),
        ("cred:../x", "cred: takes the name"),
        ("cred:..", "cred: takes the name"),
        ("cred:", "cred: takes the name"),
    ],
)
def test_references_that_lead_nowhere(tmp_path: Path, reference: str, what: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "long").write_text("x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + CANARY.encode())
    (tmp_path / "lines").write_text(f"{CANARY}\n{CANARY}\n")
    with pytest.raises(Unresolved) as raised:
        References(tmp_path, {"EMPTY": ""}).resolve(reference)
    assert what in raised.value.advice.what
    assert raised.value.advice.mend
    assert CANARY not in repr(raised.value) + str(raised.value.advice)


def test_a_missing_variable_is_an_error_at_the_line_that_names_it() -> None:
    assert errors(login("env:NOPE"), ENV) == [
        "config.yaml:9:17: devices[0].credentials.password: the environment variable NOPE is not set; "
        "set NOPE where the bridge is started"
    ]


def test_a_secret_in_the_file_draws_a_warning_with_its_line_and_the_mend() -> None:
    (found,) = warnings(login(CANARY), ENV)
    assert found.startswith("config.yaml:9:17: warning: devices[0].credentials.password: the secret itself stands here")
    assert "env:NAME" in found
    assert CANARY not in found
    assert warnings(login("''"), ENV) == []


def test_a_secret_in_a_layer_is_told_once_a_secret_on_each_device_each_time() -> None:
    shared = f"{HEAD}defaults: {{driver: box, credentials: {{username: u, password: {CANARY}}}}}\ndevices:\n"
    shared += "".join(f"  - {{id: d{n}, address: h{n}, vms: {{id: {n}}}}}\n" for n in (1, 2, 3))
    assert len(warnings(shared, ENV)) == 1
    own = shared.replace("}\n  -", f", credentials: {{password: {CANARY}}}}}\n  -")
    assert [one.split(":")[1] for one in warnings(own, ENV)] == ["2", "4", "5"]


def test_a_file_that_everybody_can_read_draws_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(CANARY)
    path.chmod(0o644)
    text = login(f"file:{path}")
    (found,) = warnings(text, ENV)
    assert "every user of this machine can read that file" in found
    assert f"chmod o-r {path}" in found
    path.chmod(0o640)
    assert warnings(text, ENV) == []


def test_secrets_in_a_drivers_block_are_references_too() -> None:
    text = f"{HEAD}devices: [{{id: a, driver: panel, address: h, vms: {{id: 1}}, panel: {{community: %s}}}}]"
    one = read(text % "env:P", ENV | {"P": CANARY}).devices[0]
    assert one.config.community == Secret(CANARY)
    assert Secret(CANARY) in read(text % CANARY, ENV).secrets
    assert "the secret itself" in warnings(text % CANARY, ENV)[0]
    assert "P is not set" in errors(text % "env:P", ENV)[0]
    nested = f"{HEAD}devices: [{{id: a, driver: box, address: h, vms: {{id: 1}}, box: {{accounts: [{{%s}}]}}}}]"
    nested = nested.replace("%s", "login: x, token: %s")
    assert read(nested % "env:P", ENV | {"P": CANARY}).devices[0].config.accounts[0].token == Secret(CANARY)
    assert "devices[0].box.accounts[0].token: the secret itself" in warnings(nested % CANARY, ENV)[0]


# -- nothing is printed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        f"[{CANARY}]",
        f"{{{CANARY}: 1}}",
        f"{{a: {CANARY}}}",
        f"*{CANARY}",
        f"!{CANARY} x",
        f"!!int {CANARY}",
        f"env:{CANARY}!",
        f"'{CANARY}",
        f"{CANARY}: x",
        f"|{CANARY}",
        f'"{CANARY}\\q"',
        f"[{CANARY}",
        f"@{CANARY}",
        f"\x07{CANARY}",
        f"\n      {CANARY}:",
        f"\n      {CANARY}: x",
        f"\n      {CANARY}: x\n      {CANARY}: y",
        f"x\n    address: http://u:{CANARY}@h/",
        f"x\n    address: u:{CANARY}@h",
        f"x\n    {CANARY}: y",
        f"x\n    {CANARY}: y\n    {CANARY}: y",
        f"x\n    driver: {CANARY}",
        f"x\n    site: {CANARY}",
        f"x\n    kind: {CANARY}",
        f"x\n    watch: {{poll: {CANARY}}}",
        f"x\n    box: {{mode: {CANARY}, port: {CANARY}}}",
        f"x\n    channels: [{{key: {CANARY}, vms: {{id: {CANARY}}}}}]",
        f"x\n{CANARY}: y",
    ],
)
def test_wrong_secrets_are_not_repeated(password: str) -> None:
    found = problems(login(password), ENV)
    assert found
    assert CANARY not in "\n".join([*map(str, found), *map(repr, found)])


def test_a_password_that_lost_its_key_is_not_repeated_even_if_it_looks_like_one_of_ours() -> None:
    text = f"{HEAD}devices: [{{id: a, driver: box, address: h, credentials: {{username: u, hunter}}}}]"
    found = errors(text, ENV)
    assert any("devices[0].credentials: unknown key" in one for one in found)
    assert "hunter" not in "".join(found)
    assert 'did you mean "password"?' in errors(text.replace("hunter", "pasword: x"), ENV)[1]
    assert "hunter" not in "".join(errors(text.replace("hunter", "hunter: 1, hunter: 2")))
    sink = "delivery: {sinks: [{name: a, type: pusher_server, key: k, hunter}]}"
    assert "hunter" not in "".join(errors(sink))


def test_a_drivers_own_words_are_masked() -> None:
    text = f"{HEAD}devices: [{{id: a, driver: box, address: h, vms: {{id: 1}}, box: {{accounts: [{{%s}}], %s}}}}]"
    (found,) = errors(text % ("login: x, token: env:P", "mode: slow, gap: 0"), ENV | {"P": CANARY})
    assert found.endswith("devices[0].box: slow needs a gap; tokens are ['***']")
    (found,) = errors(text % (f"login: x, token: {CANARY}", "port: 666"), ENV)
    assert found.endswith("devices[0].box: not with [{'login': 'x', 'token': '***'}]")


def test_nothing_of_a_loaded_inventory_prints_a_secret() -> None:
    inventory = read(login(CANARY), ENV | {"S": f"{CANARY}2"})
    assert CANARY not in repr(inventory) + str(inventory) + inventory.digest
    for model in (inventory.bridge, inventory.delivery):
        assert CANARY not in repr(model) + str(model.model_dump()) + model.model_dump_json()
    assert '"secret":"***"' in inventory.delivery.model_dump_json()
    with pytest.raises(TypeError):
        pickle.dumps(copy.copy(inventory.devices[0]))


VALID = dedent(
    f"""\
    bridge:
      name: x
      http: {{listen: 127.0.0.1:0, url: "http://h"}}
      callbacks:
        listen: 0.0.0.0:8090
        url: http://192.0.2.5:8090
    delivery:
      outbox: {{max_age: 14d}}
      sinks:
        - {{name: a, type: pusher_server, key: k, secret: "{CANARY}", path_prefixes: ["", /ws]}}
        - name: b
          type: pusher_http
          url: http://h:6002
          app_id: app
          key: k
          secret: {CANARY}
    defaults: &d
      driver: box
      credentials:
        username: admin
        password: {CANARY}
      watch: {{poll: 30s, offline_failures: 3}}
    sites:
      - {{id: s, name: S, credentials: {{password: '{CANARY}'}}}}
    groups:
      - id: g
        box: {{accounts: [{{login: x, token: {CANARY}}}]}}
    devices:
      - id: a
        address: 192.0.2.1
        site: s
        group: g
        vms: {{id: 1, name: "N", lat: 1.5}}
        credentials: {{username: admin, password: {CANARY}}}
      - id: b
        driver: panel
        address: h
        panel:
          community: {CANARY}
        vms: {{id: 1}}
      - id: c
        kind: server
        address: h2
        channels:
          - {{source: V1, vms: {{id: 5}}}}
    """
)


def outcome(text: str) -> Inventory | InvalidInventory:
    """The one thing or the other; anything else fails the test."""
    try:
        return load_bytes(text.encode("utf-8", "surrogatepass"), FILE, environ={})
    except InvalidInventory as invalid:
        return invalid


def everything_said(result: Inventory | InvalidInventory) -> str:
    if isinstance(result, InvalidInventory):
        return "\n".join([str(result), repr(result), repr(result.problems), *traceback.format_exception(result)])
    # Not all of it: an accident may put the secret where a name or an address belongs, and the file loads.
    logins = [one.credentials.password for one in result.devices if one.credentials]
    prints = [one.fingerprint for one in result.devices]
    return "\n".join([*map(str, result.warnings), repr(result.secrets), repr(logins), *prints, result.digest])


def test_the_inventory_to_be_mangled_is_right() -> None:
    result = outcome(VALID)
    assert isinstance(result, Inventory), result
    assert len(result.devices) == 3
    assert CANARY not in everything_said(result) + repr(result)


def _mangle(text: str, rng: random.Random) -> str:
    """One small accident, never inside of the secret itself."""
    canaries = _canaries(text)
    at = rng.choice([i for i in range(len(text)) if not any(c < i < c + len(CANARY) for c in canaries)])
    lines = text.splitlines(keepends=True)
    line = rng.randrange(len(lines))
    accident = rng.randrange(8)
    if accident == 0:
        return text[:at] + rng.choice("{}[]:,-#&*!|>'\"%@`\n\t ?~\\0aé\x00\u2028") + text[at:]
    if accident == 1:
        end = min([at + rng.randint(1, 6), *(c for c in canaries if c >= at)])
        return text[:at] + text[end:]
    if accident == 2:
        return "".join(lines[:line] + lines[line + 1 :])
    if accident == 3:
        return "".join([*lines[:line], lines[line], *lines[line:]])
    if accident == 4:
        other = rng.randrange(len(lines))
        lines[line], lines[other] = lines[other], lines[line]
        return "".join(lines)
    if accident == 5:
        lines[line] = rng.choice(["", " ", "  ", "    "]) + lines[line].lstrip(" ")
        return "".join(lines)
    words = sorted({word.strip("{}[],'\"") for word in text.split()} | {"x"})
    old, new = rng.choice(words), rng.choice(words)
    if accident == 6 and old:
        return text.replace(old, new, 1)
    return text[:at]


def _canaries(text: str) -> list[int]:
    return [i for i in range(len(text)) if text.startswith(CANARY, i)]


@given(st.integers(0, 2**32), st.integers(1, 4))
@settings(max_examples=400, deadline=None)
def test_a_mangled_inventory_loads_or_is_refused_and_never_prints_a_secret(seed: int, accidents: int) -> None:
    rng = random.Random(seed)
    text = VALID
    for _ in range(accidents):
        text = _mangle(text, rng) or "x"
    said = everything_said(outcome(text))
    assert CANARY not in said, said


@given(
    st.recursive(
        st.sampled_from([CANARY, 1, None, True, ""]), lambda v: st.lists(v) | st.dictionaries(st.just(CANARY), v)
    )
)
@settings(max_examples=60, deadline=None)
def test_any_shape_where_a_secret_belongs(value: Any) -> None:

    written = json.dumps(value)
    for old in (f"password: {CANARY}", f"secret: {CANARY}", f"community: {CANARY}", f"token: {CANARY}"):
        assert CANARY not in everything_said(outcome(VALID.replace(old, f"{old.split(':')[0]}: {written}")))
