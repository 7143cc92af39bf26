"""Addresses of video sources: how they are shown, and with which login they are written. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from bridge.secrets import MASK

# Sources that take a login in their address.
_WITH_LOGIN = frozenset(
    {"rtsp", "rtsps", "rtsp2", "rtmp", "rtmps", "http", "https", "hls", "hlss", "tshttp", "tshttps", "onvif", "m4f"}
)
# Makes that have a password in the path (`user=admin_password=x_channel=1`) or in the query.
# Where such a password ends, nobody can say: all behind it is hidden.
_SECRET = re.compile(r"((?:pass|pwd|psw|token|secret|auth|key)[^=/?&]*=).+", re.DOTALL | re.IGNORECASE)
_PARTS = re.compile(r"([^/?#]*)(.*)", re.DOTALL)


def shown(url: str) -> str:
    """The address without its login, anything else that looks like a secret masked."""
    scheme, sign, _ = url.partition("://")
    if not sign:
        return url
    _, where, path = _parts(url)
    if "@" in path:
        # A login with a slash in it, or nobody knows what.
        return f"{scheme}://{MASK}"
    hidden = _SECRET.sub(lambda found: found[1] + MASK, path)
    return f"{scheme}://{where}{hidden}"


def _parts(url: str) -> tuple[str, str, str]:
    """Login, host with port, and all behind."""
    found = _PARTS.fullmatch(url.partition("://")[2])
    assert found is not None, "it takes anything"
    login, _, where = found[1].rpartition("@")
    return login, where, found[2]


def is_masked(address: str) -> bool:
    return MASK in address


def username(url: str) -> str:
    """The user name in an address, empty where there is none."""
    return unquote(_parts(url)[0].partition(":")[0])


def password(url: str) -> str:
    return unquote(_parts(url)[0].partition(":")[2])


def host(url: str) -> str:
    """Scheme, host and port: what a password may be sent to again."""
    return f"{url.partition('://')[0]}://{_parts(url)[1]}"


def takes_login(url: str) -> bool:
    return url.partition("://")[0] in _WITH_LOGIN


def with_login(address: str, name: str, word: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{quote(name, safe='')}:{quote(word, safe='')}@{rest}"
