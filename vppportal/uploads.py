"""Uploads: small, held in memory, never written to disk; a page may take larger ones from whoever may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.urls import Resolver404, resolve

LONGEST_BODY: Final = 8 * 1024 * 1024
"""Far more than any form takes, so that a file that is too large gets a sentence of its own and not this."""
V = TypeVar("V", bound=Callable[..., Any])


def takes_uploads(longest: int, *permissions: str) -> Callable[[V], V]:
    """Mark a view as one that takes bodies of up to `longest` bytes from those with the permissions."""

    def mark(view: V) -> V:
        view.takes_uploads = longest, permissions  # type: ignore[attr-defined]
        return view

    return mark


class SmallUploads(MemoryFileUploadHandler):
    """Takes files into memory, and refuses a body before its first byte is read when it is too long for that.

    Django's own handlers write any amount to disk before a view, or even the check of who is asking, gets its turn.
    """

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: str | None = None
    ) -> None:
        if content_length > LONGEST_BODY and content_length > self._longest():
            raise RequestDataTooBig("The request is too long.")
        self.activated = True

    def _longest(self) -> int:
        """Return how long a body the page takes from who is asking."""
        request: Any = self.request
        try:
            view = resolve(request.path_info).func
        except Resolver404:
            return LONGEST_BODY
        longest, permissions = getattr(view, "takes_uploads", (LONGEST_BODY, ()))
        return longest if request.user.has_perms(permissions) else LONGEST_BODY
