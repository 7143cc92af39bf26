"""`device-bridge check`: is the inventory right, and with --online: does everything in it answer?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, load_inventory, print_json, problems_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.load import Inventory

AT_ONCE = 50


def check(
    config: Config = DEFAULT_CONFIG,
    online: Annotated[bool, typer.Option("--online", help="Log in to every device and every sink, too.")] = False,
    as_json: Json = False,
) -> None:
    """Check the inventory: every error at once, with its place and how to mend it.

    Without --online nothing is sent anywhere. Exit codes: 0 right, 1 something does not answer, 3 errors.
    """
    inventory = load_inventory(config, as_json=as_json)
    results: list[Result] = []
    if online:
        from bridge import loop

        results = loop.run(_online(inventory, quiet=as_json))
    bad = [one for one in results if not one.ok]
    if as_json:
        print_json(
            {
                "ok": not bad,
                "devices": len(inventory.devices),
                "sinks": len(inventory.delivery.sinks),
                "problems": problems_json(inventory.warnings),
                "online": [asdict(one) for one in results],
            }
        )
    else:
        _print(inventory, results, online=online)
    raise typer.Exit(Exit.FAILED if bad else Exit.OK)


@dataclass(frozen=True, slots=True)
class Result:
    """What one device or sink answered."""

    what: str  # device or sink
    id: str
    ok: bool
    kind: str  # ok, or the kind of the error
    detail: str


def _print(inventory: Inventory, results: list[Result], *, online: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for problem in inventory.warnings:
        typer.echo(str(problem), err=True)
    if online:
        table = Table("", "What", "Id", "Answer")
        for one in sorted(results, key=lambda one: (one.ok, one.what, one.id)):
            table.add_row("[green]✓" if one.ok else "[red]✗", one.what, one.id, cell(one.detail))
        console.print(table)
    count = f"{len(inventory.devices)} devices, {len(inventory.delivery.sinks)} sinks"
    bad = sum(not one.ok for one in results)
    verdict = f"[red]{bad} do not answer as they should" if bad else "[green]all answer" if online else "[green]right"
    console.print(f"{inventory.path}: {count}: {verdict}")


async def _online(inventory: Inventory, *, quiet: bool) -> list[Result]:
    import asyncio

    from rich.console import Console
    from rich.progress import Progress

    from bridge.clock import SystemClock
    from bridge.delivery.build import build
    from bridge.delivery.sink import TryAgain
    from bridge.metrics import Metrics
    from bridge.secrets import Redactor
    from bridge.supervisor import http_session

    redactor = Redactor()
    redactor.learn(inventory.secrets)
    clock, gate = SystemClock(), asyncio.Semaphore(AT_ONCE)
    devices = [one for one in inventory.devices if one.address]
    results: list[Result] = []

    async def device(one: Any, session: Any, done: Callable[[], None]) -> None:
        async with gate:
            ok, kind, detail = await _log_in(one, session)
        results.append(Result("device", one.id, ok, kind, redactor(detail)))
        done()

    async def sink(one: Any, done: Callable[[], None]) -> None:
        if one.type == "pusher_server":
            results.append(Result("sink", one.name, True, "ok", "served by the bridge itself"))
            done()
            return
        try:
            prefix, source = inventory.delivery.channel_prefix, inventory.bridge.name
            made = build(one, prefix, source=source, clock=clock, metrics=Metrics(), redactor=redactor)
            try:
                detail = await made.check()
                results.append(Result("sink", one.name, True, "ok", redactor(detail)))
            finally:
                await made.close()
        except (TryAgain, OSError) as error:
            results.append(Result("sink", one.name, False, "failed", redactor(str(error))))
        done()

    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("logging in", total=len(devices) + len(inventory.delivery.sinks))

        def done() -> None:
            progress.advance(task)

        async with http_session() as session:
            await asyncio.gather(
                *(device(one, session, done) for one in devices),
                *(sink(one, done) for one in inventory.delivery.sinks),
            )
    return results


async def _log_in(device: Any, session: Any) -> tuple[bool, str, str]:
    """Whether a device is well, the kind of error, and a sentence."""
    from bridge.cli.once import look
    from bridge.errors import DeviceError

    try:
        seen = await look(device, session)
    except DeviceError as error:
        return False, error.kind, error.detail
    streams = [one for several in seen.reading.streams.values() for one in several]
    name = " ".join(part for part in (seen.identity.manufacturer, seen.identity.model) if part)
    # A panel's driver looks at no streams, and says nothing of them.
    said = (name or "it answers") + (f", {len(streams)} streams" if seen.reading.streams else "")
    if down := next((one for one in streams if one.up is False), None):
        return False, "stream_down", f"{said}, {down.name} is down: {down.detail or 'no answer'}"
    return True, "ok", said
