"""The Axis driver's part of the inventory: the `axis:` block."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.config.types import Duration, SecretValue, invalid

PortNumber = Annotated[int, Field(ge=0, le=63)]


class AxisConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int | None = Field(
        None, ge=1, le=65535, description="TCP port of its web server; 80 (443 with tls) if not given", examples=[8080]
    )
    tls: Literal["off", "verify", "insecure"] = Field(
        "off",
        description="HTTPS to the device: verify its certificate, or insecure to accept any (self-signed ones)",
    )
    timeout: float = Field(10.0, gt=0, le=60, description="seconds that one request may take in all")
    events: Literal["auto", "off"] = Field(
        "auto", description="auto: listen on its event stream (and to its traps); off: polls only"
    )
    ping: Annotated[Duration, Field(ge=0.2, le=300)] = Field(
        15.0, description="after so long without any sign of life the event stream counts as dead, seconds"
    )
    traps: bool = Field(
        False, description="whether it sends SNMP traps to the bridge (needs bridge.traps); they are hints to look"
    )
    trap_community: SecretValue | None = Field(
        None, description="the community that its traps carry; traps with another one are refused"
    )
    outputs: tuple[PortNumber, ...] = Field(
        (),
        max_length=8,
        description="its ports that open doors, as VAPIX numbers them (from 0): the first is output 1 of open_door; if "
        "not given, its outputs whose usage is Door, or all outputs where none is",
        examples=[[1, 2]],
    )
    door_sensor: PortNumber | None = Field(
        None,
        description="its input that tells whether the door is open; if not given, the one whose usage is Door",
        examples=[3],
    )
    open_seconds: Annotated[Duration, Field(ge=0.2, le=60)] = Field(
        5.0, description="for how long open_door opens where the output has no time of its own (monostable), seconds"
    )

    @model_validator(mode="after")
    def _traps_need_a_community(self) -> Self:
        if self.traps and self.trap_community is None:
            raise invalid("traps without trap_community", "say which community its traps carry: others are refused")
        return self
