"""Talks to the running bridge through its API: for commands that have it do something.

Where it is comes from the inventory's `bridge.http`, or from --url. Whoever can read the data directory needs no token:
one is made in the store for as long as the command runs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import Exit, fail, fail_with, load_bridge_block

if TYPE_CHECKING:
    import http.client
    import ssl

    from bridge.config.models import Bridge

SECONDS = 90.0  # for an answer; those that wait for a job are answered within 60 s
PIECE = 256 << 10  # bytes of a file at once
LIFE = 600.0  # of a token made here, should nobody be left to revoke it
SEEN_AFTER = 0.15  # seconds after which a running bridge knows a new token, with some to spare

FILES = {
    ".yaml": "application/yaml",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

Url = Annotated[
    str | None,
    typer.Option(help="Where the bridge is; the inventory's bridge.http if not given.", envvar="DEVICE_BRIDGE_URL"),
]
Token = Annotated[
    str | None,
    typer.Option(
        help="A token with --api write (or read, to look). Not needed where the data directory can be read. Better "
        "given as DEVICE_BRIDGE_TOKEN: others see the words of a command.",
        envvar="DEVICE_BRIDGE_TOKEN",
        show_envvar=False,
    ),
]
User = Annotated[
    int | None, typer.Option(min=1, help="The VMS user on whose behalf this is done, and who hears what came of it.")
]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class ApiError(Exception):
    """The bridge refused: its problem details."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        super().__init__(problem.get("detail") or f"the bridge answers {status}")

    def lines(self) -> list[str]:
        """What is wrong, one a line."""
        errors = self.problem.get("errors") or []
        places = [(one.get("place") or one.get("parameter") or one.get("pointer"), one["detail"]) for one in errors]
        return [f"{place}: {detail}" if place else detail for place, detail in places] or [str(self)]


