"""The OpenAPI 3.1 document of declared routes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from bridge import __version__
from bridge.web.routes import HEADERS, PARAMETERS, PREFIX, PROBLEM, ProblemDetails, Route, adapter, body_needed

ABOUT = """The bridge's own side of things: what devices are and do, configuration templates, and long work.

Every request carries `Authorization: Bearer TOKEN`; `device-bridge tokens issue NAME --api read|write` makes one.
Errors are problem details (RFC 9457). Times are seconds since the epoch."""

# What any route may answer besides its own: status and meaning.
_ALWAYS = {
    401: "no token, or one that is not known",
    403: "the token may not do this",
    408: "the body did not arrive in time",
    413: "the body is too long",
    422: "the request is wrong; `errors` has everything that is, with its place",
    429: "too many requests",
    500: "the bridge failed",
    503: "the bridge cannot do it now",
    504: "it took too long",
}
_BODY = {400: "the body is no JSON", 415: "the body is of another type"}


def document(routes: Sequence[Route]) -> bytes:
    """As JSON."""
    schemas, defs = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, schemas)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "device-bridge", "version": __version__, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": defs,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def _schemas(routes: Sequence[Route]) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """A reference for each model that routes name, and the schemas they refer to."""
    wanted: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {
        (ProblemDetails, "serialization"): adapter(ProblemDetails)
    }
    for route in routes:
        if route.answer is not None:
            wanted[route.answer, "serialization"] = adapter(route.answer)
        if route.body is not None:
            wanted[route.body, "validation"] = adapter(route.body)
    found, whole = TypeAdapter.json_schemas(
        [(kind, mode, made) for (kind, mode), made in wanted.items()],
        ref_template="#/components/schemas/{model}",
    )
    return found, whole.get("$defs", {})


def _operation(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": getattr(route.handler, "__name__", "").strip("_"),
        "summary": route.summary,
        "description": f"For tokens with `--api {route.scope}`.",
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    if route.files:
        content: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in route.files}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body is not None:
        schema = schemas[route.body, "validation"]
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": body_needed(route), "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, (kind, meaning) in PARAMETERS.items():
        if f"{{{name}}}" in route.path:
            schema = adapter(kind).json_schema()
            found.append({"name": name, "in": "path", "required": True, "description": meaning, "schema": schema})
    described = route.query.model_json_schema(ref_template="#/components/schemas/{model}")
    defs = described.get("$defs", {})
    for name, schema in described.get("properties", {}).items():
        needed = name in described.get("required", ())
        text = schema.pop("description", "")
        found.append(
            {"name": name, "in": "query", "required": needed, "description": text, "schema": _inline(schema, defs)}
        )
    for name in (*route.headers, *route.needs):
        pattern, meaning = HEADERS[name]
        needed = name in route.needs
        schema = {"type": "string", "pattern": pattern}
        found.append({"name": name, "in": "header", "required": needed, "description": meaning, "schema": schema})
    return found


def _inline(schema: dict[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be left out is left out. Enumerations stand where they are used."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "title")}
    if len(choices) == 1:
        kept |= choices[0]
    if kept.get("default", 0) is None:
        del kept["default"]
    if "$ref" in kept:
        kept = {**kept, **defs[kept.pop("$ref").rpartition("/")[2]]}
    if isinstance(kept.get("items"), dict):
        kept["items"] = _inline(kept["items"], defs)
    return kept


def _responses(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        answer["content"] = {"application/json": {"schema": schemas[route.answer, "serialization"]}}
    problem = {"content": {PROBLEM: {"schema": schemas[ProblemDetails, "serialization"]}}}
    errors = {**_ALWAYS, **(_BODY if route.body or route.files else {400: "a body that does not belong there"})}
    if "{" in route.path:
        errors[404] = "there is no such thing"
    errors |= route.errors
    return {
        str(route.status): answer,
        **{str(status): {"description": why, **problem} for status, why in sorted(errors.items())},
    }
