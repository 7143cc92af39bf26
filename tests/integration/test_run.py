"""`device-bridge run` as an operator runs it: start, reload, stop; each on real processes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.processes import BINARY, Process, Site, cli, free_port


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, "--cameras", "4") as one:
        yield one


class Inventory:
    """An inventory file for the simulated site, to be changed and written again."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.data: dict[str, Any] = yaml.safe_load(site.inventory.read_text())
        self.data |= {
            "bridge": {"data": "data", "http": {"listen": f"127.0.0.1:{free_port()}"}, "log": {"format": "json"}},
            "delivery": {
                "sinks": [{"name": "local", "type": "pusher_server", "key": "k", "secret": "env:PUSHER_SECRET"}]
            },
            "defaults": {
                "credentials": self.data["defaults"]["credentials"],
                "watch": {"poll": 1, "offline_failures": 2, "offline_after": 2},
                "onvif": {"timeout": 2},
            },
        }
        self.write()

    def write(self) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(yaml.safe_dump(self.data))
        part.rename(self.path)


@pytest.fixture
def inventory(site: Site, tmp_path: Path) -> Inventory:
    return Inventory(site, tmp_path)


def run(inventory: Inventory) -> Process:
    return Process(BINARY, "run", "-c", inventory.path, environ={"PUSHER_SECRET": "canary-secret"})


def pushed(inventory: Inventory) -> list[tuple[int, str]]:
    """Camera id and status of every push so far."""
    done = cli("watch", "-c", inventory.path, "--backlog", "1000", "--seconds", "0", "--json", environ=SECRET)
    told = [json.loads(line)["data"]["data"]["data"]["camera"] for line in done.stdout.splitlines()]
    return [(camera["id"], camera["status"]) for camera in told]


SECRET = {"PUSHER_SECRET": "canary-secret"}


def test_it_runs_and_stops_within_five_seconds(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.says('"status changed"', count=4)
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
        began = time.monotonic()
        bridge.signal(signal.SIGTERM)
        assert bridge.wait(10) == 0
        assert time.monotonic() - began < 5
        assert site.subscriptions() == [0, 0, 0, 0], "nothing is left on the devices"
        assert all(json.loads(line) for line in bridge.err)
        assert "canary-secret" not in "".join(bridge.err + bridge.out)
    assert sorted(pushed(inventory)) == [(n, "active") for n in (1, 2, 3, 4)]


def test_a_restart_announces_nothing_again(site: Site, inventory: Inventory) -> None:
    for _ in range(2):
        with run(inventory) as bridge:
            bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
            bridge.signal(signal.SIGTERM)
            assert bridge.wait(10) == 0
    assert len(pushed(inventory)) == 4


def test_it_reloads_on_a_change_of_the_file_and_touches_only_what_changed(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
        polls = site.control("GET", "/devices")["devices"]
        inventory.data["devices"][0]["watch"] = {"poll": 2}
        del inventory.data["devices"][3]
        inventory.write()
        bridge.says('"restarted": 1, "untouched": 2')
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 0])
        after = site.control("GET", "/devices")["devices"]
        created = [
            b["seen"]["CreatePullPointSubscription"] - a["seen"]["CreatePullPointSubscription"]
            for a, b in zip(polls, after, strict=True)
        ]
        assert created[0] >= 1
        assert created[1:] == [0, 0, 0]


