"""Take in what Apple notifies, once, and let it hurry what would be found out anyway.

A notification is a hint and never the truth: it may be lost, late, doubled or out of order. Applying one means to ask
Apple, or to have an operation ask, a little sooner than the timetable would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from tokens import connection, counts, people, registration
from tokens.apple import AppleClient, AppleError, AppleUnavailable, ClaimedElsewhere, TokenRejected
from tokens.fields import CannotOpen
from tokens.models import (
    ContentToken,
    Notification,
    Operation,
    OperationStep,
    SyncPhase,
    SyncReason,
)
from tokens.queue import APPLY, SYNC, hurry
from tokens.signals import Changes
from vppportal.work import WorkState, backoff, nudge

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500
MOST_PRODUCTS: Final = 20
"""More than that are read quicker by a whole sync."""
COUNTS_APART: Final = timedelta(seconds=5)
SYNCS_APART: Final = timedelta(minutes=10)
LOOKED_AT_SOON: Final = timedelta(seconds=30)
KEPT: Final = timedelta(days=14)
EVENTS: Final = frozenset({"ASSET_MANAGEMENT", "USER_MANAGEMENT"})
USERS: Final = frozenset({"USER_MANAGEMENT", "USER_ASSOCIATED"})
SECRET_MEMBERS: Final = frozenset({"inviteCode"})


def take_in(token: ContentToken, notification_id: str, kind: str, content: dict[str, Any]) -> None:
    """Store a notification, once however often it comes, and have it applied."""
    row = Notification(
        token=token, notification_id=notification_id[:100], type=kind[:40], body=_without_secrets(content)
    )
    with transaction.atomic():
        Notification.objects.bulk_create([row], ignore_conflicts=True)
        nudge(APPLY, token.pk)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_secrets(item) for name, item in value.items() if name not in SECRET_MEMBERS}
    return value


@dataclass
class Hints:
    """What a number of notifications, taken together, say should be looked at."""

    events: set[str] = field(default_factory=set)
    adam_ids: dict[str, list[Notification]] = field(default_factory=dict)
    client_user_ids: dict[str, list[Notification]] = field(default_factory=dict)
    location: list[Notification] = field(default_factory=list)
    later: dict[int, datetime] = field(default_factory=dict)

    def put_off(self, rows: Iterable[Notification], until: datetime) -> None:
        """Come back to these then."""
        self.later |= {row.pk: until for row in rows}


def apply(token: ContentToken) -> Iterator[Changes]:
    """Look at what the token's waiting notifications hint at, each thing once; yield what that changed."""
    rows = Notification.objects.filter(token=token).claim(AT_ONCE)
    hints = _gather(token, [row for row in rows if not row.is_poison])
    _hurry_operations(token, hints.events)
    if token.is_usable:
        _throttle(token, hints)
        yield from _ask(token, hints)
        _ask_for_sync(token, hints)
    _end(rows, hints.later)


def _gather(token: ContentToken, rows: Sequence[Notification]) -> Hints:
    hints = Hints()
    known = {str(asset) for asset in token.assets.filter(gone_at=None).values_list("adam_id", flat=True)}
    ours = _our_events(token, rows)
    for row in rows:
        event = _event(row)
        hints.events |= {event} - {""}
        if row.type in USERS:
            for client_user_id in _named(row):
                hints.client_user_ids.setdefault(client_user_id, []).append(row)
        if row.type == "ASSET_COUNT" and str(row.body.get("adamId")) in known:
            hints.adam_ids.setdefault(str(row.body.get("adamId")), []).append(row)
        elif row.type in ("ASSET_COUNT", "UNLIMITED_ASSET") or (row.type == "ASSET_MANAGEMENT" and event not in ours):
            hints.location.append(row)
        elif row.type not in EVENTS | USERS:
            log.warning("notification_of_unknown_type", token=token.pk, type=row.type)
    return hints


def _event(row: Notification) -> str:
    event = row.body.get("eventId")
    return event if row.type in EVENTS and isinstance(event, str) else ""


def _our_events(token: ContentToken, rows: Sequence[Notification]) -> set[str]:
    """Return the events that operations of ours wait or waited for, also those whose receipt is under way."""
    events = {_event(row) for row in rows} - {""}
    unanswered = (OperationStep.SENDING, OperationStep.UNKNOWN)
    if Operation.objects.open().filter(token=token, step__in=unanswered).exists():
        return events
    return {*Operation.objects.filter(token=token, event_id__in=events).values_list("event_id", flat=True)}


