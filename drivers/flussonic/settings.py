"""What the streams of a camera are set to: their configuration in the server (`stream_config` of the vendor's OpenAPI
document), as the settings `vendor.flussonic` of a template.

Read is what holds, templates of the server included; written is the stream's own part, by a PUT that names only what
changes. Addresses of inputs are shown without logins, and a login is its own setting: no text has a password in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from bridge.config.types import Duration, SecretValue, Size, invalid
from bridge.settings.limits import FLAG, Between, Either, Fixed, Limit, OneOf, Text, Texts
from drivers.flussonic.addresses import shown, username

INPUTS = 8
URL_LENGTH = 500
STREAMS = ("high", "low")
FOREVER = 10 * 365 * 86400
# Where the configuration is somebody else's: written here, it would not last.
_FOREIGN = frozenset({"remote", "external"})
Stream = Mapping[str, Any]


def _input(value: object) -> object:
    if isinstance(value, str) and shown(value) != value:
        raise invalid(
            "has a login or another secret in it",
            "leave it out, and say it as high_input_username and high_input_password (low_ for the low stream)",
        )
    return value


InputUrl = Annotated[
    str, BeforeValidator(_input), Field(max_length=URL_LENGTH, pattern=r"^[a-z0-9+.-]{2,16}://[^\s@]*$")
]
Root = Annotated[str, BeforeValidator(_input), Field(max_length=URL_LENGTH)]
Seconds = Annotated[Duration, Field(ge=1, le=FOREVER)]


@dataclass(frozen=True, slots=True)
class Setting:
    """`read` takes it from a stream's configuration; it is never None: what is not set has a word for it."""

    kind: Any
    text: str
    limit: Limit
    wire: str
    read: Callable[[Stream], Any]


def _text(block: Any, key: str, longest: int = URL_LENGTH) -> str:
    value = block.get(key) if isinstance(block, dict) else None
    return value[:longest] if isinstance(value, str) else ""


def _number(block: Any, word: str, *keys: str) -> int | str:
    """The first of these keys that has a number, `off` for false, else the word for what is not set."""
    for key in keys:
        value = block.get(key) if isinstance(block, dict) else None
        if value is False:
            return "off"
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return word


def _thumbnails(stream: Stream) -> str:
    block = stream.get("thumbnails")
    enabled = block.get("enabled", True) if isinstance(block, dict) else False
    return "on_demand" if enabled == "ondemand" else "on" if enabled is True else "off"


