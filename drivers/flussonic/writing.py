"""From changed settings to the body of a PUT: only what changes, nested objects whole. Pure but for `Remembered`.

What the server takes is not told whether it merges nested objects or replaces them: all of an object is sent, null for
what is to go, which is right either way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import Rejected
from bridge.secrets import Secret
from drivers.flussonic.addresses import host, is_masked, password, shown, takes_login, username, with_login
from drivers.flussonic.settings import ALIASES, SETTINGS, URL_LENGTH, Stream, urls

KEPT = 32  # addresses of one stream that are remembered

_WORDS: Mapping[str, Any] = {"off": False, "default": None, "unlimited": None}
_THUMBNAILS: Mapping[str, Any] = {"on": True, "off": False, "on_demand": "ondemand"}


@dataclass(slots=True)
class Known:
    """What a stream had, while the driver lives: addresses with their secrets, by how they are shown and by whose
    login is in them; and its archive. With these, what a template changed can be taken back."""

    addresses: dict[tuple[str, str], Secret] = field(default_factory=dict)
    dvr: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def address(self, text: str, name: str | None = None) -> str | None:
        """What is shown like this; with a name, where it is this user's."""
        found = [one for (other, user), one in self.addresses.items() if other == text and name in (None, user)]
        return found[-1].reveal() if found else None

    def password(self, text: str, name: str) -> str | None:
        """What this user has at the same host."""
        for (_, other), one in self.addresses.items():
            if other == name and host(one.reveal()) == host(text):
                return password(one.reveal())
        return None


class Remembered:
    """Of all streams that were read."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def of(self, name: str) -> Known:
        return self._known.setdefault(name, Known())

    def note(self, name: str, stream: Stream) -> None:
        known, dvr = self.of(name), stream.get("dvr")
        root = dvr.get("root") if isinstance(dvr, dict) else None
        if isinstance(dvr, dict):
            known.dvr = dvr
        for url in (*urls(stream), *([root] if isinstance(root, str) else [])):
            known.addresses.pop((shown(url), username(url)), None)
            known.addresses[shown(url), username(url)] = Secret(url)
        while len(known.addresses) > KEPT:
            del known.addresses[next(iter(known.addresses))]


@dataclass(frozen=True, slots=True)
class Asked:
    """`changed` are names of `SETTINGS`; `which` is the stream in the words of templates."""

    stream: Stream
    wanted: Mapping[str, Any]
    changed: Collection[str]
    known: Known
    which: str


def change(asked: Asked) -> dict[str, Any]:
    """What to send. Raises Rejected for what needs a password that nobody knows."""
    keys = sorted({SETTINGS[name].wire.partition(".")[0] for name in asked.changed})
    return {key: _OBJECTS[key](asked) if key in _OBJECTS else _number(asked.wanted[key]) for key in keys}


def _number(value: Any) -> Any:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    return int(value) if isinstance(value, float) else value


def _inputs(asked: Asked) -> Any:
    """Inputs keep what else was said of them (priorities, timeouts, agents)."""
    there = asked.stream.get("inputs")
    objects = [one for one in there if isinstance(one, dict)] if isinstance(there, list) else []
    current = {shown(url[:URL_LENGTH]): one for one in objects if isinstance(url := one.get("url"), str)}
    if len(current) < len(objects):
        raise Rejected("two of its inputs look the same without their secrets: set them on the server")
    found = []
    for address in asked.wanted.get("inputs", ()):
        own = {name: value for name, value in current.get(address, {}).items() if name not in ("stats", "url")}
        unchanged = address in current and not {"input_username", "input_password"} & set(asked.changed)
        url = current[address]["url"] if unchanged else _address(address, asked)
        found.append({**own, "url": url})
    return found


def _address(address: str, asked: Asked) -> str:
    name, word = asked.wanted.get("input_username", ""), asked.wanted.get("input_password")
    if "input_password" in asked.changed and not name:
        raise Rejected(f"a password needs a user: say {asked.which}_input_username, too")
    if not takes_login(address) or not name:
        url = asked.known.address(address, "") or address
    elif "input_password" in asked.changed and word is not None:
        url = with_login(address, name, word.reveal() if isinstance(word, Secret) else str(word))
    else:
        url = asked.known.address(address, name) or ""
        if not url and (old := asked.known.password(address, name)) is not None:
            url = with_login(address, name, old)
        if not url:
            raise Rejected(f"{address} needs the password of {name}: say {asked.which}_input_password in the template")
    if is_masked(url):
        raise Rejected(f"{address} has a secret in it that nobody knows any more: set this input on the server")
    return url


def _dvr(asked: Asked) -> Any:
    there = asked.stream.get("dvr")
    # An archive that was switched off and comes back has what else was said of it.
    block = dict(there if isinstance(there, dict) else asked.known.dvr)
    names = {
        SETTINGS[name].wire.partition(".")[2]: asked.wanted[name] for name in asked.changed if name.startswith("dvr_")
    }
    for name, value in names.items():
        if (alias := ALIASES.get(name)) in block:
            block[alias] = None
        block[name] = _number(value)
    if "root" in names:
        block["root"] = asked.known.address(names["root"]) or names["root"] or None
        if is_masked(block["root"] or ""):
            raise Rejected("the archive's root has a secret in it that nobody knows any more: set it on the server")
    if "reference" in names:
        block["reference"] = names["reference"] or None
    if {"root", "reference"} & set(names) and not (block.get("root") or block.get("reference")):
        return None
    return block


def _thumbnails(asked: Asked) -> Any:
    there = asked.stream.get("thumbnails")
    value = asked.wanted["thumbnails"]
    return {**(there if isinstance(there, dict) else {}), "enabled": _THUMBNAILS.get(value, value)}


_OBJECTS: Mapping[str, Callable[[Asked], Any]] = {"inputs": _inputs, "dvr": _dvr, "thumbnails": _thumbnails}
