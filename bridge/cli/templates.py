"""`device-bridge templates`: configuration templates, from a look at what they would change to taking it back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from bridge.cli.client import Token, Url, User, connected, part
from bridge.cli.common import DEFAULT_CONFIG, Config, Exit, Json, cell, fail, print_json

if TYPE_CHECKING:
    from bridge.cli.client import Client

app = typer.Typer(help="Show, plan, apply and take back configuration templates.", no_args_is_help=True)

Ids = Annotated[
    list[int] | None, typer.Argument(help="Numbers of templates; all that are for the devices if none is given.")
]
Devices = Annotated[list[str] | None, typer.Option("--device", "-d", help="This device. May be said several times.")]
Site = Annotated[str | None, typer.Option(help="The devices of this site.")]
Group = Annotated[str | None, typer.Option(help="The devices of this group.")]
Manufacturer = Annotated[str | None, typer.Option(help="Devices made by; a glob, upper or lower case.")]
Model = Annotated[str | None, typer.Option(help="Devices of this model; a glob: 'DS-2CD2*'.")]
Service = Annotated[str | None, typer.Option(help="Devices with this service.")]
All = Annotated[bool, typer.Option("--all", help="All devices.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before several devices are written to.")]


@app.command(name="list")
def list_(config: Config = DEFAULT_CONFIG, url: Url = None, token: Token = None, as_json: Json = False) -> None:
    """List the templates of the inventory and those that were imported."""
    with connected(config, url, token, as_json=as_json) as client:
        found = client.get("/templates")["templates"]
    if as_json:
        print_json({"templates": found})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Id", "Name", "For", "Settings", "From")
    for one in found:
        wanted = ", ".join(f"{key} {value}" for key, value in one["match"].items() if value)
        table.add_row(
            str(one["id"]), cell(one["name"]), cell(wanted or "all"), cell(", ".join(one["settings"])), one["source"]
        )
    Console().print(table)


@app.command()
def show(
    template: Annotated[int, typer.Argument(help="Its number.")],
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show everything that a template says. Secrets are masked."""
    with connected(config, url, token, as_json=as_json) as client:
        found = client.get(f"/templates/{part(template)}")
    if as_json:
        print_json(found)
        return
    import yaml

    typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def plan(
    templates: Ids = None,
    device: Devices = None,
    site: Site = None,
    group: Group = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    service: Service = None,
    all_: All = False,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show what templates would change; nothing is written. `apply --plan ID` does exactly that.

    Exit codes: 0 nothing to change, 5 something would change, 1 something cannot be as wanted.
    """
    wanted = _wanted(templates, _targets(device, site, group, manufacturer, model, service, all_), as_json)
    with connected(config, url, token, as_json=as_json) as client:
        made = _plan(client, wanted, as_json)
    _show_plan(made, as_json)
    raise typer.Exit(_verdict(made["items"]))


@app.command()
def apply(
    templates: Ids = None,
    device: Devices = None,
    site: Site = None,
    group: Group = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    service: Service = None,
    all_: All = False,
    plan_id: Annotated[str | None, typer.Option("--plan", help="A plan that was shown before, instead.")] = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change, as plan does.")] = False,
    confirm: Annotated[
        str | None, typer.Option(help="Take it back by itself after this time (120s) unless `jobs confirm` comes.")
    ] = None,
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Apply templates: plan, ask, write, read back. What fails on a device is taken back there.

    One device goes first, then a tenth of them, then the rest; the first unexpected result stops it. Ctrl-C ends the
    watching, not the work: `jobs watch` goes on with it, `jobs cancel` ends it.
    """
    targets = _targets(device, site, group, manufacturer, model, service, all_)
    with connected(config, url, token, user, as_json=as_json) as client:
        if plan_id is not None:
            if targets or templates or dry_run:
                fail("--plan has its devices and templates already", Exit.USAGE, as_json=as_json)
            count, chosen = len(client.get(f"/plans/{part(plan_id)}")["items"]), plan_id
        else:
            made = _plan(client, _wanted(templates, targets, as_json), as_json)
            if dry_run or not as_json:
                _show_plan(made, as_json)
            if dry_run:
                raise typer.Exit(_verdict(made["items"]))
            if made["id"] is None:
                _nothing_to_do(made["items"], as_json)
            count, chosen = sum(item["state"] == "changes" for item in made["items"]), made["id"]
        _ask(f"Write to {count} cameras?", count, yes, as_json)
        body: dict[str, Any] = {"plan": chosen}
        if confirm is not None:
            body["confirm"] = confirm
        job = client.do("/applies", body)
        _follow(client, job["id"], as_json)


@app.command()
def rollback(
    job: Annotated[int | None, typer.Argument(min=1, help="The job whose changes are taken back.")] = None,
    device: Devices = None,
    site: Site = None,
    group: Group = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    service: Service = None,
    all_: All = False,
    yes: Yes = False,
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Take back what a job has written, or the last that was written to these devices.

    New passwords stay: nobody knows the old ones.
    """
    targets = _targets(device, site, group, manufacturer, model, service, all_)
    if (job is None) == (not targets):
        fail("say which job, or for which devices: --device ID, --all ...", Exit.USAGE, as_json=as_json)
    with connected(config, url, token, user, as_json=as_json) as client:
        if job is not None:
            written = client.get(f"/jobs/{job}")["items"]
            count = sum(one["state"] == "ok" and bool(one["changes"]) for one in written)
        else:
            count = 1 if list(targets) == ["devices"] and len(targets["devices"]) == 1 else 2
        _ask("Put several cameras back to how they were?", count, yes, as_json)
        body = {"job": job} if job is not None else {"targets": targets}
        _follow(client, client.do("/rollbacks", body)["id"], as_json)


@app.command()
def drift(
    templates: Ids = None,
    device: Devices = None,
    site: Site = None,
    group: Group = None,
    manufacturer: Manufacturer = None,
    model: Model = None,
    service: Service = None,
    all_: All = False,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show which devices differ from their templates. All devices, where none is named.

    Exit codes: 0 none differs, 5 some differ, 1 some cannot be asked.
    """
    targets = _targets(device, site, group, manufacturer, model, service, all_) or {"all": True}
    with connected(config, url, token, as_json=as_json) as client:
        found = client.post("/drift", {"targets": targets, "templates": templates or []})
    items = found["items"]
    differ = sum(item["state"] in ("changes", "refused") for item in items)
    failed = sum(item["state"] == "failed" for item in items)
    if as_json:
        print_json({"ok": not (differ or failed), "differ": differ, "failed": failed, **found})
    else:
        from rich.console import Console

        from bridge.cli.plans import drift_table

        console = Console()
        if differ or failed:
            console.print(drift_table(item for item in items if item["state"] != "same"))
        console.print(f"{len(items)} compared: {differ} differ, {failed} cannot be asked")
    raise typer.Exit(Exit.DIFFERS if differ else Exit.FAILED if failed else Exit.OK)


@app.command()
def export(
    templates: Ids = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", help="What this device is set to, as a template, instead.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="The channel of the device, where it has several.")] = None,
    file_format: Annotated[Literal["yaml", "xlsx"], typer.Option("--format", help="Kind of file.")] = "yaml",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here instead of its URL.")] = None,
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Export templates, all if none is named, or the settings of a device. Secrets are never in the file."""
    body: dict[str, Any] = {"format": file_format}
    if device is not None:
        body |= {"device": device, "channel": channel}
    elif templates:
        body["templates"] = templates
    with connected(config, url, token, user, as_json=as_json) as client:
        made = client.do("/exports", body)
        if output is not None:
            output.write_bytes(client.fetch(made["url"]))
    if as_json:
        print_json({**made, "file": output})
    else:
        typer.echo(str(output or made["url"]))


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="YAML or xlsx, as an export shows it.", exists=True, dir_okay=False)],
    user: User = None,
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Import templates from a file: all of them, or none and every error with its line or cell."""
    with connected(config, url, token, user, as_json=as_json) as client:
        told = client.upload("/imports", file)
    if as_json:
        print_json({"ok": True, **told})
    else:
        typer.echo(f"imported: {', '.join(map(str, told['imported']))}")


@app.command()
def remove(
    template: Annotated[int, typer.Argument(help="Its number.")],
    config: Config = DEFAULT_CONFIG,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Remove a template that was imported. Those of the inventory are removed there."""
    with connected(config, url, token, as_json=as_json) as client:
        client.ask("DELETE", f"/templates/{part(template)}")
    if as_json:
        print_json({"ok": True})


def _targets(
    device: list[str] | None, site: str | None, group: str | None, manufacturer: str | None, model: str | None,
    service: str | None, all_: bool,
) -> dict[str, Any]:  # fmt: skip
    said = {
        "devices": device, "site": site, "group": group, "manufacturer": manufacturer, "model": model,
        "service": service, "all": all_,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}


def _wanted(templates: list[int] | None, targets: dict[str, Any], as_json: bool) -> dict[str, Any]:
    if not targets:
        fail("say for which devices: --device ID, --site, --group, --model ... or --all", Exit.USAGE, as_json=as_json)
    return {"targets": targets, "templates": templates or []}


def _plan(client: Client, wanted: dict[str, Any], as_json: bool) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/plans", wanted)
    if not made["items"]:
        fail("no template is for any of these devices", Exit.NOTHING_FOUND, as_json=as_json)
    return made


def _show_plan(made: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    from rich.console import Console

    from bridge.cli.plans import show_plan

    console = Console()
    show_plan(console, made["items"])
    if made["id"] is not None:
        console.print(f"plan {made['id']}", style="bright_black", highlight=False)


def _nothing_to_do(items: list[dict[str, Any]], as_json: bool) -> NoReturn:
    """All is as wanted already, or can only be refused."""
    verdict = _verdict(items)
    if as_json:
        print_json({"ok": verdict == Exit.OK, "items": items})
    raise typer.Exit(verdict)


def _verdict(items: list[dict[str, Any]]) -> Exit:
    states = {item["state"] for item in items}
    return Exit.FAILED if states & {"refused", "failed"} else Exit.DIFFERS if "changes" in states else Exit.OK


def _ask(question: str, devices: int, yes: bool, as_json: bool) -> None:
    """One device is what was said; several are asked about, and a script has to say --yes."""
    if yes or devices <= 1:
        return
    if as_json or not sys.stdin.isatty():
        fail(f"{question} Say --yes, and it is done", Exit.USAGE, as_json=as_json)
    if not typer.confirm(question):
        fail("nothing was written")


def _follow(client: Client, job: int, as_json: bool) -> None:
    from bridge.cli.jobs import follow

    raise typer.Exit(follow(client, job, as_json))
