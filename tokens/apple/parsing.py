"""Turn Apple's JSON objects into values, forgiving what can be forgiven: the one place with Apple's member names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from typing import Final, TypeVar

from tokens.apple.answers import Body, Unreadable
from tokens.apple.errors import Targets, sentence
from tokens.apple.values import (
    ClientConfig,
    EventReceipt,
    EventStatus,
    Failure,
    Limits,
    MdmInfo,
    ServiceConfig,
)
from tokens.dates import parse_date

T = TypeVar("T")
Parser = Callable[[Body], T]

LARGEST: Final = 2**63 - 1
PRICING: Final = "STDQ"
LONGEST_SERIAL: Final = 64
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,19}(?:\.0+)?", re.ASCII)
_ADAM_ID: Final = re.compile(r"\d{1,20}", re.ASCII)
_LIMITS: Final = {
    "max_requests_per_second": "maxRequestPerSecond",
    **{
        field.name: re.sub(r"_(.)", lambda match: match[1].upper(), field.name)
        for field in fields(Limits)
        if field.name != "max_requests_per_second"
    },
}


def text(value: object, longest: int = 250) -> str:
    """Return a text member, trimmed and cut; anything else is empty."""
    return value.strip()[:longest] if isinstance(value, str) else ""


def texts(value: object, longest: int = 100) -> tuple[str, ...]:
    """Return the texts of a list member, each once."""
    rows = value if isinstance(value, list) else []
    return tuple(dict.fromkeys(found for row in rows if (found := text(row, longest))))


def integer(value: object) -> int | None:
    """Return a whole number, also one written as a string; None for anything else."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -LARGEST <= value <= LARGEST else None


def count(value: object) -> int:
    """Return a number of things, never less than none."""
    return max(integer(value) or 0, 0)


def adam_id(value: object) -> str:
    """Return a store id, which Apple writes as text or as number; empty for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _ADAM_ID.fullmatch(value) else ""


def pricing(value: object) -> str:
    """Return how a product was paid for; Apple leaves the usual way out now and then."""
    return text(value, 10).upper() or PRICING


def truth(value: object, default: bool = False) -> bool:
    """Return a boolean, also one written as text or number; the default where there is none."""
    if value is None:
        return default
    return value is True or value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "1"))


def mdm_info(body: Body) -> MdmInfo | None:
    """Return who claims the location; absent, null and empty mean nobody."""
    info = body.get("mdmInfo")
    if not isinstance(info, dict) or not text(info.get("id")):
        return None
    return MdmInfo(text(info["id"], 100), text(info.get("name"), 100), text(info.get("metadata"), 255))


def targets(value: object) -> Targets:
    """Return what an error's `errorInfo` names."""
    info = value if isinstance(value, dict) else {}
    rows = info.get("assets")
    pairs = (
        (found, pricing(row.get("pricingParam")))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and (found := adam_id(row.get("adamId")))
    )
    return Targets(tuple(pairs), texts(info.get("clientUserIds")), texts(info.get("serialNumbers"), LONGEST_SERIAL))


def service_config(body: Body) -> ServiceConfig:
    """Return what Apple tells everybody."""
    urls = body.get("urls")
    limits = body.get("limits")
    codes = body.get("errorCodes")
    return ServiceConfig(
        urls={
            key: found
            for key, value in (urls if isinstance(urls, dict) else {}).items()
            if (found := text(value, 2000))
        },
        limits=_limits(limits if isinstance(limits, dict) else {}),
        error_messages={
            number: sentence(None, row.get("errorMessage"))
            for row in (codes if isinstance(codes, list) else [])
            if isinstance(row, dict) and (number := integer(row.get("errorNumber")))
        },
        notification_types=texts(body.get("notificationTypes")),
    )


def _limits(told: Body) -> Limits:
    usable = {ours: integer(told.get(apples)) or 0 for ours, apples in _LIMITS.items()}
    return Limits(**{name: min(limit, 2**31 - 1) for name, limit in usable.items() if limit > 0})


def client_config(body: Body) -> ClientConfig:
    """Return a location; only its id is indispensable. The webhook secret that Apple echoes is left behind."""
    location_id = text(body.get("uId"), 100)
    if not location_id:
        raise Unreadable("it names no location")
    country = text(body.get("countryISO2ACode")).upper()
    return ClientConfig(
        location_id=location_id,
        location_name=text(body.get("locationName")),
        country=country if re.fullmatch("[A-Z]{2}", country) else "",
        default_platform=text(body.get("defaultPlatform"), 40),
        website_url=text(body.get("websiteURL"), 500),
        mdm_info=mdm_info(body),
        token_expires_at=parse_date(body.get("tokenExpirationDate")),
        notification_url=text(body.get("notificationUrl"), 512),
        subscribed_notification_types=texts(body.get("subscribedNotificationTypes")),
    )


def event_receipt(body: Body) -> EventReceipt:
    """Return the id under which Apple queued a change."""
    event_id = text(body.get("eventId"), 100)
    if not event_id:
        raise Unreadable("it holds no receipt")
    return EventReceipt(event_id)


def event_status(body: Body, event_id: str) -> EventStatus:
    """Return how far an event is."""
    status = text(body.get("eventStatus"), 20).upper()
    if not status:
        raise Unreadable("it holds no status")
    rows = body.get("failures")
    return EventStatus(
        event_id=event_id,
        type=text(body.get("eventType"), 20).upper(),
        status=status,
        requested=count(body.get("numRequested")),
        completed=count(body.get("numCompleted")),
        failures=tuple(_failure(row) for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)),
    )


def _failure(row: Body) -> Failure:
    number = integer(row.get("errorNumber"))
    named = targets(row.get("errorInfo"))
    return Failure(
        number, sentence(number, row.get("errorMessage")), named.assets, named.client_user_ids, named.serial_numbers
    )
