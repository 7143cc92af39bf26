"""Every setting in one table, for docs/settings.md: what it is, what it takes, and what our drivers do for it.

python -m bridge.settings.table > table.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic.fields import FieldInfo

from bridge import registry
from bridge.config.types import read_duration
from bridge.driver import AnyDriver
from bridge.secrets import Secret
from bridge.settings.vocabulary import FIELDS, parts

PACKAGE = "device-bridge"
# As annotated_types has them.
_BOUNDS = ("ge", "gt", "le", "max_length")


def own_drivers() -> list[type[AnyDriver]]:
    """Those of our drivers that can set something."""
    drivers = [registry.load(one.name) for one in registry.installed() if one.package == PACKAGE]
    return [driver for driver in drivers if driver.settings]


def render(drivers: Iterable[type[AnyDriver]]) -> str:
    """The table, in Markdown. A driver's cell is empty where its devices have no such setting."""
    columns = {driver.name: driver.settings for driver in drivers}
    fields = {**FIELDS, **{path: field for driver in drivers for path, field in _vendor(driver)}}
    lines = [_row(("setting", "what it is", "values", *columns)), _row("---" for _ in range(3 + len(columns)))]
    for path, field in fields.items():
        done = (_cell(settings.get(path, "")) for settings in columns.values())
        lines.append(_row((f"`{path}`", _cell(field.description or ""), _cell(values(field)), *done)))
    return "\n".join(lines) + "\n"


def values(field: FieldInfo) -> str:
    """What a setting takes, for people."""
    inside = list(parts(field.annotation))
    bounds = _bounds([field, *(one for one in inside if isinstance(one, FieldInfo))])
    words = next((one for one in inside if isinstance(one, type) and issubclass(one, Enum)), None)
    if words is not None:
        return ", ".join(f"`{word.value}`" for word in words)
    if Secret in inside:
        return "a secret; cannot be read"
    if bool in inside:
        return "`true`, `false`"
    if tuple in inside or any(getattr(one, "__origin__", None) is tuple for one in inside):
        # The list's own bound stands behind those of its entries.
        most = _bounds([field, *reversed([one for one in inside if isinstance(one, FieldInfo)])]).get("max_length")
        return f"a list of up to {most}" if most else "a list"
    literals = ", ".join(f"`{one}`" for one in inside if isinstance(one, str))
    if int in inside or float in inside:
        low = f"more than {bounds['gt']:g}, up to" if "gt" in bounds else f"{bounds.get('ge', 0):g} to"
        unit = " s, also `30s` or `5m`" if any(getattr(one, "func", None) is read_duration for one in inside) else ""
        span = f"{low} {bounds['le']:.0f}{unit}" if "le" in bounds else "a number"
        return f"{literals}{', or ' if literals else ''}{span}"
    if literals:
        return literals
    if field.examples:
        return f"text like {', '.join(f'`{one}`' for one in field.examples)}"
    return f"text, up to {bounds['max_length']} characters" if "max_length" in bounds else "text"


def _bounds(fields: Iterable[FieldInfo]) -> Mapping[str, Any]:
    """What limits a value; of two limits the outer one."""
    found: dict[str, Any] = {}
    for field in fields:
        for limit in field.metadata:
            for name in _BOUNDS:
                if hasattr(limit, name):
                    found.setdefault(name, getattr(limit, name))
    return found


def _vendor(driver: type[AnyDriver]) -> Iterator[tuple[str, FieldInfo]]:
    if driver.VendorSettings is not None:
        for name, field in driver.VendorSettings.model_fields.items():
            yield f"vendor.{driver.name}.{name}", field


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(render(own_drivers()), end="")  # noqa: T201 - that is what it is for
