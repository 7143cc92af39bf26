"""`device-bridge jobs`: long work of the running bridge, and the confirmation that some of it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.client import Token, Url, connected
from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, print_json

if TYPE_CHECKING:
    from bridge.cli.client import Client

app = typer.Typer(help="List, follow, confirm and cancel long work.", no_args_is_help=True)

Job = Annotated[int, typer.Argument(min=1, help="The job's number.")]


@app.command(name="list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest, that many.")] = 20,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with connected(config, url, token, as_json=as_json) as client:
        found = client.get("/jobs", limit=limit)["jobs"]
    if as_json:
        print_json({"jobs": found})
        return
    from rich.console import Console

    from bridge.cli.plans import jobs_table

    Console().print(jobs_table(found))


@app.command()
def show(
    job: Job, config: Config = DEFAULT_CONFIG, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Show a job and what came of it on each device."""
    with connected(config, url, token, as_json=as_json) as client:
        found = client.get(f"/jobs/{job}")
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    from bridge.cli.plans import items_table, jobs_table

    console = Console()
    console.print(jobs_table([found["job"]]))
    console.print(items_table(found["items"]))


@app.command()
def watch(
    job: Job, config: Config = DEFAULT_CONFIG, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Follow a job to its end, or until it waits for a confirmation. Exit code 1 when something failed."""
    with connected(config, url, token, as_json=as_json) as client:
        code = follow(client, job, as_json)
    raise typer.Exit(code)


@app.command()
def confirm(
    job: Job, config: Config = DEFAULT_CONFIG, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Keep what a job has written that would be taken back otherwise (`--confirm`)."""
    _act(job, "confirm", config, url, token, as_json)


@app.command()
def cancel(
    job: Job, config: Config = DEFAULT_CONFIG, url: Url = None, token: Token = None, as_json: Json = False
) -> None:
    """Begin no further device. Those that are being written to are finished; nothing is taken back."""
    _act(job, "cancel", config, url, token, as_json)


def _act(job: int, action: str, config: Config, url: Url, token: Token, as_json: bool) -> None:
    with connected(config, url, token, as_json=as_json) as client:
        found = client.post(f"/jobs/{job}/{action}")
    if as_json:
        print_json(found)
    else:
        typer.echo(f"{found['kind']} {found['id']}: {found['state']}")


def follow(client: Client, job: int, as_json: bool) -> Exit:
    """Watch a job with a bar, say what came of it; the exit code for that."""
    from rich.console import Console

    from bridge.cli.plans import items_table, watch

    console = Console(stderr=True)
    try:
        told = watch(client, job, console, quiet=as_json or not console.is_terminal)
    except KeyboardInterrupt:
        typer.echo(f"The work goes on: device-bridge jobs watch {job}", err=True)
        return Exit.FAILED
    head = told["job"]
    if as_json:
        print_json(told)
    else:
        bad = [item for item in told["items"] if item["state"] not in ("ok", "applied")]
        out = Console()
        if bad:
            out.print(items_table(bad))
        counts = ", ".join(f"{head[name]} {name}" for name in ("done", "failed", "skipped") if head[name])
        out.print(cell(f"{head['kind']} {head['id']}: {head['state']}: {counts} of {head['total']}"))
        if head["confirm_by"] is not None:
            out.print(f"It is taken back unless this comes in time: device-bridge jobs confirm {head['id']}")
    return Exit.OK if head["failed"] == 0 and head["state"] in ("done", "confirming") else Exit.FAILED
