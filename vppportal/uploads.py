"""Uploads: small, held in memory, never written to disk."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler

LONGEST_BODY: Final = 8 * 1024 * 1024
"""Far more than any form takes, so that a file that is too large gets a sentence of its own and not this."""


class SmallUploads(MemoryFileUploadHandler):
    """Takes files into memory, and refuses a body before its first byte is read when it is too long for that.

    Django's own handlers write any amount to disk before a view, or even the check of who is asking, gets its turn.
    """

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: str | None = None
    ) -> None:
        if content_length > LONGEST_BODY:
            raise RequestDataTooBig("The request is too long.")
        self.activated = True
