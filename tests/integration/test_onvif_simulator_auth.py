"""Who is let in by the simulated device: modes, windows, replays, lock-outs; HTTP and RTSP."""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import UTC, datetime

import pytest

from bridge.testing.clock import FakeClock
from bridge.testing.simulator import Fault
from tests.integration.onvif_raw import (
    DEVICE,
    GET_DATE,
    GET_INFO,
    LIMIT,
    Raw,
    device,
    get_services,
    message_id,
    security,
)

GET_HOSTNAME = f'<GetHostname xmlns="{DEVICE}"/>'


def created(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(
    challenge: str,
    target: str = "/onvif/device_service",
    *,
    method: str = "POST",
    password: str = "s3cret-pass",
    nc: int | None = 1,
) -> str:
    """An Authorization header for a challenge; `nc` None answers the old way, without qop."""
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    hashed = hashlib.sha256 if given["algorithm"] == "SHA-256" else hashlib.md5
    realm, nonce = given["realm"], given["nonce"]

    def h(text: str) -> str:
        return hashed(text.encode()).hexdigest()

    middle = nonce if nc is None else f"{nonce}:{nc:08x}:cafe:auth"
    response = h(f"{h(f'admin:{realm}:{password}')}:{middle}:{h(f'{method}:{target}')}")
    more = "" if nc is None else f', qop=auth, nc={nc:08x}, cnonce="cafe"'
    return (
        f'Digest username="admin", realm="{realm}", nonce="{nonce}", uri="{target}", response="{response}", '
        f"algorithm={given['algorithm']}{more}"
    )


async def ask_digest(raw: Raw, authorization: str) -> int:
    return (await raw.ask(GET_INFO, header="", headers={"Authorization": authorization})).status


async def test_pre_auth_operations_are_open() -> None:
    for mode in ("both", "digest", "wsse", "none"):
        async with device(auth=mode) as raw:
            for body in (GET_DATE, GET_HOSTNAME, get_services()):
                assert (await raw.ask(body, header="")).status == 200
            assert (await raw.ask(GET_INFO, header="")).status == {"none": 200, "wsse": 400}.get(mode, 401)
            assert raw.simulator.seen["auth_failed"] == 0  # nothing was presented


async def test_without_credentials() -> None:
    async with device(auth="wsse") as raw:
        answer = await raw.ask(GET_INFO, header="")
        assert (answer.status, answer.subcodes) == (400, ["NotAuthorized"])
        assert "WWW-Authenticate" not in answer.headers
    async with device(auth="both") as raw:
        answer = await raw.ask(GET_INFO, header="")
        assert (answer.status, answer.subcodes) == (401, ["NotAuthorized"])
        assert answer.headers["WWW-Authenticate"].startswith("Digest ")


async def test_a_token_is_worth_nothing_where_only_digest_counts() -> None:
    async with device(auth="digest") as raw:
        assert (await raw.ask(GET_INFO)).status == 401
    async with device(auth="wsse", wsse_status=401) as raw:
        challenge = 'Digest realm="onvif", nonce="0", algorithm=MD5'
        assert await ask_digest(raw, digest(challenge)) == 401


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(security("wrong"), id="password"),
        pytest.param(security(username="root"), id="user"),
        pytest.param(security(nonce=b""), id="no nonce"),
        pytest.param(security(created="yesterday"), id="no time"),
        pytest.param(security().replace("PasswordDigest", "PasswordText"), id="plain text"),
    ],
)
async def test_bad_tokens(header: str) -> None:
    async with device() as raw:
        answer = await raw.ask(GET_INFO, header=header)
        assert (answer.status, answer.subcodes) == (400, ["NotAuthorized"])
        assert raw.simulator.seen["auth_failed"] == 1


async def test_the_window_of_created_is_on_the_devices_clock() -> None:
    clock = FakeClock()
    async with device(clock=clock, wsse_window=5.0) as raw:
        now = clock.now().wall
        for offset, status in ((0, 200), (4, 200), (-4, 200), (7, 400), (-7, 400)):
            assert (await raw.ask(GET_INFO, header=security(created=created(now + offset)))).status == status
        await raw.simulator.act("set_clock", offset=3600)
        assert (await raw.ask(GET_INFO, header=security(created=created(now)))).status == 400
        assert (await raw.ask(GET_INFO, header=security(created=created(now + 3600)))).status == 200