class Client:
    """One bridge; a connection for each request."""

    def __init__(self, access: _Access, user: int | None) -> None:
        self.url = access.url
        self._access = access
        self._user = user

    def get(self, path: str, **query: Any) -> Any:
        from urllib.parse import urlencode

        asked = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        return self.ask("GET", f"{path}?{asked}" if asked else path).json

    def post(self, path: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        sent = {"Content-Type": "application/json", **(headers or {})}
        return self.ask("POST", path, json.dumps(body or {}).encode(), sent).json

    def do(self, path: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """As `post`, on behalf of the user that --user names."""
        by = {"initiator": {"user_id": self._user}} if self._user is not None else {}
        return self.post(path, {**(body or {}), **by}, headers)

    def upload(self, path: str, file: Path) -> Any:
        from urllib.parse import urlencode

        kind = FILES.get(file.suffix.lower(), FILES[".yaml"])
        name = {"name": file.name, **({"user_id": self._user} if self._user is not None else {})}
        return self.ask("POST", f"{path}?{urlencode(name)}", file.read_bytes(), {"Content-Type": kind}).json

    def fetch(self, url: str) -> bytes:
        """A file that the bridge has made. It is asked for where the bridge is reached, whatever host its URL names."""
        from urllib.parse import urlsplit

        return self._once("GET", urlsplit(url).path, None, {}).body

    def save(self, url: str, path: Path) -> int:
        """The same to a file, piece by piece; returns its size in bytes."""
        from urllib.parse import urlsplit

        with self._answer("GET", urlsplit(url).path, None, {}) as answer, path.open("wb") as out:
            if answer.status != 200:
                raise ApiError(answer.status, {"detail": "the bridge no longer has the file"})
            shutil.copyfileobj(answer, out, PIECE)
            return out.tell()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises ApiError, NoBridge."""
        answer = self._once(method, f"/api/v1{path}", body, headers or {})
        if answer.status == 401 and self._access.renew():
            answer = self._once(method, f"/api/v1{path}", body, headers or {})
        if answer.status >= 400:
            raise ApiError(answer.status, _problem(answer.body))
        return answer

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        with self._answer(method, path, body, headers) as answer:
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """Raises NoBridge, also for what goes wrong while the answer is read."""
        import http.client
        from urllib.parse import urlsplit

        parts = urlsplit(self.url)
        assert parts.hostname is not None, "checked when the client was made"
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=SECONDS, context=self._access.context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
        sent = {"Authorization": f"Bearer {self._access.token}", **headers}
        with closing(connection):
            try:
                connection.request(method, parts.path.rstrip("/") + path, body, sent)
                yield connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise NoBridge(self.url, error) from error


class NoBridge(Exception):
    def __init__(self, url: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        super().__init__(
            f"no bridge answers at {url} ({reason}): start it with `device-bridge run`, or say where it is with --url"
        )


def part(text: object) -> str:
    """A part of a path."""
    from urllib.parse import quote

    return quote(str(text), safe="")


@contextmanager
def connected(
    config: Path, url: str | None, token: str | None, user: int | None = None, *, as_json: bool = False
) -> Iterator[Client]:
    """A client of the running bridge. What it refuses ends the command with the reason."""
    with closing(_Access(config, url, token, as_json=as_json)) as access:
        try:
            yield Client(access, user)
        except NoBridge as error:
            fail(str(error), Exit.NO_BRIDGE, as_json=as_json)
        except ApiError as error:
            code = Exit.NOTHING_FOUND if error.status == 404 else Exit.FAILED
            fail_with(error.lines(), code, as_json=as_json)


class _Access:
    """Where the bridge is and what lets us in; `close` takes back what was made for that."""

    def __init__(self, config: Path, url: str | None, token: str | None, *, as_json: bool) -> None:
        import ssl
        from urllib.parse import urlsplit

        self._made: str | None = None
        self.context: ssl.SSLContext | None = None
        if url is not None:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                fail("--url begins with http:// or https:// and has a host", Exit.USAGE, as_json=as_json)
            self.url = url
            if token is not None:
                self.token = token
                self.context = ssl.create_default_context()
                return
        self._bridge = load_bridge_block(config, as_json=as_json)
        if url is None:
            self.url, self.context = _local(self._bridge, as_json)
        self.token = token if token is not None else self._make(as_json=as_json)

    def _make(self, *, as_json: bool) -> str:
        import secrets

        from bridge.store.store import database
        from bridge.store.writer import StoreError
        from bridge.web import tokens

        directory = self._bridge.data
        if not (directory / "bridge.db").exists():
            fail(
                f"{directory} has no store: has a bridge with this inventory ever run?", Exit.NO_BRIDGE, as_json=as_json
            )
        name = f"command-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with closing(database(directory)) as connection:
                token = tokens.issue(connection, name, [], time.time(), api="write", seconds=LIFE)
        except (StoreError, OSError) as error:
            fail(f"give a token with DEVICE_BRIDGE_TOKEN, because none can be made here: {error}", as_json=as_json)
        self._made = name
        time.sleep(SEEN_AFTER)
        return token

    def renew(self) -> bool:
        """A new token in place of one that was made here and has ended meanwhile."""
        if self._made is None:
            return False
        self.close()
        self.token = self._make(as_json=False)
        return True

    def close(self) -> None:
        if self._made is not None:
            from bridge.store.store import database
            from bridge.web import tokens

            with closing(database(self._bridge.data)) as connection:
                tokens.revoke(connection, self._made)


def _local(bridge: Bridge, as_json: bool) -> tuple[str, ssl.SSLContext | None]:
    """How the bridge of this inventory is reached from its own machine."""
    import ssl

    listen = bridge.http.listen
    if listen.port == 0:
        fail("the bridge listens on any free port: say which with --url", Exit.USAGE, as_json=as_json)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 - compared, not listened on
    where = f"[{host}]:{listen.port}" if ":" in host else f"{host}:{listen.port}"
    if bridge.http.tls is None:
        return f"http://{where}", None
    # Exactly the certificate that the inventory names, whoever signed it and whatever host it is for.
    context = ssl.create_default_context(cafile=str(bridge.http.tls.certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return f"https://{where}", context


def _problem(data: bytes) -> Mapping[str, Any]:
    try:
        problem = json.loads(data)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
