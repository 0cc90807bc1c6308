"""What a request looks like and how an answer is written, for every stand-in of this package."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

JSON = "application/json;charset=utf-8"


@dataclass(slots=True)
class Request:
    """One HTTP request, read completely; `route` is the path below the prefix of the stand-in that answers it."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    route: str = ""

    # Filled in on the way, for the request log only.
    location: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    parallel: int = 0


@dataclass(slots=True)
class Reply:
    """One HTTP answer; `error_number` repeats Apple's number for the request log."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    error_number: int = 0


def json_reply(payload: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """An answer whose body is `payload` written as JSON."""
    return Reply(status, json.dumps(payload, ensure_ascii=False).encode(), headers=headers or {})


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`, or None when there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
