"""The types of inventory fields, for our models and for those of drivers.

A validator here raises `invalid(...)`: what is wrong and how to mend it, never the value.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from bridge.config.references import References, Unresolved
from bridge.config.units import parse_duration, parse_size
from bridge.secrets import MASK, Secret

INVALID = "inventory"  # the error type of `invalid`
_HOST = re.compile(r"(?=.{1,253}$)[^\W_](?:[\w-]{0,61}\w)?(?:\.[\w-]{1,63})*\.?")
_LOOKS_LIKE_IPV4 = re.compile(r"[0-9.]+")
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^\s:/@]+)):(?P<port>[0-9]{1,5})", re.ASCII)


def invalid(what: str, mend: str = "") -> PydanticCustomError:
    """The error for a validator to raise; becomes a `Problem` with these two texts."""
    return PydanticCustomError(INVALID, "{what}", {"what": what, "mend": mend})


def read_duration(value: object) -> float:
    """Seconds; see `parse_duration`. Raises `invalid`."""
    try:
        return parse_duration(value)
    except ValueError:
        raise invalid("must be a duration", "write it like 30s, 5m, 1h30m, 2d, 250ms, or as seconds") from None


def _size(value: object) -> int:
    try:
        return parse_size(value)
    except ValueError:
        raise invalid("must be a size", "write it like 512KB, 1MB, 1MiB, or as bytes") from None


Duration = Annotated[
    float,
    BeforeValidator(read_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {
                    "type": "string",
                    "pattern": r"^(?=.)(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?$",
                },
            ]
        }
    ),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)? ?([KkMmGg][Ii]?)?[Bb]?$"},
            ]
        }
    ),
]


def _secret(value: object, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise invalid("must be text", "put it in quotes, or better: write env:NAME or file:PATH")
    if not isinstance(info.context, References):
        return Secret(value)
    try:
        return info.context.resolve(value)
    except Unresolved as error:
        advice = error.advice
    raise invalid(*advice)


# A secret: env:NAME, file:PATH or cred:NAME. Outside an inventory (a driver's own tests) any text is the secret itself.
SecretValue = Annotated[
    Secret,
    PlainValidator(_secret),
    PlainSerializer(lambda _: MASK, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["env:NAME", "file:PATH", "cred:NAME"]}),
]


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise invalid("must be a path", "write it relative to this file, or in full")
    if isinstance(info.context, References) and info.context.imported:
        raise invalid("an imported file cannot name files of this machine", "say it in the inventory")
    return info.context.directory / value if isinstance(info.context, References) else Path(value)


def _file(value: object, info: ValidationInfo) -> Path:
    path = _path(value, info)
    if isinstance(info.context, References) and not path.is_file():
        raise invalid("there is no such file, or it may not be looked at", "create it, or correct the path")
    return path


# A path, relative to the inventory's directory; the second one must be that of a file.
FilePath = Annotated[Path, PlainValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
ExistingFile = Annotated[Path, PlainValidator(_file), WithJsonSchema({"type": "string", "minLength": 1})]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener binds. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def everywhere(self) -> bool:
        """It binds all interfaces, so it is not an address that others could use."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


def parse_listen(value: object) -> Listen:
    """`host:port`, an IPv6 address in brackets. Raises `invalid`."""
    if isinstance(value, Listen):
        return value
    match = _LISTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"]) > 65535 or not _is_host(match["v6"] or match["host"], v6=bool(match["v6"])):
        raise invalid(
            "must be host:port", "write it like 127.0.0.1:8080 or [::1]:8080; 0.0.0.0 stands for all interfaces"
        )
    return Listen(match["v6"] or match["host"], int(match["port"]))


ListenAddress = Annotated[
    Listen,
    PlainValidator(parse_listen),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^.+:\d{1,5}$"}),
]


def _is_host(host: str, *, v6: bool = False) -> bool:
    try:
        return ipaddress.ip_address(host).version == (6 if v6 else 4)
    except ValueError:
        return not v6 and bool(_HOST.fullmatch(host)) and not _LOOKS_LIKE_IPV4.fullmatch(host)


def _address(value: object) -> str:
    if not isinstance(value, str):
        raise invalid("must be an IP address or a host name", "put it in quotes")
    if "@" in value:
        raise invalid(
            "has a user name in it, maybe a password", "leave only the host here and say the rest under credentials"
        )
    if "://" in value:
        raise invalid("must be a host, not a URL", "leave only the host: the part between // and the next : or /")
    if "/" in value:
        raise invalid("must be a host, without a path", "leave only the part before the first /")
    if value.startswith("[") and value.endswith("]"):
        raise invalid("must be a plain address", "write the IPv6 address without brackets")
    if value.count(":") == 1 or value.startswith("["):
        raise invalid(
            "must be a host, without a port", "say the port in the driver's own block, as in onvif: {port: 8080}"
        )
    if not _is_host(value, v6=":" in value):
        raise invalid("is not an IP address or a host name", "write it like 192.0.2.10 or camera-1.example.net")
    return value


Address = Annotated[str, BeforeValidator(_address), Field(min_length=1)]


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise invalid("must be a URL", "write it like http://192.0.2.5:8080")
    try:
        parts = urlsplit(value)
        # `port` raises ValueError for what is no port.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = None
    if "@" in value.partition("//")[2].partition("/")[0] or "@" in value.partition("/")[0]:
        raise invalid("has a user name in it, maybe a password", "leave out everything from // to @")
    if not usable or parts is None or any(c.isspace() or not c.isprintable() for c in value):
        raise invalid("must be a URL", "write it like http://192.0.2.5:8080, with http:// or https://")
    if parts.query or parts.fragment:
        raise invalid("must be a URL without ? and #", "leave out everything from there on")
    return value.rstrip("/")


# http or https, without user information, query and trailing slash.
Url = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "pattern": r"^https?://[^\s@?#]+$"})]

Id = Annotated[
    str,
    Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"),
]

SocketKey = Literal["page", "always", "never"]


def _batch(value: Any) -> Any:
    if value in ("auto", "off") and isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10:
        return value
    raise invalid("must be auto, off, or a number", "write auto, off, or a number from 1 to 10")


Batch = Annotated[
    Literal["auto", "off"] | int,
    PlainValidator(_batch),
    WithJsonSchema({"anyOf": [{"enum": ["auto", "off"]}, {"type": "integer", "minimum": 1, "maximum": 10}]}),
]
