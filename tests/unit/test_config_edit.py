from __future__ import annotations

import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import yaml12
from bridge.config.edit import add_devices
from bridge.config.load import InvalidInventory, load
from bridge.config.splice import insert
from bridge.model import Found
from tests.unit.config_support import stub_drivers

CAMERA = Found("box", "192.0.2.50", 8080, name="Garden: #1")
OTHER = Found("box", "192.0.2.51", manufacturer="Maker", model="M-1")


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def added(path: Path, text: str, *found: Found) -> str:
    path.write_bytes(text.encode())
    assert add_devices(path, found or (CAMERA, OTHER), environ={})
    return path.read_bytes().decode()


BLOCK = """\
  - id: garden-1
    driver: box
    name: 'Garden: #1'
    address: 192.0.2.50
    box: {port: 8080}
  - id: maker-m-1
    driver: box
    name: Maker M-1
    address: 192.0.2.51
"""


@pytest.mark.parametrize("end", ["", "\n", "\n# the end\n"])
def test_they_go_behind_the_last_device(path: Path, end: str) -> None:
    old = "# my house\nbridge: {name: 'x'}   # quoted\n\ndevices:\n  - id: a\n    driver: box\n    address: h  # here"
    assert added(path, old + end) == old + "\n" + BLOCK + end.removeprefix("\n")


def test_everything_else_stays_as_it_was(path: Path) -> None:
    old = (
        "devices:\n- id:   a\n  driver: 'box'\n  address: \"h\"\n  # about a\n\n# the sites\nsites:\n    -   id: s\n"
        "bridge: {name:    x,   log: {level: info}}   # odd\n"
    )
    new = added(path, old, OTHER)
    entry = "- id: maker-m-1\n  driver: box\n  name: Maker M-1\n  address: 192.0.2.51\n"
    assert new == old.replace("  # about a\n", "  # about a\n" + entry)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "devices:\n" + BLOCK),
        ("# nothing yet\n", "# nothing yet\ndevices:\n" + BLOCK),
        ("bridge: {}\n", "bridge: {}\n\ndevices:\n" + BLOCK),
        ("bridge: {}", "bridge: {}\n\ndevices:\n" + BLOCK),
        ("bridge: {}\n---\nx: y\n", "bridge: {}\n\ndevices:\n" + BLOCK + "---\nx: y\n"),
        ("devices:\n", "devices:\n" + BLOCK),
        ("devices:\nbridge: {}\n", "devices:\n" + BLOCK + "bridge: {}\n"),
        ("devices: []  # none\nbridge: {}\n", "devices:  # none\n" + BLOCK + "bridge: {}\n"),
        ("devices: ~\n", "devices:\n" + BLOCK),
    ],
)
def test_where_there_is_no_list_yet(path: Path, old: str, new: str) -> None:
    assert added(path, old) == new


FLOW = "{id: garden-1, driver: box, name: 'Garden: #1', address: 192.0.2.50, box: {port: 8080}}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{}\n", f"{{devices: [{FLOW}]}}\n"),
        ("{devices: []}", f"{{devices: [{FLOW}]}}"),
        ("{bridge: {name: x},}", f"{{bridge: {{name: x}}, devices: [{FLOW}],}}"),
        (
            "devices: [{id: a, driver: box, address: h}, # one\n]\n",
            f"devices: [{{id: a, driver: box, address: h}}, {FLOW}, # one\n]\n",
        ),
        (
            "devices:\n  - {id: a, driver: box, address: h}  # one\n",
            f"devices:\n  - {{id: a, driver: box, address: h}}  # one\n  - {FLOW}\n",
        ),
    ],
)
def test_what_is_in_brackets_stays_in_brackets(path: Path, old: str, new: str) -> None:
    assert added(path, old, CAMERA) == new


