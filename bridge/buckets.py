"""How often somebody may ask: a token bucket for each, and a bounded table of them."""

from __future__ import annotations

from collections import OrderedDict


class Bucket:
    """`burst` requests at once, then `per_second`. Times are monotonic seconds."""

    __slots__ = ("_burst", "_left", "_per_second", "_refilled_at")

    def __init__(self, burst: int, per_second: float, now: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._refilled_at = now

    def take(self, now: float) -> float:
        """0 when it may; otherwise the seconds until it may again."""
        self._left = min(self._burst, self._left + (now - self._refilled_at) * self._per_second)
        self._refilled_at = now
        if self._left < 1:
            return (1 - self._left) / self._per_second
        self._left -= 1
        return 0.0


class Buckets:
    """One for each name, for a bounded number of names: beyond that, the one that asked longest ago is forgotten."""

    def __init__(self, burst: int, per_second: float, bound: int) -> None:
        self._burst = burst
        self._per_second = per_second
        self._bound = bound
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, name: str, now: float) -> float:
        """As `Bucket.take`."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._burst, self._per_second, now)
            if len(self._buckets) > self._bound:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        return bucket.take(now)

    def __len__(self) -> int:
        return len(self._buckets)
