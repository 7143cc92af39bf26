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
    as_json: Annotated[bool, typer.Option("--json", help="The same as --log-format json.")] = False,
) -> None:
    """Run the bridge until SIGTERM or Ctrl-C.

    The inventory is read again when the file changes or SIGHUP arrives: wholly or not at all, and only devices
    whose configuration changed are restarted.
    """
    import resource
    import signal

    from bridge import log
    from bridge.secrets import Redactor

    # A reload that is asked for before anything is loaded is none; without this it would be the end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Every device and every client is an open file, and shells give a process 1,024 of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    inventory = load_inventory(config, as_json=as_json)
    redactor = Redactor()
    redactor.learn(inventory.secrets)
    settings = inventory.bridge.log
    log.configure(log_level or settings.level, "json" if as_json else log_format or settings.format, redactor)
    _warn(inventory)

    from bridge import loop

    raise typer.Exit(loop.run(_serve(inventory, redactor)))


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

    loop = asyncio.get_running_loop()
    stop, again = asyncio.Event(), asyncio.Event()
    # Before the start: a SIGHUP that arrives in the middle of it is a reload, too, and not the end.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    service = Service(inventory, redactor=redactor)
    starting, stopping = asyncio.create_task(service.start()), asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()  # a start that is done is not moved by that
    try:
        await starting
    except asyncio.CancelledError:
        return Exit.OK
    except (StoreInUse, StoreError, OSError) as error:
        fail(f"cannot start: {error}")
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
    from bridge.store.writer import StoreError

    log = structlog.get_logger("bridge")
    while True:
        await again.wait()
        again.clear()
        try:
            await service.reload()
        except InvalidInventory as error:
            log.error("inventory not taken, the old one goes on", errors=[str(one) for one in error.problems])
        except (NeedsRestart, OSError, StoreError) as error:
            log.error("inventory not taken, the old one goes on", reason=str(error))
        except Exception as error:
            # A bug of ours: the next change of the file is another chance.
            log.error("a reload failed", exc_info=error)


async def _watch_file(path: Path, again: asyncio.Event) -> None:
    """Editors write a new file and rename it, and a mounted file may be a link to another that is put in its place: so
    the directories are watched, not the file."""
    import structlog
    from watchfiles import awatch

    seen = _look(path)
    try:
        async for _ in awatch(*_folders(path), recursive=False, debounce=500, step=100):
            before, seen = seen, _look(path)
            if seen != before:
                again.set()
    except (OSError, RuntimeError) as error:
        # The kernel's limit on watches, for one, which other programs of the machine may have used up.
        reason = f"{error}: changes are taken at SIGHUP only"
        structlog.get_logger("bridge").error("the inventory file cannot be watched", reason=reason)


def _folders(path: Path) -> tuple[Path, Path]:
    return path.parent, path.resolve().parent


def _look(path: Path) -> tuple[int, int, int] | None:
    """What is another when the file is; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
