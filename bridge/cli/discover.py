"""`device-bridge discover` and `probe`: what is there, and what is this?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, print_json

if TYPE_CHECKING:
    from bridge.driver import Scope
    from bridge.model import Found

# What an inventory begins with, when there is none to add to.
BEGINNING = """\
# The inventory of device-bridge: docs/configuration.md explains it, config.example.yaml has every field.
devices: []
"""


def discover(
    config: Config = DEFAULT_CONFIG,
    add: Annotated[bool, typer.Option("--add", help="Write what is new into the inventory.")] = False,
    interface: Annotated[
        list[str] | None, typer.Option(help="Address of the local interface to ask on; may be given several times.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="Host to ask directly, where multicast does not reach; HOST or HOST:PORT.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long to listen for answers.", min=0.1, max=60)] = 4.0,
    as_json: Json = False,
) -> None:
    """Ask the network which devices are there. No password is sent to anything that is found.

    Multicast does not cross routers: ask from the cameras' own network, or name hosts with --target.
    Exit code 4 when nothing answers.
    """
    from bridge import loop
    from bridge.driver import Scope

    scope = Scope(seconds, tuple(interface or ()), tuple(target or ()))
    try:
        found = loop.run(_discover(scope, quiet=as_json))
    except OSError as error:
        fail(f"cannot ask on that interface: {error.strerror or error}", as_json=as_json)
    known = _known(config)
    added: list[str] = []
    if add:
        from bridge.config.edit import add_devices
        from bridge.config.load import InvalidInventory

        new = [one for one in found if (one.driver, one.address, one.port) not in known]
        try:
            if new and not config.exists():
                config.write_text(BEGINNING)
            if new:
                added = add_devices(config, new)
        except (InvalidInventory, OSError) as error:
            fail(f"nothing was added: {error}", Exit.INVENTORY, as_json=as_json)
    if as_json:
        print_json({"found": [_entry(one, known) for one in found], "added": added})
    else:
        _print(found, known, added, config)
    raise typer.Exit(Exit.OK if found else Exit.NOTHING_FOUND)


async def _discover(scope: Scope, *, quiet: bool) -> list[Found]:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from bridge import registry
    from bridge.model import Capability

    found: list[Found] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("asking the network")

        async def ask(name: str) -> None:
            driver = registry.load(name)
            if Capability.DISCOVER not in driver.capabilities:
                return
            async for one in driver.discover(scope):
                found.append(one)
                progress.update(task, description=f"{len(found)} found")

        usable = []
        for name in registry.names():
            try:
                registry.load(name)
                usable.append(name)
            except registry.BrokenDriver as error:
                typer.echo(f"device-bridge: {error}", err=True)
        await asyncio.gather(*(ask(name) for name in usable))
    return sorted(found, key=lambda one: (one.driver, [p.zfill(3) for p in one.address.split(".")], one.port or 0))


def _known(config: Path) -> set[tuple[str, str, int | None]]:
    """Driver, address and port of what the inventory has already; nothing when there is no usable inventory."""
    from bridge.config.load import InvalidInventory, load

    try:
        devices = load(config).devices
    except InvalidInventory:
        return set()
    return {(one.driver, one.address, getattr(one.config, "port", None) or 80) for one in devices}


def _entry(one: Found, known: set[tuple[str, str, int | None]]) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(one), "in_inventory": (one.driver, one.address, one.port) in known}


def _print(found: list[Found], known: set[tuple[str, str, int | None]], added: list[str], config: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not found:
        console.print("Nothing answered. Are you on the cameras' network? --target HOST asks a host directly.")
        return
    table = Table("", "Address", "Port", "Name", "Maker", "Model")
    for one in found:
        mark = "[bright_black]known" if (one.driver, one.address, one.port) in known else "[green]new"
        table.add_row(mark, one.address, str(one.port or ""), cell(one.name), cell(one.manufacturer), cell(one.model))
    console.print(table)
    if added:
        console.print(
            f"Added to {config}: {', '.join(added)}. Give them credentials, then: device-bridge check --online"
        )


def probe(
    address: Annotated[str, typer.Argument(help="IP address or host name, HOST or HOST:PORT.")],
    driver: Annotated[str, typer.Option(help="The driver to ask with.")] = "onvif",
    user: Annotated[str | None, typer.Option("--user", "-u", help="User name; the password is asked for.")] = None,
    password: Annotated[
        str | None, typer.Option(help="env:NAME or file:PATH instead of asking; never the password itself.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask one device who it is, what it can do and how it is, and print the inventory entry for it.

    Nothing is written. Exit code 1 when it does not answer as it should.
    """
    import os

    from pydantic import ValidationError

    from bridge import loop, registry
    from bridge.config.references import References, Unresolved
    from bridge.model import Channel, Credentials, Device, Kind
    from bridge.secrets import Redactor, Secret

    host, _, port = address.rpartition(":") if address.count(":") == 1 else (address, "", "")
    try:
        made = registry.load(driver)
        settings = made.Config.model_validate({"port": int(port)} if port.isdecimal() else {})
    except KeyError:
        fail(f"there is no driver {driver!r}: choose from {', '.join(registry.names())}", Exit.USAGE, as_json=as_json)
    except registry.BrokenDriver as error:
        fail(str(error), as_json=as_json)
    except ValidationError:
        fail(f"{port} is no port", Exit.USAGE, as_json=as_json)
    credentials = None
    if user is not None:
        if password is None:
            secret = Secret(typer.prompt("Password", hide_input=True, err=True))
        elif password.partition(":")[0] not in ("env", "file", "cred"):
            fail(
                "a password on the command line can be read by everybody here: use env:NAME",
                Exit.USAGE,
                as_json=as_json,
            )
        else:
            try:
                secret = References(Path.cwd(), os.environ).resolve(password)
            except Unresolved as error:
                fail(": ".join(part for part in error.advice if part), Exit.USAGE, as_json=as_json)
        credentials = Credentials(user, secret)
    # A family of nothing but servers has no camera of its own to look at.
    kind = Kind.CAMERA if Kind.CAMERA in made.kinds else min(made.kinds)
    channels = () if kind is Kind.SERVER else (Channel(),)
    device = Device("probe", kind, driver, host, credentials=credentials, channels=channels, config=settings)
    redactor = Redactor()
    redactor.learn([credentials.password] if credentials else [])
    raise typer.Exit(loop.run(_probe(device, redactor, as_json)))


