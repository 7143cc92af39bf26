"""Which cameras are meant (by id, site, group, make, or all of them), and which of them come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.jobs.records import NewItem
from bridge.model import Channel, Device, Identity


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cameras are meant: all that fit every field that is said. Globs in `model` and `manufacturer`."""

    devices: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    manufacturer: str | None = None
    model: str | None = None
    service: str | None = None

    def fits(self, device: Device, channel: Channel, identity: Identity | None) -> bool:
        known = identity or Identity()
        return (
            (not self.devices or device.id in self.devices)
            and (not self.sites or device.site in self.sites)
            and (not self.groups or device.group in self.groups)
            and all(
                glob is None or fnmatchcase(word.lower(), glob.lower())
                for glob, word in (
                    (self.manufacturer, known.manufacturer),
                    (self.model, known.model),
                    (self.service, channel.service or ""),
                )
            )
        )


def in_waves(items: Sequence[NewItem]) -> list[NewItem]:
    """The canary, a tenth, the rest: by devices, so that one device's items are in one wave."""
    devices = list(dict.fromkeys(item.device for item in items))
    tenth = 1 + max(1, len(devices) // 10)
    wave = {device: 0 if n == 0 else 1 if n < tenth else 2 for n, device in enumerate(devices)}
    return [NewItem(one.device, one.channel, one.template, wave[one.device], one.digest) for one in items]
