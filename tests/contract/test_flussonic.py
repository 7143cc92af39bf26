"""The Flussonic driver passes the contract kit: with each API and each way to log in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bridge.model import EventKind
from bridge.secrets import Secret
from bridge.testing.contract import DriverContract, Happening
from drivers.flussonic import events
from drivers.flussonic.driver import FlussonicDriver
from drivers.flussonic.simulator import FlussonicSimulator

SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"vendor": {"flussonic": {"high_title": "Yard", "low_title": "Yard, small", "low_static": False}}},
    {"vendor": {"flussonic": {"high_dvr_root": "/storage", "high_dvr_expiration": 604800, "low_retry_limit": 5}}},
    {"vendor": {"flussonic": {"high_source_timeout": 30, "high_thumbnails": "on_demand", "high_disabled": True}}},
    {"vendor": {"flussonic": {"high_inputs": ["rtsp://192.0.2.9/cam-1/1", "rtsp://192.0.2.9/spare"]}}},
)


class FlussonicContract(DriverContract):
    driver = FlussonicDriver
    simulator = FlussonicSimulator
    valid_configs = (
        {},
        {"port": 8080, "tls": "off", "auth": "basic", "high": "{key}", "low": "{key}-low", "timeout": 5},
        {"low": None, "playback_key": "a-secret"},
    )
    invalid_configs = (
        {"port": 0},
        {"tls": True},
        {"auth": "digest"},
        {"high": "camera"},
        {"low": "{key"},
        {"low": "{name}-low"},
        {"high": "{key:>9}"},
        {"events": "push"},
        {"timeout": 0},
        {"prt": 80},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 6.0
    settings_samples = (
        *SAMPLES[:2],
        {"vendor": {"flussonic": {"high_input_username": "viewer", "high_input_password": Secret("view-Pass-4711")}}},
        *SAMPLES[2:],
    )
    settings_refused = (
        {"vendor": {"flussonic": {"high_dvr_expiration": 86400}}},
        {"vendor": {"flussonic": {"high_source_timeout": "soon"}}},
        {"vendor": {"flussonic": {"high_inputs": ["rtsp://192.0.2.77/a"]}}},
    )
    happenings = (
        Happening("stream_loss", EventKind.STREAM, None, {"camera": 1}, channel=1),
        Happening("stream_loss", EventKind.STREAM, None, {"camera": 1, "on": False}, channel=1),
        Happening("motion", EventKind.MOTION, True, {"camera": 0}, channel=0),
        Happening("stream_loss", EventKind.STREAM, None, {"camera": 0, "stream": "low"}, channel=0),
        Happening("motion", EventKind.MOTION, False, {"camera": 0, "active": False}, channel=0),
    )


class TestVersion23(FlussonicContract):
    pass


class TestVersion25WithAToken(FlussonicContract):
    drivers = 30
    simulator_options: ClassVar = {"version": 25, "auth": "bearer", "cameras": 3}


def test_the_readme_tells_what_every_event_means() -> None:
    text = Path(events.__file__).with_name("README.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    for name, meaning in events.MEANINGS.items():
        (row,) = (one for one in rows if f"`{name}`" in one)
        if meaning.kind is not EventKind.REBOOT:
            assert meaning.kind.value in row
