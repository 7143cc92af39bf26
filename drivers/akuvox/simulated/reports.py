"""How a simulated Akuvox panel reports: action URLs, one after another and never again, and lines of syslog."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

import aiohttp
from yarl import URL

from drivers.akuvox.simulated.models import URLS

_VARIABLE = re.compile(r"\$(\w+)")
_PAUSE = 0.006  # seconds: it starts a process for each


class ActionUrls:
    """Calls what stands in the configuration. Nobody hears whether that worked."""

    def __init__(self, config: Mapping[str, str], address: str) -> None:
        self._config = config
        self._address = address  # the panel's own, from which it calls
        self._turn = asyncio.Lock()
        self.sent: list[str] = []

    async def fire(self, name: str, values: Mapping[str, str]) -> None:
        url = self._config.get(URLS + name, "")
        if not url or self._config.get(f"{URLS}Enable") != "1":
            return
        # A variable that has no value at the moment stays as it is written.
        url = _VARIABLE.sub(lambda match: values.get(match[1]) or match[0], url)
        self.sent.append(name)
        async with self._turn:
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                timeout = aiohttp.ClientTimeout(total=5)
                own = aiohttp.TCPConnector(local_addr=(self._address, 0))
                async with aiohttp.ClientSession(connector=own, timeout=timeout) as http, http.get(URL(url)) as reply:
                    await reply.read()
            await asyncio.sleep(_PAUSE)


def send_line(config: Mapping[str, str], address: str, line: str, now: float, zone: float, severity: int = 6) -> None:
    """From the panel's `address` to where `config` says, as it was read when the panel started. `now` in seconds since
    the epoch, `zone` in seconds east of UTC: the line has the panel's local time, and no name of a host."""
    server, port = config.get("Config.Settings.LOGLEVEL.RemoteServer"), "Config.Settings.LOGLEVEL.RemoteServerPort"
    if config.get("Config.Settings.LOGLEVEL.RemoteSyslog") != "1" or not server:
        return
    local = time.gmtime(now + zone)
    stamp = f"{time.strftime('%b', local)} {local.tm_mday:>2} {time.strftime('%H:%M:%S', local)}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.bind((address, 0))
        sender.sendto(f"<{16 * 8 + severity}>{stamp}  phone 812: {line}".encode(), (server, int(config[port])))
