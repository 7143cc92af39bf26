"""Walking through models: what a path leads to, where secrets are, what null means.

A path is a sequence of keys and list indexes, as in pydantic's errors.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config.problems import PathPart
from bridge.secrets import Secret


def members(annotation: Any) -> Iterator[Any]:
    """The members of a union, without Annotated; anything else as it is."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models among the members of an annotation, and in the lists and maps among them."""
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            yield member
        else:
            for _, inner in _entry(member):
                yield from models_in(inner)


def reachable(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model and all models that its fields lead to."""
    found = [model]
    for one in found:
        for field in one.model_fields.values():
            found += [inner for inner in models_in(field.annotation) if inner not in found]
    return found


def fields_at(model: type[BaseModel], path: Sequence[PathPart]) -> list[FieldInfo]:
    """The fields that a path leads through, innermost first; as many as there are."""
    found: list[FieldInfo] = []
    level: list[Any] = [model]
    for part in path:
        steps = [step for annotation in level for step in _step(annotation, part)]
        found += [field for field, _ in steps if field is not None]
        level = [annotation for _, annotation in steps]
    return found[::-1]


def known_keys(model: type[BaseModel], path: Sequence[PathPart] = ()) -> list[str]:
    """The fields that may stand in the block at a path."""
    level: list[Any] = [model]
    for part in path:
        level = [annotation for outer in level for _, annotation in _step(outer, part)]
    return [name for outer in level for name in _types(outer)]


def without_nulls(annotation: Any, node: Any) -> Any:
    """A block or list without the fields that are null. Unknown keys stay, null or not: they are errors."""
    if isinstance(node, list):
        entry = next((inner for _, inner in _step(annotation, 0)), None)
        return [without_nulls(entry, part) for part in node]
    if not isinstance(node, dict):
        return node
    fields = _types(annotation)
    return {
        key: without_nulls(fields.get(key), value) if isinstance(value, dict | list) else value
        for key, value in node.items()
        if value is not None or key not in fields
    }


@cache
def secret_paths(model: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    """Where the model's secrets are; "*" stands for any entry of a list or map."""
    return tuple(_secrets(model, (model,)))


def is_beside_secret(model: type[BaseModel], path: Sequence[PathPart]) -> bool:
    """Whether the block that `path` ends in has a secret field."""
    return any(
        len(secret) == len(path) and all(want in ("*", part) for want, part in zip(secret[:-1], path, strict=False))
        for secret in secret_paths(model)
    )


def values_at(node: Any, path: Sequence[str]) -> Iterator[tuple[tuple[PathPart, ...], Any]]:
    """The values that a secret path leads to, each with its own path."""
    if not path:
        yield (), node
        return
    entries: Iterable[tuple[PathPart, Any]] = ()
    if path[0] == "*" and isinstance(node, dict | list):
        entries = node.items() if isinstance(node, dict) else enumerate(node)
    elif isinstance(node, dict) and path[0] in node:
        entries = [(path[0], node[path[0]])]
    for part, inside in entries:
        for rest, value in values_at(inside, path[1:]):
            yield (part, *rest), value


def _types(annotation: Any) -> Mapping[str, Any]:
    """The fields of an annotation's models, with their annotations."""
    found: Mapping[str, Any] = {}
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            found = {**found, **_model_types(member)} if found else _model_types(member)
    return found


@cache
def _model_types(model: type[BaseModel]) -> Mapping[str, Any]:
    return {name: field.annotation for name, field in model.model_fields.items()}


def _entry(member: Any) -> Iterator[tuple[bool, Any]]:
    """What a list or map type holds; True with it for a map."""
    origin, arguments = get_origin(member), get_args(member)
    if isinstance(origin, type) and arguments:
        is_map = issubclass(origin, Mapping)
        yield is_map, arguments[-1] if is_map else arguments[0]


def _step(annotation: Any, part: PathPart) -> Iterator[tuple[FieldInfo | None, Any]]:
    for member in members(annotation):
        if isinstance(member, type) and issubclass(member, BaseModel):
            if isinstance(part, str) and (field := member.model_fields.get(part)) is not None:
                yield field, field.annotation
        else:
            yield from ((None, inner) for is_map, inner in _entry(member) if is_map == isinstance(part, str))


def _secrets(annotation: Any, seen: tuple[Any, ...]) -> Iterator[tuple[str, ...]]:
    for member in members(annotation):
        if member is Secret:
            yield ()
        elif isinstance(member, type) and issubclass(member, BaseModel):
            for name, field in member.model_fields.items():
                if field.annotation not in seen:
                    yield from ((name, *path) for path in _secrets(field.annotation, (*seen, field.annotation)))
        else:
            for _, inner in _entry(member):
                yield from (("*", *path) for path in _secrets(inner, seen))
