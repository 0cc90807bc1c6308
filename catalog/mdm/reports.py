"""Read what NanoMDM's webhook tells: JSON around the property list that a device sent. Strict, bounded, pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import plistlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID
from xml.parsers.expat import ExpatError

MAX_PAYLOAD: Final = 1024 * 1024
USER_CHANNELS: Final = frozenset({"User", "User Enrollment"})


class Unreadable(Exception):
    """This is no event of NanoMDM's; the text says what is wrong with it, and quotes nothing."""


class Topic(StrEnum):
    """The events that matter here; there are others, which are stored and left at that."""

    AUTHENTICATE = "mdm.Authenticate"
    TOKEN_UPDATE = "mdm.TokenUpdate"  # noqa: S105  (a device's push token, not ours, and only the event's name)
    CHECK_OUT = "mdm.CheckOut"
    CONNECT = "mdm.Connect"


@dataclass(frozen=True, slots=True)
class Report:
    """One event: something a device told the MDM server."""

    event_id: str
    topic: str
    happened_at: datetime
    enrollment_id: str
    enrollment_type: str = "Device"
    parent_id: str = ""
    status: str = ""
    command_uuid: UUID | None = None
    owner: str = ""
    raw_payload: str = field(default="", repr=False)

    @property
    def is_about_a_person(self) -> bool:
        """Did a person's channel on a device speak, and not the device itself?"""
        return bool(self.parent_id) or self.enrollment_type in USER_CHANNELS

    def payload(self) -> dict[str, Any]:
        """Return what the device sent; raises Unreadable. XML only: that is what devices send."""
        if not self.raw_payload:
            return {}
        if len(self.raw_payload) > MAX_PAYLOAD:
            raise Unreadable("its payload is too large")
        try:
            told = plistlib.loads(base64.b64decode(self.raw_payload, validate=True), fmt=plistlib.FMT_XML)
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, ExpatError, RecursionError):
            raise Unreadable("its payload is no property list") from None
        if not isinstance(told, dict):
            raise Unreadable("its payload is no dictionary")
        return told


def signature(key: str, raw: bytes) -> str:
    """Return what `X-Hmac-Signature` has to say about a body."""
    return base64.b64encode(hmac.digest(key.encode(), raw, hashlib.sha256)).decode()


def read(body: Mapping[str, Any], now: datetime) -> Report:
    """Return the event that a webhook's body tells of; raises Unreadable.

    A time to come is taken for now: one server's wrong clock must not make everything after it look old.
    """
    told = body.get("acknowledge_event") or body.get("checkin_event") or {}
    if not isinstance(told, Mapping):
        raise Unreadable("it tells of nothing")
    ids = _members(told.get("ids"))  # before 0.9 there were none
    enrollment_id = _text(ids, "id", 127) or _text(told, "enrollment_id", 127) or _text(told, "udid", 127)
    event_id, topic = _text(body, "event_id", 100), _text(body, "topic", 40)
    if not (event_id and topic and enrollment_id):
        raise Unreadable("it says not what happened to whom")
    return Report(
        event_id=event_id,
        topic=topic,
        happened_at=min(_moment(body.get("created_at")), now),
        enrollment_id=enrollment_id,
        enrollment_type=_text(ids, "type", 40) or "Device",
        parent_id=_text(ids, "parent_id", 127),
        status=_text(told, "status", 40),
        command_uuid=_uuid(told.get("command_uuid")),
        owner=_text(_members(told.get("url_params")), "owner", 254),
        raw_payload=told["raw_payload"] if isinstance(told.get("raw_payload"), str) else "",
    )


def _members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(members: Mapping[str, Any], name: str, longest: int) -> str:
    """Return a text member, or none where it is missing or too long for what it is."""
    value = members.get(name)
    return value if isinstance(value, str) and len(value) <= longest else ""


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("it does not say when it happened") from None


def _uuid(value: object) -> UUID | None:
    """Return the id of a command of ours; others, which somebody else may have sent, have none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
