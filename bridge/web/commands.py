"""What a device is set to, and what it can be made to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bridge.model import Command, Fact
from bridge.settings.vocabulary import SECTIONS
from bridge.web.devices import Devices
from bridge.web.initiator import Doing
from bridge.web.ports import COMMAND_CAPABILITIES, CommandName, Hands, SettingsView, Target
from bridge.web.routes import Call, Input, Refused, Route, Wrong
from bridge.web.targets import Word

SECONDS = 75.0
Text = Annotated[str, Field(max_length=200)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Argument = Text | Whole | bool | None

TROUBLES = {
    409: "the device refused, or the key was used for another command",
    502: "the device refuses the credentials, or answers what cannot be understood",
    503: "the device is locked or has too much to do",
    504: "the device does not answer",
}


class SettingsQuery(Input):
    section: Annotated[tuple[Word, ...], Field(max_length=len(SECTIONS))] = Field(
        (), description="only these sections; all that the device has if none is named", examples=["ntp"]
    )
    channel: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="key of the channel; needed where the device has several"
    )


class CommandRequest(Doing):
    """One thing to do, once."""

    action: CommandName = Field(description="what to do")
    channel: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="key of the channel; the whole device if not given"
    )
    arguments: Annotated[dict[Word, Argument], Field(max_length=16)] = Field(
        default_factory=dict, description="what it needs: `output` of open_door, `port` of power_cycle"
    )


@dataclass(frozen=True, slots=True)
class CommandView:
    """What came of it. A picture is at `url` for a while."""

    action: CommandName
    detail: str
    content_type: str | None
    url: str | None


class Commands:
    def __init__(self, hands: Hands, devices: Devices) -> None:
        self._hands = hands
        self._devices = devices

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/devices/{device}/settings", "What a device is set to, and what it would take",
                  self.settings, SettingsView, query=SettingsQuery, seconds=SECONDS, errors=TROUBLES),
            Route("POST", "/devices/{device}/commands", "Have a device do something, once", self.command, CommandView,
                  scope="write", body=CommandRequest, headers=("Idempotency-Key", "X-Socket-ID"), seconds=SECONDS,
                  errors=TROUBLES),
        ]  # fmt: skip

    async def settings(self, call: Call) -> SettingsView:
        asked: SettingsQuery = call.query
        runner = self._devices.runner(call.path["device"])
        unknown = [name for name in asked.section if name not in SECTIONS]
        if unknown:
            raise Refused(
                422, "there is no such section", [Wrong(f"one of {', '.join(SECTIONS)}", parameter="section")]
            )
        target = Target(runner.device.id, self._devices.channel(runner, asked.channel))
        return await self._hands.work.settings(target, asked.section)

    async def command(self, call: Call) -> CommandView:
        asked: CommandRequest = call.body
        runner = self._devices.runner(call.path["device"])
        if asked.channel is not None:
            self._devices.channel(runner, asked.channel)
        capability = COMMAND_CAPABILITIES[asked.action]
        identity = runner.state.identity
        if identity is None:
            raise Refused(503, "the device has not answered yet, so nobody knows what it can do")
        if capability not in identity.capabilities:
            raise Refused(422, f"this device cannot do that: {asked.action}", [Wrong("not this", pointer="/action")])
        arguments: dict[str, Fact] = dict(asked.arguments)
        command = Command(capability, asked.channel, arguments)
        key = f"{call.token.digest}:{call.headers['Idempotency-Key']}"
        result = await self._hands.commander.run(runner.device.id, command, call.by, key)
        url = None
        if result.data:
            url = await self._hands.keep(f"{runner.device.id}-{asked.action}", result.data, result.content_type)
        return CommandView(asked.action, result.detail, result.content_type or None, url)
