"""From what is and what is wanted to what has to be changed. Pure: the same three in, the same plan out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby
from typing import Any, Literal

from bridge.secrets import MASK, Secret
from bridge.settings.limits import Fixed, Limits, allows, legal, nearest, same
from bridge.settings.vocabulary import NAMED, SECTIONS, Flat, Settings, Value, flatten, section_of, split, unflatten

Fit = Literal["exact", "nearest"]
ORDER: Mapping[str, int] = {name: number for number, name in enumerate(SECTIONS)}


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one channel of a device is set to, and what it would take. Secrets are never in it: none can be read."""

    settings: Settings = Settings()
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that has to change. `wanted` differs from `after` where only something near it is legal."""

    path: str
    before: Value
    after: Value
    wanted: Value

    def __str__(self) -> str:
        near = f" (nearest to {shown(self.wanted)})" if self.wanted != self.after else ""
        return f"{self.path}: {shown(self.before)} → {shown(self.after)}{near}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One setting that the device cannot have as wanted, and why, for people."""

    path: str
    wanted: Value
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {shown(self.wanted)}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Step:
    """What is written to the device in one go: one section. `after` is all of the section, not only what changes;
    `paths` are the settings that do."""

    section: str
    before: Settings
    after: Settings
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be changed. With refusals in it, nothing is to be written at all."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    current: Mapping[str, Value] = field(default_factory=dict)  # all that was read, flat

    @property
    def empty(self) -> bool:
        return not self.changes and not self.refusals

    def steps(self) -> list[Step]:
        """The changes as the device takes them, section by section, harmless ones first."""
        return [
            _step(section, tuple(changes), self.current)
            for section, changes in groupby(self.changes, key=lambda change: section_of(change.path))
        ]

    def digest(self, *about: str) -> str:
        """Of what it was made from and what it would do; `about` is who it is for. It changes when the device moved
        in any of the sections that are touched."""
        touched = {section_of(one.path) for one in self.changes} | {section_of(one.path) for one in self.refusals}
        before = {path: value for path, value in self.current.items() if section_of(path) in touched}
        told = [about, before, [(one.path, one.after) for one in self.changes], [str(one) for one in self.refusals]]
        return blake2b(json.dumps(told, default=_plain, sort_keys=True).encode(), digest_size=16).hexdigest()


def plan(configuration: Configuration, wanted: Settings, fit: Fit = "exact", known: Collection[str] = ()) -> Plan:
    """What has to change so that the device is as wanted.

    `known` are the paths of secrets that the device is known to have already: they cannot be read. When something else
    of the same account changes they are written all the same: to some devices, no password is an empty one.
    """
    limits, current, target = configuration.limits, flatten(configuration.settings), flatten(wanted)
    target |= _switched_on(limits, current, target)
    would_be = {**current, **target}
    target = {**target, **_no_longer_legal(limits, current, would_be)}
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for path in sorted(target, key=lambda path: ORDER[section_of(path)]):
        change = _one(path, target[path], current, would_be, limits, fit, known)
        if isinstance(change, Refusal):
            refusals.append(change)
        elif change is not None:
            changes.append(change)
    touched = {split(change.path)[:2] for change in changes}
    changes += [
        Change(path, None, target[path], target[path])
        for path in known
        if path in target and split(path)[0] in NAMED and split(path)[:2] in touched
    ]
    changes.sort(key=lambda change: ORDER[section_of(change.path)])
    return Plan(tuple(changes), tuple(refusals), current)


