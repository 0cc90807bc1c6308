"""Walk through the pages of a list: a few at once, handed over in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from tokens.apple.values import Page

T = TypeVar("T")


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
        raise NotImplementedError
