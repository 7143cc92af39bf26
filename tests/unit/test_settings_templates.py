"""Whom a template is for, and what it says once the device's own data are filled in."""

from __future__ import annotations

import pytest

from bridge.model import Channel, Device, Identity, Kind
from bridge.secrets import Secret
from bridge.settings.templates import VARIABLES, Match, Unfilled, expand, unknown_variables
from bridge.settings.vocabulary import Settings

CHANNEL = Channel(vms={"id": 429, "short_address": "Garden 12"}, service="8MP")
DEVICE = Device("cam-1", Kind.CAMERA, "onvif", "192.0.2.10", "Entrance", channels=(CHANNEL,))
CAMERA = Identity("HIKVISION", "DS-2CD2143G0-I")


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(manufacturer="hikvision"), True),
        (Match(manufacturer="dahua"), False),
        (Match(model="DS-2CD*"), True),
        (Match(model="ds-2cd21??g0-i", service="8mp"), True),
        (Match(model="DS-2CD*", service="4MP"), False),
        (Match(driver="flussonic"), False),
    ],
)
def test_whom_it_is_for(match: Match, fits: bool) -> None:
    assert match.fits(DEVICE, CHANNEL, CAMERA) is fits


def test_variables_are_filled_in() -> None:
    said = {
        "osd_text": {"text": "${device.name}, ${camera.short_address}"},
        "ntp": {"servers": ["ntp.${device.id}.example.net"]},
        "users": {"bridge": {"password": "s3cret"}},
        "vendor": {"acme": {"titles": ["${camera.id}", 7], "plain": True}},
    }
    found = expand(Settings.model_validate(said), DEVICE, CHANNEL)
    assert found.osd_text is not None
    assert found.osd_text.text == "Entrance, Garden 12"
    assert found.ntp is not None
    assert found.ntp.servers == ("ntp.cam-1.example.net",)
    assert found.users is not None
    assert found.users["bridge"].password == Secret("s3cret")
    assert found.vendor == {"acme": {"titles": ("429", 7), "plain": True}}


def test_what_cannot_be_filled_in_is_told() -> None:
    with pytest.raises(Unfilled, match=r"there is no variable \$\{device.nmae\}"):
        expand(Settings.model_validate({"osd_text": {"text": "${device.nmae}"}}), DEVICE, CHANNEL)
    with pytest.raises(Unfilled, match=r"\$\{camera.full_address\} is empty: the inventory does not say the full form"):
        expand(Settings.model_validate({"osd_text": {"text": "${camera.full_address}"}}), DEVICE, CHANNEL)
    with pytest.raises(Unfilled, match=r"hostname\.name is not legal once its variables are filled in"):
        expand(Settings.model_validate({"hostname": {"name": "at-${camera.short_address}"}}), DEVICE, CHANNEL)
    assert unknown_variables("${device.id} ${x} ${}") == ["x", ""]


def test_every_variable_has_words_for_people() -> None:
    assert all(text for text, _ in VARIABLES.values())
