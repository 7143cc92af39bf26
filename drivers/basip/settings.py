"""What a panel is set to, and how it is written: each setting with the path of the API where it stands.

An object is always written whole, as it was read and with what changes, because older firmware takes a missing field
for an empty one. Passwords are the exception: what is read there is a mask (`WebPass`), which is never sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from yarl import URL

from bridge.driver import DriverIO
from bridge.errors import Rejected
from bridge.secrets import Secret
from bridge.settings.limits import FLAG, Between, Fixed, Limit, Limits, OneOf, Text, Texts, Zone
from bridge.settings.plan import Configuration, Step
from bridge.settings.vocabulary import flatten, section_of, unflatten
from drivers.basip import target, zones
from drivers.basip.api import Api, NotThere, number, text

Answer = Mapping[str, Any]
Body = dict[str, Any]

LEVELS = 6  # steps of loudness, 1 to 6
_SIP_PORT = 5060
_LANGUAGES = {
    "en": "English", "ru": "Russian", "uk": "Ukrainian", "es": "Spanish", "pl": "Polish", "nl": "Dutch",
    "tr": "Turkish", "fr": "French", "da": "Danish", "pt": "Portuguese", "de": "Deutsch", "it": "Italian",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """`read` takes it from the answer at `at`; None: this panel does not say. `write` puts it into the body that is
    posted there. A setting whose `key` the answer lacks is one that the panel has not."""

    at: str
    key: str
    limit: Limit | Callable[[Answer], Limit | None]
    read: Callable[[Answer], Any]
    write: Callable[[Body, Any], None]


# What is posted, of what was read; of a path that is not here, the one value that is set there.
_KEPT: Mapping[str, tuple[str, ...]] = {
    "/network/ntp": ("enabled", "use_default", "custom_server"),
    "/network/timezone": ("timezone", "current_timezone"),
    "/device/sip/settings": (
        "proxy", "realm", "user", "user_id", "outbound", "transport", "stun", "registration_interval", "h264",
    ),
    "/device/call/dial/timeout": ("dial_timeout", "forwarding_timeout"),
    "/access/general/unlock/input/code": ("input_code_enable", "input_code_number"),
}  # fmt: skip


def _plain(at: str, key: str, limit: Limit, kind: type = int) -> Setting:
    def read(answer: Answer) -> Any:
        value = answer.get(key)
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        return (value[:200] if isinstance(value, str) else value) if fits else None

    def write(body: Body, value: Any) -> None:
        body[key] = int(value) if kind is int else value  # durations are no whole numbers elsewhere

    return Setting(at, key, limit, read, write)


def _level(at: str, key: str) -> Setting:
    """Steps from 1 to 6, as percent."""

    def read(answer: Answer) -> int | None:
        level = number(answer.get(key))
        return None if level is None else round(100 * (min(max(level, 1), LEVELS) - 1) / (LEVELS - 1))

    def write(body: Body, value: int) -> None:
        body[key] = 1 + round(value * (LEVELS - 1) / 100)

    return Setting(at, key, Between(0, 100, 1, tolerance=50 / (LEVELS - 1)), read, write)


def _digits(at: str) -> Setting:
    """A DTMF code, which some firmware has as a number."""

    def read(answer: Answer) -> str | None:
        value = answer.get("dtmf_code")
        return str(value)[:8] if isinstance(value, str | int) and not isinstance(value, bool) else None

    def write(body: Body, value: str) -> None:
        body["dtmf_code"] = int(value) if isinstance(body.get("dtmf_code"), int) and value.isdigit() else value

    return Setting(at, "dtmf_code", Text(8), read, write)


def _servers(answer: Answer) -> tuple[str, ...]:
    server = text(answer.get("custom_server"), 253)
    return (server,) if server and answer.get("use_default") is not True else ()


def _write_servers(body: Body, servers: tuple[str, ...]) -> None:
    body["use_default"] = not servers
    if servers:
        body["custom_server"] = servers[0]


def zone_word(answer: Answer) -> tuple[str, str]:
    """Under which key the time zone stands, and what it says there."""
    for key in ("timezone", "current_timezone"):
        if text(answer.get(key), 128):
            return key, text(answer.get(key), 128)
    return "", ""


def _zones(answer: Answer) -> list[str]:
    found = next((answer[key] for key in ("available_timezones", "timezones", "available") if key in answer), None)
    return [text(one, 128) for one in found[:600] if isinstance(one, str)] if isinstance(found, list) else []


def _write_zone(body: Body, zone: str) -> None:
    key, now = zone_word(body)
    told = zones.word(zone, now, body.pop("available", ()))
    if told is None:
        raise Rejected(f"it has no time zone that is as far from UTC as {zone}")
    body[key] = told


def _write_region(body: Body, region: str) -> None:
    available = body.pop("available", ())
    if available and region not in available:
        raise Rejected(f"it knows no time zone {region}")
    body[zone_word(body)[0]] = region


def _offset_limit(answer: Answer) -> Limit | None:
    return Zone() if zones.offset(zone_word(answer)[1]) is not None else None


def _region_limit(answer: Answer) -> Limit | None:
    key, now = zone_word(answer)
    if not key or zones.offset(now) is not None:
        return None
    available = _zones(answer)
    return OneOf(tuple(available)) if available else Text(128, 1)


def _realm(answer: Answer) -> tuple[str, int]:
    host, colon, port = text(answer.get("realm"), 300).rpartition(":")
    if colon and port.isdigit() and ":" not in host:
        return host, int(port)
    return text(answer.get("realm"), 253), _SIP_PORT


def _write_realm(body: Body, host: str, port: int) -> None:
    before = text(body.get("realm"), 300)
    after = f"{host}:{port}" if port != _SIP_PORT or ":" in before else host
    # An outbound proxy of its own is not the registrar's business.
    if text(body.get("proxy"), 300) in ("", f"sip:{before}"):
        body["proxy"] = f"sip:{after}"
    body["realm"] = after


def _write_code(body: Body, code: Secret) -> None:
    told = code.reveal()
    if isinstance(body.get("input_code_number"), int):
        if not told.isdigit() or told.startswith("0"):
            raise Rejected("this firmware keeps the common code as a number, which cannot begin with 0")
        body["input_code_number"] = int(told)
    else:
        body["input_code_number"] = told


def _language(answer: Answer) -> str | None:
    now = text(answer.get("current_language") or answer.get("language"), 32).lower()
    return next((code for code, name in _LANGUAGES.items() if now in (code, name.lower())), None)


def _write_language(body: Body, code: str) -> None:
    if code not in _LANGUAGES:
        raise Rejected(f"it knows no language {code}")
    body["language"] = _LANGUAGES[code]


_NTP, _ZONE, _SIP, _SIP_ON = "/network/ntp", "/network/timezone", "/device/sip/settings", "/device/sip/enable"
_CODE, _LANGUAGE, _MODE = "/access/general/unlock/input/code", "/device/language", "/device/mode/current"
_DTMF, _LOCK, _DELAY = "/access/general/lock/dtmf", "/access/general/lock/timeout", "/access/general/lock/delay"


def _never(answer: Answer) -> None:
    return None


def _put(key: str) -> Callable[[Body, Any], None]:
    def write(body: Body, value: Any) -> None:
        body[key] = value.reveal() if isinstance(value, Secret) else value

    return write


SETTINGS: Mapping[str, Setting] = {
    "ntp.enabled": _plain(_NTP, "enabled", FLAG, bool),
    "ntp.servers": Setting(_NTP, "enabled", Texts(1), _servers, _write_servers),
    "clock.time_zone": Setting(
        _ZONE, "", _offset_limit, lambda answer: zones.posix(zone_word(answer)[1]), _write_zone
    ),
    "sip.enabled": _plain(_SIP_ON, "sip_enable", FLAG, bool),
    "sip.server": Setting(
        _SIP, "realm", Text(253, 1), lambda answer: _realm(answer)[0] or None,
        lambda body, value: _write_realm(body, value, _realm(body)[1]),
    ),
    "sip.port": Setting(
        _SIP, "realm", Between(1, 65535, 1), lambda answer: _realm(answer)[1],
        lambda body, value: _write_realm(body, _realm(body)[0], value),
    ),
    "sip.username": _plain(_SIP, "user", Text(31, 1), str),
    "sip.password": Setting(_SIP, "user", Text(31, 6), _never, _put("password")),
    "audio.speaker": _level("/device/settings/volume", "volume_level"),
    "audio.microphone": _level("/device/settings/mic", "mic_gain_level"),
    "call.ring": _plain("/device/call/dial/timeout", "dial_timeout", Between(1, 3600, 1)),
    "call.talk": _plain("/device/call/talk/timeout", "talk_timeout", Between(1, 7200, 1)),
    "door.dtmf": _digits(f"{_DTMF}/1"),
    "door.code": Setting(_CODE, "input_code_number", Text(16, 1), _never, _write_code),
    "door.code_enabled": _plain(_CODE, "input_code_enable", FLAG, bool),
    "relays.1.duration": _plain(f"{_LOCK}/1", "lock_timeout", Between(1, 3600, 1)),
    "relays.2.duration": _plain(f"{_LOCK}/2", "lock_timeout", Between(1, 3600, 1)),
    "display.language": Setting(
        _LANGUAGE, "", lambda answer: OneOf(tuple(_LANGUAGES)) if _language(answer) else None, _language,
        _write_language,
    ),
    "vendor.basip.dtmf_2": _digits(f"{_DTMF}/2"),
    "vendor.basip.lock_1_delay": _plain(f"{_DELAY}/1", "lock_delay", Between(0, 600, 1)),
    "vendor.basip.lock_2_delay": _plain(f"{_DELAY}/2", "lock_delay", Between(0, 600, 1)),
    "vendor.basip.sip_transport": _plain(_SIP, "transport", OneOf(("udp", "tcp", "tls")), str),
    "vendor.basip.sip_registration_interval": _plain(_SIP, "registration_interval", Between(30, 900, 1)),
    "vendor.basip.time_zone": Setting(
        _ZONE, "", _region_limit, lambda answer: zone_word(answer)[1] or None, _write_region
    ),
    "vendor.basip.mode": _plain(_MODE, "current_panel_mode", Fixed(), str),
}  # fmt: skip

EVENT_TARGET = "syslog"
OPERATIONS: Mapping[str, str] = {
    **{
        (f"relays.*.{path.rpartition('.')[2]}" if path.startswith("relays.") else path): (
            f"GET {one.at} (read only)" if isinstance(one.limit, Fixed) else f"POST {one.at}"
        )
        for path, one in SETTINGS.items()
    },
    "event_targets.*.url": f"POST {target.PATH}",
    "event_targets.*.absent": f"POST {target.PATH}, enabled: false",
}


class BasIpSettings(BaseModel):
    """What stands under `vendor.basip` in a template."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    dtmf_2: Annotated[str, Field(pattern=r"^[0-9*#]{0,8}$")] | None = Field(
        None, description="digits that open lock 2 during a call"
    )
    lock_1_delay: Annotated[int, Field(ge=0, le=600)] | None = Field(
        None, description="seconds from a key to the opening of lock 1"
    )
    lock_2_delay: Annotated[int, Field(ge=0, le=600)] | None = Field(
        None, description="seconds from a key to the opening of lock 2"
    )
    sip_transport: Literal["udp", "tcp", "tls"] | None = Field(None, description="how SIP is carried")
    sip_registration_interval: Annotated[int, Field(ge=30, le=900)] | None = Field(
        None, description="seconds after which it registers anew"
    )
    time_zone: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        None, description="time zone in the panel's own words, on firmware that has regions (Europe/Kyiv)"
    )
    mode: str | None = Field(None, description="apartment, unit or wall; can only be read")


