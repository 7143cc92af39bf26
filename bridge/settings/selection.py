"""Which cameras are meant: by id, site, group, make, or all of them."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

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