def test_the_habits_of_the_file_are_kept(path: Path) -> None:
    pad = "        "
    old = (
        f"devices:\n    -   id: a\n{pad}driver: box\n{pad}address: h\n"
        f"\n    -   id: b\n{pad}driver: box\n{pad}address: i\n"
    )
    entry = f"\n    -   id: maker-m-1\n{pad}driver: box\n{pad}name: Maker M-1\n{pad}address: 192.0.2.51\n"
    assert added(path, old, OTHER) == old + entry


def test_line_ends_and_byte_order_mark_are_kept(path: Path) -> None:
    old = "\ufeffdevices:\r\n  - id: a\r\n    driver: box\r\n    address: h\r\n# ж\r\nbridge: {}\r\n"
    new = added(path, old, OTHER)
    assert new.count("\n") == new.count("\r\n")
    assert new.startswith(old[:50])
    assert new.endswith("address: 192.0.2.51\r\n# ж\r\nbridge: {}\r\n")


def test_ids_are_readable_and_unique(path: Path) -> None:
    path.write_text("devices: [{id: maker-m-1, driver: box, address: h}]")
    names = ["Caméra Été", "Камера", "", "0123", "x" * 100, "off", "a\x00\n b\u2028c"]
    found = [Found("box", f"192.0.2.{n}", name=name) for n, name in enumerate(names, start=1)]
    assert add_devices(path, [OTHER, OTHER, *found], environ={}) == [
        "maker-m-1-2",
        "camera-ete",
        "device",
        "box-192-0-2-3",
        "0123",
        "x" * 40,
        "off",
        "a-b-c",
    ]
    devices = {one.id: one.name for one in load(path, environ={}).devices}
    assert (devices["camera-ete"], devices["0123"], devices["off"]) == ("Caméra Été", "0123", "off")
    assert devices["a-b-c"] == "a b c"


def test_what_is_listed_is_not_added_again(path: Path) -> None:
    path.write_text(
        "defaults: {driver: box}\ndevices:\n- {id: a, address: 192.0.2.50}\n"
        "- {id: b, address: Cam.local, enabled: false, box: {port: 81}}\n- {id: c, kind: intercom}\n"
    )
    before = path.read_bytes()
    known = [CAMERA, Found("box", "cam.LOCAL", 81), Found("box", "cam.local")]
    assert add_devices(path, known, environ={}) == []
    assert path.read_bytes() == before
    assert not path.with_name("config.yaml.bak").exists()
    assert add_devices(path, [Found("box", "cam.local", 82)], environ={}) == ["box-cam-local"]


def test_site_and_group(path: Path) -> None:
    path.write_text("sites: [{id: s}]\ngroups: [{id: g}]\n")
    add_devices(path, [OTHER], site="s", group="g", environ={})
    assert load(path, environ={}).devices[0].site == "s"
    with pytest.raises(InvalidInventory, match="no such site"):
        add_devices(path, [CAMERA], site="nowhere", environ={})


def test_the_old_text_stays_beside_the_file_and_the_mode_stays(path: Path) -> None:
    path.write_text("bridge: {}\n")
    path.chmod(0o640)
    add_devices(path, [CAMERA], environ={})
    backup = path.with_name("config.yaml.bak")
    assert backup.read_text() == "bridge: {}\n"
    assert [stat.S_IMODE(os.stat(one).st_mode) for one in (path, backup)] == [0o640, 0o640]
    assert sorted(one.name for one in path.parent.iterdir()) == ["config.yaml", "config.yaml.bak"]


def test_a_link_stays_a_link(path: Path) -> None:
    real = path.with_name("real.yaml")
    real.write_text("bridge: {}\n")
    path.symlink_to(real)
    add_devices(path, [CAMERA], environ={})
    assert path.is_symlink()
    assert "garden-1" in real.read_text()


@pytest.mark.parametrize("text", ["devices: [", "devices: 5", "devices: [{id: a, driver: box, address: h/x}]"])
def test_a_file_that_does_not_load_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInventory):
        add_devices(path, [CAMERA], environ={})
    assert path.read_text() == text


