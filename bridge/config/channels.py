"""What a device is to the VMS: its channels, each with the fields that the VMS knows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from bridge.config.effective import Layer, Merged, find, merge
from bridge.config.layers import vms_model
from bridge.config.models import DeviceEntry
from bridge.config.validate import Validator
from bridge.config.yaml12 import Map
from bridge.model import Channel, Kind

_NOTHING_BY_ITSELF = (Kind.SERVER, Kind.SWITCH)  # kinds that the VMS knows only for the cameras behind them


class Channels:
    """Makes the channels of one device after the other, and finds two with the same id in the VMS."""

    def __init__(self, check: Validator) -> None:
        self._check = check
        self._report = check.report
        self._ids: dict[tuple[type[BaseModel], int], Sequence[Layer]] = {}

    def read(
        self,
        kind: Kind,
        merged: Merged,
        inherited: Merged,
        layers: Sequence[Layer],
        entry: DeviceEntry | None,
    ) -> tuple[Channel, ...]:
        """`entry` is the device as validated, None when that failed; the `vms:` blocks are checked all the same."""
        own = layers[0].block
        streams = entry.streams if entry else ()
        quiet = entry is not None and not entry.enabled
        from_above = inherited.get("vms")
        # A camera's fields in `defaults` do not concern a panel, and an id there is an error already.
        usable = vms_model(kind).model_fields.keys() - {"id"}
        above = {key: from_above[key] for key in from_above if key in usable} if isinstance(from_above, dict) else {}
        listed = merged.get("channels")
        if listed and isinstance(listed, list):
            self._belongs_below(own, layers)
            return self._listed(kind, listed, above, layers, entry, quiet)
        if kind in _NOTHING_BY_ITSELF:
            if own.get("vms") is not None:
                place = find(layers, ("vms",), at_key=True)
                self._report.error(place, f"a {kind} is nothing to the VMS by itself", "move it to the channels")
            return ()
        fields = self._vms(kind, _laid_on(above, own), layers, quiet)
        return (Channel(streams=streams, vms=fields, service=entry.service if entry else None),)

    def _listed(
        self,
        kind: Kind,
        listed: Sequence[object],
        above: Mapping[str, Any],
        layers: Sequence[Layer],
        entry: DeviceEntry | None,
        quiet: bool,
    ) -> tuple[Channel, ...]:
        origin = next(layer for layer in layers if "channels" in layer.block)
        channels: dict[str, Channel] = {}
        for index, block in enumerate(origin.block["channels"]):
            if not isinstance(block, Map):
                continue  # the model reports it
            layer = Layer(origin.origin, (*origin.path, "channels", index), block)
            key, source, name = (block.get(part) for part in ("key", "source", "name"))
            named = above if name is None else {**above, "name": name}
            fields = self._vms(kind, _laid_on(named, block), (layer, *layers[1:]), quiet)
            key = str(next(one for one in (key, source, index + 1) if one is not None))
            if key in channels:
                place = find([layer], ("key",) if block.get("key") is not None else ("source",))
                self._report.error(
                    place, "another channel of this device has the same key", "give it a key: of its own"
                )
            if entry is None:
                channels[key] = Channel(key)  # only its key is looked at any more
                continue
            known = entry.channels[index]
            channels[key] = Channel(key, known.source, known.streams, fields, known.service or entry.service)
        return tuple(channels.values())

    def _belongs_below(self, own: Map, layers: Sequence[Layer]) -> None:
        for key in ("vms", "streams"):
            if own.get(key) is not None:
                place = find(layers, (key,), at_key=True)
                self._report.error(place, "a device with channels has none of its own", "move it to the channels")

    def _vms(self, kind: Kind, block: object, layers: Sequence[Layer], quiet: bool) -> dict[str, Any]:
        model = vms_model(kind)
        if isinstance(block, dict) and block.get("id") is None:
            if not quiet:
                mend = "add vms: {id: …} with the id that the VMS gave it"
                self._report.warn(find(layers[:1], ()), "has no vms.id, so no push can be sent about it", mend)
            self._check(model, block, layers, ("vms",), partial=True)
            return {}
        valid = self._check(model, block, layers, ("vms",))
        if valid is None or not isinstance(block, dict):
            return {}
        if not quiet:
            first = self._ids.setdefault((model, valid.id), layers)
            if first is not layers:
                line = find(first, ("vms", "id")).mark.line
                self._report.error(
                    find(layers, ("vms", "id")), f"this VMS id is already used in line {line}", "each has its own"
                )
        return {key: getattr(valid, key) for key, said in block.items() if said is not None}


def _laid_on(above: Mapping[str, Any], owner: Map) -> object:
    """The `vms:` block of a device or channel with what it inherits."""
    said = owner.get("vms")
    if said is None:
        return above
    return merge(above, said) if isinstance(said, dict) else said
