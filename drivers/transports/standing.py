"""A callback whose address stays the same when the bridge is started anew: panels keep it in their configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bridge.driver import BODY_LIMIT, Callback, CallbackRequest, DriverIO
from bridge.errors import Unsupported
from bridge.model import Device

_PATH = "callback"  # in io.memory


async def standing_callback(
    io: DriverIO,
    device: Device,
    handler: Callable[[CallbackRequest], Awaitable[None]],
    *,
    body_limit: int = BODY_LIMIT,
) -> Callback:
    """As `Callbacks.register`, with a secret path that lasts. Raises Unsupported without a callback listener."""
    if io.callbacks is None:
        raise Unsupported("events need bridge.callbacks in the inventory")
    path = io.memory.get(_PATH)
    callback = io.callbacks.register(device, handler, body_limit=body_limit, path=path)
    if path is None:
        await io.memory.put(_PATH, callback.path)
    return callback
