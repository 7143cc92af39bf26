"""Templates in a spreadsheet (xlsx): one row a template, one column a setting, a second sheet with what is legal.

A cell holds a number, true or false, or text. Lists are separated by commas. Text that begins with `"` is JSON, which
is how empty text and letters that cannot be seen are written; a list may be JSON as well (`[`), and so may what only
one family has (`{`).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from typing import Any, Literal

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet
from pydantic import TypeAdapter

from bridge.config.effective import Layer, Place
from bridge.config.fields import models_in
from bridge.config.models import TemplateEntry, TemplateMatch
from bridge.config.problems import Problem
from bridge.config.types import SecretValue
from bridge.config.validate import Report
from bridge.config.yaml12 import Map, position
from bridge.config.yaml_errors import Mark
from bridge.settings.vocabulary import NAMED, SECTIONS, Settings, section_of, split

TITLE, WORDS = "Templates", "Words"
MAX_COLUMNS = 400
MAX_UNPACKED = 16 << 20
MAX_PARTS = 100
MAX_CELLS = 500_000  # looked at, empty ones included; rows that are empty come on top
MAX_ROWS = 1 << 20  # as many as a sheet can have
MAX_TEXT = 4 << 20  # characters in all cells; one text may be shared by many
MAX_MERGED = 20  # that are told
_LONGEST = 32_767  # characters that a cell can have

_HEAD = (
    *(name for name in TemplateEntry.model_fields if name not in ("match", "settings")),
    *(f"match.{name}" for name in TemplateMatch.model_fields),
)
# By section, the model of its fields; what only one family has is its driver's business.
_MODELS = {name: next(models_in(Settings.model_fields[name].annotation)) for name in SECTIONS if name != "vendor"}
_FIXED = tuple(f"{name}.{leaf}" for name in SECTIONS if name not in NAMED for leaf in _MODELS[name].model_fields)
_LISTS = ("automatic", "ntp.servers")

_ENCODING = re.compile(rb"""<\?xml[^>]*\bencoding\s*=\s*["']([^"']*)""")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?\bref\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})\b""")
_MENDS = {
    "put it in quotes": "format the cell as text, and type it again",
    "write its entries on lines that begin with -, or in [ ]": "put commas between its entries",
}


class SheetReport(Report):
    """Places are cells, and what is to be done about them is said for spreadsheets."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._unread: set[Mark] = set()

    def unread(self, place: Place, what: str, mend: str) -> None:
        """An error about a cell that has no value for this; nothing more is said about it."""
        self.error(place, what, mend)
        self._unread.add(place.mark)

    def error(self, place: Place, what: str, mend: str = "") -> None:
        if place.mark not in self._unread:
            super().error(place, what, mend)

    def _problem(self, place: Place, what: str, mend: str, severity: Literal["error", "warning"]) -> Problem:
        problem = super()._problem(place, what, mend, severity)
        cell = f"{get_column_letter(problem.column)}{problem.line}" if problem.line else ""
        path = problem.path.removeprefix("settings.")
        return replace(problem, cell=cell, path=path, mend=_MENDS.get(mend, mend))


class _Unusable(Exception):
    """The file as a whole. What is wrong, and how to mend it."""


# -- reading ---------------------------------------------------------------------------------------------------------


def read_sheet(data: bytes, report: SheetReport, most: int) -> list[Layer]:
    """The templates of a workbook, each row a block, `most` at most; what is wrong goes into the report. Evaluates
    nothing, follows no link, and unpacks no more than `MAX_UNPACKED`."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
        _check_parts(archive)
        book = load_workbook(BytesIO(data), read_only=True, keep_vba=False, keep_links=False)
        sheets = {sheet.title.lower(): sheet for sheet in reversed(book.worksheets)}
        if not sheets:
            raise _Unusable("has no sheet", f"put the templates on a sheet with the name {TITLE}")
        sheet: Any = sheets.get(TITLE.lower()) or book.worksheets[0]
        _report_merged(archive.read(sheet._worksheet_path), report)
        return list(islice(_layers(sheet, report), most))
    except _Unusable as error:
        what, mend = error.args
    except Exception:  # whatever it is that a broken file does to openpyxl
        what, mend = "cannot be read as a spreadsheet", "save it again as .xlsx"
    report.error(Place("file", (), Mark(0, 0), 0), what, mend)
    return []


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Refuse what could hurt the parsers. `zipfile` unpacks no more of a part than its size says."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise _Unusable("is too large once it is unpacked", "leave only the sheets with templates in it")
    if any(part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in parts):
        raise _Unusable("is packed in a way that spreadsheets are not", "save it again as .xlsx")
    if any(part.filename.lower().endswith("vbaproject.bin") for part in parts):
        raise _Unusable("has macros in it", "save it as .xlsx, without macros")
    for part in parts:
        content = archive.read(part)
        encoding = _ENCODING.match(content.lstrip(b"\xef\xbb\xbf \t\r\n"))
        # In UTF-16 a document type could hide from the search for it.
        odd = b"\0" in content[:64] or (encoding and encoding[1].lower() not in (b"utf-8", b"us-ascii", b"ascii"))
        if odd or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise _Unusable("has a part that no spreadsheet has", "save it again as .xlsx")


def _report_merged(part: bytes, report: Report) -> None:
    for number, match in enumerate(_MERGED.finditer(part)):
        if number == MAX_MERGED:
            return
        mark = Mark(int(match[2]), _column_number(match[1]))
        report.error(Place("file", (), mark, 0), "cells are merged here", "unmerge them: each setting has its own cell")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


@dataclass(frozen=True, slots=True)
class _Cell:
    mark: Mark
    kind: str  # openpyxl's letter for its type
    value: Any


def _layers(sheet: Any, report: SheetReport) -> Iterator[Layer]:
    rows = _rows(sheet)
    columns = _columns(next(rows, []), report)
    for row in rows:
        block = Map(position(Mark(row[0].mark.line, 1)))
        for cell in row:
            path = columns.get(cell.mark.column)
            place = Place("file", path or (), cell.mark, 0)
            if path is None:
                report.error(place, "this column has no heading", "name it in the first row, or empty the cell")
            elif path:
                value = None
                try:
                    value = _read(cell, path)
                except _Unusable as error:
                    report.unread(place, *error.args)
                _put(block, path, value, cell.mark)
        yield Layer("file", (), block)


def _rows(sheet: Any) -> Iterator[list[_Cell]]:
    """The cells that are not empty, of each row that has some; the first row in any case."""
    # What the file says of its own size is not to be relied on.
    sheet.reset_dimensions()
    looked_at = letters = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        looked_at += len(row) + 1
        if looked_at > MAX_CELLS + MAX_ROWS:
            raise _Unusable("has too many cells", "leave only the sheets with templates in it")
        if len(row) > MAX_COLUMNS:
            raise _Unusable(f"has more than {MAX_COLUMNS} columns", "delete the columns that are not needed")
        found = [
            _Cell(Mark(number, column), cell.data_type, cell.value)
            for column, cell in enumerate(row, start=1)
            if cell.value is not None and (not isinstance(cell.value, str) or cell.value.strip())
        ]
        letters += sum(len(cell.value) for cell in found if isinstance(cell.value, str))
        if letters > MAX_TEXT:
            raise _Unusable("has too much text in it", "import it in parts")
        if found or number == 1:
            yield found


def _columns(headings: Sequence[_Cell], report: Report) -> dict[int, tuple[str, ...]]:
    """By number of the column, where its values belong; () for one whose heading is wrong."""
    columns: dict[int, tuple[str, ...]] = {}
    first: dict[str, _Cell] = {}
    if not headings:
        raise _Unusable("has no headings in its first row", "an export shows how a file looks")
    for cell in headings:
        name = cell.value.strip() if isinstance(cell.value, str) and cell.kind == "s" else ""
        path = _path(name)
        place = Place("file", (), cell.mark, 0)
        if path is None:
            mend = report.suggest(name, _known(name)) or f"the sheet {WORDS} of an export has all headings"
            report.error(place, "there is no such column", mend)
        elif first.setdefault(name, cell) is not cell:
            report.error(place, f"column {get_column_letter(first[name].mark.column)} has the same heading", "keep one")
            path = None
        columns[cell.mark.column] = path or ()
    return columns


def _path(heading: str) -> tuple[str, ...] | None:
    """Where a column's values belong in the block of a template."""
    if heading in _HEAD:
        return tuple(heading.split("."))
    section, name, leaf = split(heading)
    if heading in _FIXED:
        return "settings", section, leaf
    if section in NAMED and name and (leaf if section == "vendor" else leaf in _MODELS[section].model_fields):
        return "settings", section, name, leaf
    return None


def _known(heading: str) -> list[str]:
    """What a heading that there is not may have been meant to be."""
    section, name, _ = split(heading)
    if section in NAMED and section in _MODELS:
        return [f"{section}.{name or 'NAME'}.{leaf}" for leaf in _MODELS[section].model_fields]
    return [*_HEAD, *_FIXED]


def _read(cell: _Cell, path: Sequence[str]) -> Any:
    """The value of a cell. Raises _Unusable."""
    value = cell.value
    if cell.kind == "f":
        raise _Unusable("is a formula", "write its value")
    if cell.kind == "e":
        raise _Unusable("is an error of the spreadsheet", "write a value, or empty the cell")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        raise _Unusable("is a date or a time to the spreadsheet", "format the cell as text, and type it again")
    text = value.strip()
    if text[0] in _opens_json(path):
        return _json(text)
    return [part.strip() for part in text.split(",") if part.strip()] if _is_list(path) else text


def _is_list(path: Sequence[str]) -> bool:
    return ".".join(path).removeprefix("settings.") in _LISTS


def _opens_json(path: Sequence[str]) -> str:
    """The letters with which a text begins that is JSON."""
    if _is_list(path):
        return "["
    return '"[{' if path[:2] == ("settings", "vendor") else '"'


def _json(text: str) -> Any:
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half of a letter (a lone surrogate) cannot be written
    except (ValueError, RecursionError):
        what = 'begins like JSON ("…", […] or {…}) and is none'
        raise _Unusable(what, "correct it, or begin with another letter") from None
    return value


def _put(block: Map, path: Sequence[str], value: Any, mark: Mark) -> None:
    for part in path[:-1]:
        if part not in block:
            block.put(part, Map(position(mark)), mark)
        block = block[part]
    block.put(path[-1], value, mark)


# -- writing ---------------------------------------------------------------------------------------------------------


def write_sheet(documents: Sequence[Mapping[str, Any]]) -> bytes:
    """A workbook with these templates, to be edited and read again. Raises ValueError for a text that no cell holds."""
    rows = [dict(_flat(document)) for document in documents]
    said = {heading for row in rows for heading in row}
    columns = [*_HEAD, *sorted({*_FIXED, *said}.difference(_HEAD), key=_order)]
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"the templates have more than {MAX_COLUMNS} settings between them: export them in parts")
    book = Workbook()
    sheet: Worksheet = book.worksheets[0]
    sheet.title = TITLE
    for number, heading in enumerate(columns, start=1):
        _write(sheet, 1, number, heading)
        sheet.cell(1, number).font = Font(bold=True)
        dimension = sheet.column_dimensions[get_column_letter(number)]
        dimension.width = max(12, len(heading) + 2)
        if _is_text(heading):
            dimension.number_format = "@"  # or a PIN loses its zeros when somebody types it
        words = _choices(heading)
        if words and len(listed := ",".join(words)) <= 250:
            validation = DataValidation(type="list", formula1=f'"{listed}"', allow_blank=True)
            validation.add(f"{get_column_letter(number)}2:{get_column_letter(number)}{len(rows) + 200}")
            sheet.add_data_validation(validation)
        for line, row in enumerate(rows, start=2):
            if heading in row:
                _write(sheet, line, number, _cell(row[heading], _path(heading) or ()))
                if _is_text(heading):
                    sheet.cell(line, number).number_format = "@"
    sheet.freeze_panes = "C2"
    _write_words(book.create_sheet(WORDS), columns)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value with its heading."""
    for key, value in document.items():
        if key == "match":
            yield from ((f"match.{name}", word) for name, word in value.items())
        elif key == "settings":
            for section, block in value.items():
                named = block.items() if section in NAMED else [("", block)]
                for name, fields in named:
                    prefix = f"{section}.{name}." if name else f"{section}."
                    yield from ((prefix + leaf, one) for leaf, one in fields.items())
        else:
            yield key, value


def _order(heading: str) -> tuple[int, str, int]:
    section, name, leaf = split(heading)
    fields = list(_MODELS[section].model_fields) if section in _MODELS else [leaf]
    return SECTIONS.index(section), name, fields.index(leaf)


def _cell(value: Any, path: Sequence[str]) -> Any:
    """A value as it stands in a cell; `_read` is the way back."""
    if isinstance(value, list) and _is_list(path):
        parts = [str(one) for one in value]
        plain = all(part == part.strip() and part.isprintable() and not {",", "["} & set(part) for part in parts)
        return ", ".join(parts) if plain and all(parts) and parts else json.dumps(parts)
    if isinstance(value, str):
        plain = value.isprintable() and value == value.strip() and value[:1] not in ("", *_opens_json(path))
        # To Excel `_x0041_` is the letter A.
        return value if plain and "_x" not in value else json.dumps(value).replace("_", "\\u005f")
    return json.dumps(value) if isinstance(value, dict | list) else value


def _write(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    cell = sheet.cell(row, column)
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise ValueError("a text is too long for a cell of a spreadsheet: export YAML")
        cell.value = value
        cell.data_type = "s"  # and no formula, whatever it begins with
        cell.quotePrefix = value[:1] in ("=", "+", "-", "@")
    else:
        cell.value = value


def _write_words(sheet: Worksheet, columns: Sequence[str]) -> None:
    """What each column means, and what may stand in it."""
    named = [f"{name}.NAME.{leaf}" for name in _MODELS if name in NAMED for leaf in _MODELS[name].model_fields]
    known = dict.fromkeys([*columns, *named])
    lines = [("column", "meaning", "what may stand there")]
    for heading in known:
        field = _field(heading)
        if field is not None:
            lines.append((heading, field.get("description", ""), _legal(field, _SCHEMA["$defs"])))
    lines += [
        ("", "", ""),
        ("NAME", "the name of a user or of an event target, or the name or number of a relay", ""),
        ("", "an empty cell says nothing: what the device has stays as it is", '"" is empty text'),
        ("", "passwords never stand here", "env:TEMPLATE_… or cred:template-…"),
    ]
    for number, line in enumerate(lines, start=1):
        for column, text in enumerate(line, start=1):
            _write(sheet, number, column, text or None)
    for letter, width in zip("ABC", (36, 70, 60), strict=True):
        sheet.column_dimensions[letter].width = width


_SCHEMA: dict[str, Any] = TemplateEntry.model_json_schema()
_SECRET = TypeAdapter(SecretValue).json_schema()


def _field(heading: str) -> dict[str, Any] | None:
    """The JSON Schema of what stands below a heading; None for what only one family has."""
    if heading in _HEAD:
        block, _, name = heading.rpartition(".")
        return _properties("TemplateMatch" if block else "")[name]  # type: ignore[no-any-return]
    section = section_of(heading)
    if section not in _MODELS:
        return None
    return _properties(_MODELS[section].__name__)[heading.rpartition(".")[2]]  # type: ignore[no-any-return]


def _properties(model: str) -> dict[str, Any]:
    return (_SCHEMA["$defs"][model] if model else _SCHEMA)["properties"]  # type: ignore[no-any-return]


def _branches(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for branch in field.get("anyOf", [field]):
        branch = definitions[branch["$ref"].rpartition("/")[2]] if "$ref" in branch else branch
        if branch.get("type") != "null":
            yield branch


def _choices(heading: str) -> list[str]:
    """The words that can stand in a column, where it is one of a few."""
    field = _field(heading)
    branches = list(_branches(field, _SCHEMA["$defs"])) if field else []
    if len(branches) != 1:
        return []
    return ["TRUE", "FALSE"] if branches[0].get("type") == "boolean" else list(map(str, branches[0].get("enum", ())))


def _is_text(heading: str) -> bool:
    field = _field(heading)
    return field is not None and any(one.get("type") == "string" for one in _branches(field, _SCHEMA["$defs"]))


def _legal(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What can stand in a column, for people."""
    return " or ".join(_legal_one(branch, definitions) for branch in _branches(field, definitions)) + _example(field)


def _legal_one(branch: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "enum" in branch:
        return ", ".join(map(str, branch["enum"]))
    match branch.get("type"):
        case "boolean":
            return "TRUE, FALSE"
        case "integer" | "number":
            low = branch.get("minimum", branch.get("exclusiveMinimum"))
            words = "a whole number" if branch["type"] == "integer" else "a number"
            bounds = (("from", low), ("to", branch.get("maximum")))
            return " ".join([words, *(f"{word} {bound:,}" for word, bound in bounds if bound is not None)])
        case "array":
            return "with commas between them: " + _legal(branch["items"], definitions)
        case _ if branch.get("examples") == _SECRET["examples"]:
            return "env:TEMPLATE_… or cred:template-…"
        case _:
            return "text"


def _example(field: Mapping[str, Any]) -> str:
    examples = [one for one in field.get("examples", ()) if not isinstance(one, list)]
    return f", like {' or '.join(map(str, examples))}" if examples else ""
