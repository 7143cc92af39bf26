"""Configuration templates: which devices one is for, and what it says, with the device's own data filled in.

Pure. Templates come from the inventory (`config_templates:`) or were imported; `id` is the VMS's number of it, which
stands in the push `camera_config_apply`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from bridge.model import Channel, Device, Identity
from bridge.settings.plan import Fit
from bridge.settings.vocabulary import Settings

Occasion = Literal["first_seen", "replaced"]

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Match:
    """Which cameras a template is for. Everything that is said must hold; globs (`DS-2CD*`), upper or lower case."""

    manufacturer: str | None = None
    model: str | None = None
    service: str | None = None  # the VMS's word for what a camera is used as, "8MP"
    driver: str | None = None

    def fits(self, device: Device, channel: Channel, identity: Identity) -> bool:
        told = (
            (self.manufacturer, identity.manufacturer),
            (self.model, identity.model),
            (self.service, channel.service or ""),
            (self.driver, device.driver),
        )
        return all(glob is None or fnmatchcase(word.lower(), glob.lower()) for glob, word in told)


@dataclass(frozen=True, slots=True)
class Template:
    """`settings` may have variables in texts. `fingerprint` changes with anything that it says, secrets included.

    `references` has for the path of each secret (`users.operator.password`) what stands for it in the file:
    `env:NAME`. A secret that the file says itself is not in it.
    """

    id: int
    name: str
    settings: Settings
    match: Match = Match()
    fit: Fit = "exact"
    reboot: bool = False  # a reboot may be carried out where the device needs one
    needs_streams: bool = True  # it is applied only while the camera's streams are up
    automatic: frozenset[Occasion] = frozenset()  # when it is applied by itself
    notify: int | None = None  # the VMS user who hears of that
    fingerprint: str = ""
    references: Mapping[str, str] = field(default_factory=dict)


# What a text of a template may have filled in, and for people what that is.
VARIABLES: Mapping[str, tuple[str, Callable[[Device, Channel], Any]]] = {
    "device.id": ("the device's id in the inventory", lambda device, _: device.id),
    "device.name": ("the device's name", lambda device, _: device.name or device.id),
    "device.address": ("its address", lambda device, _: device.address),
    "device.site": ("the id of its site", lambda device, _: device.site),
    "channel.key": ("the channel behind a recorder", lambda _, channel: channel.key),
    "camera.id": ("the camera's id in the VMS", lambda _, channel: channel.vms.get("id")),
    "camera.name": ("its name in the VMS", lambda device, channel: channel.vms.get("name") or device.name or device.id),
    "camera.service": ("its service", lambda _, channel: channel.service),
    "camera.pretty_name": ("the name shown", lambda _, channel: channel.vms.get("pretty_name")),
    "camera.short_address": ("the short form of its address", lambda _, channel: channel.vms.get("short_address")),
    "camera.full_address": ("the full form of its address", lambda _, channel: channel.vms.get("full_address")),
    "camera.billing_id": ("its id in the billing system", lambda _, channel: channel.vms.get("billing_id")),
}


class Unfilled(ValueError):
    """A variable that does not exist, that this device has nothing for, or that makes no legal text. For people."""


def unknown_variables(text: str) -> list[str]:
    """Variables in a text that there are not."""
    return [name for name in _VARIABLE.findall(text) if name not in VARIABLES]


def has_open_variable(text: str) -> bool:
    """Whether a variable begins somewhere in a text and does not end."""
    return "${" in _VARIABLE.sub("", text)


def expand(settings: Settings, device: Device, channel: Channel) -> Settings:
    """The settings with every variable filled in. Raises Unfilled."""

    def fill(match: re.Match[str]) -> str:
        known = VARIABLES.get(match[1])
        if known is None:
            raise Unfilled(f"there is no variable ${{{match[1]}}}")
        value = known[1](device, channel)
        if value is None or value == "":
            raise Unfilled(f"${{{match[1]}}} is empty: the inventory does not say {known[0]}")
        return str(value)

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            return _VARIABLE.sub(fill, node) if "${" in node else node
        if isinstance(node, BaseModel):
            # Not model_dump(): that would copy secrets into plain texts.
            return {name: walk(value) for name, value in node if value is not None}
        if isinstance(node, Mapping):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return tuple(walk(value) for value in node)
        return node

    try:
        return Settings.model_validate(walk(settings))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Unfilled(f"{where} is not legal once its variables are filled in") from None
