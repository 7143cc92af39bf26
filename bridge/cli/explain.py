"""`device-bridge explain`: what holds for one device, and which line of the inventory says so."""

from __future__ import annotations

from typing import Annotated

import typer

from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, load_inventory, print_json


def explain(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    config: Config = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Show every value that holds for a device, inherited ones and built-in ones too, each with its line.

    Secrets are masked.
    """
    from bridge.config.explain import explain as look_up
    from bridge.config.problems import shown

    load_inventory(config, as_json=as_json)
    try:
        leaves = look_up(config, device)
    except KeyError:
        fail(f"no device of {config} has the id {device!r}", Exit.NOTHING_FOUND, as_json=as_json)
    rows = [
        {
            "field": shown(leaf.path),
            "value": leaf.value,
            "from": leaf.place.origin if leaf.place else "built in",
            "line": leaf.place.mark.line if leaf.place else None,
        }
        for leaf in leaves
    ]
    if as_json:
        print_json({"device": device, "fields": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Field", "Value", "From", "Line")
    for row in rows:
        table.add_row(row["field"], cell(row["value"]), row["from"], str(row["line"] or ""))
    Console().print(table)
