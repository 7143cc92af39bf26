"""`device-bridge tokens`: bearer tokens for clients of the Pusher server and of the API."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, load_bridge_block, print_json

if TYPE_CHECKING:
    from sqlite3 import Connection

app = typer.Typer(help="Make, list and revoke bearer tokens.", no_args_is_help=True)


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="Whose it is; by this it is listed and revoked.")],
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="What it may hear, without prefix: user.13, admin.*, or * for all."),
    ] = None,
    api: Annotated[
        Literal["read", "write"] | None,
        typer.Option(help="What it may do in the API. A token that may hear admin.admin may read without this."),
    ] = None,
    user: Annotated[
        int | None,
        typer.Option(
            min=1, help="The user of the VMS that it stands for. Without one it may name the user of each command."
        ),
    ] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Make a token and print it. It is not kept anywhere: note it now."""
    from bridge.web import tokens

    with _store(config, as_json) as connection:
        try:
            token = tokens.issue(connection, name, channel or [], time.time(), api=api, user_id=user)
        except ValueError as error:
            fail(str(error), as_json=as_json)
    if as_json:
        print_json({"name": name, "channels": channel or [], "api": api, "user_id": user, "token": token})
    else:
        typer.echo(token)


@app.command(name="list")
def list_(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """List the tokens. The tokens themselves are not known any more."""
    from bridge.web import tokens

    with _store(config, as_json) as connection:
        found = tokens.listed(connection)
    if as_json:
        shown = ("name", "channels", "api", "user_id", "created_at", "expires_at")
        print_json({"tokens": [{key: getattr(token, key) for key in shown} for token in found]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "May hear", "API", "User", "Made")
    for token in found:
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(token.created_at))
        may = "write" if token.may("write") else "read" if token.may("read") else ""
        table.add_row(cell(token.name), ", ".join(token.channels), may, str(token.user_id or ""), made)
    Console().print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The token's name.")],
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Make a token worthless. A running bridge follows within seconds."""
    from bridge.web import tokens

    with _store(config, as_json) as connection:
        if not tokens.revoke(connection, name):
            fail(f"there is no token {name!r}", Exit.NOTHING_FOUND, as_json=as_json)
    if as_json:
        print_json({"ok": True})


def _store(config: Path, as_json: bool) -> closing[Connection]:
    """A connection to the inventory's store, whether the bridge is running or was never started."""
    from bridge.store.store import database
    from bridge.store.writer import StoreError

    directory = load_bridge_block(config, as_json=as_json).data
    try:
        return closing(database(directory))
    except StoreError as error:
        fail(str(error), as_json=as_json)
