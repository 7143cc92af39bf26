"""The simulated 2N intercom, asked by py2n, a client library that others wrote."""

from __future__ import annotations

import aiohttp
import pytest
from py2n import Py2NConnectionData, Py2NDevice
from py2n.exceptions import ApiError, DeviceApiError

from tests.integration.two_n_rig import panel

# It hands aiohttp what aiohttp has since given other names.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
DIGEST = dict.fromkeys(("system", "switch", "io", "camera", "log"), "digest")
BASIC = dict.fromkeys(("system", "switch", "io", "camera", "log"), "basic")


def login(one, method: str, **more) -> Py2NConnectionData:
    return Py2NConnectionData(
        host=f"{one.address}:{one.port}", username=one.username, password=one.password, auth_method=method, **more
    )


@pytest.mark.parametrize(("method", "schemes"), [("digest", DIGEST), ("basic", BASIC)])
async def test_py2n_reads_and_switches_it(method, schemes):
    async with panel(schemes=schemes, bistable=(2,)) as one, aiohttp.ClientSession() as http:
        device = await Py2NDevice.create(http, login(one, method))
        data = device.data
        assert (data.serial, data.mac, data.model) == (one.serial, one.mac, "2N IP Verso")
        assert data.firmware == "2.50.0.76.2-release"
        assert [(each.id, each.enabled, each.mode) for each in data.switches] == [
            (1, True, "monostable"),
            (2, True, "bistable"),
            (3, False, None),
        ]
        assert [(each.id, each.type) for each in data.ports] == [("input1", "input"), ("relay1", "output")]
        assert "CallStateChanged" in data.log_caps
        await device.set_switch(2, True)
        await device.update_switch_status()
        assert device.get_switch(2)
        assert one.openings() == 1


async def test_py2n_follows_its_log():
    async with panel(schemes=DIGEST) as one, aiohttp.ClientSession() as http:
        device = await Py2NDevice.create(http, login(one, "digest"))
        channel = await device.log_subscribe(filter=["DoorStateChanged"])
        await one.act("ring")
        await one.act("door")
        (event,) = await device.log_pull(channel, timeout=2)
        assert (event["event"], event["params"]) == ("DoorStateChanged", {"state": "opened"})
        await device.log_unsubscribe(channel)
        with pytest.raises(DeviceApiError) as refused:
            await device.log_pull(channel)
        assert refused.value.error is ApiError.INVALID_PARAMETER_VALUE


@pytest.mark.parametrize(
    ("traits", "error"),
    [
        ({"disabled": ("switch",)}, ApiError.DISABLED),
        ({"licensed": False}, ApiError.DISABLED),
        ({"https_only": ("io",)}, ApiError.INVALID_CONNECTION_TYPE),
        ({"unprivileged": ("switch",)}, ApiError.INSUFFICIENT_PRIVILEGES),
    ],
)
async def test_py2n_is_told_what_is_missing(traits, error):
    async with panel(schemes=BASIC, **traits) as one, aiohttp.ClientSession() as http:
        with pytest.raises(DeviceApiError) as refused:
            await Py2NDevice.create(http, login(one, "basic"))
        assert refused.value.error is error
        device = await Py2NDevice.create(http, login(one, "basic", unprivileged=True))
        assert device.data.serial == one.serial


async def test_py2n_without_a_login_is_asked_for_one():
    async with panel() as one, aiohttp.ClientSession() as http:
        with pytest.raises(DeviceApiError) as refused:
            await Py2NDevice.create(http, Py2NConnectionData(host=f"{one.address}:{one.port}"))
        assert refused.value.error is ApiError.AUTHORIZATION_REQUIRED
