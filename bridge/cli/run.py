"""`device-bridge run`: the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, fail, load_inventory

if TYPE_CHECKING:
    import asyncio

    from bridge.config.load import Inventory
    from bridge.secrets import Redactor
    from bridge.service import Service

WARNINGS = 20  # of the inventory, that are logged at start
STOP_LIMIT = 4.5  # seconds from SIGTERM to the end, at most


def run(
    config: Config = DEFAULT_CONFIG,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, json or text.")] = None,
) -> None:
    """Run the bridge until SIGTERM or Ctrl-C.

    The inventory is read again when the file changes or SIGHUP arrives: wholly or not at all, and only devices
    whose configuration changed are restarted.
    """
    from bridge import log
    from bridge.secrets import Redactor

    inventory = load_inventory(config)
    redactor = Redactor()
    redactor.learn(inventory.secrets)
    settings = inventory.bridge.log
    log.configure(log_level or settings.level, log_format or settings.format, redactor)
    _warn(inventory)

    import asyncio

    raise typer.Exit(asyncio.run(_serve(inventory, redactor)))


def _warn(inventory: Inventory) -> None:
    import structlog

    logger = structlog.get_logger("bridge")
    for problem in inventory.warnings[:WARNINGS]:
        logger.warning("inventory", problem=str(problem))
    if len(inventory.warnings) > WARNINGS:
        logger.warning("inventory", more_warnings=len(inventory.warnings) - WARNINGS, see="device-bridge check")


async def _serve(inventory: Inventory, redactor: Redactor) -> int:
    import asyncio
    import signal

    from bridge.service import Service
    from bridge.store.store import StoreInUse
    from bridge.store.writer import StoreError

    service = Service(inventory, redactor=redactor)
    try:
        await service.start()
    except (StoreInUse, StoreError, OSError) as error:
        fail(f"cannot start: {error}")
    loop = asyncio.get_running_loop()
    stop, again = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    reloading = asyncio.create_task(_reload_forever(service, again))
    watching = asyncio.create_task(_watch_file(service.inventory.path, again))
    await stop.wait()
    for task in (reloading, watching):
        task.cancel()
    try:
        async with asyncio.timeout(STOP_LIMIT):
            await service.stop()
    except TimeoutError:
        fail("something did not let go in time; ended all the same")
    return Exit.OK


async def _reload_forever(service: Service, again: asyncio.Event) -> None:
    import structlog

    from bridge.config.load import InvalidInventory
    from bridge.service import NeedsRestart

    log = structlog.get_logger("bridge")
    while True:
        await again.wait()
        again.clear()
        try:
            await service.reload()
        except InvalidInventory as error:
            log.error("inventory not taken, the old one goes on", errors=[str(one) for one in error.problems])
        except (NeedsRestart, OSError) as error:
            log.error("inventory not taken, the old one goes on", reason=str(error))


async def _watch_file(path: Path, again: asyncio.Event) -> None:
    """Editors write a new file and rename it, so the directory is watched, not the file."""
    from watchfiles import awatch

    async for changes in awatch(path.parent, recursive=False, debounce=500, step=100):
        if any(Path(name).name == path.name for _, name in changes):
            again.set()
