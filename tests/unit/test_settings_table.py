"""docs/settings.md tells the truth: its table is the code's, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, Field

from bridge.driver import Driver
from bridge.settings import apply, engine
from bridge.settings.table import own_drivers, render, values
from bridge.settings.vocabulary import FIELDS, SECRETS, SECTIONS, Settings, flatten, pattern
from drivers.onvif.driver import OnvifDriver

DOCS = Path(__file__).parent.parent.parent / "docs"
TEXT = (DOCS / "settings.md").read_text()


def test_the_table_is_the_one_that_the_code_makes() -> None:
    assert OnvifDriver in own_drivers()
    told = TEXT[TEXT.index("| setting |") :]
    assert told == render(own_drivers()), "bring docs/settings.md up to date: python -m bridge.settings.table"


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_a_link_leads_somewhere(link: str) -> None:
    file, _, heading = link.partition("#")
    text = (DOCS / file).read_text() if file else TEXT
    assert not heading or heading in {
        re.sub(r"[^\w -]", "", line.lstrip("# ")).strip().lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }


def test_the_numbers_that_it_names() -> None:
    words = {3: "three minutes", 10: "ten minutes"}
    assert f"up to {words[int(apply.RECOVERY / 60)]}" in TEXT
    assert f"up to {'three times' if apply.LOOKS == 3 else apply.LOOKS}" in TEXT
    assert f"The camera has {words[int(engine.PATIENCE / 60)]} to become ready" in TEXT
    assert f"up to {engine.PARALLEL} cameras are worked on" in TEXT


def test_every_setting_has_its_row() -> None:
    rows = {row.split("|")[1].strip().strip("`") for row in TEXT.splitlines() if row.startswith("| `")}
    assert {path.partition(".")[0] for path in FIELDS} == set(SECTIONS) - {"vendor"}
    assert set(FIELDS) <= rows
    assert {"sip.password", "door.code", "users.*.password"} == SECRETS
    sample = {"users": {"a.b": {"role": "user"}}, "vendor": {"acme": {"light": True}}, "ntp": {"enabled": True}}
    flat = flatten(Settings.model_validate(sample))
    assert [pattern(path) for path in flat] == ["vendor.acme.light", "ntp.enabled", "users.*.role"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("osd_time.enabled", "`true`, `false`"),
        ("osd_time.font_size", "1 to 256"),
        ("osd_text.text", "text, up to 200 characters"),
        ("ntp.servers", "a list of up to 8"),
        ("relays.*.duration", "more than 0, up to 3600 s, also `30s` or `5m`"),
        ("users.*.role", "`administrator`, `operator`, `user`"),
        ("users.*.password", "a secret; cannot be read"),
        ("video_encoder_first.resolution", "text like `1920x1080`"),
        ("video_encoder_first.bitrate", "1 to 1000000"),
    ],
)
def test_what_a_setting_takes(path: str, told: str) -> None:
    assert values(FIELDS[path]) == told


class _Own(BaseModel):
    light: bool | None = Field(None, description="lit | dark")


class _Acme(Driver[BaseModel]):
    name = "acme"
    settings: ClassVar = {"hostname.name": "PUT name", "vendor.acme.light": "PUT light"}
    VendorSettings = _Own


def test_a_driver_has_a_column_and_rows_of_its_own() -> None:
    lines = render([_Acme]).splitlines()
    assert lines[0] == "| setting | what it is | values | acme |"
    assert "| `vendor.acme.light` | lit \\| dark | `true`, `false` | PUT light |" in lines
    assert any(line.startswith("| `hostname.name` |") and line.endswith("| PUT name |") for line in lines)
    assert any(line.startswith("| `sip.port` |") and line.endswith("| |") for line in lines)
