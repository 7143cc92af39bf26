"""The Akuvox driver's part of the inventory: the `akuvox:` block."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.config.types import SecretValue


class AkuvoxConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its HTTP API; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off", description="HTTPS: verify its certificate, or insecure to accept any and old cryptography"
    )
    auth: Literal["auto", "basic", "digest"] = Field(
        "auto", description="auto: what the panel asks for; basic or digest: that and nothing else"
    )
    gap: float = Field(
        0.25, ge=0, le=5, description="least pause between two requests, seconds: its web server hangs without one"
    )
    events: Literal["auto", "off"] = Field(
        "auto",
        description="auto: the panel calls the bridge and sends syslog, where the bridge listens; off: polls only, "
        "and what the bridge has set there before is taken back",
    )
    syslog_name: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="host name in its syslog lines, where several panels stand behind one address",
    )
    relay_username: str | None = Field(
        None,
        max_length=64,
        description="user of `Open Relay via HTTP`, for models without a relay API; the login's own if not given",
    )
    relay_password: SecretValue | None = Field(None, description="its password: env:NAME, file:PATH or cred:NAME")
    picture_port: int = Field(8080, ge=1, le=65535, description="TCP port of its pictures (picture.jpg)")
    picture_username: str | None = Field(
        None, max_length=64, description="user of RTSP and pictures, where it is not the login's"
    )
    picture_password: SecretValue | None = Field(None, description="its password: env:NAME, file:PATH or cred:NAME")
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
