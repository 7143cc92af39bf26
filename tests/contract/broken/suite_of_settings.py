"""Drivers that are wrong on purpose, each in one way, and the test class of each: settings and commands.

Not collected by itself: `tests/contract/test_the_kit.py` runs it, and expects every test that it asks for to fail.
All are Acme's driver (`tests/third_party`) with something broken in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import ClassVar

from bridge_driver_acme.driver import AcmeDriver, AcmeSettings, _Done
from pydantic import BaseModel, ConfigDict, Field

from bridge.driver import Driver
from bridge.errors import DeviceError, ProtocolError, Rejected, Unreachable
from bridge.model import Capability, Channel, Command, Kind, Result
from bridge.secrets import Secret
from bridge.settings.limits import Limits
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import Settings, flatten, unflatten
from tests.contract.broken.base import Broken

_READING = {Capability.STREAMS, Capability.EVENTS}


class Set(Broken):
    settings_samples = ({"osd_text": {"text": "Gate", "position": "lower_left"}}, {"hostname": {"name": "gate-1"}})
    settings_refused = ({"hostname": {"name": "n" * 33}},)


# -- declaration -------------------------------------------------------------------------------------------------


class ClaimsSettings(AcmeDriver):
    apply = Driver.apply


class HidesItsSettings(AcmeDriver):
    capabilities = frozenset(_READING | {Capability.REBOOT})


class ClaimsToReboot(AcmeDriver):
    command = Driver.command


class HidesItsCommands(AcmeDriver):
    capabilities = frozenset(_READING | {Capability.SETTINGS})


class ListsWhatIsNone(AcmeDriver):
    settings: ClassVar = {**AcmeDriver.settings, "osd_text.colour": "PUT /api/settings, colour"}


class ForgetsTheLight(AcmeDriver):
    settings: ClassVar = {path: how for path, how in AcmeDriver.settings.items() if path != "vendor.acme.light"}


class ExplainsNoLight(AcmeDriver):
    class VendorSettings(AcmeSettings):
        light: bool | None = None


class TakesAnyVendorSetting(AcmeDriver):
    class VendorSettings(BaseModel):
        model_config = ConfigDict(extra="ignore")
        light: bool | None = Field(None, description="whether the button is lit")


class ListsTooLittle(AcmeDriver):
    settings: ClassVar = {path: how for path, how in AcmeDriver.settings.items() if path != "osd_text.text"}


class TestClaimsSettings(Set):
    driver = ClaimsSettings


class TestHidesItsSettings(Set):
    driver = HidesItsSettings


class TestClaimsToReboot(Set):
    driver = ClaimsToReboot


class TestHidesItsCommands(Set):
    driver = HidesItsCommands


class TestListsWhatIsNone(Set):
    driver = ListsWhatIsNone


class TestForgetsTheLight(Set):
    driver = ForgetsTheLight


class TestExplainsNoLight(Set):
    driver = ExplainsNoLight


class TestTakesAnyVendorSetting(Set):
    driver = TakesAnyVendorSetting


class TestListsTooLittle(Set):
    driver = ListsTooLittle


class TestGivesNoSamples(Broken):
    driver = AcmeDriver


# -- reading -----------------------------------------------------------------------------------------------------


class WritesWhenItReads(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        await self._ask("PUT", "/api/settings", _Done, body={})  # to see whether it may
        return await super().read_settings(channel, sections)


class ReadsItAllAlways(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        return await super().read_settings(channel, ["osd_text", *sections])


class KnowsNoLimits(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        found = await super().read_settings(channel, sections)
        return Configuration(
            found.settings, Limits({p: limit for p, limit in found.limits.fields.items() if "osd" not in p})
        )


class TellsASecret(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        found = await super().read_settings(channel, sections)
        told = flatten(found.settings) | {"sip.password": Secret("as it was")}
        return Configuration(unflatten(told), found.limits) if "sip" in sections else found


class TakesAFaultForNothing(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        try:
            return await super().read_settings(channel, sections)
        except DeviceError:
            return Configuration()


class TriesAPasswordAgain(AcmeDriver):
    async def read_settings(self, channel: Channel, sections: Collection[str]) -> Configuration:
        for _ in range(2):
            with suppress(DeviceError):
                return await super().read_settings(channel, sections)
        return await super().read_settings(channel, sections)


class TestWritesWhenItReads(Set):
    driver = WritesWhenItReads


class TestReadsItAllAlways(Set):
    driver = ReadsItAllAlways


class TestKnowsNoLimits(Set):
    driver = KnowsNoLimits


class TestTellsASecret(Set):
    driver = TellsASecret


class TestTakesAFaultForNothing(Set):
    driver = TakesAFaultForNothing


class TestTriesAPasswordAgain(Set):
    driver = TriesAPasswordAgain


# -- writing -----------------------------------------------------------------------------------------------------


class WritesNothing(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        return False


class WritesHalf(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        return await super().apply(channel, Step(step.section, step.before, step.after, step.paths[:1]))


class ForgetsTheReboot(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        await super().apply(channel, step)
        return False


class ResetsTheRest(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        await self._ask("PUT", "/api/settings", _Done, body={"light": False})
        return await super().apply(channel, step)


class WritesOnce(AcmeDriver):
    __slots__ = ("_done",)

    async def apply(self, channel: Channel, step: Step) -> bool:
        if getattr(self, "_done", None) == step:
            raise Rejected("it is like that already")
        self._done = step
        return await super().apply(channel, step)


class NeverGoesBack(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        if step.after.osd_text is not None and step.after.osd_text.text == "":
            return False
        return await super().apply(channel, step)


class CallsARefusalNonsense(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        try:
            return await super().apply(channel, step)
        except Rejected as error:
            raise ProtocolError(error.detail) from None


class CallsAnOutageARefusal(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        try:
            return await super().apply(channel, step)
        except Unreachable as error:
            raise Rejected(error.detail) from None


class SwallowsCancellationWhenItWrites(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        try:
            return await super().apply(channel, step)
        except asyncio.CancelledError:
            return False


class LeaksASocketWhenItWrites(AcmeDriver):
    __slots__ = ("_held",)

    async def apply(self, channel: Channel, step: Step) -> bool:
        self._held = await asyncio.open_connection(self.device.address, self.config.port)
        return await super().apply(channel, step)


class TestWritesNothing(Set):
    driver = WritesNothing


class TestWritesHalf(Set):
    driver = WritesHalf


class TestForgetsTheReboot(Set):
    driver = ForgetsTheReboot


class TestResetsTheRest(Set):
    driver = ResetsTheRest


class TestWritesOnce(Set):
    driver = WritesOnce


class TestNeverGoesBack(Set):
    driver = NeverGoesBack


class TestCallsARefusalNonsense(Set):
    driver = CallsARefusalNonsense


class TestCallsAnOutageARefusal(Set):
    driver = CallsAnOutageARefusal


class TestSwallowsCancellationWhenItWrites(Set):
    driver = SwallowsCancellationWhenItWrites


class TestLeaksASocketWhenItWrites(Set):
    driver = LeaksASocketWhenItWrites


# -- secrets of a step -------------------------------------------------------------------------------------------


class SetOfSecrets(Broken):
    simulator_options: ClassVar = {"kind": Kind.INTERCOM}
    settings_samples = ({"sip": {"server": "192.0.2.8", "username": "410", "password": "sip-Pass-4711"}},)
    settings_refused = ({"sip": {"password": "onlyletters"}},)


def _password(settings: Settings) -> str:
    return settings.sip.password.reveal() if settings.sip and settings.sip.password else ""


class LogsTheStep(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        self.io.log.info("writing", password=_password(step.after))
        return await super().apply(channel, step)


class QuotesTheStep(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        try:
            return await super().apply(channel, step)
        except Unreachable as error:
            raise Unreachable(f"{_password(step.after)} was not written: {error.detail}") from None


class RemembersTheStep(AcmeDriver):
    async def apply(self, channel: Channel, step: Step) -> bool:
        await self.io.memory.put("written", _password(step.after))
        return await super().apply(channel, step)


class TestLogsTheStep(SetOfSecrets):
    driver = LogsTheStep


class TestQuotesTheStep(SetOfSecrets):
    driver = QuotesTheStep


class TestRemembersTheStep(SetOfSecrets):
    driver = RemembersTheStep


class TestSaysNothingOfItsSecret(SetOfSecrets):
    driver = AcmeDriver
    settings_samples = ({"sip": {"server": "192.0.2.8"}},)


# -- commands ----------------------------------------------------------------------------------------------------


class RebootsTwice(AcmeDriver):
    async def command(self, command: Command) -> Result:
        await super().command(command)
        for _ in range(1000):  # until it is back and hears it
            with suppress(DeviceError):
                return await super().command(command)
        return Result()


class RebootsInItsHead(AcmeDriver):
    async def command(self, command: Command) -> Result:
        return Result("it reboots")


class TakesAnyCommand(AcmeDriver):
    async def command(self, command: Command) -> Result:
        return await super().command(Command(Capability.REBOOT))


class TestRebootsTwice(Set):
    driver = RebootsTwice


class TestRebootsInItsHead(Set):
    driver = RebootsInItsHead


class TestTakesAnyCommand(Set):
    driver = TakesAnyCommand
