"""What no log may keep: the links by which a forgotten password is set anew."""

from __future__ import annotations

import logging
import re
from typing import Final

_KEY: Final = re.compile(r"(?<=/password/reset/key/)[^\s\"'?]+")


class WithoutResetKeys(logging.Filter):
    """Cuts the key off the address of a page that sets a new password, whoever logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            record.msg = {name: _cut(value) if isinstance(value, str) else value for name, value in record.msg.items()}
        elif _KEY.search(text := record.getMessage()):
            record.msg, record.args = _cut(text), ()
        return True


def _cut(text: str) -> str:
    return _KEY.sub("...", text)
