"""Drivers that are wrong on purpose, each in one way, and the test class of each: health, secrets and budget.

Not collected by itself: `tests/contract/test_the_kit.py` runs it, and expects every test that it asks for to fail.
All are Acme's driver (`tests/third_party`) with something broken in it.
"""

from __future__ import annotations

import hashlib
import time
from typing import ClassVar

import aiohttp
from bridge_driver_acme.driver import AcmeDriver, Reply

from bridge.errors import AuthFailed, DeviceError, Unreachable
from bridge.model import Identity, Reading
from tests.contract.broken.base import Broken

# -- health ------------------------------------------------------------------------------------------------------


class _OwnHttp(AcmeDriver):
    """Does HTTP by itself, the way that comes to mind first."""

    follow: ClassVar[bool] = False
    limit: ClassVar[float | None] = 0.5
    errors: ClassVar[tuple[type[Exception], ...]] = (aiohttp.ClientError, TimeoutError, ValueError)

    async def _ask(self, method: str, path: str, reply: type[Reply], wait: int = 0) -> Reply:
        timeout = aiohttp.ClientTimeout(total=self.limit and self.limit + wait)
        try:
            async with self.io.http.request(
                method,
                self._origin.with_path(path),
                headers=self._authorization(),
                timeout=timeout,
                allow_redirects=self.follow,
            ) as response:
                if response.status == 401:
                    raise AuthFailed("refused")
                return reply.model_validate_json(await response.read())
        except self.errors as error:
            raise Unreachable(type(error).__name__) from None


class FollowsTheRedirect(_OwnHttp):
    follow = True


class HangsInABlackHole(_OwnHttp):
    limit = None


class LetsForeignErrorsOut(_OwnHttp):
    errors = (aiohttp.ClientConnectorError, TimeoutError)


class ReadsItAll(_OwnHttp):
    pass


class RetriesAWrongPassword(AcmeDriver):
    async def _ask(self, method: str, path: str, reply: type[Reply], wait: int = 0) -> Reply:
        try:
            return await super()._ask(method, path, reply, wait)
        except AuthFailed:
            return await super()._ask(method, path, reply, wait)


class CallsEverythingUnreachable(AcmeDriver):
    async def probe(self) -> Identity:
        try:
            return await super().probe()
        except DeviceError as error:
            raise Unreachable(error.detail) from error


class NeedsTheRightTime(AcmeDriver):
    async def poll(self) -> Reading:
        reading = await super().poll()
        if abs(float(reading.facts["clock_offset"] or 0)) > 60:
            raise Unreachable("its clock is wrong")
        return reading


class TestFollowsTheRedirect(Broken):
    driver = FollowsTheRedirect


class TestHangsInABlackHole(Broken):
    driver = HangsInABlackHole


class TestLetsForeignErrorsOut(Broken):
    driver = LetsForeignErrorsOut


class TestReadsItAll(Broken):
    driver = ReadsItAll


class TestRetriesAWrongPassword(Broken):
    driver = RetriesAWrongPassword


class TestCallsEverythingUnreachable(Broken):
    driver = CallsEverythingUnreachable


class TestNeedsTheRightTime(Broken):
    driver = NeedsTheRightTime


# -- secrets -----------------------------------------------------------------------------------------------------


def _password(driver: AcmeDriver) -> str:
    assert driver.device.credentials is not None
    return driver.device.credentials.password.reveal()


class LogsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        self.io.log.debug("polling", headers=self._authorization())
        return await super().poll()


class PrintsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        print(f"login with {_password(self)}")
        return await super().poll()


class QuotesThePassword(AcmeDriver):
    async def probe(self) -> Identity:
        try:
            return await super().probe()
        except AuthFailed:
            raise AuthFailed(f"http://admin:{_password(self)}@{self.device.address}/ is refused") from None


class KeepsThePassword(AcmeDriver):
    async def poll(self) -> Reading:
        await self.io.memory.put("login", _password(self))
        return await super().poll()


class TestLogsThePassword(Broken):
    driver = LogsThePassword


class TestPrintsThePassword(Broken):
    driver = PrintsThePassword


class TestQuotesThePassword(Broken):
    driver = QuotesThePassword


class TestKeepsThePassword(Broken):
    driver = KeepsThePassword


# -- budget ------------------------------------------------------------------------------------------------------


class KeepsReplies(AcmeDriver):
    __slots__ = ("_replies",)

    async def poll(self) -> Reading:
        self._replies = bytearray(1 << 20)
        return await super().poll()


class Computes(AcmeDriver):
    async def poll(self) -> Reading:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000)
        return await super().poll()


class BlocksTheLoop(AcmeDriver):
    async def poll(self) -> Reading:
        try:
            return await super().poll()
        except DeviceError:
            time.sleep(0.7)  # what a library with blocking requests does
            raise


class TestKeepsReplies(Broken):
    driver = KeepsReplies


class TestComputes(Broken):
    driver = Computes
    config: ClassVar = {"timeout": 10.0}


class TestBlocksTheLoop(Broken):
    driver = BlocksTheLoop
