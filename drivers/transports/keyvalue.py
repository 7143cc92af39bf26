"""Bodies of `key=value` lines, as Beward, Dahua, Axis and others answer."""

from __future__ import annotations

from bridge.errors import ProtocolError

LINES = 20_000
LINE_LIMIT = 4096  # characters


def parse(body: bytes) -> dict[str, str]:
    """The values by key, both stripped; a key that comes twice keeps its last value. Lines without `=` are passed over.

    Raises ProtocolError for what is no such text: a page of HTML, binary, more lines than a device can have.
    """
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff \r\n\t")
    if text[:1] == "<" or "\0" in text:
        raise ProtocolError("it answers with something that is not key=value text", body)
    lines = text.splitlines()
    if len(lines) > LINES:
        raise ProtocolError("its answer has too many lines", body)
    found = {}
    for line in lines:
        key, separator, value = line[:LINE_LIMIT].partition("=")
        if separator and key.strip():
            found[key.strip()] = value.strip()
    return found
