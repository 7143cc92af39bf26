"""From an entry of `devices:` to a `Device`: inheritance and secrets resolved, its driver's block validated.

Thousands of devices differ in little. What is equal is one object: the policies, the credentials, the drivers' blocks.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from bridge.config.channels import Channels
from bridge.config.effective import Layer, Merged, find, merge
from bridge.config.layers import Drivers, Layers, check_driver, check_reference
from bridge.config.models import DeviceEntry, LoginBlock, UplinkBlock, Watch
from bridge.config.problems import one_of
from bridge.config.validate import Validator
from bridge.config.yaml12 import Map
from bridge.driver import AnyDriver
from bridge.model import Credentials, Device, Kind, Policy, PowerCycle, Uplink
from bridge.secrets import Secret

Model = TypeVar("Model", bound=BaseModel)
Shared = TypeVar("Shared", bound=Hashable)


class Reader:
    """Reads one device after the other, and finds what only several together show to be wrong."""

    def __init__(self, layers: Layers, check: Validator, drivers: Drivers) -> None:
        self.disabled: list[str] = []
        self._layers = layers
        self._check = check
        self._report = check.report
        self._drivers = drivers
        self._channels = Channels(check)
        self._blocks: dict[tuple[object, str], Any] = {}
        self._equal: dict[Hashable, Any] = {}
        # Who was first; each to be asked for its line when a second one comes.
        self._ids: dict[str, Layer] = {}
        self._addresses: dict[tuple[str, str, object], Layer] = {}

    def read(self, index: int, block: Map) -> Device | None:
        """The device; None for a disabled one, and once the inventory cannot be used anyway."""
        own = Layer("device", ("devices", index), block)
        layers, inherited = self._layers.of(own)
        merged = merge(inherited, block)

        check_reference(layers, "site", self._layers.sites, self._report)
        check_reference(layers, "group", self._layers.groups, self._report)
        if merged.get("driver") is None:
            self._error(layers, "driver", "has no driver", f"say driver: {one_of(self._drivers.names)}")
        driver = check_driver(layers, merged.get("driver"), self._drivers, self._report)
        kind = self._kind(driver, merged.get("kind"), layers)
        if merged.get("address") is None and kind is not Kind.INTERCOM:
            self._error(layers, "address", "has no address", "give it the IP address or host name of the device")

        config = self._config(driver, merged, layers)
        watch = self._one(Watch, merged.pop("watch", None), layers, "watch")
        login = None
        if merged.get("credentials") is not None:
            login = self._one(LoginBlock, merged.pop("credentials"), layers, "credentials")
        merged.pop("vms", None)
        entry = self._check(DeviceEntry, merged, layers, also_known=self._drivers.names)
        channels = self._channels.read(kind, merged, inherited, layers, entry)
        self._remember_id(own)
        if entry is not None and not entry.enabled:
            self.disabled.append(entry.id)
            return None
        if entry is not None and entry.address and entry.driver and config is not None:
            self._remember_address(entry.address, entry.driver, config, own)
        if self._report.failed:
            return None

        assert entry is not None
        assert watch is not None
        values: dict[str, Any] = {
            "id": entry.id,
            "kind": kind,
            "driver": entry.driver,
            "address": entry.address or "",
            "name": entry.name or entry.id,
            "site": entry.site,
            "group": entry.group,
            "credentials": login and self._same(Credentials(login.username, login.password)),
            "channels": channels,
            "policy": self._same(Policy(**dict(watch))),
            "uplink": _uplink(entry.uplink),
            "config": config,
        }
        second_hand = driver is not None and driver.second_hand
        return Device(**values, second_hand=second_hand, fingerprint=fingerprint(values))

    def check_uplinks(self, devices: Sequence[Device]) -> None:
        """That what devices are plugged into is a switch of the inventory; once all are read."""
        kinds = {device.id: device.kind for device in devices}
        for device in devices:
            if device.uplink is None or kinds.get(device.uplink.switch) is Kind.SWITCH:
                continue
            place = find([self._ids[device.id]], ("uplink", "switch"))
            if device.uplink.switch in self.disabled:
                self._report.warn(place, "this switch is disabled", "nothing is known of the port until it is enabled")
            else:
                self._report.error(place, "there is no switch with this id", "name a device with kind: switch")

    def _kind(self, driver: type[AnyDriver] | None, said: object, layers: Sequence[Layer]) -> Kind:
        try:
            kind = Kind(said) if said is not None else None  # type: ignore[arg-type]
        except ValueError:
            return Kind.CAMERA  # DeviceEntry reports it
        if driver is None:
            return kind or Kind.CAMERA
        kinds = sorted(driver.kinds)
        if kind is None:
            if len(kinds) > 1 and Kind.CAMERA not in kinds:
                self._error(layers, "kind", "has no kind, and its driver serves several", f"say kind: {one_of(kinds)}")
            return kinds[0] if len(kinds) == 1 else Kind.CAMERA
        if kind not in kinds:
            self._error(
                layers,
                "kind",
                f"the driver {driver.name} does not serve devices of this kind",
                f"it serves {one_of(kinds)}",
            )
        return kind

    def _config(self, driver: type[AnyDriver] | None, merged: Merged, layers: Sequence[Layer]) -> BaseModel | None:
        """The driver's own block. Blocks of other drivers may come from above; on the device itself they are a slip."""
        own = layers[0].block
        for name in merged.keys() & self._drivers.names:
            if driver is None or name != driver.name:
                del merged[name]
                if own.get(name) is not None and driver is not None:
                    place = find(layers[:1], (name,), at_key=True)
                    self._report.error(
                        place, f"this block is for another driver than the device's ({driver.name})", "remove it"
                    )
        if driver is None:
            return None
        return self._one(driver.Config, merged.pop(driver.name, None), layers, driver.name)

    def _one(self, model: type[Model], block: object, layers: Sequence[Layer], key: str) -> Model | None:
        """A validated block; None is an empty one. Blocks written the same become one object, if it cannot change."""
        block = {} if block is None else block
        written = (model, repr(block))
        valid: Model | None = self._blocks.get(written)
        if valid is not None:
            self._check.caution(model, block, layers, (key,))
        else:
            valid = self._check(model, block, layers, (key,))
            if valid is not None and model.model_config.get("frozen"):
                self._blocks[written] = valid
        return valid

    def _same(self, value: Shared) -> Shared:
        """The first of all objects that are equal to this one."""
        first: Shared = self._equal.setdefault(value, value)
        return first

    def _remember_id(self, own: Layer) -> None:
        name = own.block.get("id")
        if isinstance(name, str) and (first := self._ids.setdefault(name, own)) is not own:
            line = first.block.value_mark("id").line
            self._report.error(find([own], ("id",)), f"this id is already used in line {line}", "choose another")

    def _remember_address(self, address: str, driver: str, config: object, own: Layer) -> None:
        key = (driver, address.lower(), getattr(config, "port", None))
        if (first := self._addresses.setdefault(key, own)) is not own:
            line = first.block.value_mark("address").line
            what = f"the device of line {line} has the same driver, address and port"
            self._report.warn(find([own], ("address",)), what, "both will be asked; list it once, with channels")

    def _error(self, layers: Sequence[Layer], key: str, what: str, mend: str) -> None:
        """An error about a field that the device lacks, or that is wrong wherever it comes from."""
        self._report.error(find(layers, (key,)), what, mend)


def _uplink(block: UplinkBlock) -> Uplink | None:
    if block.switch is None or block.port is None:
        return None
    remedy = None if block.power_cycle is None else PowerCycle(**dict(block.power_cycle))
    return Uplink(block.switch, block.port, remedy)


def fingerprint(value: object) -> str:
    """A digest of a value and all that is in it, secrets included; the same in every process."""
    return blake2b(_ENCODER.encode(value).encode(), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    """What JSON has no word for."""
    if isinstance(value, Secret):
        return ["secret", value.reveal()]
    if isinstance(value, SecretStr):
        return ["secret", value.get_secret_value()]
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, set | frozenset):
        return sorted(map(_ENCODER.encode, value))
    return str(value)


_ENCODER = json.JSONEncoder(default=_plain, sort_keys=True)
