"""The API of servers up to version 21, as the manual of version 20 has it: complete streams, no selection, no pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drivers.flussonic.simulated.media import Media


def media(streams: Iterable[Media], names: str | None) -> list[dict[str, Any]]:
    wanted = names.split(",") if names else None
    return [{"entry": "stream", "value": _value(one)} for one in streams if wanted is None or one.name in wanted]


def _value(one: Media) -> dict[str, Any]:
    inputs = one.config.get("inputs", [])
    options = {key: one.config[key] for key in ("title", "disabled", "static") if key in one.config}
    return {
        "name": one.name,
        "urls": [{"value": item["url"], "options": {}} for item in inputs],
        "stats": {
            "alive": one.alive,
            "bitrate": 2100 if one.alive else 0,
            "client_count": 0,
            "dvr_enabled": "dvr" in one.config,
            "input_error_rate": 0,
            "lifetime": 60_000,
            "retry_count": one.retries,
            "running_transcoder": False,
            "media_info": {"streams": [{"content": "video", "codec": "h264"}]},
        },
        "options": options,
    }
