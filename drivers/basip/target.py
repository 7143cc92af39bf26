"""Where the panel sends its log: `/syslog/settings`. It has one such place, so that it is taken only while it is free.

`server` is a host for RFC 5424 over UDP, or a URL for HTTP POSTs of lines (`tag` is the name in each line). What stood
there before is kept in io.memory and put back by `release`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from yarl import URL

from bridge.driver import DriverIO
from drivers.basip.api import Api, NotThere, number, text

PATH = "/syslog/settings"
TAG = "device-bridge"
SEVERITY = 6  # everything but debugging
_OURS = "target"  # in io.memory: what we have told it last
_BEFORE = "target before"  # and what stood there before that
_NOTHING: Mapping[str, Any] = {"enabled": False, "tag": "", "server": {"server": "", "port": 514, "severity": SEVERITY}}

# right: it stands as it should; written: it did not, and does now; foreign: it is somebody else's; none: it has none.
State = Literal["right", "written", "foreign", "none"]


@dataclass(frozen=True, slots=True)
class Place:
    """What `/syslog/settings` says."""

    enabled: bool
    tag: str
    server: str
    port: int

    @property
    def free(self) -> bool:
        return not self.enabled or not self.server

    @property
    def word(self) -> str:
        return f"{self.server} {self.port}"

    def settings(self) -> dict[str, Any]:
        server = {"server": self.server, "port": self.port, "severity": SEVERITY}
        return {"enabled": self.enabled, "tag": self.tag, "server": server}


def place_of(answer: Mapping[str, Any]) -> Place:
    server = answer.get("server")
    server = server if isinstance(server, dict) else {}
    port = number(server.get("port"))
    return Place(
        answer.get("enabled") is True, text(answer.get("tag")), text(server.get("server"), 500), int(port or 0)
    )


def for_url(url: str) -> Place:
    return Place(True, TAG, url, URL(url).port or 80)


def is_ours(place: Place, io: DriverIO) -> bool:
    """By our name in it and the address that we gave: whoever changed the address has taken it over."""
    return place.tag == TAG and place.word == io.memory.get(_OURS)


async def stand(api: Api, io: DriverIO, wanted: Place) -> State:
    """Read it back, and write only where it is ours or free, and not right."""
    try:
        answer = await api.get(PATH)
    except NotThere:
        return "none"
    found = place_of(answer)
    if found == wanted:
        if io.memory.get(_OURS) != wanted.word:
            await io.memory.put(_OURS, wanted.word)
        return "right"
    if not found.free and not is_ours(found, io):
        return "foreign"
    if found.tag != TAG:
        await io.memory.put(_BEFORE, json.dumps(_known(answer)))
    # Remembered first: should the answer be lost, it is known as ours.
    await io.memory.put(_OURS, wanted.word)
    await api.post(PATH, wanted.settings())
    return "written"


async def release(api: Api, io: DriverIO) -> None:
    """Put back what stood there before us, if we stand there."""
    if io.memory.get(_OURS) is None:
        return
    try:
        found = place_of(await api.get(PATH))
        if is_ours(found, io):
            await api.post(PATH, _before(io))
    except NotThere:
        pass
    await io.memory.put(_OURS, None)
    await io.memory.put(_BEFORE, None)


def _known(answer: Mapping[str, Any]) -> dict[str, Any]:
    found = place_of(answer)
    server = answer.get("server")
    severity = number(server.get("severity")) if isinstance(server, dict) else None
    settings = found.settings()
    if severity is not None:
        settings["server"]["severity"] = int(severity)
    return settings


def _before(io: DriverIO) -> Mapping[str, Any]:
    try:
        return {**_NOTHING, **json.loads(io.memory.get(_BEFORE) or "{}")}
    except ValueError:
        return _NOTHING
