"""Which cameras a request is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from bridge.config.types import invalid
from bridge.model import Capability, Identity
from bridge.runner import Runner
from bridge.settings.templates import Match
from bridge.web.ports import Target
from bridge.web.routes import Input, Refused, Wrong

Word = Annotated[str, Field(min_length=1, max_length=200)]
MOST = 10_000


class Targets(Input):
    """All that is said must hold; at least one thing is. Makes, models and the rest are globs, upper or lower case."""

    devices: Annotated[tuple[Word, ...], Field(min_length=1, max_length=MOST)] | None = Field(
        None, description="ids of devices"
    )
    site: Word | None = Field(None, description="id of a site")
    group: Word | None = Field(None, description="id of a group")
    manufacturer: Word | None = Field(None, description="who made them", examples=["Hikvision"])
    model: Word | None = Field(None, description="their model", examples=["DS-2CD2*"])
    service: Word | None = Field(None, description="their service", examples=["8MP"])
    driver: Word | None = Field(None, description="their driver", examples=["onvif"])
    all: bool = Field(False, description="all devices of the inventory")

    @model_validator(mode="after")
    def _says_something(self) -> Targets:
        said = any(value is not None for name, value in self if name != "all")
        if said == self.all:
            raise invalid("says for which devices", "all: true, or one of the others")
        return self

    def resolve(self, runners: Mapping[str, Runner]) -> list[Target]:
        """The channels meant, in the order of the devices' ids. Devices that are named must be there and must have
        settings; of the others those that have. Raises Refused."""
        wrong = [
            Wrong("no device of the inventory has this id", pointer=f"/targets/devices/{number}")
            for number, name in enumerate(self.devices or ())
            if name not in runners
        ]
        if wrong:
            raise Refused(422, "there is no such device", wrong)
        match = Match(self.manufacturer, self.model, self.service, self.driver)
        found = []
        for name in sorted(set(self.devices) if self.devices is not None else runners):
            device, identity = runners[name].device, runners[name].state.identity
            if (self.site is not None and device.site != self.site) or (
                self.group is not None and device.group != self.group
            ):
                continue
            if self.devices is None and identity is not None and Capability.SETTINGS not in identity.capabilities:
                continue
            found += [
                Target(name, channel.key)
                for channel in device.channels
                if match == Match() or match.fits(device, channel, identity or Identity())
            ]
        return found
