"""Every push of the catalogue, byte for byte as the contract prints it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.model import CameraStatus, Channel, Device, IntercomStatus, Kind
from bridge.pushes import catalogue as c
from bridge.pushes import php_json, render, resource
from bridge.pushes.labels import Labels

TOKEN = "ab" * 40
FIELDS: dict[str, Any] = {
    "id": 429,
    "group_id": 556,
    "type": "media_server_v2",
    "start_at": "2022-12-31 18:42:54",
    "created_at": "2022-02-22 22:37:16",
    "is_archive_recording": True,
    "can_change_archive_timetable": True,
    "name": "Camera",
}
TEXTS = dict.fromkeys(("pretty_name", "pretty_text", "short_address", "full_address"), "Address")
PLUS = c.CameraPlus(**resource.camera(resource.CameraFields(**FIELDS), CameraStatus.ACTIVE, "x").model_dump(), **TEXTS)
CAMERA = (
    '{"id":429,"group_id":556,"status":"active","type":"media_server_v2","start_at":"2022-12-31 18:42:54",'
    '"created_at":"2022-02-22 22:37:16","billing_id":null,%s"lat":null,"lng":null,"azimuth":null,'
    '"is_archive_recording":true,"archive_recording_type":"fulltime","can_change_archive_timetable":true,'
    '"is_bridge":false,"is_favorite":false,"user_status":"active","name":"Camera"}'
)
CAMERA_PLUS = CAMERA % (
    '"pretty_name":"Address","pretty_text":"Address","short_address":"Address","full_address":"Address",'
)
DOWNLOAD: dict[str, Any] = {
    "id": 186,
    "name": "City, Street 1, file.mp4",
    "from": "2019-09-24 13:08:03",
    "to": "2019-09-24 13:08:47",
    "created_at": "2019-09-24T14:34:37.000000Z",
    "updated_at": "2023-02-10T15:09:25.000000Z",
    "user_id": 1,
}
STREAM = c.AnalyticsStream(
    frameProcessRate=16.129032,
    starttime=1672376602,
    status="WORKING",
    streamUid="287eb097-69fd-4582-ae4a-3428f1928742",
    uptime=1054636,
    camera_id=109993,
    is_can_restart=False,
)

# push, channel, event, body
SAMPLES: list[tuple[c.Push, str, str, str]] = [
    (
        c.CameraStatusUpdated(camera=resource.camera(resource.CameraFields(**FIELDS), CameraStatus.ACTIVE, "x")),
        "admin.admin",
        "App\\Events\\AdminPush",
        '{"data":{"type":"camera_status_updated","status":"ok","data":{"camera":%s}},"subject":null,"message":null}'
        % (CAMERA % ""),
    ),
    (
        c.IntercomStatusChanged(id=18, intercom_status=IntercomStatus.ACTIVE, status_pretty="Active"),
        "admin.intercom-index",
        "App\\Events\\UserPush",
        '{"data":{"type":"intercom_status_changed","status":"ok","data":{"id":18,"status":"active",'
        '"status_pretty":"Active"}},"subject":null,"message":null}',
    ),
    (
        c.CameraConfigApply(user_id=13, status="error", camera=PLUS, config_template=12, reason="Some text"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"camera_config_apply","status":"error","data":{"camera":%s,"config_template":12,'
        '"reason":"Some text"}},"subject":null,"message":null}' % CAMERA_PLUS,
    ),
    (
        c.CameraConfigApply(user_id=13, status="ok", camera=PLUS, config_template=12),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"camera_config_apply","status":"ok","data":{"camera":%s,"config_template":12,'
        '"reason":null}},"subject":null,"message":null}' % CAMERA_PLUS,
    ),
    (
        c.ExportConfig(user_id=13, status="ok", url="https://localhost/file.mp4"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"export_config","status":"ok","data":{"url":"https:\\/\\/localhost\\/file.mp4"}},'
        '"subject":null,"message":null}',
    ),
    (
        c.ExportConfig(user_id=13, status="error"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"export_config","status":"error","data":[]},"subject":null,"message":null}',
    ),
    (
        c.ImportConfig(user_id=13, status="ok", message="12 templates taken in"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"import_config","status":"ok","data":[]},"subject":null,"message":"12 templates taken in"}',
    ),
    (
        c.GenerateReport(
            user_id=13,
            status="ok",
            report=c.Report(name="r.xlsx", type="xlsx", url="", created_at="2019-09-24T13:54:44.000000Z"),
        ),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"generate_report","status":"ok","data":{"report":{"name":"r.xlsx","type":"xlsx","url":"",'
        '"created_at":"2019-09-24T13:54:44.000000Z"}}},"subject":null,"message":null}',
    ),
    (
        c.GenerateReport(user_id=13, status="error"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"generate_report","status":"error","data":[]},"subject":null,"message":null}',
    ),
    (
        c.UploadDhcpSubnets(user_id=13, status="ok"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"upload_dhcp_subnets","status":"ok","data":[]},"subject":null,"message":null}',
    ),
    (
        c.UploadDhcpSubnets(user_id=13, status="message", text="3 of 9"),
        "user.13",
        "App\\Events\\UserPush",
        '{"data":{"type":"upload_dhcp_subnets","status":"message","data":{"message":"3 of 9"}},'
        '"subject":null,"message":null}',
    ),
    (
        c.ArchiveGenerated(
            token_id=TOKEN,
            status="error",
            download=c.Download(**DOWNLOAD, url=None, is_file_exists=False),
        ),
        f"token.{TOKEN}",
        "App\\Events\\TokenPush",
        '{"data":{"type":"archive_generated","status":"error","data":{"download":{"id":186,'
        '"name":"City, Street 1, file.mp4","type":"mp4","url":null,"from":"2019-09-24 13:08:03",'
        '"to":"2019-09-24 13:08:47","created_at":"2019-09-24T14:34:37.000000Z",'
        '"updated_at":"2023-02-10T15:09:25.000000Z","is_file_exists":false,"user_id":1}}},'
        '"subject":null,"message":null}',
    ),
    (
        c.ExportIntercomKeys(token_id=TOKEN, status="ok", path="https://vms.local/k.xlsx"),
        f"token.{TOKEN}",
        "App\\Events\\TokenPush",
        '{"data":{"type":"export_intercom_keys","status":"ok","data":{"path":"https:\\/\\/vms.local\\/k.xlsx"}},'
        '"subject":null,"message":null}',
    ),
    (
        c.ImportIntercomFlatsUsersKeys(token_id=TOKEN),
        f"token.{TOKEN}",
        "App\\Events\\TokenPush",
        '{"data":{"type":"import_intercom_flats_users_keys","status":"ok","data":[]},"subject":null,"message":null}',
    ),
    (
        c.ImportIntercomFlatsUsersKeysFailed(token_id=TOKEN, path="/x.xlsx"),
        f"token.{TOKEN}",
        "App\\Events\\TokenPush",
        '{"data":{"type":"import_intercom_flats_users_keys_failed","status":"error","data":{"path":"\\/x.xlsx"}},'
        '"subject":null,"message":null}',
    ),
    *(
        (
            push(user_id=5, detached=(1, 2), attached=(4, 6)),
            "user.5",
            "App\\Events\\UserPush",
            f'{{"data":{{"type":"{push.type}","status":"ok","data":{{"detached":[1,2],"attached":[4,6]}}}},'
            '"subject":null,"message":null}',
        )
        for push in (
            c.PermissionsUpdated,
            c.AdminCameraGroupsUpdated,
            c.AdminIntercomGroupsUpdated,
            c.DhcpSubnetGroupsUpdated,
        )
    ),
    (
        c.BinaryStats(
            binaryUid="1d8602f4",
            coresUsed=47,
            cpuUsageAvg=28,
            memUsageRssBytes=3832954880,
            memUsageTotalBytes=14565945344,
            netBytesInPerSec=70639264,
            netBytesOutPerSec=3217367,
            streams={"1d71ec24": STREAM},
            streamsCount=1,
        ),
        "admin.analytic-servers-index",
        "App\\Events\\AdminStatPush",
        '{"data":{"binaryUid":"1d8602f4","coresUsed":47,"cpuUsageAvg":28,"memUsageRssBytes":3832954880,'
        '"memUsageTotalBytes":14565945344,"netBytesInPerSec":70639264,"netBytesOutPerSec":3217367,'
        '"streams":{"1d71ec24":{"frameProcessRate":16.129032,"starttime":1672376602,"status":"WORKING",'
        '"streamUid":"287eb097-69fd-4582-ae4a-3428f1928742","uptime":1054636,"camera_id":109993,'
        '"is_can_restart":false}},"streamsCount":1},"subject":"binary_stats","message":null}',
    ),
    (
        c.ServerStats(
            cpu=c.Cpu(
                cpu_count=64,
                cpu_loadavg_percent_15min=2.828125,
                cpu_loadavg_percent_1min=2.9375,
                cpu_loadavg_percent_5min=2.78125,
            ),
            ipaddress="",
            memory=c.Memory(
                available_memory=70942662656,
                total_memory=99785158656,
                used_memory=27567333376,
                used_percent_memory=28.9,
            ),
        ),
        "admin.analytic-servers-index",
        "App\\Events\\AdminStatPush",
        '{"data":{"cpu":{"cpu_count":64,"cpu_loadavg_percent_15min":2.828125,"cpu_loadavg_percent_1min":2.9375,'
        '"cpu_loadavg_percent_5min":2.78125},"ipaddress":"","memory":{"available_memory":70942662656,'
        '"total_memory":99785158656,"used_memory":27567333376,"used_percent_memory":28.9}},'
        '"subject":"server_stats","message":null}',
    ),
    (
        c.DictionaryUpdate(diff={"new_key_changes": "new_values_changes"}),
        "admin.dictionary-update",
        "App\\Events\\AdminPush",
        '{"data":{"type":"dictionary_update","status":"ok","data":{"diff":{"new_key_changes":"new_values_changes"}}},'
        '"subject":null,"message":null}',
    ),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample[0]).__name__)
def test_sample(sample: tuple[c.Push, str, str, str]) -> None:
    push, channel, event, body = sample
    assert (push.channel, push.event) == (channel, event)
    assert push.body() == body
    assert list(json.loads(body)) == ["data", "subject", "message"]


def test_every_type_of_the_catalogue_has_a_sample() -> None:
    assert len(c.CATALOGUE) == 18
    assert {type(push) for push, *_ in SAMPLES} == set(c.CATALOGUE)


def test_the_socket_key_is_the_last_one_and_marked_where_the_page_shows_it() -> None:
    push = c.ImportIntercomFlatsUsersKeys(token_id=TOKEN)
    assert c.with_socket(push.body()).endswith('"subject":null,"message":null,"socket":null}')
    assert {one for one in c.CATALOGUE if one.carries_socket} == {
        c.ExportIntercomKeys,
        c.ImportIntercomFlatsUsersKeys,
        c.ImportIntercomFlatsUsersKeysFailed,
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: c.CameraConfigApply(user_id=1, status="error", camera=PLUS, config_template=1),
        lambda: c.CameraConfigApply(user_id=1, status="ok", camera=PLUS, config_template=1, reason="x"),
        lambda: c.ExportConfig(user_id=1, status="ok"),
        lambda: c.ExportConfig(user_id=1, status="error", url="x"),
        lambda: c.GenerateReport(user_id=1, status="ok"),
        lambda: c.UploadDhcpSubnets(user_id=1, status="error"),
        lambda: c.UploadDhcpSubnets(user_id=1, status="ok", text="x"),
        lambda: c.ArchiveGenerated(
            token_id="x", status="ok", download=c.Download(**DOWNLOAD, url=None, is_file_exists=True)
        ),
        lambda: c.ExportIntercomKeys(token_id="x", status="ok"),
        lambda: c.ImportIntercomFlatsUsersKeys(token_id="a b"),
        lambda: c.PermissionsUpdated(user_id=0, detached=(), attached=()),
        lambda: c.PermissionsUpdated(user_id="1", detached=(), attached=()),  # type: ignore[arg-type]
        lambda: resource.CameraFields(id=1, start_at="2022-12-31T18:42:54Z"),
        lambda: resource.CameraFields(id=1, lat=91),
        lambda: resource.CameraFields(id="1"),  # type: ignore[arg-type]
    ],
)
def test_what_the_contract_does_not_know_cannot_be_made(make: Any) -> None:
    with pytest.raises(ValidationError):
        make()


def test_render_from_the_inventory() -> None:
    device = Device("cam-1", Kind.CAMERA, "onvif", "192.0.2.1", name="Entrance")
    push = render.camera_status(device, Channel(vms={"id": 7, "lat": 55.0, "pretty_name": "x"}), CameraStatus.PARTIAL)
    assert isinstance(push, c.CameraStatusUpdated)
    assert (push.camera.id, push.camera.status, push.camera.name, push.camera.lat) == (7, "partial", "Entrance", 55.0)
    assert '"lat":55,' in push.body(), "a whole float is printed as PHP prints it"
    assert "pretty_name" not in push.body()
    assert render.camera_status(device, Channel(), CameraStatus.ACTIVE) is None

    panel = render.intercom_status(device, Channel(vms={"id": 8}), IntercomStatus.INACTIVE, Labels("ru"))
    assert panel is not None
    assert '"status_pretty":"\\u041d\\u0435' in panel.body()
    own = Labels("ru", {"intercom.status.inactive": "Off"})
    panel = render.intercom_status(device, Channel(vms={"id": 8}), IntercomStatus.INACTIVE, own)
    assert panel is not None
    assert '"status_pretty":"Off"' in panel.body()


def _php_reads(value: Any) -> Any:
    """What PHP's json_decode(assoc) and json_encode would make of a value: the model that `encode` must match."""
    if isinstance(value, dict):
        return {str(key): _php_reads(one) for key, one in value.items()} or []
    if isinstance(value, list):
        return [_php_reads(one) for one in value]
    return value


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_encode_is_json_in_php_s_manner(document: Any) -> None:
    text = php_json.encode(document)
    assert text.isascii()
    assert json.loads(text) == _php_reads(document)
    assert all(text[i - 1] == "\\" for i, letter in enumerate(text) if letter == "/")
