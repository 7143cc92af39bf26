"""Templates: listed, imported, removed, exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bridge.config.types import invalid
from bridge.settings.exchange import InvalidImport, document
from bridge.settings.templates import Template
from bridge.web.commands import TROUBLES
from bridge.web.devices import Devices
from bridge.web.initiator import Doing, UserId
from bridge.web.ports import Book, FileView, Listed, Target
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


class Templates:
    def __init__(self, book: Book, devices: Devices) -> None:
        self._book = book
        self._devices = devices

    def routes(self) -> list[Route]:
        socket = ("X-Socket-ID",)
        return [
            Route("GET", "/templates", "Configuration templates", self.templates, TemplatesView),
            Route("GET", "/templates/{template}", "One template", self.template, TemplateView),
            Route("POST", "/templates/import", "Import a file: all of it, or none and every error", self.take,
                  ImportedView, scope="write", query=ImportQuery, files=TYPES, limit=FILE_LIMIT, headers=socket,
                  seconds=60.0),
            Route("DELETE", "/templates/{template}", "Remove one that was imported", self.remove, scope="write",
                  status=204, headers=socket, errors={409: "it is not an imported one"}),
            Route("POST", "/exports", "Templates, or a device's settings, as a file", self.export, FileView,
                  scope="write", body=ExportRequest, status=201, headers=socket, seconds=90.0,
                  errors={**TROUBLES, 404: "no such template or device", 409: "it cannot be exported"}),
        ]  # fmt: skip

    async def templates(self, call: Call) -> TemplatesView:
        return TemplatesView(tuple(_view(one) for _, one in sorted(self._book.all().items())))

    async def template(self, call: Call) -> TemplateView:
        return _view(self._listed(call.path["template"]))

    async def take(self, call: Call) -> ImportedView:
        asked: ImportQuery = call.query
        try:
            return ImportedView(await self._book.take(call.body, asked.name, call.by))
        except InvalidImport as error:
            wrong = [
                Wrong(
                    f"{one.path}: {one.what}; {one.mend}" if one.mend else f"{one.path}: {one.what}",
                    place=f"line {one.line}, column {one.column}" if one.line else one.file,
                )
                for one in error.problems[:MOST_ERRORS]
            ]
            raise Refused(422, f"nothing of it was taken: {len(error.problems)} errors", wrong) from None

    async def remove(self, call: Call) -> None:
        await self._book.remove(self._listed(call.path["template"]).template.id)

    async def export(self, call: Call) -> Reply:
        asked: ExportRequest = call.body
        if asked.device is not None:
            runner = self._devices.runner(asked.device)
            target = Target(asked.device, self._devices.channel(runner, asked.channel))
            name = asked.name or runner.device.name
            made = await self._book.export_device(target, asked.id, name, asked.format, call.by)
        else:
            made = await self._book.export(
                [self._listed(one).template.id for one in asked.templates], asked.format, call.by
            )
        return Reply(made, {"Location": made.url})

    def _listed(self, number: int) -> Listed:
        listed = self._book.all().get(number)
        if listed is None:
            raise Refused(404, f"there is no template {number}")
        return listed


def _view(listed: Listed) -> TemplateView:
    template: Template = listed.template
    said = document(template)
    return TemplateView(
        id=template.id,
        name=template.name,
        source=listed.source,
        match=said.get("match", {}),
        values=template.fit,
        reboot=template.reboot,
        needs_streams=template.needs_streams,
        automatic=tuple(sorted(template.automatic)),
        notify=template.notify,
        settings=said["settings"],
    )
