"""The Beward driver's part of the inventory: the `beward:` block."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BewardConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its web server; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off", description="HTTPS to the panel: verify its certificate, or insecure to accept any (self-signed ones)"
    )
    auth: Literal["auto", "basic", "digest"] = Field(
        "auto", description="auto: what the panel asks for; basic: sent unasked; digest: never the password itself"
    )
    events: Literal["auto", "off"] = Field(
        "auto",
        description="auto: over syslog, where bridge.syslog is in the inventory and the panel's syslog is free, else "
        "over its stream of alarms; off: none, and a syslog target of ours is taken out",
    )
    syslog_name: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="host name in its syslog lines; tells panels behind one address (NAT) apart",
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