def test_a_broken_file_leaves_the_running_one_alone_and_says_why(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
        good = inventory.path.read_text()
        inventory.path.write_text(good.replace("poll: 1", "pol: 1").replace("driver: onvif", "driver: onfiv", 1))
        bridge.says("inventory not taken")
        line = next(line for line in bridge.err if "inventory not taken" in line)
        assert "did you mean" in line
        assert '\\"poll\\"' in line or "poll" in line
        assert "onvif" in line, "every error at once"
        site.control("POST", "/devices/cam-02/faults", {"fault": "closed"})
        bridge.says("device is offline")
        inventory.path.write_text(good)
        bridge.signal(signal.SIGHUP)
        bridge.says("inventory reloaded")


def test_sinks_change_while_devices_go_on(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
        inventory.data["delivery"]["sinks"][0]["key"] = "other-key"
        inventory.write()
        bridge.says('"untouched": 4')
        inventory.data["bridge"]["data"] = "elsewhere"
        inventory.write()
        bridge.says("takes a restart")


# Put into the child's path as sitecustomize.py: what happens in the middle of a start, and a name server that is away.
HANGUP_AT_START = """
import os, signal, sqlite3
connect = sqlite3.connect
def hangup(*arguments, **more):
    sqlite3.connect = connect
    os.kill(os.getpid(), {signal})
    return connect(*arguments, **more)
sqlite3.connect = hangup
"""
DEAD_NAMES = """
import socket, time
getaddrinfo = socket.getaddrinfo
def slow(host, *arguments, **more):
    if str(host).endswith(".example.net"):
        time.sleep(30)
    return getaddrinfo(host, *arguments, **more)
socket.getaddrinfo = slow
"""


def run_with(custom: str, inventory: Inventory, folder: Path, *options: str) -> Process:
    (folder / "sitecustomize.py").write_text(custom)
    return Process(BINARY, "run", "-c", inventory.path, *options, environ={**SECRET, "PYTHONPATH": str(folder)})


def test_a_hangup_in_the_middle_of_the_start_is_a_reload(site: Site, inventory: Inventory, tmp_path: Path) -> None:
    with run_with(HANGUP_AT_START.format(signal="signal.SIGHUP"), inventory, tmp_path) as bridge:
        bridge.says("bridge runs")
        bridge.says("inventory reloaded")


def test_a_stop_in_the_middle_of_the_start_is_a_clean_one(site: Site, inventory: Inventory, tmp_path: Path) -> None:
    with run_with(HANGUP_AT_START.format(signal="signal.SIGTERM"), inventory, tmp_path) as bridge:
        assert bridge.wait(10) == 0, bridge.tail()
        assert "Traceback" not in bridge.tail()


def test_names_that_nobody_resolves_hold_up_nothing(site: Site, inventory: Inventory, tmp_path: Path) -> None:
    names = [{**inventory.data["devices"][0], "id": f"n{n}", "address": f"n{n}.example.net"} for n in range(20)]
    for n, one in enumerate(names):
        one["vms"] = {"id": 100 + n}
    inventory.data["devices"] = [*names, *inventory.data["devices"]]
    inventory.write()
    with run_with(DEAD_NAMES, inventory, tmp_path) as bridge:
        bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
        bridge.says("device is offline", count=20)
        inventory.data["devices"].pop()
        inventory.write()
        bridge.says("inventory reloaded", 10)
        began = time.monotonic()
        bridge.signal(signal.SIGTERM)
        assert bridge.wait(10) == 0
        assert time.monotonic() - began < 5


def test_it_reloads_when_the_file_is_a_link_to_another(site: Site, inventory: Inventory, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = inventory.path.rename(tmp_path / "real" / "other.yaml")
    inventory.path.symlink_to(real)
    with run(inventory) as bridge:
        bridge.says("bridge runs")
        for folder in ("first", "second"):
            bridge.wait_for(lambda: site.subscriptions() == [1, 1, 1, 1])
            # As Kubernetes does it: a link to a folder is put in the place of the one before it.
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "c.yaml").write_text(real.read_text() + f"# {folder}\n")
            link = tmp_path / f"{folder}.link"
            link.symlink_to(tmp_path / folder / "c.yaml")
            link.rename(inventory.path)
            bridge.says("inventory reloaded", count=1 if folder == "first" else 2)


def test_it_takes_as_many_open_files_as_it_may(site: Site, inventory: Inventory) -> None:
    command = f"ulimit -Sn 256; exec {BINARY} run -c {inventory.path} --json"
    with Process("bash", "-c", command, environ=SECRET) as bridge:
        bridge.says("bridge runs")
        limits = Path(f"/proc/{bridge.child.pid}/limits").read_text()
        soft, hard = next(line for line in limits.splitlines() if "open files" in line).split()[3:5]
        assert soft == hard != "256"


def test_a_second_bridge_on_the_same_data_is_refused(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.says("bridge runs")
        other = cli("run", "-c", inventory.path, environ=SECRET)
        assert other.returncode == 1
        assert "another bridge" in other.stderr


def test_a_port_that_is_taken_is_said_plainly(site: Site, inventory: Inventory) -> None:
    port = int(site.url.rpartition(":")[2])
    inventory.data["bridge"]["http"]["listen"] = f"127.0.0.1:{port}"
    inventory.write()
    done = cli("run", "-c", inventory.path, environ=SECRET)
    assert done.returncode == 1
    assert "cannot start" in done.stderr
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_devices_outbox_and_tokens_look_at_its_store(site: Site, inventory: Inventory) -> None:
    with run(inventory) as bridge:
        bridge.says('"status changed"', count=4)
        site.control("POST", "/devices/cam-03/faults", {"fault": "closed"})
        bridge.says('"status changed"', count=5)
        bridge.signal(signal.SIGTERM)
        assert bridge.wait(10) == 0
    table = cli("devices", "-c", inventory.path, "--once", environ=SECRET)
    assert table.returncode == 0, table.stderr
    assert "cam-03" in table.stdout
    assert "Connection refused" in table.stdout
    told = json.loads(cli("devices", "-c", inventory.path, "--json", environ=SECRET).stdout)["devices"]
    assert {one["id"]: one["channels"][0]["status"] for one in told} == {
        "cam-01": "active", "cam-02": "active", "cam-03": "inactive", "cam-04": "active",
    }  # fmt: skip
    assert told[0]["manufacturer"]
    outbox = cli("outbox", "-c", inventory.path, "--json", environ=SECRET)
    assert outbox.returncode == 0
    assert json.loads(outbox.stdout)["sinks"] == [{"name": "local", "waiting": 0, "dropped": 0}]

    made = cli("tokens", "issue", "vms", "--channel", "admin.*", "-c", inventory.path, environ=SECRET)
    assert len(made.stdout.strip()) > 30
    listed = json.loads(cli("tokens", "list", "--json", "-c", inventory.path, environ=SECRET).stdout)["tokens"]
    assert [(one["name"], one["channels"]) for one in listed] == [("vms", ["admin.*"])]
    assert cli("tokens", "revoke", "vms", "-c", inventory.path, environ=SECRET).returncode == 0
    assert cli("tokens", "revoke", "vms", "-c", inventory.path, environ=SECRET).returncode == 4
