"""Drafts: what a distribution's form said, kept until it is put into force, discarded or forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from catalog import distribution
from catalog.audience import AUDIENCE
from catalog.models import Distribution, DistributionState
from catalog.reconciling import wake
from vppportal.activity.models import record

OPTIONS = ("is_for_everyone", "license_kind", "when", "priority", "notify_by_email")
LIFETIME = timedelta(days=1)


def of(submission: UUID) -> list[Distribution]:
    """Return the drafts of a form, by the names of their apps."""
    rows = Distribution.objects.filter(submission=submission, state=DistributionState.DRAFT)
    return list(rows.select_related("app__listing", "replaces").order_by("app__listing__name", "pk"))


def gather(app_ids: Collection[int], by: User) -> UUID:
    """Keep a choice of apps as drafts without an audience yet; return the submission they share."""
    submission = uuid.uuid4()
    _make(submission, app_ids, by, None)
    return submission


def keep(
    submission: UUID, app_ids: Collection[int], wish: Mapping[str, Any], by: User, replaces: Distribution | None = None
) -> bool:
    """Keep what a form says, one draft an app; a second click is the same drafts.

    Return False, changing nothing, where the form was put into force already.
    """
    with transaction.atomic():
        _make(submission, app_ids, by, replaces)
        rows = Distribution.objects.filter(submission=submission).select_for_update(of=("self",), no_key=True)
        states = dict(rows.values_list("pk", "state"))
        if set(states.values()) != {DistributionState.DRAFT}:
            transaction.set_rollback(True)
            return False
        rows.update(created_at=timezone.now(), **{name: wish[name] for name in OPTIONS})
        for name in AUDIENCE:
            _set(name, states, [row.pk for row in wish[name]])
    return True


def put_into_force(submission: UUID, by: User) -> list[int]:
    """Start the drafts of a form, or let the distributions they change take them over; return the keys of both."""
    rows = of(submission)
    edits = [row for row in rows if row.replaces_id]
    if edits:
        return [row.replaces_id for row in edits if row.replaces_id and _take_over(row, by)]
    distribution.start(submission, by)
    started = Distribution.objects.filter(pk__in=[row.pk for row in rows], state=DistributionState.ACTIVE)
    return list(started.order_by("pk").values_list("pk", flat=True))


def discard(submission: UUID) -> None:
    """Delete the drafts of a form."""
    Distribution.objects.filter(submission=submission, state=DistributionState.DRAFT).delete()


def forget_old() -> None:
    """Delete drafts that nobody came back to."""
    old = timezone.now() - LIFETIME
    Distribution.objects.filter(state=DistributionState.DRAFT, created_at__lt=old).delete()


def _make(submission: UUID, app_ids: Iterable[int], by: User, replaces: Distribution | None) -> None:
    rows = [Distribution(submission=submission, app_id=app_id, created_by=by, replaces=replaces) for app_id in app_ids]
    Distribution.objects.bulk_create(rows, 500, ignore_conflicts=True)


def _set(name: str, drafts: Iterable[int], keys: Iterable[int]) -> None:
    """Let one part of the audience of all the drafts be these rows: two queries, however many drafts."""
    field: Any = Distribution._meta.get_field(name)
    through, target = field.remote_field.through, f"{field.m2m_reverse_field_name()}_id"
    through.objects.filter(distribution__in=list(drafts)).delete()
    through.objects.bulk_create(
        [through(distribution_id=draft, **{target: key}) for draft in drafts for key in keys], 1000
    )


def _take_over(draft: Distribution, by: User) -> bool:
    """Give a distribution in force the audience and options of a draft; return False where it was stopped meanwhile."""
    with transaction.atomic():
        in_force = Distribution.objects.in_force().select_for_update(of=("self",), no_key=True)
        row = in_force.select_related("app__listing").filter(edits=draft).first()
        if row is None:
            return False
        changed = [_name(name) for name in OPTIONS if getattr(row, name) != getattr(draft, name)]
        for name in OPTIONS:
            setattr(row, name, getattr(draft, name))
        row.notified_at = None
        row.save(update_fields=[*OPTIONS, "notified_at"])
        for name in AUDIENCE:
            before, after = (set(getattr(one, name).values_list("pk", flat=True)) for one in (row, draft))
            if before != after:
                _set(name, [row.pk], after)
                changed.append(_name(name))
        draft.delete()
        record(by, "changed the distribution of", row.app, changed=changed)
        wake([row.app_id])
    return True


def _name(field: str) -> str:
    return str(Distribution._meta.get_field(field).verbose_name)  # type: ignore[union-attr]  # all are plain fields