def back(now: Configuration, backup: Flat, plan: Plan) -> Plan:
    """The plan that undoes another: every setting that it changed as it was in `backup`. What was not there before
    (an account) is made absent; a secret stays, because nobody knows the old one."""
    current = flatten(now.settings)
    changes = []
    for change in plan.changes:
        section, name, leaf = split(change.path)
        came = section in NAMED and not any(path.startswith(f"{section}.{name}.") for path in backup)
        if isinstance(change.after, Secret) or (came and leaf != "absent"):
            continue
        was = backup.get(change.path)
        if was is not None and not same(now.limits.of(change.path, current), current.get(change.path), was):
            changes.append(Change(change.path, current.get(change.path), was, was))
    touched = {section_of(change.path) for change in plan.changes if section_of(change.path) not in NAMED}
    for path, was in backup.items():
        # What went when something was switched off (a text in the picture) comes back with it.
        if section_of(path) in touched and path not in current and now.limits.of(path, current) is not None:
            changes.append(Change(path, None, was, was))
    for path, was in backup.items():
        # So does what was removed.
        section, name, _ = split(path)
        if any(change.path == f"{section}.{name}.absent" for change in plan.changes) and path not in current:
            changes.append(Change(path, None, was, was))
    for section, name in _came(plan, backup):
        if any(path.startswith(f"{section}.{name}.") for path in current):
            path = f"{section}.{name}.absent"
            changes.append(Change(path, False, True, True))
    # The other way round: what was changed last goes back first.
    changes.sort(key=lambda change: -ORDER[section_of(change.path)])
    return Plan(tuple(changes), (), current)


def shown(value: Value) -> str:
    """A value for people."""
    match value:
        case None:
            return "nothing"
        case Secret():
            return MASK
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case tuple():
            return ", ".join(map(str, value)) or "nothing"
        case dict():
            return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain)
        case _:
            return str(value)


def _one(
    path: str, wanted: Value, current: Flat, would_be: Flat, limits: Limits, fit: Fit, known: Collection[str]
) -> Change | Refusal | None:
    section, name, leaf = split(path)
    if section in NAMED and would_be.get(f"{section}.{name}.absent"):
        there = any(other.startswith(f"{section}.{name}.") for other in current)
        return Change(path, False, True, True) if leaf == "absent" and there else None
    if leaf == "absent":
        return None  # false, and it is there or comes with its other fields
    limit = limits.of(path, would_be)
    if limit is None:
        lacking = not any(section_of(one) == section for one in limits.fields)
        return Refusal(path, wanted, f"the device has no {section}" if lacking else "the device has no such setting")
    before = current.get(path)
    if path in known:
        return None
    if before is not None and same(limit, before, wanted) and path not in _no_longer_legal(limits, current, would_be):
        return None
    if isinstance(limit, Fixed):
        return Refusal(path, wanted, f"it is {shown(before)} and cannot be changed")
    if allows(limit, wanted):
        return Change(path, before, wanted, wanted)
    if fit == "nearest" and (after := nearest(limit, wanted)) is not None:
        return None if before is not None and same(limit, before, after) else Change(path, before, after, wanted)
    return Refusal(path, wanted, f"the device does not take it; legal: {legal(limit)}")


def _switched_on(limits: Limits, current: Flat, target: Flat) -> dict[str, Value]:
    """Who says how something is to be wants it on: a text in the picture, the clock that follows its servers. Unless
    the template itself says `enabled: false`."""
    paths = {f"{section_of(path)}.enabled" for path in target if section_of(path) not in NAMED}
    return {
        path: True
        for path in sorted(paths)
        if path not in target and current.get(path) is False and allows(limits.of(path, current) or Fixed(), True)
    }


def _no_longer_legal(limits: Limits, current: Flat, would_be: Flat) -> dict[str, Value]:
    """Settings whose present value the device would not take any more once the others are as wanted: the frame rate
    that H.265 does not have."""
    return {
        path: would_be[path]
        for (other, value), table in limits.given.items()
        if would_be.get(other) == value != current.get(other)
        for path, limit in table.items()
        if would_be.get(path) is not None and not isinstance(limit, Fixed) and not allows(limit, would_be[path])
    }


def _step(section: str, changes: tuple[Change, ...], current: Flat) -> Step:
    before = {path: value for path, value in current.items() if section_of(path) == section}
    after = before | {change.path: change.after for change in changes}
    return Step(section, unflatten(before), unflatten(after), tuple(change.path for change in changes))


def _came(plan: Plan, backup: Flat) -> Iterator[tuple[str, str]]:
    """Named things that were not there before the plan."""
    found = dict.fromkeys(
        (section, name) for change in plan.changes for section, name, _ in [split(change.path)] if section in NAMED
    )
    for section, name in found:
        if section != "vendor" and not any(path.startswith(f"{section}.{name}.") for path in backup):
            yield section, name


def _plain(value: object) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, StrEnum):
        return value.value
    return str(value)
