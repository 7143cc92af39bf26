"""Secrets by reference: the inventory says where a password is, not what it is.

`env:NAME` is an environment variable, `file:PATH` a file beside the inventory or anywhere else, `cred:NAME` a systemd
credential. Any other text is the secret itself, which works and draws a warning.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bridge.secrets import Secret

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
_REFERENCE = re.compile(r"(?P<scheme>env|file|cred):(?P<name>.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,255}")
_LARGEST = 64 * 1024  # bytes; a file longer than this is not a password
# What a file from outside may name: only what was put there for templates. Anything else (the bridge's own secrets,
# files of the machine) could be carried off by applying it to a device that somebody holds in his hands.
_FOR_IMPORTS = re.compile(r"env:TEMPLATE_[A-Za-z0-9_]+|cred:template-[A-Za-z0-9._-]+")


class Advice(NamedTuple):
    """What is to be said about a reference. Names the reference, never the secret."""

    what: str
    mend: str


class Unresolved(Exception):
    """The secret is not where the reference says."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.advice = Advice(what, mend)


LITERAL = Advice(
    "the secret itself stands here, readable for everybody who reads the file",
    "put it into an environment variable and write env:NAME, or into a file and write file:PATH",
)


NOT_FOR_IMPORTS = Advice(
    "a secret of an imported template stands where it may not",
    "write env:TEMPLATE_… and set that variable where the bridge is started, or cred:template-…",
)


def is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None


def is_for_imports(text: str) -> bool:
    """Whether it is a reference that an imported file may have."""
    return _FOR_IMPORTS.fullmatch(text) is not None


class References:
    """Resolves references of one inventory; each is looked up once, equal ones share one `Secret`.

    `imported`: the text comes from outside; it names no files, and only secrets that are meant for it.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str], *, imported: bool = False) -> None:
        self.directory = directory
        self.imported = imported
        self._environ = environ
        self._found: dict[str, Secret] = {}
        self._cautions: dict[str, tuple[Advice, ...]] = {}

    @property
    def resolved(self) -> frozenset[Secret]:
        return frozenset(secret for secret in self._found.values() if secret)

    def resolve(self, text: str) -> Secret:
        """The secret that `text` refers to, or is. Raises Unresolved."""
        if text in self._found:
            return self._found[text]
        if self.imported and not is_for_imports(text):
            raise Unresolved(*NOT_FOR_IMPORTS)
        cautions: tuple[Advice, ...] = ()
        match = _REFERENCE.fullmatch(text)
        if match is None:
            value = text
            cautions = (LITERAL,) if text else ()
        elif match["scheme"] == "env":
            value = self._variable(match["name"])
        elif match["scheme"] == "cred":
            value, _ = self._file(self._credential(match["name"]))
        else:
            path = self.directory / match["name"]
            value, mode = self._file(path)
            if mode & stat.S_IROTH:
                cautions = (Advice("every user of this machine can read that file", f"run chmod o-r {path}"),)
        self._cautions[text] = cautions
        return self._found.setdefault(text, Secret(value))

    def cautions(self, text: str) -> tuple[Advice, ...]:
        """What to warn of after `text` was resolved."""
        return self._cautions.get(text, ())

    def _variable(self, name: str) -> str:
        if not _VARIABLE.fullmatch(name):
            raise Unresolved(
                "env: takes the name of an environment variable", "use letters, digits and _, as in env:CAM_PASSWORD"
            )
        value = self._environ.get(name)
        if value is None:
            raise Unresolved(f"the environment variable {name} is not set", f"set {name} where the bridge is started")
        if not value:
            raise Unresolved(f"the environment variable {name} is empty", f"set {name} where the bridge is started")
        return value

    def _credential(self, name: str) -> Path:
        if not _CREDENTIAL.fullmatch(name):
            raise Unresolved(
                "cred: takes the name of a systemd credential", "use a plain name, as in cred:cam-password"
            )
        directory = self._environ.get(CREDENTIALS_DIRECTORY)
        if not directory:
            raise Unresolved(
                f"systemd hands over no credentials: {CREDENTIALS_DIRECTORY} is not set",
                f"start the bridge from a unit with LoadCredential={name}:/path/to/the/file",
            )
        return Path(directory) / name

    def _file(self, path: Path) -> tuple[str, int]:
        """The text of a file without the line end that editors add, and the file's mode."""
        try:
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode):
                raise Unresolved(f"{path} is not a file", "name a file that holds nothing but the secret")
            with open(path, "rb") as file:
                data = file.read(_LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
            raise Unresolved(f"the file {path} cannot be read ({reason})", "create it, or correct the path") from None
        if len(data) > _LARGEST:
            raise Unresolved(f"the file {path} is too long for a secret", "name a file that holds nothing else")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "\0"
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise Unresolved(f"the file {path} is empty", "put the secret into it")
        if not text.isprintable():
            raise Unresolved(
                f"the file {path} holds more than one line of text", "name a file that holds nothing but the secret"
            )
        return text, mode
