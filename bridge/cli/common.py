"""What the commands share: options, exit codes, and how things are said."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from bridge.config.load import Inventory
    from bridge.config.models import Bridge


class Exit(IntEnum):
    """Exit codes; `docs/cli.md` lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVENTORY = 3
    NOTHING_FOUND = 4
    DIFFERS = 5
    NO_BRIDGE = 6


Config = Annotated[
    Path, typer.Option("--config", "-c", help="The inventory file.", envvar="DEVICE_BRIDGE_CONFIG", show_default=True)
]
DEFAULT_CONFIG = Path("config.yaml")
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of text for people.")]


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, default=str)
    sys.stdout.write("\n")
    sys.stdout.flush()


def fail(message: str, code: Exit = Exit.FAILED, *, as_json: bool = False) -> NoReturn:
    """Say what went wrong, to people on stderr or to scripts on stdout, and end."""
    if as_json:
        print_json({"ok": False, "error": message})
    else:
        typer.echo(f"device-bridge: {message}", err=True)
    raise typer.Exit(code)


def fail_with(lines: list[str], code: Exit, *, as_json: bool = False) -> NoReturn:
    """As `fail`, for several things that went wrong."""
    if as_json:
        print_json({"ok": False, "error": lines[0], "errors": lines})
    else:
        for line in lines:
            typer.echo(f"device-bridge: {line}", err=True)
    raise typer.Exit(code)


def load_inventory(path: Path, *, as_json: bool = False) -> Inventory:
    """The inventory, or the end of the command with every one of its errors."""
    from bridge.config.load import InvalidInventory, load

    try:
        return load(path)
    except InvalidInventory as error:
        end_with_problems(error.problems, as_json=as_json)


def load_bridge_block(path: Path, *, as_json: bool = False) -> Bridge:
    """The `bridge:` block of an inventory, without the secrets and devices that the rest may name: whoever only talks
    to a running bridge needs none of them."""
    from bridge.config.problems import InvalidInventory
    from bridge.config.root import load_bridge

    try:
        return load_bridge(path)
    except InvalidInventory as error:
        end_with_problems(error.problems, as_json=as_json)


def end_with_problems(problems: Any, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"ok": False, "problems": problems_json(problems)})
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
    raise typer.Exit(Exit.INVENTORY)


def cell(text: object) -> Text:
    """A text for a table or a console: what a device says of itself is neither markup nor terminal codes."""
    from rich.text import Text

    return Text("".join(letter if letter.isprintable() else " " for letter in str(text)))


def problems_json(problems: Any) -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(problem) for problem in problems]
