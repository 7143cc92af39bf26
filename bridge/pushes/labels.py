"""Words for people, per locale: `status_pretty` and the dictionary behind it."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_LOCALE = "en"

LABELS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "intercom.status.active": "Active",
        "intercom.status.inactive": "Inactive",
        "intercom.status.initial": "Initializing",
        "intercom.status.empty": "Not installed",
    },
    "ru": {
        "intercom.status.active": "Активен",
        "intercom.status.inactive": "Неактивен",
        "intercom.status.initial": "Инициализация",
        "intercom.status.empty": "Не установлен",
    },
}


class Labels:
    """The labels of one locale, with the inventory's own words in front of ours."""

    def __init__(self, locale: str = DEFAULT_LOCALE, own: Mapping[str, str] | None = None) -> None:
        self.locale = locale
        self._words = {**LABELS[DEFAULT_LOCALE], **LABELS.get(locale, {}), **(own or {})}

    def __getitem__(self, key: str) -> str:
        return self._words[key]