async def test_a_token_is_good_once() -> None:
    async with device() as raw:
        token = security()
        assert (await raw.ask(GET_INFO, header=token)).status == 200
        assert (await raw.ask(GET_INFO, header=token)).status == 400


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_digest_and_its_nonces(algorithm: str) -> None:
    clock = FakeClock()
    async with device(auth="digest", digest_algorithms=(algorithm,), nonce_lifetime=60, clock=clock) as raw:
        challenge = (await raw.ask(GET_INFO, header="")).headers["WWW-Authenticate"]
        assert f"algorithm={algorithm}" in challenge
        assert await ask_digest(raw, digest(challenge, nc=2)) == 200
        assert await ask_digest(raw, digest(challenge, nc=1)) == 200  # overtaken, and not a replay
        replayed = await raw.ask(GET_INFO, header="", headers={"Authorization": digest(challenge, nc=2)})
        assert (replayed.status, "stale=true" in replayed.headers["WWW-Authenticate"]) == (401, True)

        await clock.advance(61)
        old = await raw.ask(GET_INFO, header="", headers={"Authorization": digest(challenge, nc=3)})
        assert (old.status, "stale=true" in old.headers["WWW-Authenticate"]) == (401, True)
        assert await ask_digest(raw, digest(old.headers["WWW-Authenticate"])) == 200
        assert raw.simulator.seen["auth_failed"] == 0

        wrong = await raw.ask(GET_INFO, header="", headers={"Authorization": digest(challenge, password="wrong")})
        assert (wrong.status, "stale" in wrong.headers["WWW-Authenticate"]) == (401, False)
        other = digest(challenge, "/onvif/elsewhere", nc=9)
        assert await ask_digest(raw, other) == 401
        assert raw.simulator.seen["auth_failed"] == 2


async def test_both_algorithms_are_offered_in_order() -> None:
    async with device(digest_algorithms=("SHA-256", "MD5")) as raw:
        offers = (await raw.ask(GET_INFO, header="")).headers.getall("WWW-Authenticate")
        assert [re.findall(r"algorithm=([\w-]+)", offer)[0] for offer in offers] == ["SHA-256", "MD5"]
        for offer in offers:
            assert await ask_digest(raw, digest(offer, nc=1 + offers.index(offer))) == 200


async def test_both_kinds_of_credentials_must_both_be_right() -> None:
    async with device() as raw:
        challenge = (await raw.ask(GET_INFO, header="")).headers["WWW-Authenticate"]
        good = {"Authorization": digest(challenge)}
        assert (await raw.ask(GET_INFO, header=security("wrong"), headers=good)).status == 400
        bad = {"Authorization": digest(challenge, password="wrong")}
        assert (await raw.ask(GET_INFO, headers=bad)).status == 401


async def test_a_reboot_forgets_nonces() -> None:
    async with device(auth="digest") as raw:
        challenge = (await raw.ask(GET_INFO, header="")).headers["WWW-Authenticate"]
        await raw.simulator.reboot()
        again = await raw.ask(GET_INFO, header="", headers={"Authorization": digest(challenge)})
        assert "stale=true" in again.headers["WWW-Authenticate"]


async def test_lock_out() -> None:
    clock = FakeClock()
    async with device(lockout_after=3, lockout_seconds=1800, clock=clock) as raw:
        now = created(clock.now().wall)
        for _ in range(3):
            assert (await raw.ask(GET_INFO, header=security("wrong", created=now))).status == 400
        locked = await raw.ask(GET_INFO, header=security(created=now))
        assert (locked.status, locked.reason) == (401, "The account is locked for 1800 s")
        assert (await raw.ask(GET_DATE, header="")).status == 200
        assert raw.simulator.seen["auth_failed"] == 3  # what is not looked at is not refused
        await clock.advance(1801)
        assert (await raw.ask(GET_INFO, header=security(created=created(clock.now().wall)))).status == 200


async def test_a_changed_password_and_the_fault() -> None:
    async with device() as raw:
        await raw.simulator.act("set_password", new="other-pass")
        assert (await raw.ask(GET_INFO)).status == 400
        assert (await raw.ask(GET_INFO, header=security("other-pass"))).status == 200
        assert raw.simulator.inventory()["credentials"]["password"] == "other-pass"
        await raw.simulator.inject(Fault.WRONG_PASSWORD)
        assert (await raw.ask(GET_INFO, header=security("other-pass"))).status == 400
        await raw.simulator.clear()
        assert (await raw.ask(GET_INFO, header=security("other-pass"))).status == 200


# --- RTSP