# -- reading -----------------------------------------------------------------------------------------------------------


async def read(api: Api, io: DriverIO, sections: Collection[str]) -> Configuration:
    values: dict[str, Any] = {}
    limits: dict[str, Limit] = {}
    answers: dict[str, Answer | None] = {}
    for path, one in SETTINGS.items():
        if section_of(path) not in sections:
            continue
        if one.at not in answers:
            answers[one.at] = await _answer(api, one.at)
        answer = answers[one.at]
        if answer is None or (one.key and one.key not in answer):
            continue
        limit = one.limit(answer) if callable(one.limit) else one.limit
        if limit is not None:
            limits[path] = limit
            if (value := one.read(answer)) is not None:
                values[path] = value
    if "event_targets" in sections and (answer := await _answer(api, target.PATH)) is not None:
        place = target.place_of(answer)
        # What stands there for us is no setting: the address has a secret in it.
        if not place.free and not target.is_ours(place, io):
            values[f"event_targets.{EVENT_TARGET}.url"] = _url_of(place)
        limits |= {
            f"event_targets.{EVENT_TARGET}.url": Text(500, 8),
            f"event_targets.{EVENT_TARGET}.absent": FLAG,
        }
    return Configuration(unflatten(values), Limits(limits))


async def _answer(api: Api, at: str) -> Answer | None:
    """None where this panel has nothing of the kind, or has it switched off."""
    try:
        return await api.get(at)
    except (NotThere, Rejected):
        return None


