"""The 2N driver's part of the inventory: the `two_n:` block."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge.config.types import Duration


class TwoNConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its web server; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off",
        description="HTTPS to the intercom: verify its certificate, or insecure to accept any (the factory's is "
        "self-signed)",
    )
    auth: Literal["auto", "basic", "digest"] = Field(
        "auto", description="how to log in; auto: as each of its services asks, which may differ from one to the next"
    )
    timeout: Annotated[Duration, Field(gt=0, le=60)] = Field(10, description="seconds that one request may take")
    events: Literal["auto", "off"] = Field(
        "auto", description="auto: its log is followed by a long poll; off: its state is polled only"
    )
    account: int = Field(1, ge=1, le=4, description="its SIP account that counts for status and settings")
    door_sensor: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] | None = Field(
        None,
        description="the input that its door contact is wired to; without it, the door is known from events alone",
        examples=["input1"],
    )
    door_sensor_inverted: bool = Field(False, description="whether that input is active while the door is closed")
