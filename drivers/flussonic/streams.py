"""Which streams a camera has, and what the server's word about each of them means for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model import Channel, Stream
from drivers.flussonic.config import FlussonicConfig


@dataclass(frozen=True, slots=True)
class Listed:
    """One stream as the server lists it. `alive` is None where the server does not say; the server turns it to False
    after 12 s without frames. `status` is running, waiting, error or "" (servers up to 21 have none)."""

    alive: bool | None
    status: str
    disabled: bool
    static: bool  # False: on demand, it runs while somebody watches


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream that a camera should have. `optional`: found by the pattern, and not every camera has it."""

    name: str
    optional: bool = False


def wanted(channel: Channel, config: FlussonicConfig) -> tuple[Wanted, ...]:
    """The streams of a channel, high first: those that it lists, or those that the patterns make of its name."""
    if channel.streams:
        return tuple(Wanted(name) for name in channel.streams)
    parts = {"key": channel.key, "source": channel.source or channel.key}
    high = Wanted(config.high.format_map(parts))
    if config.low is None:
        return (high,)
    return high, Wanted(config.low.format_map(parts), optional=True)


def judged(names: tuple[Wanted, ...], listed: Mapping[str, Listed], *, settling: bool) -> tuple[Stream, ...]:
    """What became of a camera's streams. Those that are switched off in the server are none; while the server
    settles after its start, what is not up yet is unknown rather than down."""
    found = []
    for one in names:
        said = listed.get(one.name)
        if said is None and one.optional:
            continue
        if said is not None and said.disabled:
            continue
        found.append(_stream(one.name, said, settling))
    return tuple(found)


def _stream(name: str, said: Listed | None, settling: bool) -> Stream:
    """`alive` decides. A source that has just failed is `error` at once and alive for 12 s more: time enough for a
    fallback, and video all the while."""
    if said is None:
        up, detail = False, "the server has no such stream"
    elif said.alive or (said.alive is None and said.status == "running"):
        return Stream(name, True)
    elif not said.static and said.status in ("waiting", ""):
        return Stream(name, True, detail="on demand: nobody watches it now")
    elif said.status == "waiting":
        up, detail = False, "the server waits for somebody to publish it"
    elif said.status == "error":
        up, detail = False, "its source fails"
    elif said.alive is None:
        return Stream(name, None, detail="the server does not say how it is")
    else:
        up, detail = False, "no frames from its source"
    return Stream(name, None if settling else up, detail="the server has just started" if settling else detail)
