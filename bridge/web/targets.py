"""Which cameras a request is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from bridge.config.types import invalid
from bridge.runner import Runner
from bridge.settings.selection import Selection
from bridge.web.routes import Input, Refused, Wrong

Word = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
MOST = 10_000


class Targets(Input):
    """All that is said must hold; at least one thing is. Makes, models and services are globs, upper or lower case."""

    devices: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST)] | None = Field(
        None, description="ids of devices"
    )
    site: Word | None = Field(None, description="id of a site")
    group: Word | None = Field(None, description="id of a group")
    manufacturer: Word | None = Field(None, description="who made them", examples=["Hikvision"])
    model: Word | None = Field(None, description="their model", examples=["DS-2CD2*"])
    service: Word | None = Field(None, description="their service", examples=["8MP"])
    all: bool = Field(False, description="all devices of the inventory")

    @model_validator(mode="after")
    def _says_something(self) -> Targets:
        if any(value is not None for name, value in self if name != "all") == self.all:
            raise invalid("says for which devices", "all: true, or one of the others")
        return self

    def selection(self, runners: Mapping[str, Runner]) -> Selection:
        """Raises Refused for devices that are not there."""
        wrong = [
            Wrong("no device of the inventory has this id", pointer=f"/targets/devices/{number}")
            for number, name in enumerate(self.devices or ())
            if name not in runners
        ]
        if wrong:
            raise Refused(422, "there is no such device", wrong)
        return Selection(
            devices=tuple(dict.fromkeys(self.devices or ())),
            sites=(self.site,) if self.site else (),
            groups=(self.group,) if self.group else (),
            manufacturer=self.manufacturer,
            model=self.model,
            service=self.service,
        )