async def _probe(device: Any, redactor: Any, as_json: bool) -> Exit:
    from dataclasses import asdict

    from rich.console import Console

    from bridge.cli.once import look
    from bridge.errors import DeviceError
    from bridge.supervisor import http_session

    async with http_session() as session:
        try:
            seen = await look(device, session)
        except DeviceError as error:
            if as_json:
                print_json({"ok": False, "kind": error.kind, "error": redactor(error.detail)})
            else:
                typer.echo(f"device-bridge: {device.address}: {redactor(error.detail)}", err=True)
            return Exit.FAILED
    identity, reading = seen.identity, seen.reading
    if as_json:
        capabilities = sorted(identity.capabilities)
        print_json(
            {
                "ok": True,
                "identity": {**asdict(identity), "capabilities": capabilities},
                "rung": reading.rung.name.lower(),
                "facts": dict(reading.facts),
                "streams": {key: [asdict(one) for one in streams] for key, streams in reading.streams.items()},
            }
        )
        return Exit.OK
    console = Console(highlight=False)
    console.print(cell(f"{identity.manufacturer} {identity.model}, firmware {identity.firmware}"), style="bold")
    console.print(cell(f"serial {identity.serial or '-'}, MAC {', '.join(identity.macs) or '-'}"))
    for name, value in reading.facts.items():
        console.print(cell(f"{name.replace('_', ' ')}: {value}"))
    for streams in reading.streams.values():
        for stream in streams:
            console.print(cell(f"stream {stream.name}: {stream.uri or 'no address'} {stream.detail}"))
    console.print("\nFor the inventory:", *_entry_lines(device, identity.model), sep="\n", markup=False)
    return Exit.OK


def _entry_lines(device: Any, model: str) -> list[str]:
    lines = [
        f"  - id: {(model or 'camera').lower().replace(' ', '-')}",
        f"    driver: {device.driver}",
        f"    address: {device.address}",
    ]
    if device.credentials:
        lines.append(f"    credentials: {{username: {device.credentials.username}, password: env:CAMERA_PASSWORD}}")
    if getattr(device.config, "port", None):
        lines.append(f"    {device.driver}: {{port: {device.config.port}}}")
    if not device.channels:
        return [*lines, "    channels:", "      - {key: camera-1, vms: {id: 1}}  # each camera with its id in the VMS"]
    return [*lines, "    vms: {id: 1}  # its id in the VMS"]
