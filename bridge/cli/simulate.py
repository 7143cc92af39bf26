"""`device-bridge simulate`: the simulated site alone, to try a bridge on without hardware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.common import Exit, Json, fail, print_json

if TYPE_CHECKING:
    from bridge.testing.site import SimulatedSite


def simulate(
    cameras: Annotated[int, typer.Option(min=0, max=5000, help="How many cameras the site has.")] = 20,
    panels: Annotated[int, typer.Option(min=0, max=1000, help="How many door panels.")] = 0,
    recorders: Annotated[int, typer.Option(min=0, max=200, help="How many NVRs, of four channels each.")] = 0,
    media_servers: Annotated[
        int, typer.Option(min=0, max=50, help="How many Flussonic media servers, of four cameras each.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same site.")] = 1,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the control API on 127.0.0.1; 0 takes a free one.")
    ] = 8070,
    scenario: Annotated[bool, typer.Option("--scenario", help="Let things happen by themselves, too.")] = False,
    inventory: Annotated[Path | None, typer.Option(help="Write an inventory for the site to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Run simulated devices on this machine until Ctrl-C, with an API to make them misbehave.

    GET /devices lists them, GET /inventory prints an inventory for `device-bridge run`,
    POST /devices/cam-01/faults {"fault": "black_hole", "seconds": 30} injects a fault,
    POST /devices/cam-01/act {"action": "motion", "active": true} lets something happen,
    POST /devices/cam-01/reboot {"seconds": 10} reboots one. docs/simulator.md has them all.
    """
    import asyncio

    from bridge import log
    from bridge.model import Kind
    from bridge.testing.site import SimulatedSite, SiteError

    log.configure("info", "auto")
    site = SimulatedSite(cameras, seed=seed)
    site.add_panels(panels)
    for _ in range(recorders):
        site.add("onvif", kind=Kind.SERVER, channels=4)
    for number in range(media_servers):
        site.add("flussonic", kind=Kind.SERVER, name=f"Media server {number + 1}", cameras=4)
    try:
        asyncio.run(_simulate(site, port, scenario, inventory, as_json))
    except (SiteError, OSError) as error:
        fail(str(error), as_json=as_json)
    raise typer.Exit(Exit.OK)


async def _simulate(site: SimulatedSite, port: int, scenario: bool, inventory: Path | None, as_json: bool) -> None:
    import asyncio
    import signal
    from contextlib import suppress

    import yaml

    from bridge.cli.demo import PORT
    from bridge.cli.demo import inventory as complete
    from bridge.clock import SystemClock
    from bridge.testing.site_control import SiteControl

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with site:
        control = SiteControl(site)
        await control.start(port=port)
        try:
            if inventory is not None:
                text = yaml.safe_dump(complete(site.inventory(), PORT), sort_keys=False, allow_unicode=True)
                await asyncio.to_thread(inventory.write_text, text)
            if as_json:
                print_json({"control": control.url, "devices": len(site.members)})
            else:
                typer.echo(f"{len(site.members)} simulated devices are up; control API: {control.url}/devices")
            happening = asyncio.create_task(site.scenario(SystemClock())) if scenario else None
            await stop.wait()
            if happening is not None:
                happening.cancel()
                with suppress(asyncio.CancelledError):
                    await happening
        finally:
            await control.stop()
