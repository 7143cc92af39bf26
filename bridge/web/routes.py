"""Routes as declarations. What a route takes, answers and needs is said once; from that come the aiohttp routes, the
checks of whoever asks and of what they send, and the OpenAPI document (`bridge.web.openapi`).

Every error is a problem details object (RFC 9457), with the list of all that is wrong about a request and where.
Whoever asks is hostile until their token is known: before that nothing of the request but its headers is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Literal, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bridge.jobs.records import Initiator
from bridge.web.tokens import Scope, Token

PREFIX = "/api/v1"
BODY_LIMIT = 1 << 20
FILE_LIMIT = 10 << 20
SECONDS = 30.0  # that a request may take, unless its route says otherwise
PROBLEM = "application/problem+json"


class Input(BaseModel):
    """What a request may say; unknown words are refused, and no error repeats what was sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(Input):
    """No words at all."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong about a request, and where: `pointer` into its JSON body (RFC 6901), or a `parameter` of
    its path, query or headers, or the place in a file that was sent."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """What went wrong (RFC 9457)."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    errors: tuple[Wrong, ...] = ()


class Refused(Exception):
    """Ends a request with problem details. `detail` is for people."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[Wrong] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = ProblemDetails(status, HTTPStatus(status).phrase, detail, errors=tuple(errors))
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        return web.Response(
            body=adapter(ProblemDetails).dump_json(self.problem),
            status=self.problem.status,
            content_type=PROBLEM,
            headers=self.headers,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in and is right as far as its declaration can tell. `path` has the parameters of the
    path; `query` and `body` are instances of the route's models, or the bytes of a file for `body`."""

    request: web.Request
    token: Token
    by: Initiator
    path: Mapping[str, Any]
    query: Any
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with headers of its own (`Location`)."""

    value: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. Its handler returns a value of the type `answer`, or a `Reply` with one; it raises `Refused`."""

    method: Literal["GET", "POST", "DELETE"]
    path: str  # below PREFIX; its parameters are keys of PARAMETERS
    summary: str
    handler: Callable[[Call], Awaitable[Any]]
    answer: Any = None  # a dataclass or model; None where there is no content
    scope: Scope = "read"
    query: type[BaseModel] = Nothing
    body: type[BaseModel] | None = None
    files: tuple[str, ...] = ()  # the content types of a body that is a file
    headers: tuple[str, ...] = ()  # keys of HEADERS that may be there
    needs: tuple[str, ...] = ()  # those that must
    status: int = 200
    errors: Mapping[int, str] = field(default_factory=dict)  # what its handler refuses, and when
    seconds: float = SECONDS
    limit: int = BODY_LIMIT


# Parameters of paths: type and meaning.
PARAMETERS: dict[str, tuple[Any, str]] = {
    "device": (Annotated[str, Field(min_length=1, max_length=200)], "id of a device of the inventory"),
    "template": (Annotated[int, Field(ge=1, le=2**53)], "the template's number"),
    "plan": (Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], "id of a saved plan"),
    "job": (Annotated[int, Field(ge=1, lt=2**63)], "id of a job"),
}

# Headers that routes may read: pattern and meaning.
HEADERS: dict[str, tuple[str, str]] = {
    "X-Socket-ID": (r"^[0-9]{1,20}\.[0-9]{1,20}$", "the websocket connection of whoever asks, as Echo sends it"),
    "Idempotency-Key": (
        r"^[\x21-\x7e]{1,200}$",
        "any text of the caller's that is new for each command: the same key again gets the same answer, and nothing "
        "is done twice",
    ),
}


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def read_path(route: Route, given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of the path. What can be no id of anything is the id of nothing: 404."""
    found = {}
    for name, text in given.items():
        kind, meaning = PARAMETERS[name]
        try:
            found[name] = adapter(kind).validate_python(text)
        except ValidationError:
            raise Refused(404, f"there is no such {name}", [Wrong(f"{meaning}: not this", parameter=name)]) from None
    return found


def read_headers(route: Route, given: Mapping[str, str]) -> tuple[dict[str, str], list[Wrong]]:
    found, wrong = {}, []
    for name in (*route.headers, *route.needs):
        pattern, meaning = HEADERS[name]
        text = given.get(name)
        if text is None:
            if name in route.needs:
                wrong.append(Wrong(f"this header is needed: {meaning}", parameter=name))
            continue
        try:
            found[name] = adapter(Annotated[str, Field(pattern=pattern)]).validate_python(text)
        except ValidationError:
            wrong.append(Wrong(f"must look like {pattern}", parameter=name))
    return found, wrong


def read_query(route: Route, request: web.Request) -> tuple[Any, list[Wrong]]:
    given: dict[str, Any] = {}
    wrong = []
    for name in dict.fromkeys(request.query):
        values = request.query.getall(name)
        known = route.query.model_fields.get(name)
        if known is not None and get_origin(known.annotation) is tuple:
            given[name] = values
        elif len(values) > 1:
            wrong.append(Wrong("is given more than once", parameter=name))
        else:
            given[name] = values[0]
    try:
        return route.query.model_validate(given), wrong
    except ValidationError as error:
        return None, wrong + [Wrong(_said(one), parameter=str(one["loc"][0])) for one in error.errors()]


def body_needed(route: Route) -> bool:
    """Whether a request has to say anything; where nothing is needed, the body may be left out."""
    return bool(route.files) or (
        route.body is not None and any(one.is_required() for one in route.body.model_fields.values())
    )


def read_body(route: Route, request: web.Request, data: bytes) -> tuple[Any, list[Wrong]]:
    """The body as the route's model, or as it is where it is a file."""
    if route.files:
        if request.content_type not in route.files:
            raise Refused(415, f"send one of {', '.join(route.files)} as the Content-Type")
        return data, []
    if route.body is None:
        if data.strip():
            raise Refused(400, "no body belongs to this request")
        return None, []
    if not data and not body_needed(route):
        data = b"{}"
    elif request.content_type != "application/json":
        raise Refused(415, "send application/json as the Content-Type")
    try:
        return route.body.model_validate_json(data), []
    except ValidationError as error:
        found = error.errors()
        if any(one["type"] == "json_invalid" for one in found):
            raise Refused(400, f"the body is no JSON: {found[0]['msg'].partition(': ')[2]}") from None
        return None, [Wrong(_said(one), pointer=_pointer(one["loc"])) for one in found]


def _said(error: Any) -> str:
    """What pydantic found, in few words; for our own errors with how to mend it."""
    mend = (error.get("ctx") or {}).get("mend")
    said = {"extra_forbidden": "unknown word", "missing": "is needed"}.get(error["type"], str(error["msg"]))
    return f"{said}: {mend}" if mend else said


def _pointer(loc: Sequence[int | str]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc)
