"""What a simulated server has recorded, and the addresses under which players get it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLIP = re.compile(r"archive-(\d+)-(\d+)\.mp4")
SHAPES = ("list", "by_name", "dvr_info")


@dataclass
class Recordings:
    """`ranges` by stream: (from, duration) in seconds since the epoch. `clip` is the mp4 that every clip is."""

    ranges: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    clip: Path | None = None
    shape: str = "list"  # of recording_status.json, which differs between versions

    def listed(self, name: str, milliseconds: bool) -> list[dict[str, Any]]:
        """The items of `dvr/ranges`; since 2025 they tell when they were opened and closed, in ms."""
        found = []
        for start, duration in self.ranges.get(name, []):
            item: dict[str, Any] = {"from": start, "duration": duration}
            if milliseconds:
                item |= {"opened_at": start * 1000, "closed_at": (start + duration) * 1000}
            found.append(item)
        return found

    def status(self, name: str, start: int, end: int) -> Any:
        """`recording_status.json` in one of its shapes."""
        found = [one for one in self.ranges.get(name, []) if one[0] < end and one[0] + one[1] > start]
        ranges = [{"from": at, "duration": duration} for at, duration in found]
        if self.shape == "list":
            return [{"stream": name, "ranges": ranges, "locks": []}]
        first, last = (found[0][0], sum(found[-1])) if found else (None, None)
        if self.shape == "by_name":
            return {name: {"from": first, "to": last}} if found else {}
        length = last - first if first is not None and last is not None else 0
        return {"from": first, "duration": length, "depth": 604_800, "bytes": 1_000_000, "ranges": ranges}

    def covers(self, name: str, start: int, duration: int) -> bool:
        return any(at < start + duration and start < at + length for at, length in self.ranges.get(name, []))
