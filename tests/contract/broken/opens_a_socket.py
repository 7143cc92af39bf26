"""A driver whose module does I/O when it is imported."""

from __future__ import annotations

import socket

from bridge_driver_acme.driver import AcmeDriver

with socket.socket() as _looking_for_the_device:
    pass


class OpensASocket(AcmeDriver):
    pass
