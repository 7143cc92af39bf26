"""Templates through files and back, and files that are wrong or hostile."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from io import BytesIO
from typing import Any

import hypothesis
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Identity
from bridge.secrets import Secret
from bridge.settings.exchange import Format, InvalidImport, document, of_device, read, written
from bridge.settings.limits import FLAG, Fixed, Limits
from bridge.settings.plan import Configuration
from bridge.settings.templates import Match, Template
from bridge.settings.vocabulary import Settings, flatten
from tests.unit.config_support import stub_drivers

ENV = {"TEMPLATE_P": "pass-word", "TEMPLATE_EMPTY": "", "S": "bridge-secret"}


@pytest.fixture(autouse=True, scope="module")
def _drivers() -> Iterator[None]:
    with stub_drivers():
        yield


def needed(data: bytes) -> dict[str, str]:
    """The variables that a file in YAML names, each with a value of its own."""
    return {name: f"value of {name}" for name in re.findall(r"env:(\w+)", data.decode())}


# -- there and back --------------------------------------------------------------------------------------------------

letters = st.characters(exclude_categories=("Cs",))
texts = st.text(letters, max_size=30).filter(lambda text: "${" not in text)
words = st.text(letters, min_size=1, max_size=20).filter(lambda text: "${" not in text)
shown = words.filter(lambda text: bool(text.strip()))
keys = st.from_regex(r"[!-~]{1,20}", fullmatch=True) | st.from_regex(r"[а-я]{1,5}", fullmatch=True)
percent = st.integers(0, 100)


def decimals(low: int, high: int) -> st.SearchStrategy[float]:
    """Numbers with a thousandth: a spreadsheet keeps fifteen digits."""
    return st.integers(low * 1000, high * 1000).map(lambda number: number / 1000)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A block with at least one of its fields."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


settings = some(
    osd_text=some(enabled=st.booleans(), text=texts, font_size=st.integers(1, 256)),
    imaging=some(brightness=percent, ir_cut_filter=st.sampled_from(["on", "off", "auto"])),
    door=some(dtmf=st.from_regex(r"[0-9*#]{0,8}", fullmatch=True), code=st.just(Secret("1234"))),
    ntp=some(enabled=st.booleans(), servers=st.lists(words, max_size=8)),
    clock=some(time_zone=words),
    video_encoder_first=some(codec=st.sampled_from(["h264", "h265"]), fps=decimals(1, 240)),
    relays=st.dictionaries(keys, some(mode=st.just("bistable"), duration=decimals(1, 3600)), max_size=2),
    users=st.dictionaries(
        keys,
        some(role=st.just("operator"), password=st.just(Secret("pass-word")), absent=st.booleans()),
        min_size=1,
        max_size=3,
    ),
    vendor=st.fixed_dictionaries({"box": some(port=st.integers(1, 65535), size=texts, gap=decimals(0, 10**6))}),
).filter(lambda said: any(said.values()))
templates = st.builds(
    Template,
    id=st.integers(1, 2**40),
    name=shown,
    settings=settings.map(Settings.model_validate),
    match=st.builds(Match, st.none() | shown, st.none() | shown, st.none() | shown, st.none() | st.just("box")),
    fit=st.sampled_from(["exact", "nearest"]),
    reboot=st.booleans(),
    needs_streams=st.booleans(),
    automatic=st.frozensets(st.sampled_from(["first_seen", "replaced"])),
    notify=st.none() | st.integers(1, 10**6),
)


@pytest.mark.parametrize("format_", ["yaml", "xlsx"])
@hypothesis.settings(max_examples=40)
@given(st.lists(templates, min_size=1, max_size=4, unique_by=lambda one: one.id))
def test_what_is_written_is_read_again(format_: Format, wanted: list[Template]) -> None:
    names = needed(written(wanted, "yaml"))
    found = read(written(wanted, format_), "file", environ=names)
    assert [document(one) for one in found.templates] == [document(one) for one in wanted]
    for one, other in zip(found.templates, wanted, strict=True):
        said, meant = flatten(one.settings), flatten(other.settings)
        assert said.keys() == meant.keys()
        assert {path for path in said if not isinstance(meant[path], Secret) and said[path] != meant[path]} == set()
        for path, value in meant.items():
            if isinstance(value, Secret):
                assert said[path] == Secret(names[one.references[path].removeprefix("env:")])


def test_a_secret_is_never_written() -> None:
    said = {"users": {"a": {"password": Secret("s3cret-1")}, "b": {"password": Secret("s3cret-2")}}}
    references = {"users.a.password": "env:TEMPLATE_P", "users.b.password": "file:/etc/passwords"}
    vendor = {"box": {"accounts": [{"login": "x", "token": Secret("s3cret-3")}]}}
    template = Template(12, "A", Settings.model_validate({**said, "vendor": vendor}), references=references)
    text = written([template], "yaml").decode()
    sheet = b"".join(parts(written([template], "xlsx")).values()).decode()
    for place in (text, sheet):
        assert "s3cret" not in place
        assert "/etc/passwords" not in place
        assert "env:TEMPLATE_P" in place
        assert "env:TEMPLATE_12_USERS_B_PASSWORD" in place
        assert "env:TEMPLATE_12_VENDOR_BOX_ACCOUNTS_0_TOKEN" in place


def test_an_export_cannot_be_imported_before_its_variables_are_set() -> None:
    template = Template(12, "A", Settings.model_validate({"users": {"a": {"password": Secret("s3cret")}}}))
    told = refused(written([template], "xlsx"), {})
    assert told[0].endswith(
        "users.a.password: the environment variable TEMPLATE_12_USERS_A_PASSWORD is not set; "
        "set TEMPLATE_12_USERS_A_PASSWORD where the bridge is started"
    )


def test_a_camera_as_a_template() -> None:
    said = Settings.model_validate(
        {"imaging": {"brightness": 40, "wide_dynamic_range": True}, "hostname": {"name": "a"}}
    )
    limits = Limits({"imaging.brightness": Fixed(), "imaging.wide_dynamic_range": FLAG})
    template = of_device(7, "As cam-1", Configuration(said, limits), Identity("HIKVISION", "DS-[1]*"))
    assert dict(flatten(template.settings)) == {"imaging.wide_dynamic_range": True, "hostname.name": "a"}
    assert template.match == Match(manufacturer="HIKVISION", model="DS-[[]1][*]")
    (found,) = read(written([template], "yaml"), "file").templates
    assert document(found) == document(template)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@a", "#N/A", "2026-01-02", "TRUE", "007", "1e5", "_x0041_", "[a]"]
)
def test_text_stays_text(text: str) -> None:
    template = Template(1, text, Settings.model_validate({"osd_text": {"text": text}, "ntp": {"servers": [text]}}))
    data = written([template], "xlsx")
    sheet = openpyxl.load_workbook(BytesIO(data))["Templates"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)} == {"s"}
    for whole in (data, written([template], "yaml")):
        (found,) = read(whole, "file").templates
        assert document(found) == document(template)


def test_what_a_spreadsheet_cannot_hold() -> None:
    template = Template(1, "a", Settings.model_validate({"vendor": {"box": {"size": "x" * 40_000}}}))
    with pytest.raises(ValueError, match="too long for a cell of a spreadsheet: export YAML"):
        written([template], "xlsx")
    assert read(written([template], "yaml"), "file").templates


# -- YAML that is wrong ----------------------------------------------------------------------------------------------

ONE = "config_templates:\n- {id: 1, name: a, settings: {%s}}\n"


def refused(data: bytes, environ: dict[str, str] = ENV, **more: Any) -> list[str]:
    with pytest.raises(InvalidImport) as caught:
        read(data, "file", environ=environ, **more)
    assert all(one.severity == "error" for one in caught.value.problems)
    return [str(one) for one in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "file: there are no templates in it"),
        ("config_templates: []", "file: there are no templates in it"),
        ("- a", "file:1:1: a file of templates is a block of fields; begin with config_templates, and a colon"),
        ("devices: []\n" + ONE % "hostname: {name: a}", "file:1:1: devices: does not belong into a file of templates"),
        ("a: [", "file:2:1: a value is expected here"),
        ("\0", "file:1:1: an invisible character"),
        (
            ONE % "imaging: {brightness: x}",
            "file:2:53: config_templates[0].settings.imaging.brightness: must be a whole",
        ),
        (
            ONE % "users: {a: {password: plain}}",
            "file:2:53: config_templates[0].settings.users.a.password: a secret of",
        ),
        (
            ONE % "users: {a: {password: env:S}}",
            "file:2:53: config_templates[0].settings.users.a.password: a secret of",
        ),
        (
            ONE % "users: {a: {password: file:/etc/hostname}}",
            "file:2:53: config_templates[0].settings.users.a.password: a",
        ),
        (
            ONE % "users: {a: {password: cred:pusher}}",
            "file:2:53: config_templates[0].settings.users.a.password: a secret",
        ),
        (
            ONE % "users: {a: {password: env:TEMPLATE_EMPTY}}",
            "file:2:53: config_templates[0].settings.users.a.password: the",
        ),
        (
            ONE % "vendor: {box: {accounts: [{login: a, token: env:S}]}}",
            "file:2:75: config_templates[0].settings.vendor.box",
        ),
        (
            "config_templates: [&a [%s], [%s]]" % ("x," * 999, "*a," * 499),
            "file: has more than 200,000 values, with its aliases written out",
        ),
        (
            ONE % "vendor: {box: {file: /etc/hostname}}",
            "file:2:52: config_templates[0].settings.vendor.box.file: an impor",
        ),
        ("x" * 2**20 + ": 1", "file: the file has more than 1 MB"),
        ("\xd0\xcf\x11\xe0", "file: is an old .xls"),
    ],
)
def test_yaml_that_is_refused(text: str, error: str) -> None:
    (told,) = refused(text.encode("latin-1"))
    assert told.startswith(error)


def test_what_imported_secrets_may_be(tmp_path: Any) -> None:
    (tmp_path / "template-door").write_text("4711\n")
    text = ONE % "users: {a: {password: env:TEMPLATE_P}}, door: {code: cred:template-door}"
    found = read(text.encode(), "file", environ={**ENV, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.secrets == {Secret("pass-word"), Secret("4711")}
    assert found.templates[0].references == {"users.a.password": "env:TEMPLATE_P", "door.code": "cred:template-door"}


def test_ids_of_the_inventory_are_not_free() -> None:
    mine = Template(1, "mine", Settings())
    assert refused((ONE % "hostname: {name: a}").encode(), taken={1: mine}) == [
        "file:2:8: config_templates[0].id: the inventory has a template with this id; "
        "change it there, or choose another id"
    ]


def test_too_many_templates() -> None:
    lines = [f"- {{id: {n}, name: a, settings: {{hostname: {{name: a}}}}}}" for n in range(1, 1002)]
    told = refused("\n".join(["config_templates:", *lines]).encode())
    assert told[0].startswith("file:1002:3: config_templates[1000]: more than 1,000 templates up to here")


# -- spreadsheets that are wrong -------------------------------------------------------------------------------------

HEAD = ["id", "name", "osd_text.text", "imaging.brightness", "users.a.password", "ntp.servers", "automatic"]


def workbook(*rows: list[Any], change: Callable[[Any], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Templates"
    for row in rows:
        sheet.append(row)
    if change:
        change(sheet)
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def parts(data: bytes) -> dict[str, bytes]:
    archive = zipfile.ZipFile(BytesIO(data))
    return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def with_rows(rows: bytes) -> bytes:
    """A workbook whose sheet has these rows in XML."""
    files = parts(workbook(HEAD))
    files[SHEET] = re.sub(rb"</sheetData>", lambda _: rows + b"</sheetData>", files[SHEET])
    return packed(files)


def test_what_technicians_type() -> None:
    data = workbook(
        HEAD,
        [12, "  Night  ", '=1+"', 50.0, " env:TEMPLATE_P ", "a.example.net, 192.0.2.1,", "replaced , first_seen"],
        [],
        [13.0, "Day", '"  in quotes "', "60", None, '["a, b"]', "  "],
        change=lambda sheet: setattr(sheet["C2"], "data_type", "s"),
    )
    one, other = read(data, "file", environ=ENV).templates
    assert (one.id, one.name, one.automatic) == (12, "Night", {"first_seen", "replaced"})
    assert flatten(one.settings) == {
        "osd_text.text": '=1+"',
        "imaging.brightness": 50,
        "ntp.servers": ("a.example.net", "192.0.2.1"),
        "users.a.password": Secret("pass-word"),
    }
    assert (other.id, other.automatic) == (13, frozenset())
    assert flatten(other.settings) == {
        "osd_text.text": "  in quotes ",
        "imaging.brightness": 60,
        "ntp.servers": ("a, b",),
    }


@pytest.mark.parametrize(
    ("row", "errors"),
    [
        ([1, "a", None, 101], ["D2: imaging.brightness: must be 100 or less"]),
        ([1, "a", 25], ["C2: osd_text.text: must be text; format the cell as text, and type it again"]),
        ([None, "a", "x"], ["A2: id: is missing"]),
        (["x", "a", "x"], ["A2: id: must be a whole number"]),
        ([1, "a", "=A1"], ["C2: osd_text.text: is a formula; write its value"]),
        ([1, "a", "#N/A"], ["C2: osd_text.text: is an error of the spreadsheet"]),
        ([1, "a", date(2026, 1, 2)], ["C2: osd_text.text: is a date or a time to the spreadsheet"]),
        ([1, "a", '"x'], ['C2: osd_text.text: begins like JSON ("…", […] or {…}) and is none']),
        ([1, "a", '"\\ud800"'], ['C2: osd_text.text: begins like JSON ("…", […] or {…}) and is none']),
        ([1, "a", "${device.nam}"], ['C2: osd_text.text: there is no such variable; did you mean "device.name"?']),
        (
            [1, "a", None, None, "secret"],
            ["E2: users.a.password: a secret of an imported template stands where it may"],
        ),
        ([1, "a", None, None, "env:S"], ["E2: users.a.password: a secret of an imported template stands where it may"]),
        ([1, "a", None, None, None, 5], ["F2: ntp.servers: must be a list; put commas between its entries"]),
        ([1, "a", "x", None, None, None, "always"], ["G2: automatic: is none of the words that can stand here"]),
        ([1, "a", "x", None, None, None, None, "more"], ["H2: this column has no heading; name it in the first row"]),
        ([0, "a", "${x}", -1], ["A2: id: must", "C2: osd_text.text: there", "D2: imaging.brightness: must"]),
        ([1, "a"], ["A2: settings: is missing"]),
    ],
)
def test_cells_that_are_refused(row: list[Any], errors: list[str]) -> None:
    told = refused(workbook(HEAD, row))
    assert len(told) == len(errors)
    for one, error in zip(told, errors, strict=True):
        assert one.startswith(f"file:{error}")


@pytest.mark.parametrize(
    ("heading", "error"),
    [
        ("osd_text.txt", 'C1: there is no such column; did you mean "osd_text.text"?'),
        ("users.a.pasword", 'C1: there is no such column; did you mean "users.a.password"?'),
        ("users.password", "C1: there is no such column"),
        ("Name", 'C1: there is no such column; did you mean "name"?'),
        ("name", "C1: column B has the same heading; keep one"),
        (7, "C1: there is no such column"),
        ("vendor.bx.port", "C2: vendor.bx: no driver of that name is installed"),
        ("vendor.box.prt", 'C2: vendor.box.prt: unknown key; did you mean "port"?'),
        ("vendor.box.port", "C2: vendor.box.port: must be a whole number"),
    ],
)
def test_headings_that_are_refused(heading: Any, error: str) -> None:
    told = refused(workbook(["id", "name", heading, "osd_text.text"], [1, "a", "x", "y"]))
    assert told[0].startswith(f"file:{error}")


def test_two_rows_with_one_id() -> None:
    told = refused(workbook(HEAD, [1, "a", "x"], [1, "b", "y"]))
    assert told == ["file:A3: id: the template in line 2 has this id already; each has its own"]


def test_merged_cells_are_refused() -> None:
    told = refused(workbook(HEAD, [1, "a", "x"], change=lambda sheet: sheet.merge_cells("C2:D2")))
    assert told == ["file:C2: cells are merged here; unmerge them: each setting has its own cell"]


def test_a_sheet_of_another_name_does_when_it_is_the_first() -> None:
    renamed = workbook(HEAD, [1, "a", "x"], change=lambda sheet: setattr(sheet, "title", "Table1"))
    assert [one.id for one in read(renamed, "file").templates] == [1]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"PK\x03\x04 and no more", "cannot be read as a spreadsheet"),
    "cut off": (lambda: workbook(HEAD, [1, "a", "x"])[:-30], "cannot be read as a spreadsheet"),
    "another zip": (lambda: packed({"a.txt": b"x"}), "cannot be read as a spreadsheet"),
    "too large": (lambda: b"PK\x03\x04" + b"x" * 2**20, "the file has more than 1 MB"),
    "zip bomb": (
        lambda: packed({**parts(workbook(HEAD)), "xl/bomb.xml": b"0" * (17 << 20)}),
        "is too large once it is unpacked",
    ),
    "many parts": (
        lambda: packed({**parts(workbook(HEAD)), **{f"xl/{n}.xml": b"<a/>" for n in range(100)}}),
        "is too large once it is unpacked",
    ),
    "bzip2": (lambda: packed(parts(workbook(HEAD)), zipfile.ZIP_BZIP2), "is packed in a way that spreadsheets are not"),
    "macros": (
        lambda: packed({**parts(workbook(HEAD, [1, "a", "x"])), "xl/vbaProject.bin": b"x"}),
        "has macros in it; save it as .xlsx, without macros",
    ),
    "entities": (
        lambda: packed(
            {
                **parts(workbook(HEAD)),
                SHEET: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "&c;&c;">]><worksheet>&b;</worksheet>',
            }
        ),
        "has a part that no spreadsheet has",
    ),
    "entities in UTF-16": (
        lambda: packed({**parts(workbook(HEAD)), SHEET: '<!DOCTYPE a [<!ENTITY b "x">]><worksheet/>'.encode("utf-16")}),
        "has a part that no spreadsheet has",
    ),
    "another encoding": (
        lambda: packed({**parts(workbook(HEAD)), SHEET: b'<?xml version="1.0" encoding="UTF-7"?><worksheet/>'}),
        "has a part that no spreadsheet has",
    ),
    "no XML": (lambda: packed({**parts(workbook(HEAD)), SHEET: b"x" * 100}), "cannot be read as a spreadsheet"),
    "no headings": (lambda: workbook(), "has no headings in its first row"),
    "the last column": (
        lambda: with_rows(b'<row r="2"><c r="XFD2"><v>1</v></c></row>'),
        "has more than 400 columns; delete the columns",
    ),
    "a row from nowhere": (
        lambda: with_rows(b'<row r="999999999999"><c r="A999999999999"><v>1</v></c></row>'),
        "has too many cells",
    ),
    "a number of a million digits": (
        lambda: with_rows(b'<row r="2"><c r="A2"><v>' + b"9" * 900_000 + b"</v></c></row>"),
        "cannot be read as a spreadsheet",
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_files(name: str) -> None:
    make, error = HOSTILE[name]
    (told,) = refused(make())
    assert told.startswith(f"file: {error}")


def test_a_million_rows() -> None:
    row = b"<row><c><v>1</v></c></row>"
    assert refused(with_rows(row * 10**6)) == [
        "file: is too large once it is unpacked; leave only the sheets with templates in it"
    ]
    told = refused(with_rows(row * 500_000))
    assert len(told) == 1
    assert "more than 1,000 templates up to here" in told[0]
    # Rows that Excel keeps because somebody formatted them do no harm.
    rows = b'<row r="2"><c r="A2"><v>1</v></c><c r="B2" t="inlineStr"><is><t>a</t></is></c><c r="D2"><v>5</v></c></row>'
    assert len(read(with_rows(rows + b'<row r="1048576" s="1"/>'), "file").templates) == 1


def test_one_text_in_many_cells() -> None:
    files = parts(workbook(HEAD))
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    text = b"<t>" + b"x" * 30_000 + b"</t>"
    files["xl/sharedStrings.xml"] = b'<sst xmlns="%s" count="1" uniqueCount="1"><si>%s</si></sst>' % (main, text)
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
    files["[Content_Types].xml"] = files["[Content_Types].xml"].replace(b"</Types>", override)

    def shared(count: int) -> bytes:
        cell = b'<c r="A%d"><v>%d</v></c><c r="B%d" t="inlineStr"><is><t>a</t></is></c><c r="C%d" t="s"><v>0</v></c>'
        rows = b"".join(b'<row r="%d">%s</row>' % (n, cell % (n, n, n, n)) for n in range(2, count + 2))
        return packed({**files, SHEET: files[SHEET].replace(b"</sheetData>", rows + b"</sheetData>")})

    assert refused(shared(1)) == ["file:C2: osd_text.text: must have 200 characters at most; expected: the text"]
    assert refused(shared(200)) == ["file: has too much text in it; import it in parts"]


def test_links_to_other_files_are_not_followed() -> None:
    files = parts(workbook(HEAD, [1, "a", "x"]))
    name = "xl/_rels/workbook.xml.rels"
    link = (
        b'<Relationship Id="rIdX" TargetMode="External" Target="file:///etc/passwd" '
        b'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/externalLink"/>'
    )
    files[name] = files[name].replace(b"</Relationships>", link + b"</Relationships>")
    assert len(read(packed(files), "file").templates) == 1


def test_the_template_that_is_read_is_as_good_as_one_of_the_inventory() -> None:
    text = (ONE % "hostname: {name: a}").encode()
    (one,) = read(text, "file").templates
    (other,) = read(text.replace(b"name: a,", b"name: b,"), "file").templates
    assert one.fingerprint
    assert one.fingerprint != other.fingerprint
    assert replace(one, name="b", fingerprint=other.fingerprint) == other
