"""`device-bridge clip`: a piece of a camera's archive as a file, through the running bridge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.client import Token, Url, User, connected
from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, fail, print_json

if TYPE_CHECKING:
    from bridge.cli.client import Client

LOOK_EVERY = 0.5  # seconds between two looks how far it is


def clip(
    camera: Annotated[
        str, typer.Argument(help="The camera: its id in the VMS, its device, or DEVICE/CHANNEL.", metavar="CAMERA")
    ],
    start: Annotated[
        str, typer.Option("--from", help="Where it begins: 2026-11-25T09:00:00, in local time unless it says +00:00.")
    ],
    end: Annotated[str, typer.Option("--to", help="Where it ends, in the same way.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where it goes; without this, its URL is told.")
    ] = None,
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Cut a clip of a camera's archive. Exit code 1 when it is not all recorded, or cannot be cut."""
    times = {"from": _time("--from", start, as_json), "to": _time("--to", end, as_json)}
    device, slash, channel = camera.partition("/")
    which: dict[str, Any] = {"camera": int(camera)} if camera.isdecimal() else {"device": device}
    if slash:
        which["channel"] = channel
    with connected(config, url, token, user, as_json=as_json) as client:
        told = _followed(client, client.do("/clips", {**which, **times}), quiet=as_json)
        if told["url"] and output is not None:
            client.save(told["url"], output)
    if told["job"]["state"] != "done":
        fail(told["job"]["reason"], as_json=as_json)
    if as_json:
        print_json(told)
    else:
        typer.echo(str(output) if output is not None else told["url"] or "done")


def _time(option: str, text: str, as_json: bool) -> int:
    from datetime import datetime

    try:
        return round(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        fail(f"{option} {text}: write it like 2026-11-25T09:00:00", Exit.USAGE, as_json=as_json)


def _followed(client: Client, told: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Until it has ended, with a bar."""
    import time

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("clip"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeElapsedColumn())
    job = told["job"]["id"]
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        try:
            while told["job"]["ended_at"] is None:
                time.sleep(LOOK_EVERY)
                told = client.get(f"/clips/{job}")
                progress.update(task, completed=told["done"], total=told["total"])
        except KeyboardInterrupt:
            fail(f"the work goes on: device-bridge jobs watch {job}", as_json=quiet)
    return told
