"""Distribute apps, pause, resume and stop: what administrators wish. Carrying it out is reconciling.py's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from catalog import reconciling
from catalog.facts import Verdict
from catalog.gathering import gather
from catalog.models import IN_FORCE, App, AppStatus, Distribution, DistributionState, Installation, InstallState
from catalog.plan import plan
from vppportal.activity.models import record, record_each


def preview(distributions: Sequence[Distribution], *, replaces: Iterable[int] = ()) -> list[Verdict]:
    """Return what would happen to each target of these stored distributions if they were started now.

    `replaces` names distributions in whose place they would come: whom those serve now, too, is told of. What is in
    force competes for the same licenses, and so do people who have yet to be registered with Apple.
    """
    wanted, replaced = {distribution.pk for distribution in distributions}, list(replaces)
    served = set(Installation.objects.filter(distribution__in=replaced).values_list("app", "device"))
    by_app: dict[int, list[Distribution]] = {}
    for distribution in distributions:
        by_app.setdefault(distribution.app_id, []).append(distribution)
    apps = App.objects.select_related("listing").in_bulk(by_app)
    return [
        verdict
        for app_id, drafts in by_app.items()
        for verdict in plan(gather(apps[app_id], drafts=drafts, replaces=replaced, people=True), foresees=True).verdicts
        if verdict.distribution_id in wanted or (app_id, verdict.device_id) in served
    ]


def start(submission: UUID, by: User) -> int:
    """Start the drafts of a form; return how many. A second click starts nothing more.

    Apps that are not approved, or deleted meanwhile, stay drafts.
    """
    with transaction.atomic():
        drafts = list(
            Distribution.objects.filter(
                submission=submission,
                state=DistributionState.DRAFT,
                app__status=AppStatus.AVAILABLE,
                app__deleted_at=None,
            )
            .select_for_update(of=("self",))
            .select_related("app__listing")
            .order_by("pk")
        )
        now = timezone.now()
        Distribution.objects.filter(pk__in=[draft.pk for draft in drafts]).update(
            state=DistributionState.ACTIVE, started_at=now
        )
        record_each(by, "started distributing", [draft.app for draft in drafts])
        reconciling.wake(draft.app_id for draft in drafts)
    return len(drafts)


def pause(distribution: Distribution, by: User) -> bool:
    """Send nothing more for it; what is on devices stays there with its licenses. False where it was not active."""
    return _turn(distribution, (DistributionState.ACTIVE,), DistributionState.PAUSED, by, "paused distributing")


def resume(distribution: Distribution, by: User) -> bool:
    """Go on with a paused distribution; False where it was not paused."""
    return _turn(distribution, (DistributionState.PAUSED,), DistributionState.ACTIVE, by, "resumed distributing")


def stop(distribution: Distribution, by: User) -> bool:
    """End a distribution: its targets lose their claim, and the policies of the app say what follows."""
    return _turn(distribution, IN_FORCE, DistributionState.STOPPED, by, "stopped distributing")


def _turn(
    distribution: Distribution, among: tuple[DistributionState, ...], state: DistributionState, by: User, verb: str
) -> bool:
    stopped = {"stopped_at": timezone.now()} if state == DistributionState.STOPPED else {}
    with transaction.atomic():
        rows = Distribution.objects.filter(pk=distribution.pk, state__in=among)
        if not rows.update(state=state, **stopped):
            return False
        record(by, verb, distribution.app)
        reconciling.wake([distribution.app_id])
    return True


def stop_for(installations: QuerySet[Installation], by: User) -> int:
    """Stop for chosen devices only: they are excluded from the distributions that include them. Return how many.

    An exclusion, because the device may be meant in several ways: by its owner's groups and by itself.
    """
    with transaction.atomic():
        chosen = list(installations.values_list("app", "device"))
        in_force = dict(
            Distribution.objects.in_force().filter(app__in={app for app, _ in chosen}).values_list("pk", "app")
        )
        excluded = Distribution.excluded_devices.through
        excluded.objects.bulk_create(
            [
                excluded(distribution_id=pk, device_id=device)
                for pk, of_app in in_force.items()
                for app, device in chosen
                if app == of_app
            ],
            batch_size=1000,
            ignore_conflicts=True,
        )
        _note(by, "stopped distributing to chosen devices", chosen)
    return len(chosen)


def retry(installations: QuerySet[Installation], by: User) -> int:
    """Try failed installations again now; return how many."""
    with transaction.atomic():
        failed = list(installations.filter(state=InstallState.FAILED).values_list("app", "device", "pk"))
        Installation.objects.filter(pk__in=[pk for *_, pk in failed], state=InstallState.FAILED).update(
            retry_at=timezone.now(), tries=0
        )
        _note(by, "retried installing", [(app, device) for app, device, _ in failed])
    return len(failed)


def request(installations: QuerySet[Installation], by: User) -> int:
    """Install what is offered on demand; return how many."""
    with transaction.atomic():
        offered = list(installations.filter(state=InstallState.OFFERED).values_list("app", "device", "pk"))
        Installation.objects.filter(pk__in=[pk for *_, pk in offered]).update(is_requested=True)
        _note(by, "asked to install", [(app, device) for app, device, _ in offered])
    return len(offered)


def _note(by: User, verb: str, chosen: list[tuple[int, int]]) -> None:
    """Record the deed once for each app, and have the apps planned."""
    for app in App.objects.filter(pk__in={app for app, _ in chosen}).select_related("listing"):
        record(by, verb, app, devices=sum(1 for of_app, _ in chosen if of_app == app.pk))
    reconciling.wake(app for app, _ in chosen)
