"""What is wrong with a text that should be YAML, in words for people, and where."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from bridge.config.problems import PathPart


class Mark(NamedTuple):
    """A place in the file, counted from 1."""

    line: int
    column: int


class YamlError(Exception):
    """The text is no YAML, or more than the inventory allows. Never repeats a word of the text.

    `path` leads to the place as far as it is known; its last part is the key in question.
    """

    def __init__(self, what: str, mend: str, mark: Mark, path: tuple[PathPart, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.mark = mark
        self.path = path


# What PyYAML and libyaml say, and what a person can do about it. The first fitting row counts; the place is where
# the construct begins ("context") or where it broke ("problem").
_EXPLAINED: tuple[tuple[str, str, str, str], ...] = (
    (r"tab character|'\\t'", "problem", "a tab in the indentation", "indent with spaces"),
    (r"directive|document start", "problem", "the document ends before this", "check the brackets and the indentation"),
    (
        r"mapping values are not allowed",
        "problem",
        'a second "key: value" on one line, or one that is indented too far',
        'line it up with the keys above; put text that has ": " in it in quotes',
    ),
    (
        r"could not find expected ':'",
        "context",
        "neither a key nor a list item",
        'write "key: value", check the indentation, and close quotes and brackets above',
    ),
    (
        r"quoted scalar.*(end of stream|document separator)",
        "context",
        "a quote is opened here and never closed",
        "close it",
    ),
    (
        r"unknown escape character|escape sequence|hexadecimal",
        "problem",
        "a backslash in double quotes begins an escape that does not exist",
        "use single quotes, or write two backslashes",
    ),
    (r"node content", "problem", "a value is expected here", "check brackets and commas; put text like this in quotes"),
    (
        r"flow (sequence|mapping|node)|',' or",
        "context",
        "a bracket is opened here and not closed properly",
        "close it, and put commas between its parts",
    ),
    (r"while scanning an alias", "context", "text that begins with * must be in quotes", "put it in quotes"),
    (
        r"while scanning an anchor|duplicate anchor",
        "context",
        "text that begins with & must be in quotes",
        "put it in quotes",
    ),
    (r"tag", "context", "text that begins with ! must be in quotes", "put it in quotes"),
    (
        r"cannot start any token",
        "problem",
        "text cannot begin with this character",
        "put the text in quotes",
    ),
    (
        r"block scalar",
        "context",
        "text that begins with | or > must be in quotes, unless the text follows on the next lines",
        "put it in quotes",
    ),
    (
        r"expected key|block mapping|block collection|block sequence|expected <block end>|'-' indicator",
        "problem",
        "this does not fit what stands above: wrong indentation, or text after a closing quote or bracket",
        "line it up with the keys above it",
    ),
    (r"sequence entries are not allowed", "problem", "a list item cannot begin here", "begin it on a line of its own"),
    (r"mapping keys are not allowed", "problem", "text that begins with ? must be in quotes", "put it in quotes"),
    (r"incompatible YAML", "problem", "a YAML version that is not supported", "remove the %YAML line"),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, Mark]:
    """A parser's complaint about a text as (what, mend, place). Passes on nothing that the text says."""
    said = f"{error.context or ''} {error.problem or ''}"
    if error.problem_mark and text[error.problem_mark.index : error.problem_mark.index + 1] == "\t":
        said = "tab character"  # libyaml only says that a character is wrong
    place, what, mend = next(
        (row for pattern, *row in _EXPLAINED if re.search(pattern, said, re.DOTALL)),
        ("problem", "this is no YAML", "check quotes, brackets and indentation around here"),
    )
    mark = error.context_mark if place == "context" and error.context_mark else error.problem_mark
    return what, mend, Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
