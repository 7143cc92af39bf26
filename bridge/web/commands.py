"""What a device is set to, and what it can be made to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bridge.files import Shelf
from bridge.model import Capability, Command, Fact, Result
from bridge.runner import Runner
from bridge.settings.plan import Configuration
from bridge.settings.vocabulary import SECTIONS
from bridge.web.devices import Devices
from bridge.web.initiator import Doing
from bridge.web.plans import SettingsView, settings_view
from bridge.web.routes import Call, Input, Refused, Route, Wrong
from bridge.web.targets import Word

SECONDS = 75.0
Text = Annotated[str, Field(max_length=200)]
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Action = Literal["reboot", "open_door", "snapshot", "power_cycle"]

TROUBLES = {
    409: "the device refused, or a command with this key is under way",
    502: "the device refuses the credentials, or answers what cannot be understood",
    503: "the device is locked or has too much to do",
    504: "the device does not answer",
}
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png"}


class SettingsQuery(Input):
    section: Annotated[tuple[Word, ...], Field(max_length=len(SECTIONS))] = Field(
        (), description="only these sections; all that the device has if none is named", examples=["ntp"]
    )
    channel: Text | None = Field(None, description="key of the channel; needed where the device has several")


class CommandRequest(Doing):
    """One thing to do, once."""

    action: Action = Field(description="what to do")
    channel: Text | None = Field(None, description="key of the channel; the whole device if not given")
    arguments: Annotated[dict[Word, Text | Whole | bool | None], Field(max_length=16)] = Field(
        default_factory=dict, description="what it needs: `output` of open_door, `port` of power_cycle"
    )


@dataclass(frozen=True, slots=True)
class CommandView:
    """What came of it. A picture can be fetched from `url` for a while, without a token."""

    action: Action
    detail: str
    content_type: str | None
    url: str | None


class Commands:
    def __init__(self, devices: Devices, shelf: Shelf) -> None:
        self._devices = devices
        self._shelf = shelf

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/devices/{device}/settings", "What a device is set to, and what it would take",
                  self.settings, SettingsView, query=SettingsQuery, seconds=SECONDS, errors=TROUBLES),
            Route("POST", "/devices/{device}/commands", "Have a device do something, once", self.command, CommandView,
                  scope="write", body=CommandRequest, headers=("X-Socket-ID",), needs=("Idempotency-Key",),
                  seconds=SECONDS, errors={**TROUBLES, 507: "there is no room for the picture"}),
        ]  # fmt: skip

    async def settings(self, call: Call) -> SettingsView:
        asked: SettingsQuery = call.query
        runner = self._devices.runner(call.path["device"])
        if any(name not in SECTIONS for name in asked.section):
            raise Refused(
                422, "there is no such section", [Wrong(f"one of {', '.join(SECTIONS)}", parameter="section")]
            )
        channel = self._devices.channel(runner, asked.channel)
        return settings_view(runner.device.id, channel, await self.read(runner, channel, asked.section or SECTIONS))

    async def read(self, runner: Runner, channel: str, sections: tuple[str, ...] = SECTIONS) -> Configuration:
        """Ask the device. Raises Refused, DeviceError."""
        _able(runner, Capability.SETTINGS)
        one = next(one for one in runner.device.channels if one.key == channel)
        async with runner.mailbox.exclusive() as driver:
            return await driver.read_settings(one, sections)

    async def command(self, call: Call) -> CommandView:
        asked: CommandRequest = call.body
        runner = self._devices.runner(call.path["device"])
        if asked.channel is not None:
            self._devices.channel(runner, asked.channel)
        capability = Capability(asked.action)
        _able(runner, capability)
        arguments: dict[str, Fact] = dict(asked.arguments)
        result = await runner.mailbox.command(Command(capability, asked.channel, arguments))
        url = await self._shelved(runner, result) if result.data else None
        return CommandView(asked.action, result.detail, result.content_type or None, url)

    async def _shelved(self, runner: Runner, result: Result) -> str:
        name = f"{runner.device.id}{_ENDINGS.get(result.content_type, '')}"
        file = await self._shelf.put(result.data, name, result.content_type)
        await self._shelf.keep(file)
        return file.url


def _able(runner: Runner, capability: Capability) -> None:
    """Raises Refused."""
    identity = runner.state.identity
    if identity is None:
        raise Refused(503, "the device has not answered yet, so nobody knows what it can do")
    if capability not in identity.capabilities:
        raise Refused(422, f"this device cannot do that: {capability}")
