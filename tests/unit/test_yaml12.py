from __future__ import annotations

import io
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bridge.config import yaml12
from bridge.config.yaml12 import Map, Seq
from bridge.config.yaml_errors import Mark, YamlError

LOADERS = [yaml.CSafeLoader, yaml.SafeLoader]


@pytest.fixture(params=LOADERS, ids=["libyaml", "python"])
def _either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml12, "events_loader", lambda: request.param)


pytestmark = pytest.mark.usefixtures("_either_parser")


def load(text: str) -> Any:
    return yaml12.load(text.encode()).root


def error(text: str | bytes) -> YamlError:
    with pytest.raises(YamlError) as raised:
        yaml12.load(text if isinstance(text, bytes) else text.encode())
    return raised.value


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("11:22:33:44:55:56", "11:22:33:44:55:56"),
        ("12:30:45", "12:30:45"),
        ("190:20:30.15", "190:20:30.15"),
        ("0123", "0123"),
        ("-012", "-012"),
        ("00", "00"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", "0b101"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
        ("-.inf", -math.inf),
        (".", "."),
        ("+", "+"),
        ("e5", "e5"),
        ("9" * 200, "9" * 200),
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("Null", None),
        ("~", None),
        ("", None),
        ("2026-11-23", "2026-11-23"),
        ("2026-11-23 10:00:00", "2026-11-23 10:00:00"),
        ("=", "="),
        ("1.2.3.4", "1.2.3.4"),
        ("env:NAME", "env:NAME"),
    ],
)
def test_plain_words(plain: str, value: object) -> None:
    found = load(f"k: {plain}")["k"]
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    assert math.isnan(load("k: .nan")["k"])


@pytest.mark.parametrize("quoted", ["'1'", '"1"', "! 1", "!!str 1", "|-\n  1"])
def test_what_is_quoted_is_text(quoted: str) -> None:
    assert load(f"k: {quoted}")["k"] == "1"


@pytest.mark.parametrize(
    ("tagged", "value"),
    [("!!int 5", 5), ("!!float 5", 5.0), ("!!bool true", True), ("!!null ~", None), ("!!map {}", {}), ("!!seq []", [])],
)
def test_core_tags(tagged: str, value: object) -> None:
    found = load(f"k: {tagged}")["k"]
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "k: !thing x",
        "k: !!python/object:os.system x",
        "k: !!binary aGk=",
        "k: !!timestamp 2020-01-01",
        "k: !!set {a}",
        "k: !map []",
    ],
)
def test_other_tags_are_refused(text: str) -> None:
    found = error(text)
    assert "tag" in found.what
    assert found.mark == (1, 4)


def test_a_value_that_its_tag_denies() -> None:
    assert "tag" in error("k: !!int 0123").what


def test_nested_and_empty_documents() -> None:
    assert load("a: [1, {b: c}]\nd:\n- e\n- - f") == {"a": [1, {"b": "c"}], "d": ["e", ["f"]]}
    assert load("") is None
    assert load("# nothing\n") is None
    assert load("just text") == "just text"
    assert load("{}") == {}


# -- places ----------------------------------------------------------------------------------------------------------


def test_marks_of_keys_values_and_items() -> None:
    root = load("# head\nkey: value\nmap:\n  inner: [a,  b]\nlist:\n  - x\n  -   y: 1\n")
    assert (root.mark, root.key_mark("key"), root.value_mark("key")) == ((2, 1), (2, 1), (2, 6))
    assert root.key_mark("map") == (3, 1)
    assert root["map"].mark == (4, 3)
    assert root["map"]["inner"].item_mark(1) == (4, 15)
    assert root["list"].item_mark(0) == (6, 5)
    assert root["list"][1].value_mark("y") == (7, 10)


def test_marks_count_characters_not_bytes() -> None:
    root = load("é: {ж: 1, b: 2}\r\nc: 3")
    assert root["é"].key_mark("b") == (1, 11)
    assert root.value_mark("c") == (2, 4)


def test_marks_of_what_a_merge_brought_in() -> None:
    root = load("base: &b {x: 1,\n  y: 2}\nuse:\n  <<: *b\n  y: 3\n")
    assert root["use"] == {"y": 3, "x": 1}
    assert root["use"].value_mark("x") == (1, 14)
    assert root["use"].value_mark("y") == (5, 6)


# NEL, LS and PS are refused here; ruamel writes the first one as it is.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=10)


def _readable(text: str) -> bool:
    # In brackets the parser takes ? and a leading : for more than text: an error, or a key that nobody knows.
    return "?" not in text and not text.startswith(":")


