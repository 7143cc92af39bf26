"""Kane610's `axis` on a device: run by itself, in an environment of its own. Prints what it found as JSON.

    axis_client.py requests HOST PORT USER PASSWORD     its VAPIX requests (a release for this Python)
    axis_client.py websocket HOST PORT USER PASSWORD    its event stream (its latest release)

The latest release needs Python 3.14, because it relies on annotations that are evaluated late. Its modules for the
event stream are read unchanged, with annotations late as there (PEP 563).
"""

from __future__ import annotations
import __future__

import asyncio
import importlib.util
import json
import sys
import types
from pathlib import Path

READY = "ready"


async def requests(host: str, port: int, username: str, password: str) -> dict[str, object]:
    import httpx
    from axis.device import AxisDevice
    from axis.models.configuration import Configuration
    from axis.models.port_management import Sequence

    async with httpx.AsyncClient() as session:
        device = AxisDevice(Configuration(session, host, port=port, username=username, password=password))
        vapix = device.vapix
        await vapix.initialize()
        ports = vapix.io_port_management
        found = {
            "serial": vapix.serial_number,
            "firmware": vapix.firmware_version,
            "model": vapix.product_number,
            "type": vapix.product_type,
            "apis": sorted(vapix.api_discovery),
            "ports": {one.id: [one.direction, one.state, one.usage] for one in ports.values()},
        }
        await ports.set_state_sequence("2", [Sequence("closed", 100), Sequence("open", 0)])
        return found


class Late:
    """Loads a module of the installed package as it is, with late annotations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str) -> types.ModuleType:
        file = self.folder.joinpath(*name.split(".")[1:]).with_suffix(".py")
        module = types.ModuleType(name)
        module.__file__, module.__package__ = str(file), name.rpartition(".")[0]
        sys.modules[name] = module
        source = compile(file.read_text(), file, "exec", flags=__future__.annotations.compiler_flag)
        exec(source, module.__dict__)
        return module


async def websocket(host: str, port: int, username: str, password: str) -> dict[str, object]:
    import aiohttp

    spec = importlib.util.find_spec("axis")
    assert spec is not None
    assert spec.origin is not None
    late = Late(Path(spec.origin).parent)
    for package in ("axis", "axis.models"):
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = []
    # The one thing of theirs that the stream takes from models that this Python cannot read: the name of the interface.
    discovery = types.ModuleType("axis.models.api_discovery")
    discovery.ApiId = types.SimpleNamespace(EVENT_STREAMING_OVER_WEBSOCKET="event-streaming-over-websocket")
    sys.modules["axis.models.api_discovery"] = discovery
    for name in ("axis.models.event", "axis.rtsp"):
        late.load(name)
    client_module = late.load("axis.websocket")

    middleware = aiohttp.DigestAuthMiddleware(username, password)
    async with aiohttp.ClientSession() as session:

        async def request(method: str, path: str) -> bytes:
            async with session.request(
                method, f"http://{host}:{port}{path}", middlewares=(middleware,), raise_for_status=True
            ) as response:
                return await response.read()

        device = types.SimpleNamespace(
            vapix=types.SimpleNamespace(request=request),
            config=types.SimpleNamespace(session=session, verify_ssl=True, username=username, password=password),
        )
        heard: list[dict[str, object]] = []
        signals: list[str] = []
        enough = asyncio.Event()

        def told(signal: str) -> None:
            signals.append(str(signal))
            while signal == "data" and (one := client.data):
                heard.append(one)
            if any("Never/Heard" in str(one["topic"]) for one in heard):
                enough.set()

        url = f"ws://{host}:{port}{client_module.WEBSOCKET_PATH}?sources=events"
        client = client_module.WebSocketClient(device, url, told)
        await client.start()
        print(READY, flush=True)
        async with asyncio.timeout(10):
            await enough.wait()
        client.stop()
        await client._close_task
        return {"signals": signals[:1], "heard": heard}


if __name__ == "__main__":
    what, host, port, username, password = sys.argv[1:]
    run = {"requests": requests, "websocket": websocket}[what]
    print(json.dumps(asyncio.run(run(host, int(port), username, password)), default=str))
