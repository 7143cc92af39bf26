"""The panel's log: what is new in it since the last look, page by page, each entry once.

Entries have no number. Where we stand is a time, in milliseconds, and how many entries of that very time were seen.
The newest come first, so that a look costs one page. `from` is not used: firmware differs in whether it takes seconds
or milliseconds there.
"""

from __future__ import annotations

from collections.abc import Mapping

from drivers.basip.api import Api, number
from drivers.basip.events import Entry, entry

PAGE = 50  # the most that the API gives at once
PAGES = 200
PATH = "/log/items"
# The words for the order are those of Android panels and of older, then of newer Linux panels.
_ORDER: Mapping[str, str | int] = {
    "locale": "en",
    "limit": PAGE,
    "sort_type": "desc",
    "sort_field": "timestamp",
    "order_by": "timestamp desc",
}


class Logbook:
    __slots__ = ("_api", "_at", "_count", "_last_page", "_oldest_first")

    def __init__(self, api: Api, position: str | None) -> None:
        self._api = api
        at, _, count = (position or "").partition(" ")
        self._at, self._count = (int(at), int(count)) if at.isdigit() and count.isdigit() else (-1, 0)
        self._oldest_first = False
        self._last_page = 1

    @property
    def position(self) -> str:
        """Where we stand, for io.memory."""
        return f"{self._at} {self._count}"

    async def start(self) -> None:
        """Stand at the newest entry, unless we stand somewhere: what was before is nobody's news."""
        if self._at < 0:
            self._stand_at(await _Walk(self).next_page())

    def skip_to(self, at: float) -> None:
        """What was before that time, in seconds by the panel's clock, was told in another way."""
        if int(at * 1000) > self._at:
            self._at, self._count = int(at * 1000), 0

    async def news(self, until: float) -> tuple[list[Entry], bool]:
        """What is new, oldest first, up to a time in seconds by the panel's clock; and whether something is missing,
        because the log was cleared or does not reach back so far."""
        walk, found, known = _Walk(self), list[Entry](), 0
        reached = False
        while not reached and (page := await walk.next_page()):
            for one in page:
                if one.at < self._at:
                    reached = True
                    break
                # The rest is for later, or of a time when the panel's clock was wrong.
                if one.at <= until * 1000 or one.at == self._at:
                    found.append(one)
                    known += one.at == self._at
        missing = known < self._count
        fresh = found[: len(found) - min(known, self._count)]
        if fresh or missing:
            self._stand_at(found)
        return fresh[::-1], missing

    def _stand_at(self, newest_first: list[Entry]) -> None:
        self._at = newest_first[0].at if newest_first else 0
        self._count = sum(one.at == self._at for one in newest_first) if newest_first else 0

    async def page(self, count: int) -> tuple[list[Entry], int, int | None]:
        """One page, newest first; how many pages and how many entries there are."""
        answer = await self._api.get(PATH, {**_ORDER, "page_number": count})
        items = answer.get("list_items")
        listed = items[:PAGE] if isinstance(items, list) else []
        option = answer.get("list_option")
        option = option[0] if isinstance(option, list) and option else option
        pagination = option.get("pagination") if isinstance(option, dict) else None
        pagination = pagination if isinstance(pagination, dict) else {}
        pages, total = number(pagination.get("total_pages")), number(pagination.get("total_items"))
        entries = [one for item in listed if (one := entry(item)) is not None]
        if len(entries) > 1 and entries[0].at != entries[-1].at:
            self._oldest_first = entries[0].at < entries[-1].at
        self._last_page = max(1, int(pages)) if pages is not None else (count + 1 if len(listed) == PAGE else count)
        ordered = sorted(reversed(entries) if self._oldest_first else entries, key=lambda one: -one.at)
        return ordered, self._last_page, None if total is None else int(total)

    @property
    def oldest_first(self) -> bool:
        """Whether this firmware knows no order but its own."""
        return self._oldest_first

    @property
    def last_page(self) -> int:
        return self._last_page


class _Walk:
    """From the newest entry back, a page at a time."""

    __slots__ = ("_book", "_next", "_shifted", "_taken", "_total")

    def __init__(self, book: Logbook) -> None:
        self._book = book
        self._next: int | None = None
        self._taken = 0
        self._total: int | None = None
        self._shifted = 0  # entries that were written meanwhile have pushed so many onto later pages that we have seen

    async def next_page(self) -> list[Entry]:
        """Empty when there are no more."""
        while self._taken < PAGES:
            entries = await self._page()
            if entries is None:
                return []
            self._taken += 1
            known = min(self._shifted, len(entries))
            self._shifted -= known
            if entries[known:]:
                return entries[known:]
        return []

    async def _page(self) -> list[Entry] | None:
        book = self._book
        if self._next is None:
            self._next = book.last_page if book.oldest_first else 1
            entries, pages, self._total = await book.page(self._next)
            while book.oldest_first and pages != self._next:
                self._next = pages
                entries, pages, self._total = await book.page(self._next)
        elif self._next < 1 or (not book.oldest_first and self._next > book.last_page):
            return None
        else:
            entries, _, total = await book.page(self._next)
            if not book.oldest_first and total is not None and self._total is not None and total > self._total:
                self._shifted += total - self._total
                self._total = total
        self._next += -1 if book.oldest_first else 1
        return entries
