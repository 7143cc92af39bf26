"""Plans, drift and jobs, as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bridge.cli.common import cell

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bridge.cli.client import Client

WAIT = 20  # seconds that the bridge holds an answer back while nothing happens
SHOWN = 3  # cameras that are named while they are worked on

_STYLES = {
    "ok": "green", "done": "green", "same": "green", "changes": "yellow", "waiting": "bright_black",
    "running": "cyan", "applied": "green", "confirming": "yellow", "reverted": "yellow", "skipped": "bright_black",
    "cancelled": "yellow",
}  # fmt: skip


def styled(word: str) -> str:
    return f"[{_STYLES.get(word, 'red')}]{word}[/]"


def place(item: Mapping[str, Any]) -> str:
    """`nvr-1/channel-2`, or only the device where it has no channels."""
    return f"{item['device']}/{item['channel']}" if item["channel"] else str(item["device"])


def show_plan(console: Console, items: Iterable[Mapping[str, Any]]) -> None:
    """What would be written, device by device: before → after; what cannot be, in words."""
    from rich.table import Table

    same = 0
    for item in items:
        if item["state"] == "same":
            same += 1
            continue
        table = Table(
            title=cell(f"{place(item)}: {item['template_name']}"), title_justify="left", title_style="bold",
            show_header=False, box=None, padding=(0, 2, 0, 2),
        )  # fmt: skip
        for change in item["changes"]:
            near = f" (nearest to {change['wanted']})" if change["wanted"] != change["after"] else ""
            table.add_row(
                cell(change["path"]), cell(change["before"]), "→", cell(change["after"] + near), style="yellow"
            )
        for refusal in item["refusals"]:
            table.add_row(
                cell(refusal["path"]), "", "✗", cell(f"{refusal['wanted']}: {refusal['reason']}"), style="red"
            )
        if item["reason"]:
            table.add_row("", "", "✗", cell(item["reason"]), style="red")
        console.print(table)
    if same:
        console.print(f"[green]{same} as wanted already")


def drift_table(items: Iterable[Mapping[str, Any]]) -> RenderableType:
    from rich.table import Table

    table = Table("", "Device", "Template", "Setting", "Is", "Should be")
    for item in items:
        rows = [(one["path"], one["before"], one["after"]) for one in item["changes"]]
        rows += [(one["path"], one["reason"], one["wanted"]) for one in item["refusals"]]
        rows = rows or [("", item["reason"] or "", "")]
        for number, row in enumerate(rows):
            head = (styled(item["state"]), cell(place(item)), cell(item["template_name"])) if number == 0 else ("",) * 3
            table.add_row(*head, *map(cell, row))
    return table


def jobs_table(jobs: Iterable[Mapping[str, Any]]) -> RenderableType:
    import time

    from rich.table import Table

    table = Table("Job", "Kind", "State", "Done", "Failed", "Skipped", "Of", "Began", "User", "")
    for job in jobs:
        began = time.strftime("%d.%m. %H:%M:%S", time.localtime(job["created_at"]))
        user = str(job["initiator"]["user_id"] or "")
        counts = (str(job[name]) for name in ("done", "failed", "skipped", "total"))
        table.add_row(str(job["id"]), job["kind"], styled(job["state"]), *counts, began, user, cell(job["reason"]))
    return table


def items_table(items: Iterable[Mapping[str, Any]]) -> RenderableType:
    from rich.table import Table

    table = Table("State", "Device", "Template", "What came of it")
    for item in items:
        said = item["reason"] or f"{len(item['changes'])} changes"
        table.add_row(styled(item["state"]), cell(place(item)), cell(item["template_name"]), cell(said))
    return table


def watch(client: Client, job: int, console: Console, *, quiet: bool = False) -> dict[str, Any]:
    """Follow a job to its end, or until it waits for a confirmation, with a bar; returns it with its items."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(), TextColumn("{task.fields[now]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=quiet) as progress:
        task = progress.add_task(f"job {job}", total=None, failed="", now="")
        version = None
        while True:
            told: dict[str, Any] = client.get(f"/jobs/{job}", wait=WAIT, after=version)
            head, version = told["job"], told["version"]
            now = [place(item) for item in told["items"] if item["state"] == "running"]
            progress.update(
                task,
                description=f"{head['kind']} {styled(head['state'])}",
                total=head["total"],
                completed=head["done"] + head["failed"] + head["skipped"],
                failed=f"[red]{head['failed']} failed" if head["failed"] else "",
                now=escape(cell(", ".join(now[:SHOWN]) + (" …" if len(now) > SHOWN else "")).plain),
            )
            if head["ended_at"] is not None or head["confirm_by"] is not None:
                return told
