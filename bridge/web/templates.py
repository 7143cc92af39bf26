"""Templates: listed, imported, removed, exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bridge.config.types import invalid
from bridge.files import Shelf
from bridge.settings.exchange import InvalidImport, document, of_device
from bridge.settings.library import Library, export
from bridge.settings.templates import Template
from bridge.store.store import Store
from bridge.web.commands import TROUBLES, Commands
from bridge.web.devices import Devices
from bridge.web.initiator import Doing, UserId
from bridge.web.routes import FILE_LIMIT, Call, Input, Refused, Reply, Route, Wrong
from bridge.web.targets import Word
from bridge.web.work import TemplateId

TYPES = (
    "application/yaml",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/octet-stream",
)
MOST_ERRORS = 200  # of a file, that are told
Format = Literal["yaml", "xlsx"]


class ImportQuery(Input):
    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "upload", description="the file's name, for messages"
    )
    user_id: UserId | None = Field(None, description="on whose behalf, for tokens that stand for no user themselves")


class ExportRequest(Doing):
    """Templates, or what one device is set to."""

    format: Format = Field("yaml", description="kind of file")
    templates: Annotated[tuple[TemplateId, ...], Field(max_length=10_000)] = Field(
        (), description="ids of templates; all if none is named"
    )
    device: Word | None = Field(None, description="id of a device whose settings are wanted, as a template")
    channel: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="key of the channel; needed where the device has several"
    )
    id: TemplateId = Field(1, description="number of the template that the device's settings become")
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(None, description="its name")

    @model_validator(mode="after")
    def _one_of_both(self) -> ExportRequest:
        if self.device is not None and self.templates:
            raise invalid("has templates and a device", "say one of the two")
        return self


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A template. `settings` are as in a file: secrets are references or the names of variables, never values."""

    id: int
    name: str
    source: Literal["inventory", "import"]
    match: Mapping[str, str]
    values: Literal["exact", "nearest"]
    reboot: bool
    needs_streams: bool
    automatic: tuple[str, ...]
    notify: int | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TemplatesView:
    templates: tuple[TemplateView, ...]


@dataclass(frozen=True, slots=True)
class ImportedView:
    """The ids of the templates that were taken in."""

    imported: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FileView:
    """A file that can be fetched at `url`, without a token, for a while."""

    url: str


class Templates:
    def __init__(self, library: Library, shelf: Shelf, store: Store, devices: Devices, commands: Commands) -> None:
        self._library = library
        self._shelf = shelf
        self._store = store
        self._devices = devices
        self._commands = commands

    def routes(self) -> list[Route]:
        socket = ("X-Socket-ID",)
        return [
            Route("GET", "/templates", "Configuration templates", self.templates, TemplatesView),
            Route("GET", "/templates/{template}", "One template", self.template, TemplateView),
            Route("POST", "/imports", "Import a file: all of it, or none and every error", self.take,
                  ImportedView, scope="write", query=ImportQuery, files=TYPES, limit=FILE_LIMIT, headers=socket,
                  seconds=60.0),
            Route("DELETE", "/templates/{template}", "Remove one that was imported", self.remove, scope="write",
                  status=204, headers=socket, errors={409: "it is one of the inventory's"}),
            Route("POST", "/exports", "Templates, or a device's settings, as a file", self.export, FileView,
                  scope="write", body=ExportRequest, status=201, headers=(*socket, "Idempotency-Key"), seconds=90.0,
                  errors={**TROUBLES, 404: "no such template or device", 507: "there is no room for the file"}),
        ]  # fmt: skip

    async def templates(self, call: Call) -> TemplatesView:
        return TemplatesView(tuple(self._view(one) for _, one in sorted(self._library.current().items())))

    async def template(self, call: Call) -> TemplateView:
        return self._view(self._one(call.path["template"]))

    async def take(self, call: Call) -> ImportedView:
        asked: ImportQuery = call.query
        before = self._library.imported()
        try:
            await self._library.import_file(call.body, asked.name, call.by.user_id)
        except InvalidImport as error:
            told = [str(one).partition(": ") for one in error.problems[:MOST_ERRORS]]
            wrong = [Wrong(detail, place=place) for place, _, detail in told]
            raise Refused(422, f"nothing of it was taken: {len(error.problems)} errors", wrong) from None
        after = self._library.imported()
        return ImportedView(tuple(sorted(number for number, one in after.items() if before.get(number) is not one)))

    async def remove(self, call: Call) -> None:
        number = self._one(call.path["template"]).id
        if not await self._library.remove(number):
            raise Refused(409, f"template {number} is one of the inventory's: remove it there")

    async def export(self, call: Call) -> Reply:
        asked: ExportRequest = call.body
        if asked.device is not None:
            runner = self._devices.runner(asked.device)
            channel = self._devices.channel(runner, asked.channel)
            found = await self._commands.read(runner, channel)
            assert runner.state.identity is not None, "its settings were read"
            chosen = [of_device(asked.id, asked.name or runner.device.name, found, runner.state.identity)]
        else:
            every = self._library.current()
            chosen = [self._one(one) for one in asked.templates or sorted(every)]
        try:
            url = await export(self._shelf, self._store, chosen, asked.format, call.by.user_id)
        except ValueError as error:
            raise Refused(409, str(error)) from None
        return Reply(FileView(url), {"Location": url})

    def _one(self, number: int) -> Template:
        found = self._library.current().get(number)
        if found is None:
            raise Refused(404, f"there is no template {number}")
        return found

    def _view(self, template: Template) -> TemplateView:
        said = document(template)
        return TemplateView(
            id=template.id,
            name=template.name,
            source="import" if self._library.imported().get(template.id) is template else "inventory",
            match=said.get("match", {}),
            values=template.fit,
            reboot=template.reboot,
            needs_streams=template.needs_streams,
            automatic=tuple(sorted(template.automatic)),
            notify=template.notify,
            settings=said["settings"],
        )
