"""`device-bridge demo`, as a script sees it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import aiohttp

from bridge import registry
from tests.integration.processes import BINARY, Process


def test_push_lines_and_ready_file(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with Process(BINARY, "demo", "--cameras", "5", "--seconds", "14", "--push-lines", "--ready-file", ready) as demo:
        demo.wait_for(ready.exists)
        told = json.loads(ready.read_text())
        assert set(told) == {"http", "websocket", "app_key", "token", "channels"}
        assert told["channels"] == ["private-admin.admin", "private-admin.intercom-index"]
        assert demo.wait(30) == 0, demo.tail()
    pushes = [json.loads(line) for line in demo.out]
    assert all(set(push) == {"channel", "event", "data"} for push in pushes), "stdout carries nothing else"
    assert all(list(push["data"]) == ["data", "subject", "message"] for push in pushes)
    cameras = [p for p in pushes if p["data"]["data"]["type"] == "camera_status_updated"]
    assert {push["channel"] for push in cameras} == {"private-admin.admin"}
    assert {push["event"] for push in cameras} == {"App\\Events\\AdminPush"}
    first = [push["data"]["data"]["data"]["camera"] for push in cameras]
    assert {camera["id"] for camera in first if camera["status"] == "active"} >= {1, 2, 3, 4, 5}
    statuses = {camera["status"] for camera in first}
    assert statuses & {"inactive", "partial"}, "things happen by themselves within seconds"
    panels = [p for p in pushes if p["data"]["data"]["type"] == "intercom_status_changed"]
    assert {(push["channel"], push["event"]) for push in panels} == {
        ("private-admin.intercom-index", "App\\Events\\UserPush")
    }


async def test_clients_and_the_api_take_what_the_ready_file_says(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with Process(BINARY, "demo", "--cameras", "2", "--push-lines", "--ready-file", ready) as demo:
        demo.wait_for(ready.exists)
        told = json.loads(ready.read_text())
        headers = {"Authorization": f"Bearer {told['token']}"}
        async with aiohttp.ClientSession() as http, http.ws_connect(told["websocket"] + "?protocol=7") as socket:
            hello = await socket.receive_json(timeout=5)
            socket_id = json.loads(hello["data"])["socket_id"]
            for channel in told["channels"]:
                form = {"socket_id": socket_id, "channel_name": channel}
                async with http.post(f"{told['http']}/broadcasting/auth", data=form, headers=headers) as answer:
                    assert answer.status == 200
                    auth = (await answer.json())["auth"]
                assert auth.startswith(told["app_key"] + ":")
                await socket.send_json({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}})
                assert (await socket.receive_json(timeout=5))["event"] == "pusher_internal:subscription_succeeded"
            push = await socket.receive_json(timeout=30)
            assert push["event"].startswith("App\\Events\\")
            assert json.loads(push["data"])["subject"] is None
            async with http.get(f"{told['http']}/api/v1/devices", headers=headers) as answer:
                devices = (await answer.json())["devices"]
            # Cameras, a media server, a panel of each family.
            assert len(devices) == 3 + len(registry.panel_simulators())
            assert {one["driver"] for one in devices} == {"flussonic", *registry.panel_simulators()}
            async with http.get(f"{told['http']}/api/v1/devices") as answer:
                assert answer.status == 401
        with urllib.request.urlopen(f"{told['http']}/metrics", timeout=5) as page:
            assert b'bridge_devices{driver="onvif",reach="online"}' in page.read()
        with urllib.request.urlopen(f"{told['http']}/readyz", timeout=5) as page:
            assert json.load(page) == {"status": "ready"}