# -- writing -----------------------------------------------------------------------------------------------------------


async def apply(api: Api, io: DriverIO, step: Step) -> None:
    after = flatten(step.after)
    if step.section == "event_targets":
        await _apply_target(api, io, step, after)
        return
    for at, paths in _by_place(step.paths):
        await _write(api, at, {path: after[path] for path in paths})


def _by_place(paths: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    places: dict[str, list[str]] = {}
    for path in paths:
        if path not in SETTINGS:
            raise Rejected(f"it has no setting {path}")
        places.setdefault(SETTINGS[path].at, []).append(path)
    yield from places.items()


async def _write(api: Api, at: str, wanted: Mapping[str, Any]) -> None:
    answer = await api.get(at)
    kept = _KEPT.get(at) or tuple(one.key for one in SETTINGS.values() if one.at == at)
    body: Body = {key: answer[key] for key in kept if key in answer}
    if at == _ZONE:
        body["available"] = _zones(answer)
    for path, value in wanted.items():
        SETTINGS[path].write(body, value)
    if at == _LANGUAGE:
        await api.post(at, query={"language": body["language"]})
        return
    secret = at == _CODE or any(isinstance(value, Secret) for value in wanted.values())
    await api.post(at, body, secret=secret)


async def _apply_target(api: Api, io: DriverIO, step: Step, after: Mapping[str, Any]) -> None:
    prefix = f"event_targets.{EVENT_TARGET}."
    if any(not path.startswith(prefix) for path in step.paths):
        raise Rejected(f"it has one event target, which is called {EVENT_TARGET}")
    answer = await api.get(target.PATH)
    place = target.place_of(answer)
    if after.get(prefix + "absent"):
        if not place.free and not target.is_ours(place, io):
            await api.post(target.PATH, {**_kept(answer), "enabled": False})
        return
    server, port = _server_of(after[prefix + "url"])
    tag = "" if place.tag == target.TAG else place.tag
    kept = _kept(answer)
    await api.post(
        target.PATH, {**kept, "enabled": True, "tag": tag, "server": {**kept["server"], "server": server, "port": port}}
    )


def _kept(answer: Answer) -> Body:
    server = answer.get("server")
    return {
        "enabled": answer.get("enabled"),
        "tag": text(answer.get("tag")),
        "server": dict(server) if isinstance(server, dict) else {"severity": target.SEVERITY},
    }


def _url_of(place: target.Place) -> str:
    return place.server if "://" in place.server else f"syslog://{place.server}:{place.port}"


def _server_of(url: str) -> tuple[str, int]:
    """What stands in `server` and `port` for a URL."""
    try:
        parts = URL(url)
        scheme, host, port = parts.scheme, parts.host, parts.port
    except ValueError:
        raise Rejected("its event target is no URL") from None
    if not host or scheme not in ("http", "syslog"):
        raise Rejected("it sends its events by syslog:// or http:// only")
    return (url, port or 80) if scheme == "http" else (host, port or 514)
