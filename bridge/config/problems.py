"""What is wrong with an inventory, told so that a person can mend it.

No message repeats a value of the file: it names the place, what is wrong there, and what would be right. A password
that slipped into the wrong field is then not printed by the error about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

PathPart = str | int

# Keys that are printed although nobody knows them: they look like ours. Anything else may be a value that lost its
# key (`{username: admin, Pa55word}` makes the password a key).
_LIKE_OURS = re.compile(r"[a-z][a-z_.]{0,39}")
# Looking for similar words takes time in proportion to both sides.
_MOST_KNOWN = 500
_LONGEST_WORD = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` and `column` count from 1; 0 where there is no position (a file that is not there).

    `path` names the field as written, like `devices[2].watch.poll`; it is empty when the file as a whole is meant.
    In a spreadsheet there is a `cell` (`B7`), and line and column are its.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    mend: str = ""
    severity: Literal["error", "warning"] = "error"
    cell: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.cell or f'{self.line}:{self.column}'}" if self.line else self.file
        kind = "warning: " if self.severity == "warning" else ""
        path = f"{self.path}: " if self.path else ""
        mend = f"; {self.mend}" if self.mend else ""
        return f"{place}: {kind}{path}{self.what}{mend}"


class InvalidInventory(Exception):
    """The inventory cannot be used. `problems` has every error and warning, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.line, one.column)))
        super().__init__("\n".join(map(str, self.problems)))


def shown(path: Sequence[PathPart]) -> str:
    """`devices[2].vms.id` for ("devices", 2, "vms", "id"); ends before a key that may be a value in disguise."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _LIKE_OURS.fullmatch(part):
            text += f".{part}" if text else part
        else:
            break
    return text


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`did you mean "address"?`, or "" when nothing known is near. Never repeats `word`."""
    candidates = list(known)
    if not isinstance(word, str) or len(word) > _LONGEST_WORD or len(candidates) > _MOST_KNOWN:
        return ""
    near = get_close_matches(word.lower(), candidates, n=1, cutoff=0.7)
    return f'did you mean "{near[0]}"?' if near else ""


def one_of(known: Iterable[str], most: int = 20) -> str:
    """`a, b or c`; cut where it gets long."""
    words = list(known)
    if len(words) > most:
        return f"{', '.join(words[:most])}, … ({len(words)} in all)"
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