leaf = st.one_of(
    st.integers(-(10**9), 10**9),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts.filter(_readable),
    st.text("0123456789:.-+eExob_~ntrue", max_size=8).filter(_readable),
)
# 1, 1.0 and true are three keys to YAML and one to Python: keys are text here, as they are in an inventory.
values = st.recursive(
    leaf,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts.filter(_readable), inner, max_size=4)),
    max_leaves=12,
)


@given(values, st.sampled_from([None, True, False]))
@settings(max_examples=150, deadline=None)
def test_reads_what_ruamel_writes_and_as_ruamel_reads_it(value: Any, flow: bool | None) -> None:
    ruamel = YAML(typ="safe", pure=True)
    ruamel.default_flow_style = flow
    stream = io.StringIO()
    ruamel.dump(value, stream)
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml12, "events_loader", lambda loader=loader: loader)
            ours = load(stream.getvalue())
        theirs = YAML(typ="safe", pure=True).load(stream.getvalue())
        assert plain(ours) == theirs == value
        assert repr(plain(ours)) == repr(theirs)  # 1 is not True


def plain(value: Any) -> Any:
    if isinstance(value, Map):
        return {key: plain(inside) for key, inside in value.items()}
    if isinstance(value, Seq):
        return [plain(inside) for inside in value]
    return value


words = st.text("abcdefghij", min_size=1, max_size=6)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], Mark]]:
    """A document in block style with comments and empty lines, and where each value stands in it."""
    lines: list[str] = []
    marks: dict[tuple[str | int, ...], Mark] = {}

    def noise() -> None:
        lines.extend(draw(st.lists(st.sampled_from(["", "   ", "# note", "      # ж: deep"]), max_size=2)))

    def block(path: tuple[str | int, ...], indent: int, depth: int) -> None:
        for key in draw(st.lists(words, min_size=1, max_size=3, unique=True)):
            noise()
            here = (*path, key)
            shape = draw(st.sampled_from(["leaf", "map", "list"] if depth else ["leaf"]))
            head = f"{' ' * indent}{key}:"
            if shape == "leaf":
                gap = " " * draw(st.integers(1, 3))
                lines.append(f"{head}{gap}{draw(words)}")
                marks[here] = Mark(len(lines), len(head) + len(gap) + 1)
            elif shape == "map":
                lines.append(head)
                block(here, indent + draw(st.integers(1, 4)), depth - 1)
            else:
                lines.append(head)
                dash = indent + draw(st.integers(0, 2))
                for index in range(draw(st.integers(1, 3))):
                    noise()
                    lines.append(f"{' ' * dash}- {draw(words)}")
                    marks[*here, index] = Mark(len(lines), dash + 3)

    block((), 0, 2)
    return "\n".join(lines) + draw(st.sampled_from(["", "\n"])), marks


@given(layouts())
@settings(max_examples=100, deadline=None)
def test_every_value_knows_its_place(layout: tuple[str, dict[tuple[str | int, ...], Mark]]) -> None:
    text, marks = layout
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml12, "events_loader", lambda loader=loader: loader)
            root = load(text)
        for path, mark in marks.items():
            node = root
            for part in path[:-1]:
                node = node[part]
            last: Any = path[-1]
            assert (node.item_mark(last) if isinstance(node, Seq) else node.value_mark(last)) == mark


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_key_twice_names_both_lines() -> None:
    found = error("a: 1\nb: {x: 1}\na: 2\n")
    assert found.mark == (3, 1)
    assert "line 1" in found.what
    assert found.path == ("a",)


@pytest.mark.parametrize("text", ["1: a\n0x1: b", "{k: 1, 'k': 2}", "{true: 1, True: 2}", "{1: a, true: b}"])
def test_keys_that_mean_the_same_are_the_same(text: str) -> None:
    assert "twice" in error(text).what


def test_the_place_of_an_error_has_a_path() -> None:
    assert error("devices:\n- {id: a}\n- id: b\n  vms: {id: 1, id: 2}").path == ("devices", 1, "vms", "id")
    assert error("devices:\n- a\n- *b").path == ("devices", 1)


def test_aliases() -> None:
    root = load("a: &x {k: [1]}\nb: *x\nc: &x 5\nd: *x")
    assert root["b"] == {"k": [1]}
    assert root["d"] == 5


def test_merge_keys() -> None:
    root = load("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\nd: {<<: {q: 1}}\ne: {'<<': 1}")
    assert root["c"] == {"x": 1, "y": 1, "z": 3}
    assert root["d"] == {"q": 1}
    assert root["e"] == {"<<": 1}


@pytest.mark.parametrize("text", ["<<: 5", "<<: [1]", "<<: {}\n<<: {}"])
def test_merge_keys_that_make_no_sense(text: str) -> None:
    assert "<<" in error(text).what


