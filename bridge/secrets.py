"""Secrets: values that never appear in a text.

A `Secret` prints as `***` wherever it lands by accident. Every secret that is resolved is also remembered by a
`Redactor`, which the log and every diagnostic output pass through: a device that echoes a password in an error
page must not put it into a log file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"
# user:password@host in any URL, whoever wrote it.
_URL_USERINFO = re.compile(r"(?<=://)[^/\s@:]{1,256}:[^\s@]{1,256}@")
# Shorter values would mask half of every log line.
_SHORTEST = 4


class Secret:
    """A secret string. `reveal()` is the only way to its value; equality and hashing work, printing does not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        raise TypeError("a Secret is not serialised")


class Redactor:
    """Masks known secrets, and user information in URLs, in any text."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def learn(self, secrets: Iterable[Secret]) -> None:
        self._values.update(s.reveal() for s in secrets if len(s.reveal()) >= _SHORTEST)

    def __call__(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, MASK)
        if "://" in text:
            text = _URL_USERINFO.sub(f"{MASK}@", text)
        return text
