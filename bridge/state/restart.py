"""Whether a device was started anew between two polls, by what it says about how long it has been running."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.model import Fact

# Seconds. SNMP counts hundredths in 32 bits (RFC 3418, sysUpTime): after 497 days it begins at 0 without a restart.
_WRAPS_AT = 2**32 / 100
_NEAR = 86_400.0


def restarted(before: Mapping[str, Fact], after: Mapping[str, Fact]) -> bool:
    was, now = before.get("uptime"), after.get("uptime")
    if not isinstance(was, int | float) or not isinstance(now, int | float) or now >= was:
        return False
    return not _WRAPS_AT - _NEAR <= was <= _WRAPS_AT