def test_an_unknown_alias_is_not_repeated() -> None:
    found = error("password: *hunter2")
    assert found.mark == (1, 11)
    assert "hunter2" not in found.what + found.mend


def test_an_alias_to_what_contains_it() -> None:
    assert "contains" in error("a: &x [1, *x]").what


def test_an_alias_bomb() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert "too large" in error("\n".join(lines)).what


def test_a_merge_bomb() -> None:
    lines = ["a0: &a0 {k: 1}", *(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: *a{n - 1}}}" for n in range(1, 60))]
    assert "too large" in error("\n".join(lines)).what


def test_too_deep() -> None:
    assert load("[" * yaml12.MAX_DEPTH + "]" * yaml12.MAX_DEPTH) is not None
    assert "deep" in error("[" * (yaml12.MAX_DEPTH + 1)).what


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml12, "MAX_BYTES", 100)
    assert "MB" in error("#" * 101).what
    monkeypatch.setattr(yaml12, "MAX_NODES", 10)
    assert "more than 10 values" in error("[1,2,3,4,5,6,7,8,9,10]").what


def test_maps_and_lists_are_no_keys() -> None:
    assert error("{a: 1}: x").mark == (1, 1)
    assert "key" in error("? [a]\n: x").what


def test_byte_order_mark() -> None:
    root = yaml12.load(b"\xef\xbb\xbfa: {b: 1}").root
    assert root["a"].key_mark("b") == (1, 5)
    assert "tab" in error("\ufeffa:\n\tb: 1").what


def test_not_utf8_has_a_place() -> None:
    found = error("a: é\nb: x".encode() + b"\xff")
    assert found.mark == (2, 5)
    assert "UTF-8" in found.what


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x7f", "\x85", "\u2028", "\ufffe"])
def test_invisible_characters_have_a_place(character: str) -> None:
    found = error(f"a: 1\nb: ж{character}")
    assert found.mark == (2, 5)
    assert f"U+{ord(character):04X}" in found.what


def test_only_the_first_document_counts() -> None:
    document = yaml12.load(b"a: 1\n---\nb: [")
    assert document.root == {"a": 1}
    assert document.rest == (2, 1)
    assert yaml12.load(b"---\na: 1\n...\n").rest is None


@pytest.mark.parametrize(
    ("text", "mark", "word"),
    [
        ("a:\n\tb: 1", (2, 1), "tab"),
        ("\ta: 1", (1, 1), "tab"),
        ("a: b: c", (1, 5), "one line"),
        ("a: 1\nbare\nc: 2", (2, 1), "neither a key"),
        ("a: 'x\nb: 1", (1, 4), "never closed"),
        ('a: "x\nb: 1', (1, 4), "never closed"),
        ("a: [1, 2\nb: 1", (1, 4), "bracket"),
        ("a: {x: 1\nb: 2", (1, 4), "bracket"),
        ("a: @x", (1, 4), "cannot begin"),
        ("a: %x", (1, 4), "cannot begin"),
        ("a: `x", (1, 4), "cannot begin"),
        ("a: *", (1, 4), "* must be in quotes"),
        ("a: &", (1, 4), "& must be in quotes"),
        ("a: !x!y z", (1, 4), "! must be in quotes"),
        ("a: |x\n  b", (1, 4), "| or >"),
        ("a: ? b", (1, 4), "?"),
        ("a:\n  - 1\n b: 2", (3, 2), "indentation"),
        ("- a\nb: 1", (2, 1), "indentation"),
        ('a: "x" y', (1, 8), "does not fit"),
        ("a: -", (1, 4), "list item|does not fit"),
        ("a: ]", (1, 4), "value is expected"),
        ("%YAML 2.0\n---\na: 1", (1, 1), "version"),
        ("a: x\n...\nb: 1", (3, 1), "ends before"),
    ],
)
def test_syntax_errors_in_plain_words(text: str, mark: tuple[int, int], word: str) -> None:
    found = error(text)
    assert found.mark == mark
    assert any(part in found.what for part in word.split("|")), found.what
    assert found.mend


def test_a_bad_escape() -> None:
    found = error('a: "\\q"')
    assert found.mark.line == 1
    assert "backslash" in found.what


@given(st.text(max_size=40) | st.text("ab:-[]{}\n\t '\"&*!|>%@`#,?", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_document_or_one_error_in_the_text(text: str) -> None:
    found = outcome(text.encode("utf-8", "surrogatepass"))
    assert not isinstance(found, YamlError) or found.mark.line <= text.count("\n") + text.count("\r") + 2


@given(st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_document_or_one_error(data: bytes) -> None:
    found = outcome(data)
    assert not isinstance(found, YamlError) or found.mend


def outcome(data: bytes) -> yaml12.Document | YamlError:
    try:
        return yaml12.load(data)
    except YamlError as found:
        return found
