"""A driver whose module sets logging up when it is imported."""

from __future__ import annotations

import logging

from bridge_driver_acme.driver import AcmeDriver

logging.basicConfig(level=logging.INFO)


class SetsUpLogging(AcmeDriver):
    pass
