"""`device-bridge command` and `settings`: one device, through the running bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bridge.cli.client import Token, Url, User, connected, part
from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, print_json


def command(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    action: Annotated[Literal["reboot", "open_door", "snapshot", "power_cycle"], typer.Argument(help="What to do.")],
    argument: Annotated[
        list[str] | None, typer.Option("--argument", "-a", help="What the command needs: output=1, port=3.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="The channel, where the device has several.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where a picture goes.")] = None,
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Have a device do something, once."""
    import secrets

    arguments: dict[str, Any] = {}
    for one in argument or []:
        name, sign, value = one.partition("=")
        if not sign:
            fail(f"--argument {one}: write NAME=VALUE", Exit.USAGE, as_json=as_json)
        arguments[name] = int(value) if value.isdecimal() and len(value) < 10 else value
    body = {"action": action, "channel": channel, "arguments": arguments}
    key = {"Idempotency-Key": secrets.token_urlsafe(16)}
    with connected(config, url, token, user, as_json=as_json) as client:
        told = client.do(f"/devices/{part(device)}/commands", body, key)
        picture = client.fetch(told["url"]) if told["url"] else b""
    if output is not None and picture:
        output.write_bytes(picture)
    if as_json:
        print_json(told)
    else:
        typer.echo(told["detail"] or "done")
        if picture:
            typer.echo(f"{told['content_type']}, {len(picture)} bytes: {output or 'say --output to keep it'}")


def settings(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    section: Annotated[list[str] | None, typer.Option("--section", "-s", help="Only this: ntp, osd_text ...")] = None,
    channel: Annotated[str | None, typer.Option(help="The channel, where the device has several.")] = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show what a device is set to now, and what it would take. Nothing is written."""
    with connected(config, url, token, as_json=as_json) as client:
        found = client.get(f"/devices/{part(device)}/settings", section=section or None, channel=channel)
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Is", "Would take")
    for one in found["settings"]:
        table.add_row(one["path"], cell(one["shown"]), cell(one["legal"] or ""))
    Console().print(table)
