"""`device-bridge`: the commands, put together."""

from __future__ import annotations

import typer

from bridge import __version__
from bridge.cli import (
    check,
    clip,
    command,
    demo,
    devices,
    discover,
    drivers,
    explain,
    jobs,
    run,
    simulate,
    templates,
    tokens,
)

EPILOG = """
Exit codes: 0 all is well, 1 it did not work (the text says why), 2 the command line is wrong,
3 the inventory has errors, 4 nothing was found, 5 devices differ from what they should be, 6 no bridge runs.
"""

app = typer.Typer(
    name="device-bridge",
    help="Stands on site beside cameras and intercom panels and tells the VMS's clients what changes.\n\n"
    "New here? `device-bridge demo` shows everything on a simulated site. Then write an inventory "
    "(`device-bridge discover --add`), check it (`device-bridge check --online`) and `device-bridge run` it.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # they would show secrets
)
app.command()(run.run)
app.command()(demo.demo)
app.command()(simulate.simulate)
app.command()(check.check)
app.command()(explain.explain)
app.command()(discover.discover)
app.command()(discover.probe)
app.command()(devices.devices)
app.command()(devices.watch)
app.command()(devices.outbox)
app.command()(drivers.schema)
app.command()(drivers.drivers)
app.command()(command.command)
app.command()(command.settings)
app.command()(clip.clip)
app.add_typer(templates.app, name="templates")
app.add_typer(jobs.app, name="jobs")
app.add_typer(tokens.app, name="tokens")


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Say which version this is.", is_eager=True),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    app()
