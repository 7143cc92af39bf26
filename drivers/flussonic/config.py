"""The Flussonic driver's part of the inventory: the `flussonic:` block."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bridge.config.types import SecretValue

_PARTS = frozenset({"key", "source"})


def _pattern(text: str) -> str:
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("has a brace without its other half") from None
    names = [name for _, name, _, _ in found if name is not None]
    if any(name not in _PARTS or form or conversion for _, name, form, conversion in found if name is not None):
        raise ValueError("may have {key} and {source} in braces, and nothing else")
    if not names:
        raise ValueError("needs {key} or {source}: without them all cameras would have the same stream")
    return text


NamePattern = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_pattern)]


class FlussonicConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its HTTP API; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off",
        description="HTTPS to the server: verify its certificate, or insecure to accept any (self-signed ones)",
    )
    auth: Literal["basic", "bearer"] = Field(
        "basic", description="basic: user name and password; bearer: the password is an API token"
    )
    high: NamePattern = Field(
        "{source}",
        description="name of a camera's high stream, where its channel lists no streams; {key} and {source} are the "
        "channel's, source is its key if not given",
        examples=["{key}"],
    )
    low: NamePattern | None = Field(
        None,
        description="name of its low stream in the same way; a camera may lack it, and none has one if not given",
        examples=["{key}-low"],
    )
    events: Literal["auto", "off"] = Field(
        "auto", description="auto: the server calls the bridge about changes (needs bridge.callbacks); off: polls only"
    )
    playback_key: SecretValue | None = Field(
        None, description="key of the securetoken that protects playback, for archive clips; none: the login is sent"
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