def test_a_result_that_would_not_load_is_refused(path: Path) -> None:
    path.write_text("bridge: {}\n")
    for found in (Found("nobody", "h", 80), Found("box", "h/x"), Found("panel", "h")):
        with pytest.raises(InvalidInventory):
            add_devices(path, [found], environ={})
    assert path.read_text() == "bridge: {}\n"


def test_a_list_that_cannot_be_added_to_is_told_with_the_lines_to_add(path: Path) -> None:
    # The list comes from a merge key: one of our own would hide it.
    text = "<<: {devices: [{id: a, driver: box, address: h}]}\nbridge: {}\n"
    path.write_text(text)
    with pytest.raises(InvalidInventory, match="add these by hand:\ndevices:\n  - id: garden-1"):
        add_devices(path, [CAMERA], environ={})
    assert path.read_text() == text


def test_a_file_that_somebody_changes_meanwhile_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("bridge: {}\n")

    def slow(*args: object) -> str:
        path.write_text("bridge: {name: y}\n")
        return insert(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("bridge.config.edit.insert", slow)
    with pytest.raises(InvalidInventory, match="changed by somebody else"):
        add_devices(path, [CAMERA], environ={})
    assert path.read_text() == "bridge: {name: y}\n"


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("bridge: {}\n")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        add_devices(path, [CAMERA], environ={})
    assert path.read_text() == "bridge: {}\n"
    assert [one.name for one in path.parent.iterdir()] == ["config.yaml"]


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(InvalidInventory, match="cannot be read"):
        add_devices(path, [CAMERA], environ={})


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_layout(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Whatever people do to a file that loads: it gains the device, and loses not one byte."""
    rng = random.Random(seed)
    path = tmp_path_factory.mktemp("edit") / "config.yaml"
    pad = " " * rng.choice([1, 1, 3])
    dash = " " * rng.choice([0, 2, 4])
    rows = [
        rng.choice(
            [
                f"{dash}-{pad}id: d{n}\n{dash} {pad}address: h{n}\n",
                f"{dash}-{pad}{{id: d{n}, address: h{n}}}\n",
                f"{dash}-{pad}# first\n{dash} {pad}id: d{n}\n{dash} {pad}name: |\n{dash} {pad}  long\n"
                f"{dash} {pad}address: h{n}\n",
                f"{dash}-{pad}address: h{n}\n{dash} {pad}id: d{n}\n{dash} {pad}box:\n{dash} {pad}  gap: 1\n",
                f"{dash}-{pad}address: h{n}\n{dash} {pad}id: d{n}\n{dash} {pad}streams:\n{dash} {pad}- x\n",
                f"{dash}-\n{dash} {pad}address: h{n}\n{dash} {pad}id: d{n}\n{dash} {pad}name: >-\n{dash} {pad}  a\n\n",
            ]
        )
        + rng.choice(["", "", "\n", "# note\n", f"{dash}   # deeper\n", "  # ж\n\n"])
        for n in range(rng.randint(1, 4))
    ]
    parts = [
        "defaults: {driver: box}\n",
        "devices:\n" + "".join(rows),
        "sites:\n  - id: s\n",
        "# café\nbridge: {name: é}\n",
    ]
    rng.shuffle(parts)
    old = "".join(parts)
    if rng.random() < 0.3:
        old = old.replace("\n", "\r\n")
    if rng.random() < 0.3:
        old = old.rstrip()
    path.write_bytes(old.encode())
    (name,) = add_devices(path, [OTHER], environ={})
    new = path.read_bytes().decode()
    entry = yaml12.load(new.encode()).root["devices"][-1]
    assert entry == {"id": name, "driver": "box", "name": "Maker M-1", "address": "192.0.2.51"}
    kept = [line for line in new.splitlines() if "maker-m-1" not in line]
    for line in old.splitlines():
        assert line in kept
    at = next(i for i in range(len(old) + 1) if old[i:] == new[len(new) - len(old) + i :])
    assert new.startswith(old[:at])
