"""`device-bridge devices`, `watch` and `outbox`: look at a bridge through its store, running or not."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, load_inventory, print_json

if TYPE_CHECKING:
    from sqlite3 import Connection

    from rich.table import Table

    from bridge.config.load import Inventory

EVERY = 0.5  # seconds between two looks

_COLOURS = {"active": "green", "online": "green", "partial": "yellow", "suspect": "yellow"}
_GREY = {"initial", "unknown", ""}


def devices(
    config: Config = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Print the table once and end.")] = False,
    as_json: Json = False,
) -> None:
    """Show every device: status, who it is, since when, and what is wrong. Ends with Ctrl-C."""
    inventory = load_inventory(config, as_json=as_json)
    connection = _store(inventory, as_json)
    if as_json:
        print_json({"devices": _devices(inventory, connection)})
        return
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if once or not console.is_terminal:
        console.print(_table(_devices(inventory, connection)))
        return
    with Live(_table(_devices(inventory, connection)), console=console, auto_refresh=False, screen=False) as live:
        try:
            while True:
                time.sleep(EVERY)
                live.update(_table(_devices(inventory, connection)), refresh=True)
        except KeyboardInterrupt:
            pass


def _devices(inventory: Inventory, connection: Connection) -> list[dict[str, Any]]:
    from bridge.store.store import read_states

    known = read_states(connection)
    found = []
    for device in inventory.devices:
        rows = known.get(device.id, {})
        row = rows.get("", {})
        identity = row.get("identity") or {}
        channels = []
        for channel in device.channels:
            told = rows.get(f"channel:{channel.key}", {})
            channels.append(
                {
                    "key": channel.key,
                    "vms_id": channel.vms.get("id"),
                    "name": channel.vms.get("name"),
                    "status": told.get("status", "initial"),
                    "since": told.get("since"),
                    "streams": [
                        dict(zip(("name", "up", "uri", "detail"), one, strict=True)) for one in told.get("streams", [])
                    ],
                }
            )
        found.append(
            {
                "id": device.id,
                "name": device.name,
                "kind": device.kind,
                "driver": device.driver,
                "address": device.address,
                "site": device.site,
                "reach": row.get("reach", "unknown"),
                "since": row.get("since"),
                "problem": {"kind": row["health"], "detail": row["detail"]} if row.get("health") else None,
                "manufacturer": identity.get("manufacturer"),
                "model": identity.get("model"),
                "firmware": identity.get("firmware"),
                "serial": identity.get("serial"),
                "facts": row.get("facts", {}),
                "channels": channels,
            }
        )
    return found


def _table(found: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("Status", "Device", "Address", "Model", "Since", "What is wrong", expand=True)
    for device in found:
        wrong = device["problem"]["detail"] if device["problem"] else ""
        model = " ".join(part for part in (device["manufacturer"], device["model"]) if part)
        for channel in device["channels"]:
            down = next((s["detail"] for s in channel["streams"] if s["up"] is False), "")
            name = device["id"] if not channel["key"] else f"{device['id']}/{channel['key']}"
            since = time.strftime("%d.%m. %H:%M:%S", time.localtime(channel["since"])) if channel["since"] else ""
            table.add_row(
                _coloured(channel["status"]), name, device["address"], cell(model), since, cell(wrong or down)
            )
    return table


def _coloured(word: str) -> str:
    colour = _COLOURS.get(word, "bright_black" if word in _GREY else "red")
    return f"[{colour}]{word}[/]"


def watch(
    config: Config = DEFAULT_CONFIG,
    backlog: Annotated[int, typer.Option(help="Begin with this many pushes that went out before.", min=0)] = 0,
    seconds: Annotated[float | None, typer.Option(help="End after this time.")] = None,
    as_json: Json = False,
) -> None:
    """Follow the pushes as they are decided, one a line. Ends with Ctrl-C.

    With --json each line is {"seq", "at", "device", "channel", "event", "data"}, the channel with its prefix.
    """
    inventory = load_inventory(config, as_json=as_json)
    connection = _store(inventory, as_json)
    prefix = inventory.delivery.channel_prefix
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM outbox").fetchone()[0] - backlog
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    try:
        while True:
            for seq, at, device, event, channel, body in connection.execute(
                "SELECT seq, at, device, event, channel, body FROM outbox WHERE seq > ? ORDER BY seq", (last,)
            ):
                last = seq
                envelope = json.loads(body)
                if as_json:
                    row = {"seq": seq, "at": at, "device": device, "channel": prefix + channel, "event": event}
                    print_json({**row, "data": envelope})
                else:
                    typer.echo(line(at, device, prefix + channel, envelope))
            if time.monotonic() >= end:
                return
            time.sleep(min(EVERY, max(0.0, end - time.monotonic())))
    except KeyboardInterrupt:
        pass


def line(at: float, device: str, channel: str, envelope: dict[str, Any]) -> str:
    """One push for people: `12:03:55  camera_status_updated  cam-07 → inactive  private-admin.admin`."""
    data = envelope.get("data") or {}
    what = data.get("data") or {}
    subject = what.get("camera", what) if isinstance(what, dict) else {}
    status = subject.get("status", data.get("status", ""))
    kind = data.get("type", envelope.get("subject"))
    moment = time.strftime("%H:%M:%S", time.localtime(at))
    return f"{moment}  {kind}  {device} → {status}  {channel}"


def outbox(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Show how far each sink has come, what it lost, and which pushes its server refused for good.

    Exit code 1 when pushes were lost or refused.
    """
    inventory = load_inventory(config, as_json=as_json)
    connection = _store(inventory, as_json)
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0]
    sinks = [
        {"name": name, "waiting": max(0, last - cursor), "dropped": dropped}
        for name, cursor, dropped in connection.execute("SELECT name, cursor, dropped FROM sink ORDER BY name")
    ]
    columns = ("sink", "seq", "at", "reason", "type", "channel")
    letters = [
        dict(zip(columns, row, strict=True))
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM dead_letter ORDER BY id DESC LIMIT 100")  # noqa: S608
    ]
    if as_json:
        print_json({"sinks": sinks, "dead_letters": letters})
    else:
        from rich.console import Console
        from rich.table import Table

        console, table = Console(), Table("Sink", "Waiting", "Dropped at the bound")
        for sink in sinks:
            table.add_row(str(sink["name"]), str(sink["waiting"]), str(sink["dropped"]))
        console.print(table)
        if letters:
            refused = Table("Refused by", "Push", "Type", "Reason")
            for one in letters:
                refused.add_row(one["sink"], str(one["seq"]), one["type"], cell(one["reason"]))
            console.print(refused)
    raise typer.Exit(Exit.FAILED if letters or any(sink["dropped"] for sink in sinks) else Exit.OK)


def _store(inventory: Inventory, as_json: bool) -> Connection:
    from bridge.store.store import read_only
    from bridge.store.writer import StoreError

    path = inventory.bridge.data / "bridge.db"
    if not path.exists():
        fail(f"{path} is not there: has a bridge with this inventory ever run?", as_json=as_json)
    try:
        return read_only(path)
    except StoreError as error:
        fail(str(error), as_json=as_json)
