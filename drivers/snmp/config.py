"""The SNMP driver's part of the inventory: the `snmp:` block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bridge.config.types import SecretValue
from drivers.snmp import profiles

PortNumber = Annotated[int, Field(ge=1, le=4096)]


class PortConfig(BaseModel):
    """How the switch itself calls a port, where that is not the number on its front."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interface: int | None = Field(None, ge=1, description="its ifIndex; its number if not given")
    poe: str | None = Field(
        None,
        pattern=r"^\d+\.\d+$",
        description="its group and port in POWER-ETHERNET-MIB; 1 and its number if not given",
    )


class SnmpConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    port: int = Field(161, ge=1, le=65535, description="UDP port of the agent")
    version: Literal["1", "2c", "3"] = Field(
        "2c",
        description="of the protocol; with 1 and 2c the password of `credentials` is the community, with 3 it is the "
        "user's authentication password",
    )
    auth: Literal["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"] = Field(
        "sha256", description="how an SNMPv3 user signs"
    )
    privacy: Literal["none", "des", "aes128", "aes192", "aes256"] = Field(
        "aes128", description="how an SNMPv3 user's messages are encrypted"
    )
    privacy_password: SecretValue | None = Field(
        None, description="the password for that; the authentication password if not given"
    )
    profile: str = Field("auto", description="what is asked; auto goes by sysObjectID", examples=["auto", "hikvision"])
    client: Literal["gufo", "pysnmp"] = Field("gufo", description="the library that polls; pysnmp takes 2 MB a device")
    traps: bool = Field(True, description="listen to its traps and informs, where bridge.traps does")
    trap_community: SecretValue | None = Field(
        None, description="the community of its v1 and v2c traps; that of version 1 and 2c if not given"
    )
    ports: Mapping[PortNumber, PortConfig] = Field(
        default_factory=dict, description="a switch's ports by number, where its own numbers differ"
    )
    off_seconds: float = Field(5.0, ge=1, le=60, description="how long a power cycle takes the power away")
    timeout: float = Field(2.0, gt=0, le=30, description="seconds that one datagram is waited for; it is sent twice")

    @field_validator("profile")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "auto" and name not in profiles.load():
            raise ValueError(f"auto, or one of {', '.join(profiles.load())}")
        return name
