"""Walk through the pages of a list: a few read at once, handed over in order, and watched for a list that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from tokens.apple.errors import AppleUnavailable
from tokens.apple.values import Page

T = TypeVar("T")

AT_ONCE: Final = 5
MAX_PAGES: Final = 100_000


def walk_pages(fetch: Callable[[int], Page[T]], begin: Callable[[int], Future[Page[T]]]) -> Iterator[Page[T]]:
    """Yield the pages in the order Apple chains them, reading up to `AT_ONCE` ahead of the consumer.

    `fetch` reads a page, `begin` starts reading one. An error on a page read ahead is raised when its turn comes,
    so one that the list has shrunk away from is never noticed.
    """
    ahead: dict[int, Future[Page[T]]] = {}
    try:
        page = fetch(0)
        for _ in range(MAX_PAGES):
            following = _following(page)
            if following is None:
                yield page
                return
            _read_ahead(ahead, begin, following, page.total_pages)
            yield page
            page = ahead.pop(following).result()
    finally:
        for future in ahead.values():
            future.cancel()
    raise AppleUnavailable("Apple's list does not end.")


def _following(page: Page[T]) -> int | None:
    if page.next_index is None or page.next_index > page.index:
        return page.next_index
    if 0 < page.total_pages <= page.index + 1:
        return None  # the last page points at itself or back: there is nothing after it
    raise AppleUnavailable("Apple's list leads back to a page that was read already.")


def _read_ahead(
    ahead: dict[int, Future[Page[T]]], begin: Callable[[int], Future[Page[T]]], start: int, total_pages: int
) -> None:
    for index in [index for index in ahead if index < start]:
        ahead.pop(index).cancel()
    for index in range(start, max(start + 1, min(total_pages, start + AT_ONCE))):
        if index not in ahead:
            ahead[index] = begin(index)


class Walk(Generic[T]):
    """Watch a walk go by: `is_clean` afterwards says that all pages show one state of the list, none missing.

    Rows may be deleted from a mirror after a clean walk only; `first_version` is the one to ask changes since.
    """

    def __init__(self, pages: Iterable[Page[T]]) -> None:
        self._pages = pages
        self.first_version: str | None = None
        self.is_clean = False
        self.total_pages = 0
        self.rows = 0
        self.skipped = 0

    def __iter__(self) -> Iterator[Page[T]]:
        is_clean, expected = True, 0
        for page in self._pages:
            if expected == 0:
                self.first_version = page.version_id
            is_clean &= page.is_whole and page.index == expected and page.version_id == self.first_version
            expected = page.index + 1
            self.total_pages = page.total_pages
            self.rows += len(page.items)
            self.skipped += page.skipped
            yield page
        has_one_version = self.first_version is not None or expected == 1
        self.is_clean = is_clean and has_one_version and self.total_pages in (0, expected)