def _named(row: Notification) -> Iterator[str]:
    for name in ("users", "associatedUsers"):
        rows = row.body.get(name)
        for user in rows if isinstance(rows, list) else ():
            if isinstance(user, dict) and isinstance(user.get("clientUserId"), str):
                yield user["clientUserId"]


def _hurry_operations(token: ContentToken, events: Iterable[str]) -> None:
    """Let operations look now that would wait for long; one that looks within seconds anyway is left alone."""
    now = timezone.now()
    waiting = Operation.objects.filter(token=token, event_id__in={*events}, step=OperationStep.PENDING)
    with transaction.atomic():
        patient = waiting.filter(state=WorkState.WAITING, next_attempt_at__gt=now + LOOKED_AT_SOON)
        keys = [*patient.values_list("pk", flat=True)]
        patient.filter(pk__in=keys).update(next_attempt_at=now)
        hurry(keys)


def _throttle(token: ContentToken, hints: Hints) -> None:
    """Put off the products whose counts were read a moment ago; of very many, read the whole location."""
    if len(hints.adam_ids) > MOST_PRODUCTS:
        hints.location += [row for rows in hints.adam_ids.values() for row in rows]
        hints.adam_ids = {}
    for adam_id, rows in [*hints.adam_ids.items()]:
        if not cache.add(f"counts-read:{token.pk}:{adam_id}", 1, COUNTS_APART.total_seconds()):
            hints.put_off(rows, timezone.now() + COUNTS_APART)
            del hints.adam_ids[adam_id]


def _ask(token: ContentToken, hints: Hints) -> Iterator[Changes]:
    if not hints.adam_ids and not hints.client_user_ids:
        return
    rows = [row for named in (hints.adam_ids, hints.client_user_ids) for rows in named.values() for row in rows]
    try:
        with connection.connect(token) as client:
            yield from _read(token, client, hints)
    except (TokenRejected, ClaimedElsewhere) as error:
        registration.note_refusal(token, error)
    except AppleUnavailable as error:
        wait = max(backoff(max(row.attempt for row in rows)), timedelta(seconds=error.retry_after or 0))
        hints.put_off(rows, timezone.now() + wait)
    except (AppleError, CannotOpen) as error:
        log.warning("notification_not_applied", token=token.pk, error=str(error))


def _read(token: ContentToken, client: AppleClient, hints: Hints) -> Iterator[Changes]:
    for adam_id in hints.adam_ids:
        seen = counts.read(client, adam_id)
        with transaction.atomic():
            changed = counts.keep(token, seen)
        if changed:
            yield Changes(SyncPhase.ASSETS, changed=1)
    if hints.client_user_ids and (read := people.look_again(token, client, hints.client_user_ids)):
        yield Changes(SyncPhase.USERS, changed=read)


def _ask_for_sync(token: ContentToken, hints: Hints) -> None:
    """Have the whole location read for what no single question answers, but not again and again."""
    latest = token.sync_runs.order_by("-pk").values_list("created_at", flat=True).first()
    news = [row for row in hints.location if latest is None or row.received_at > latest]
    if not news:
        return
    if latest is not None and latest + SYNCS_APART > timezone.now():
        hints.put_off(news, latest + SYNCS_APART)
        return
    nudge(SYNC, registration.ask_for_sync(token, SyncReason.NOTIFIED, None).pk)


def _end(rows: Sequence[Notification], later: dict[int, datetime]) -> None:
    with transaction.atomic():
        held = [row.pk for row in Notification.objects.still_held(rows)]
        done = Notification.objects.filter(pk__in=[pk for pk in held if pk not in later])
        done.update(state=WorkState.DONE, lease_until=None)
        for until in {*later.values()}:
            keys = [pk for pk in held if later.get(pk) == until]
            again = Notification.objects.filter(pk__in=keys)
            again.update(state=WorkState.WAITING, lease_until=None, deaths=0, next_attempt_at=until)


def tokens_with_work() -> list[int]:
    """Return the tokens that have notifications to apply."""
    return [*Notification.objects.due().order_by().values_list("token", flat=True).distinct()]


def forget_old() -> None:
    """Delete what came more than two weeks ago."""
    Notification.objects.filter(received_at__lt=timezone.now() - KEPT).delete()
