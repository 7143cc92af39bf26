"""The BAS-IP driver's part of the inventory: the `basip:` block."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BasIpConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its HTTP API; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off", description="HTTPS to the panel: verify its certificate, or insecure to accept any (self-signed ones)"
    )
    auth: Literal["token", "basic"] = Field(
        "token",
        description="token: log in and use the token that it gives; basic: HTTP Basic, which some panels accept",
    )
    events: Literal["auto", "off"] = Field(
        "auto", description="auto: have the panel report what happens, and read its log; off: neither"
    )
    push: Literal["auto", "http", "syslog", "log"] = Field(
        "auto",
        description="how it reports: http (it calls bridge.callbacks), syslog (it sends to bridge.syslog), log (it is "
        "only asked for its log, every few seconds); auto: the first of these that the inventory opens",
    )
    syslog_name: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="the host name in its syslog lines, where several panels stand behind one address",
    )
    timeout: float = Field(
        10.0, gt=0, le=60, description="seconds that one request may take in all; a picture takes 2 to 4"
    )