def urls(stream: Stream) -> list[str]:
    """The addresses of its inputs, with everything in them."""
    found = stream.get("inputs")
    listed = [one.get("url") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [url[:URL_LENGTH] for url in listed if isinstance(url, str) and url][:INPUTS]


def _login(stream: Stream) -> str:
    return next((name for url in urls(stream) if (name := username(url))), "")[:64]


def inherited(stream: Stream) -> tuple[str, ...]:
    """The keys of its configuration that hold for a stream with a template and are not its own: they come from the
    template, or are what the server does by itself."""
    if not stream.get("template"):
        return ()
    own = stream.get("config_on_disk")
    own = own if isinstance(own, dict) else {}
    return tuple(sorted({one.wire.partition(".")[0] for one in SETTINGS.values() if one.wire} & set(stream) - set(own)))


# By the older names of these three, too, which the document keeps as aliases.
ALIASES: Mapping[str, str] = {
    "expiration": "dvr_limit",
    "storage_limit": "disk_space",
    "disk_usage_limit": "disk_limit",
}


def _of_dvr(key: str) -> Callable[[Stream], int | str]:
    return lambda stream: _number(stream.get("dvr"), "unlimited", key, ALIASES[key])


_OFF = OneOf(("off", "default"))
_UNLIMITED = OneOf(("unlimited",))
SETTINGS: Mapping[str, Setting] = {
    "title": Setting(
        Annotated[str, Field(max_length=200)], "title of the stream; empty: none", Text(200), "title",
        lambda stream: _text(stream, "title", 200),
    ),
    "disabled": Setting(
        bool, "whether it is switched off", FLAG, "disabled", lambda stream: stream.get("disabled") is True
    ),
    "static": Setting(
        bool, "whether it always runs; false: on demand, while somebody watches", FLAG, "static",
        lambda stream: stream.get("static") is not False,
    ),
    "inputs": Setting(
        Annotated[tuple[InputUrl, ...], Field(max_length=INPUTS)],
        "addresses of its sources without logins, the preferred one first", Texts(INPUTS), "inputs",
        lambda stream: tuple(shown(url) for url in urls(stream)),
    ),
    "input_username": Setting(
        Annotated[str, Field(max_length=64, pattern=r"^[^\s/@]*$")], "login of its sources; empty: none", Text(64),
        "inputs", _login,
    ),
    "input_password": Setting(
        SecretValue, "their password: env:NAME, file:PATH or cred:NAME", Text(128, 1), "inputs", lambda _: None
    ),
    "source_timeout": Setting(
        Literal["off", "default"] | Seconds, "without frames, after which a source counts as lost, seconds, or off",
        Either((_OFF, Between(1, FOREVER, 1))), "source_timeout",
        lambda stream: _number(stream, "default", "source_timeout"),
    ),
    "clients_timeout": Setting(
        Literal["off", "default"] | Seconds, "for which it runs on after its last viewer, on demand, seconds, or off",
        Either((_OFF, Between(1, FOREVER, 1))), "clients_timeout",
        lambda stream: _number(stream, "default", "clients_timeout"),
    ),
    "retry_limit": Setting(
        Literal["unlimited"] | Annotated[int, Field(ge=1, le=10**6)], "tries to reach its source, on demand",
        Either((_UNLIMITED, Between(1, 10**6, 1))), "retry_limit",
        lambda stream: _number(stream, "unlimited", "retry_limit"),
    ),
    "dvr_root": Setting(
        Root, "directory of its archive; empty, with no dvr_reference: no archive", Text(URL_LENGTH), "dvr.root",
        lambda stream: shown(_text(stream.get("dvr"), "root")),
    ),
    "dvr_reference": Setting(
        Annotated[str, Field(max_length=64)], "name of the server's archive that it is kept in; empty: none", Text(64),
        "dvr.reference", lambda stream: _text(stream.get("dvr"), "reference", 64),
    ),
    "dvr_expiration": Setting(
        Literal["unlimited"] | Seconds, "depth of the archive, seconds", Either((_UNLIMITED, Between(1, FOREVER, 1))),
        "dvr.expiration", _of_dvr("expiration"),
    ),
    "dvr_storage_limit": Setting(
        Literal["unlimited"] | Annotated[Size, Field(ge=1, le=10**18)], "what the archive may take, bytes",
        Either((_UNLIMITED, Between(1, 10**18, 1))), "dvr.storage_limit", _of_dvr("storage_limit"),
    ),
    "dvr_disk_usage_limit": Setting(
        Literal["unlimited"] | Annotated[int, Field(ge=1, le=100)], "how full the disk may become, percent",
        Either((_UNLIMITED, Between(1, 100, 1))), "dvr.disk_usage_limit", _of_dvr("disk_usage_limit"),
    ),
    "thumbnails": Setting(
        Literal["on", "off", "on_demand"], "pictures of it: kept, none, or made when asked for",
        OneOf(("on", "off", "on_demand")), "thumbnails.enabled", _thumbnails,
    ),
    "template": Setting(
        str, "the server's template that it follows; can only be read", Fixed(), "",
        lambda stream: _text(stream, "template", 64),
    ),
    "inherited": Setting(
        tuple[str, ...], "what of its configuration is not its own but comes from there; can only be read", Fixed(), "",
        inherited,
    ),
}  # fmt: skip

_WRITTEN = "PUT /streams/NAME, "
OPERATIONS: Mapping[str, str] = {
    f"vendor.flussonic.{which}_{name}": _WRITTEN + one.wire if one.wire else "GET /streams/NAME (read only)"
    for which in STREAMS
    for name, one in SETTINGS.items()
}
_FIELDS: dict[str, Any] = {
    f"{which}_{name}": (one.kind | None, Field(None, description=f"{which} stream: {one.text}"))
    for which in STREAMS
    for name, one in SETTINGS.items()
}
FlussonicSettings: type[BaseModel] = create_model(
    "FlussonicSettings",
    __config__=ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True),
    __doc__="What stands under `vendor.flussonic` in a template, for the high and the low stream of a camera.",
    **_FIELDS,
)


def values(stream: Stream) -> dict[str, Any]:
    """What holds for a stream, by the names of `SETTINGS`."""
    read = {name: one.read(stream) for name, one in SETTINGS.items()}
    return {name: value for name, value in read.items() if value is not None}


def limits(stream: Stream) -> dict[str, Limit]:
    foreign = stream.get("named_by") in _FOREIGN
    return {name: Fixed() if foreign else one.limit for name, one in SETTINGS.items()}
