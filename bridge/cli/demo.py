"""`device-bridge demo`: a simulated site and the bridge on it, to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import Exit, fail

if TYPE_CHECKING:
    import asyncio

    from bridge.service import Service

KEY = "demo-key"
PORT = 8080  # or any free one, when somebody has it
UP_LIMIT = 30.0  # seconds until every device must have answered
CHANNELS = ("admin.admin", "admin.intercom-index")


def demo(
    cameras: Annotated[int, typer.Option(min=1, max=2000, help="How many cameras the site has.")] = 20,
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after this time.")] = None,
    push_lines: Annotated[
        bool, typer.Option("--push-lines", "--json", help="Print nothing but one JSON object a push on stdout.")
    ] = False,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write addresses and a token here, as JSON, when all is up.")
    ] = None,
) -> None:
    """Run a simulated site and the bridge on it, and print the pushes as they go out.

    Nothing is needed and nothing is left behind: simulated cameras on this machine, an inventory and a store in a
    temporary folder. Things happen by themselves: cameras drop and return, streams are lost.
    """
    import asyncio
    import tempfile

    from bridge import log, registry
    from bridge.testing.site import SiteError

    try:
        registry.load("onvif")
    except registry.BrokenDriver as error:
        fail(str(error))
    log.configure("warning", "text")
    with tempfile.TemporaryDirectory(prefix="device-bridge-demo-") as folder:
        try:
            asyncio.run(_demo(Path(folder), cameras, seconds, push_lines, ready_file))
        except (SiteError, OSError) as error:
            fail(str(error))
    raise typer.Exit(Exit.OK)


async def _demo(folder: Path, cameras: int, seconds: float | None, push_lines: bool, ready_file: Path | None) -> None:
    import asyncio
    import signal
    from contextlib import suppress

    from bridge import registry
    from bridge.clock import SystemClock
    from bridge.config.load import load
    from bridge.model import Kind
    from bridge.service import Service
    from bridge.testing.site import SimulatedSite

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    site = SimulatedSite(cameras)
    site.add_panels(len(registry.panel_simulators()))
    # Four seconds in the place of twelve: here something should be seen within seconds.
    site.add("flussonic", kind=Kind.SERVER, name="Media server", cameras=3, dead_after=4.0)
    async with site:
        config = folder / "config.yaml"
        config.write_text(json.dumps(inventory(site.inventory(), await _free(PORT))))  # JSON is YAML
        service = Service(load(config))
        await service.start()
        scenario = None
        try:
            token = await service.tokens.issue("demo", ["*"])
            following = asyncio.create_task(_follow(service, push_lines))
            await _all_up(service, stop)
            if not push_lines:
                _say(service, token, len(site.members))
            if ready_file is not None:
                _write(ready_file, service, token)
            scenario = asyncio.create_task(site.scenario(SystemClock()))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
            following.cancel()
        finally:
            if scenario is not None:
                scenario.cancel()
                with suppress(asyncio.CancelledError):
                    await scenario
            await service.stop()


def inventory(site: dict[str, Any], port: int) -> dict[str, Any]:
    """A complete inventory for a simulated site. Real devices are watched more patiently; here something should be
    seen within seconds."""
    import secrets

    sink = {
        "name": "demo",
        "type": "pusher_server",
        "key": KEY,
        "secret": secrets.token_hex(16),
        # The last one is for clients that take the whole websocket URL for its base.
        "path_prefixes": ["", "/pusher", "/ws", f"/app/{KEY}"],
    }
    defaults: dict[str, Any] = {
        "watch": {"poll": "3s", "offline_failures": 2, "offline_after": "4s"},
        "onvif": {"stream_check": "describe", "timeout": 3},
    }
    devices = site["devices"]
    if len({json.dumps(device["credentials"]) for device in devices}) == 1:
        defaults["credentials"] = devices[0]["credentials"]
        devices = [{key: value for key, value in device.items() if key != "credentials"} for device in devices]
    return {
        "bridge": {
            "name": "demo",
            "http": {"listen": f"127.0.0.1:{port}"},
            "callbacks": {"listen": "127.0.0.1:0"},
            "syslog": {"listen": "127.0.0.1:0"},
        },
        "delivery": {"sinks": [sink]},
        "defaults": defaults,
        "sites": site["sites"],
        "devices": devices,
    }


async def _free(port: int) -> int:
    """The port if nobody listens on it, or 0 for any."""
    import asyncio

    try:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    except OSError:
        return 0
    server.close()
    await server.wait_closed()
    return port


async def _all_up(service: Service, stop: asyncio.Event) -> None:
    """Until every device has answered."""
    import asyncio

    from bridge.state.reachability import Reach

    async with asyncio.timeout(UP_LIMIT):
        while not stop.is_set():
            if all(one.state.reach.reach is not Reach.UNKNOWN for one in service.supervisor.runners.values()):
                return
            await asyncio.sleep(0.05)


def _addresses(service: Service) -> tuple[str, str]:
    http = service.url
    return http, f"{http.replace('http', 'ws', 1)}/app/{KEY}"


def _write(ready_file: Path, service: Service, token: str) -> None:
    import os

    http, websocket = _addresses(service)
    prefix = service.inventory.delivery.channel_prefix
    ready = {
        "http": http,
        "websocket": websocket,
        "app_key": KEY,
        "token": token,
        "channels": [prefix + channel for channel in CHANNELS],
    }
    # Whoever waits for the file must never find half of it.
    part = ready_file.with_name(f"{ready_file.name}.part")
    part.write_text(json.dumps(ready) + "\n")
    os.replace(part, ready_file)


def _say(service: Service, token: str, devices: int) -> None:
    from rich.console import Console

    http, websocket = _addresses(service)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{devices} simulated devices are up.[/] Look at them: [link]{http}/#token={token}[/]")
    console.print(f"Clients of the Pusher protocol connect to {websocket}. Ctrl-C ends it all.\n")


async def _follow(service: Service, push_lines: bool) -> None:
    """Print pushes as they are decided, from the first."""
    import sys

    from bridge.cli.devices import line

    prefix, seq = service.inventory.delivery.channel_prefix, 0
    fresh = service.store.subscribe()
    while True:
        fresh.clear()
        rows = await service.store.outbox_after(seq, 500)
        for row in rows:
            seq, envelope = row.seq, json.loads(row.body)
            if push_lines:
                printed = {"channel": prefix + row.channel, "event": row.event, "data": envelope}
                sys.stdout.write(json.dumps(printed, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(line(row.at, row.device, prefix + row.channel, envelope) + "\n")
        sys.stdout.flush()
        if not rows:
            await fresh.wait()
