"""The Hikvision driver's part of the inventory: the `hikvision:` block."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HikvisionConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its web server; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off", description="HTTPS to the panel: verify its certificate, or insecure to accept any (self-signed ones)"
    )
    events: Literal["auto", "stream", "webhook", "log", "off"] = Field(
        "auto",
        description="how it reports: its event stream, its webhook (needs bridge.callbacks), its log read every few "
        "seconds; auto: the stream, and where the panel refuses one the webhook or the log; off: not at all",
    )
    calls: Literal["auto", "poll", "off"] = Field(
        "auto",
        description="auto: calls are asked for every 1.5 s where the panel reports none by itself; poll: always",
    )
    silence: float = Field(
        900.0,
        ge=10,
        le=86400,
        description="seconds without a word after which the event stream of a panel without heartbeats is opened anew",
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