class Rtsp:
    """One connection to the RTSP server, requests by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sequence = 0

    @classmethod
    async def connect(cls, raw: Raw) -> Rtsp:
        return cls(*await asyncio.open_connection("127.0.0.1", raw.simulator.state.rtsp_port))

    async def ask(self, method: str, uri: str, *headers: str) -> tuple[int, dict[str, str], str]:
        self.sequence += 1
        lines = (f"{method} {uri} RTSP/1.0", f"CSeq: {self.sequence}", *headers, "", "")
        self.writer.write("\r\n".join(lines).encode())
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), LIMIT)).decode()
        status, *rest = head.strip().split("\r\n")
        answered = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        assert answered["cseq"] == str(self.sequence)
        body = (await self.reader.readexactly(int(answered.get("content-length", 0)))).decode()
        return int(status.split()[1]), answered, body

    async def describe(self, uri: str) -> tuple[int, str]:
        """With credentials, once they are asked for."""
        _, headers, _ = await self.ask("DESCRIBE", uri)
        login = digest(headers["www-authenticate"], uri, method="DESCRIBE", nc=None)
        status, _, body = await self.ask("DESCRIBE", uri, f"Authorization: {login}", "Accept: application/sdp")
        return status, body


@pytest.mark.parametrize("seed", range(6))
async def test_rtsp_describe(seed: int) -> None:
    async with device(seed=seed, profiles=3, h265=True) as raw:
        rtsp = await Rtsp.connect(raw)
        profiles = list(raw.simulator.state.profiles.values())
        uri = raw.simulator.state.stream_uri(profiles[0])
        status, headers, _ = await rtsp.ask("OPTIONS", uri)
        assert (status, "DESCRIBE" in headers["public"]) == (200, True)
        status, headers, _ = await rtsp.ask("DESCRIBE", uri)
        assert (status, "qop" in headers["www-authenticate"]) == (401, False)
        for profile, encoding in zip(profiles, ("H264", "H264", "H265"), strict=True):
            status, sdp = await rtsp.describe(raw.simulator.state.stream_uri(profile))
            assert status == 200
            assert f"a=rtpmap:96 {encoding}/90000\r\n" in sdp
        assert (await rtsp.describe(f"rtsp://127.0.0.1:{raw.simulator.state.rtsp_port}/nowhere"))[0] == 404
        assert raw.simulator.seen["RTSP DESCRIBE"] == 9
        rtsp.writer.close()


async def test_rtsp_other_methods() -> None:
    async with device(auth="none") as raw:
        rtsp = await Rtsp.connect(raw)
        assert (await rtsp.ask("GET_PARAMETER", "*"))[0] == 200
        assert (await rtsp.ask("GET_PARAMETER", "*", "Session: 1"))[0] == 454
        assert (await rtsp.ask("TEARDOWN", "*", "Session: 1"))[0] == 454
        assert (await rtsp.ask("SETUP", "*"))[0] == 501
        rtsp.writer.write(b"x" * 20_000)
        assert await asyncio.wait_for(rtsp.reader.read(), LIMIT) == b""
        rtsp.writer.close()


async def test_rtsp_wrong_password_counts() -> None:
    async with device(lockout_after=1) as raw:
        rtsp = await Rtsp.connect(raw)
        uri = raw.simulator.state.stream_uri(next(iter(raw.simulator.state.profiles.values())))
        _, headers, _ = await rtsp.ask("DESCRIBE", uri)
        login = digest(headers["www-authenticate"], uri, method="DESCRIBE", nc=None, password="wrong")
        assert (await rtsp.ask("DESCRIBE", uri, f"Authorization: {login}"))[0] == 401
        assert raw.simulator.seen["auth_failed"] == 1
        assert (await rtsp.describe(uri))[0] == 401  # one account for both, locked for both
        assert (await raw.ask(GET_INFO)).status == 401
        rtsp.writer.close()


async def test_streams_are_lost_and_come_back() -> None:
    async with device() as raw:
        state = raw.simulator.state
        high, low = (state.stream_uri(profile) for profile in state.profiles.values())
        for how, status in (("503", 503), ("454", 454), ("404", 404)):
            await raw.simulator.act("stream_loss", stream="high", how=how)
            rtsp = await Rtsp.connect(raw)
            assert (await rtsp.describe(high))[0] == status
            assert (await rtsp.describe(low))[0] == 200
            rtsp.writer.close()
        await raw.simulator.act("stream_loss", channel=0, how="close")
        rtsp = await Rtsp.connect(raw)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await rtsp.describe(low)
        rtsp.writer.close()
        await raw.simulator.act("stream_loss", on=False)
        rtsp = await Rtsp.connect(raw)
        assert (await rtsp.describe(high))[0] == 200
        rtsp.writer.close()


async def test_message_ids_are_related() -> None:
    async with device() as raw:
        body = '<GetEventProperties xmlns="http://www.onvif.org/ver10/events/wsdl"/>'
        answer = await raw.ask(body, header=security() + message_id())
        assert answer.one("RelatesTo") == "urn:uuid:7c3a9ab5-0000-4000-8000-000000000001"
        assert answer.one("Action").endswith("GetEventPropertiesResponse")
