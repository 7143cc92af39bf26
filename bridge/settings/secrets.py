"""Which secrets a device has already: they cannot be read back, so that a salted digest of each is remembered."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping

from bridge.secrets import Secret
from bridge.settings.vocabulary import Flat

PREFIX = "secret:"  # of the keys in the device's memory


def remembered(written: Flat) -> dict[str, str]:
    """What to keep of the secrets that were written, by key."""
    return {
        PREFIX + path: _digest(os.urandom(12), value) for path, value in written.items() if isinstance(value, Secret)
    }


def known(wanted: Flat, memory: Mapping[str, str]) -> set[str]:
    """The paths of those secrets that are the remembered ones."""
    return {
        path
        for path, value in wanted.items()
        if isinstance(value, Secret)
        and (kept := memory.get(PREFIX + path)) is not None
        and hmac.compare_digest(kept, _digest(bytes.fromhex(kept.partition("$")[0]), value))
    }


def _digest(salt: bytes, secret: Secret) -> str:
    # Slow enough that a stolen database does not give away a weak password in a moment.
    return f"{salt.hex()}${hashlib.scrypt(secret.reveal().encode(), salt=salt, n=2**12, r=8, p=1, dklen=24).hex()}"
