"""Logs: structlog for us, the same lines for the libraries that use the standard module. Secrets masked in all."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from bridge.secrets import Redactor


def configure(level: str = "info", format: str = "auto", redact: Redactor | None = None) -> None:  # noqa: A002
    """Write to standard error: `text` for people, `json` for machines, `auto` by whether it is a terminal."""
    text = format == "text" or (format == "auto" and sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor
    if text:
        # Plain tracebacks: the pretty ones show local variables, and with them secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=36, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    mask = _mask(redact) if redact else _as_it_is
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer, mask],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    # Libraries tell about single requests at INFO, and zeep logs every value of a device that it cannot parse.
    for noisy in ("zeep", "aiohttp.access", "asyncio", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _mask(redact: Redactor) -> Any:
    def mask(_logger: object, _name: str, line: MutableMapping[str, Any] | str) -> Any:
        return redact(line) if isinstance(line, str) else line

    return mask


def _as_it_is(_logger: object, _name: str, line: Any) -> Any:
    return line
