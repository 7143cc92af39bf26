"""The ONVIF driver's part of the inventory: the `onvif:` block."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EventMode(StrEnum):
    """How events come in. `auto` pulls, and lets the device push where pulling does not work."""

    AUTO = "auto"
    PULL = "pull"
    PUSH = "push"
    OFF = "off"


class StreamCheck(StrEnum):
    """What proves that a stream is up."""

    NONE = "none"
    OPTIONS = "options"
    DESCRIBE = "describe"


class OnvifConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="TCP port of the ONVIF service; 80 (443 with tls) if not given. Tapo: 2020, XM: 8899, YooSee: 5000",
    )
    path: str = Field(
        "/onvif/device_service",
        pattern=r"^/",
        description="path of the device service",
        examples=["/onvif/device_service"],
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off",
        description="HTTPS to the device: verify its certificate, or insecure to accept any (self-signed ones)",
    )
    auth: Literal["auto", "digest", "wsse"] = Field(
        "auto", description="how to log in; auto does what the device asks for"
    )
    events: EventMode = Field(
        EventMode.AUTO, description="pull (PullPoint), push (the device calls us; needs bridge.callbacks), auto or off"
    )
    stream_check: StreamCheck = Field(
        StreamCheck.NONE,
        description="prove each stream over RTSP on every poll: none trusts the profile list, "
        "options asks the RTSP server, describe asks for the very stream",
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
