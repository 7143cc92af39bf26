"""What was on a camera before a template, and what the template changed, as rows of the store have it."""

from __future__ import annotations

from typing import Any

from bridge.jobs.records import Item
from bridge.secrets import Secret
from bridge.settings.plan import Change, Plan
from bridge.settings.vocabulary import Flat, flatten, unflatten


def packed(plan: Plan) -> tuple[list[tuple[str, Any, Any, bool]], dict[str, Any]]:
    """The changes of a plan, and what was there before: without secrets, and in the types of JSON."""
    changes = [(c.path, _plain(c.before), _plain(c.after), isinstance(c.after, Secret)) for c in plan.changes]
    return changes, {path: _plain(value) for path, value in plan.current.items()}


def backup_of(item: Item) -> Flat:
    """What was there before, as it was: JSON has neither enumerations nor tuples."""
    return flatten(unflatten(item.backup or {}))


def changes_of(item: Item) -> list[Change]:
    """What an item changed, as far as that is needed to undo it."""
    after = flatten(unflatten({path: value for path, _, value, secret in item.changes if not secret}))
    return [
        Change(path, before, Secret("") if secret else after.get(path, value), value)
        for path, before, value, secret in item.changes
    ]


def _plain(value: Any) -> Any:
    return None if isinstance(value, Secret) else list(value) if isinstance(value, tuple) else value
