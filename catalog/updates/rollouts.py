"""The roll-out of a version: when its pilot began, and that somebody stops it, or lets it go on.

Who locks installations and roll-outs locks the installations first.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from catalog.models import App, Installation, Rollout, RolloutDecision, UpdateState
from catalog.updates import calling_back, tries
from catalog.updates.gathering import HAS_FAILED, INSTALLED, LOST, NOT_COMPARABLE
from tokens.many import Keys
from tokens.queue import PROPAGATE
from vppportal.activity.models import Actor, record
from vppportal.work import nudge

AT_ONCE: Final = 500


def note_pilots() -> None:
    """Note that a pilot has begun: the first of its devices was sent the version, or has it without being sent it.

    Done in every pass, so that it does not matter who sent it, nor whether a worker died after that.
    """
    version = OuterRef("listing__external_version_id")
    is_sent = Q(update_state__in=(UpdateState.UNDER_WAY, UpdateState.FAILED), update_to__gte=version)
    has_it = INSTALLED & Q(external_version_id__gte=version) & ~NOT_COMPARABLE
    reached = Installation.objects.filter(
        is_sent | has_it, app=OuterRef("pk"), device__owner__groups=OuterRef("pilot_group")
    )
    noted = Rollout.objects.filter(app=OuterRef("pk"), external_version_id=version, pilot_started_at__isnull=False)
    begun = App.objects.kept().filter(pilot_hours__isnull=False).exclude(Exists(noted)).filter(Exists(reached))
    now = timezone.now()
    rows = [_rollout(app, pilot_started_at=now) for app in begun.select_related("listing").order_by("pk")]
    Rollout.objects.bulk_create(
        rows,
        AT_ONCE,
        update_conflicts=True,
        unique_fields=["app", "external_version_id"],
        update_fields=["pilot_started_at"],
    )


def begin_pilot_anew(app: App) -> None:
    """Let the time of the others count anew, as another group goes first."""
    app.rollouts.update(pilot_started_at=None)


def release(app: App, by: Actor) -> bool:
    """Let the roll-out of the newest version go on for everybody, pilot or not; False where that was decided before."""
    return _decide(app, RolloutDecision.RELEASED, "released the roll-out of", by)


def halt(app: App, by: Actor) -> bool:
    """Stop the roll-out of the newest version; False where there is none, or it is stopped.

    What devices have been sent cannot be called back; what still waits to be sent is, also what somebody asked for by
    hand before.
    """
    is_new = _decide(app, RolloutDecision.HALTED, "stopped the roll-out of", by)
    calling_back.call_back(app)
    return is_new


def resume(app: App, by: Actor) -> bool:
    """Let a stopped roll-out go on as the app's rules say, its pilot first and anew; False where it is not stopped.

    What failed on devices of the pilot is tried again, and counts against it no longer.
    """
    halted = app.rollouts.filter(
        external_version_id=app.listing.external_version_id or 0, decision=RolloutDecision.HALTED
    )
    with transaction.atomic():
        if not halted.exists():
            return False
        if app.pilot_hours is not None:
            _forgive_pilot(app)
        halted.update(decision=RolloutDecision.NONE, decided_at=None, decided_by=None, pilot_started_at=None)
        record(by, "resumed the roll-out of", app, version=app.listing.version)
        nudge(PROPAGATE)
    return True


def _forgive_pilot(app: App) -> None:
    failed = app.installations.filter(HAS_FAILED | LOST, device__owner__groups=F("app__pilot_group"))
    rows = list(failed.order_by("pk").select_for_update(of=("self",)))
    for row in rows:
        tries.count_no_more(row)
    tries.write(rows)


def _decide(app: App, decision: RolloutDecision, verb: str, by: Actor) -> bool:
    newest = app.listing.external_version_id
    if newest is None:
        return False
    with transaction.atomic():
        if decision == RolloutDecision.HALTED:
            _withdraw(app)
        Rollout.objects.bulk_create([_rollout(app)], ignore_conflicts=True)
        undecided = app.rollouts.filter(external_version_id=newest).exclude(decision=decision)
        if not undecided.update(decision=decision, decided_at=timezone.now(), decided_by_id=getattr(by, "pk", None)):
            return False
        record(by, verb, app, version=app.listing.version)
        nudge(PROPAGATE)
    return True


def _withdraw(app: App) -> None:
    """Let nobody have asked for an update of the app by hand."""
    asked = app.installations.filter(update_asked_for__isnull=False).order_by("pk").select_for_update(of=("self",))
    Installation.objects.filter(pk__in=Keys(asked.values_list("pk", flat=True))).update(update_asked_for=None)


def _rollout(app: App, **fields: Any) -> Rollout:
    version = app.listing.external_version_id or 0
    return Rollout(app=app, external_version_id=version, version=app.listing.version, **fields)
