"""A listening port that can be shut and opened again without losing its number."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable


class Door:
    """A TCP port on one address. Ours from `bind` to `close`; it accepts connections while it is open."""

    def __init__(self, address: str) -> None:
        self._address = address
        # Bound and never listening: while the door is shut the kernel refuses, and gives the port to nobody else.
        self._claim: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self.port = 0

    def bind(self, port: int) -> None:
        """Take the port, any free one for 0. OSError says when it is taken."""
        self._claim = self._bound(port)
        self.port = self._claim.getsockname()[1]

    async def open(self, factory: Callable[[], asyncio.Protocol]) -> None:
        if self._server is None and self._claim is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(factory, sock=self._bound(self.port), backlog=64)

    def shut(self) -> None:
        """Refuse connections from now on; those that are open stay so."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def close(self) -> None:
        self.shut()
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _bound(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self._address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Lets the claim and the listening socket share the port; two that listen still cannot.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self._address, port))
        except OSError as error:
            made.close()
            raise OSError(error.errno, f"{self._address}:{port}: {error.strerror}") from error
        return made
