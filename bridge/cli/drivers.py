"""`device-bridge drivers` and `device-bridge schema`: what is installed, and what an inventory may say."""

from __future__ import annotations

import json
from typing import Any

import typer

from bridge.cli.common import Exit, Json, cell, print_json


def drivers(as_json: Json = False) -> None:
    """List the installed drivers and what each can do. Exit code 1 when one of them cannot be used."""
    from bridge import registry

    found: list[dict[str, Any]] = []
    for one in registry.installed():
        entry: dict[str, Any] = {"name": one.name, "package": one.package, "version": one.version}
        try:
            driver = registry.load(one.name)
        except registry.BrokenDriver as error:
            entry |= {"usable": False, "reason": str(error)}
        else:
            entry |= {
                "usable": True,
                "stability": driver.stability,
                "kinds": sorted(driver.kinds),
                "capabilities": sorted(driver.capabilities),
            }
        found.append(entry)
    if as_json:
        print_json({"drivers": found})
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("Driver", "Package", "For", "Can", "Stability")
        for entry in found:
            if entry["usable"]:
                can, kinds = ", ".join(entry["capabilities"]), ", ".join(entry["kinds"])
                table.add_row(entry["name"], f"{entry['package']} {entry['version']}", kinds, can, entry["stability"])
            else:
                table.add_row(entry["name"], entry["package"], "", cell(entry["reason"]), "[red]unusable")
        Console().print(table)
    raise typer.Exit(Exit.OK if all(entry["usable"] for entry in found) else Exit.FAILED)


def schema(as_json: Json = False) -> None:
    """Print the JSON Schema of the inventory, for editors; with --json on one line.

    `device-bridge schema > config.schema.json`, and as the first line of the inventory:
    `# yaml-language-server: $schema=./config.schema.json`
    """
    from bridge.config.schema import inventory_schema

    if as_json:
        print_json(inventory_schema())
    else:
        typer.echo(json.dumps(inventory_schema(), indent=2, ensure_ascii=False))
