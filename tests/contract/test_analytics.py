"""The analytics driver passes the contract kit: in the push's own words, and through a mapping."""

from __future__ import annotations

from typing import ClassVar

from bridge.testing.contract import DriverContract
from bridge.testing.simulator import Fault
from drivers.analytics.driver import AnalyticsDriver
from drivers.analytics.simulator import AnalyticsSimulator


class AnalyticsContract(DriverContract):
    driver = AnalyticsDriver
    simulator = AnalyticsSimulator
    valid_configs = (
        {},
        {"port": 8000, "path": "/a", "tls": "verify", "auth": "bearer", "fields": {"binaryUid": "a.b"}, "timeout": 2},
        {"statuses": {"run": "WORKING"}, "cameras": {"s": 1}, "job_fields": {"uid": "id"}},
    )
    invalid_configs = (
        {"port": 0},
        {"path": "stats"},
        {"auth": "digest"},
        {"fields": {"binaryUid": "a..b"}},
        {"fields": {"binary": "a"}},
        {"cameras": {"s": "one"}},
    )
    config: ClassVar = {"timeout": 1.0}
    patience = 4.0
    impossible = frozenset({Fault.ENTITY_BOMB})


class TestInTheWordsOfThePush(AnalyticsContract):
    pass


class TestThroughAMapping(AnalyticsContract):
    simulator_options: ClassVar = {"style": "other", "auth": "bearer"}
