"""Bring an app's installations level with its distributions: plan, store the verdicts, ask Apple, command devices.

Everything here may run twice, or end anywhere: what was not written is planned again. Only what the plan decides is
written here, and only where the installation is still what the plan saw; settling.py writes what devices answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils import timezone

from catalog import commands, mdm
from catalog.facts import DEVICE, USER, Facts, Verdict
from catalog.gathering import gather
from catalog.models import (
    IN_NEED,
    ON_THE_WAY,
    App,
    Command,
    CommandKind,
    CommandStatus,
    Installation,
    InstallState,
    Reason,
    Reconciliation,
)
from catalog.plan import Plan, plan
from catalog.updates import tries
from tokens import licenses, people
from tokens.licenses import Holder
from tokens.models import Asset, ContentToken
from vppportal.groups.models import ManagedUser
from vppportal.work import OPEN_STATES, WorkState, nudge

EVERY: Final = timedelta(minutes=5)
"""How often an app with distributions is planned anew although nothing was heard: lost messages cost no more."""
MAY_GO_ON: Final = (*ON_THE_WAY, InstallState.INSTALLED)
"""What is still to be sent to an app in these states is wanted: it comes, or is updated."""
SHORTEST: Final = timedelta(seconds=1)
WRITTEN: Final = (
    "distribution",
    "state",
    "reason",
    "details",
    "since",
    "license_kind",
    "asset",
    "holder",
    "priority",
    "queued_at",
    "retry_at",
    "is_requested",
    *tries.WRITTEN,
)


def reconcile(row: Reconciliation) -> None:
    """Plan a claimed row's app and carry the plan out; raises LeaseLost when another worker has taken it."""
    if row.is_poison:
        row.postpone("Planning this app ended several workers.", timedelta(hours=1))
        return
    asked_at = row.asked_at
    app = App.objects.select_related("listing").get(pk=row.app_id)
    facts = gather(app)
    row.renew()
    made = plan(facts)
    row.renew()
    _register(made)
    refused = _assign(made)
    seen = {target.device_id: target.current.state if target.current else "" for target in facts.targets}
    _store(row, app, [_after_refusal(verdict, refused) for verdict in made.verdicts], seen)
    _give_back(facts, made)
    _end(row, asked_at, made)


def _register(made: Plan) -> None:
    """Have people registered with Apple who are to receive a user license."""
    tokens = ContentToken.objects.usable().in_bulk(made.register)
    for token_id, person_ids in made.register.items():
        if token_id in tokens:
            people.register(tokens[token_id], list(ManagedUser.objects.filter(pk__in=person_ids)), by=None)


def _assign(made: Plan) -> set[tuple[int, str]]:
    """Ask Apple for the licenses; return those that somebody else was quicker to take."""
    assets = Asset.objects.select_related("token").in_bulk(made.assign)
    refused: set[tuple[int, str]] = set()
    for asset_id, verdicts in made.assign.items():
        holders = list(dict.fromkeys(_holder(verdict.license_kind, verdict.holder) for verdict in verdicts))
        asked = licenses.assign(assets[asset_id], holders, by=None, why="Distribution")
        refused |= {(asset_id, holder.serial_number or holder.client_user_id) for holder in asked.refused}
    return refused


def _give_back(facts: Facts, made: Plan) -> None:
    """Ask Apple to take back what serves nobody any more."""
    assets = Asset.objects.select_related("token").in_bulk(made.give_back)
    served = [target.current for target in facts.targets if target.current]
    kinds = {(current.asset_id, current.holder): current.license_kind for current in served}
    # What people outside its token's groups hold returns even where no installation names it.
    devices = {target.serial_number for target in facts.targets}
    for asset_id, names in made.give_back.items():
        known = {name: DEVICE if name in devices else USER for name in names}
        holders = [_holder(kinds.get((asset_id, name), known[name]), name) for name in sorted(names)]
        licenses.revoke(assets[asset_id], holders, by=None, why="No longer distributed")


def _holder(kind: str, name: str) -> Holder:
    return Holder(serial_number=name) if kind == DEVICE else Holder(client_user_id=name)


def _store(row: Reconciliation, app: App, decided: list[Verdict], seen: dict[int | None, str]) -> None:
    """Write the verdicts that differ from what is stored, and the commands that follow from them.

    `seen` is the state each device had when the plan was made: where it has another one by now, the next plan decides.
    """
    known = {installation.device_id: installation for installation in app.installations.all()}
    verdicts = {verdict.device_id: verdict for verdict in decided if verdict.device_id is not None}
    changed = [
        device_id
        for device_id, verdict in verdicts.items()
        if verdict.sends or verdict.is_over or _differs(known.get(device_id), verdict)
    ]
    now = timezone.now()
    with transaction.atomic():
        row.renew()
        locked = app.installations.select_for_update(of=("self",)).filter(device__in=changed).order_by("pk")
        fresh = {installation.device_id: installation for installation in locked}
        same = [pk for pk in changed if _state(fresh.get(pk)) == seen[pk]]
        going = _call_back(fresh[pk] for pk in same if pk in fresh and _next_state(verdicts[pk]) not in MAY_GO_ON)
        still = [pk for pk in same if pk not in going]
        over = [fresh[pk].pk for pk in still if verdicts[pk].is_over and pk in fresh]
        written = [
            _written(fresh.get(pk) or Installation(app=app, device_id=pk), verdicts[pk], now)
            for pk in still
            if not verdicts[pk].is_over
        ]
        Installation.objects.bulk_create(
            written, 1000, update_conflicts=True, unique_fields=["app", "device"], update_fields=WRITTEN
        )
        Installation.objects.filter(pk__in=over).delete()
        _command(app, {pk: verdicts[pk] for pk in still})


def _call_back(unwanted: Iterable[Installation]) -> set[int]:
    """Cancel installs and updates that were not handed to the MDM server yet.

    Return the devices for which that happens just now: for those the next plan decides, as what is sent after a removal
    would stay on the device.
    """
    ready = [row.pk for row in unwanted if row.state == InstallState.READY or tries.is_awaited(row)]
    unsent = Command.objects.open().filter(installation__in=ready, status=CommandStatus.QUEUED)
    rows = list(unsent.order_by("pk").select_for_update(of=("self",))) if ready else []
    now = timezone.now()
    going = {row.pk: row.device_id for row in rows if row.lease_until is not None and row.lease_until > now}
    _cancel(Command.objects.filter(pk__in=[row.pk for row in rows if row.pk not in going]))
    return {*going.values()}


def _cancel(unneeded: QuerySet[Command]) -> None:
    unneeded.update(state=WorkState.DONE, status=CommandStatus.CANCELLED, answered_at=timezone.now(), lease_until=None)


def _after_refusal(verdict: Verdict, refused: set[tuple[int, str]]) -> Verdict:
    """Return the verdict, corrected where the license went to somebody else meanwhile."""
    if not verdict.asks or (verdict.asset_id, verdict.holder) not in refused:
        return verdict
    waits = verdict.state if verdict.state != InstallState.LICENSING else InstallState.IN_LINE
    return replace(
        verdict, state=waits, reason=Reason.NO_LICENSE_LEFT, asset_id=None, token_id=None, holder="", asks=False
    )


def _state(installation: Installation | None) -> str:
    return installation.state if installation else ""


def _next_state(verdict: Verdict) -> InstallState:
    return InstallState.READY if verdict.sends == "install" else verdict.state


def _differs(stored: Installation | None, verdict: Verdict) -> bool:
    if stored is None:
        return True
    return (
        stored.state,
        stored.reason,
        stored.distribution_id,
        stored.asset_id,
        stored.holder,
        stored.license_kind,
        stored.priority,
    ) != (
        _next_state(verdict),
        verdict.reason,
        verdict.distribution_id,
        verdict.asset_id,
        verdict.holder,
        verdict.license_kind,
        verdict.priority,
    )


def _written(row: Installation, verdict: Verdict, now: datetime) -> Installation:
    """Return the row with the verdict on it; a place in line is kept until there is a license."""
    state = _next_state(verdict)
    if row.pk is None or row.state != state:
        row.since, row.details = now, verdict.details
        tries.leave(row, state)
    waits = state in (*IN_NEED, InstallState.LICENSING)
    row.queued_at = (row.queued_at or now) if waits else None
    row.retry_at = None if verdict.sends or verdict.asks else row.retry_at
    row.state, row.reason = state, verdict.reason
    row.license_kind, row.asset_id, row.holder = verdict.license_kind, verdict.asset_id, verdict.holder
    row.distribution_id, row.priority = verdict.distribution_id, verdict.priority
    # Who asked for it asked a distribution for it: the next one on demand is to be asked again.
    row.is_requested = row.is_requested and verdict.distribution_id is not None
    return row


def _command(app: App, verdicts: dict[int, Verdict]) -> None:
    """Store the commands that these verdicts send; what is still open for the same installations is not needed then."""
    sending = {pk: verdict.sends for pk, verdict in verdicts.items() if verdict.sends}
    rows = list(app.installations.filter(device__in=sending).select_related("device"))
    _cancel(Command.objects.filter(installation__in=rows, state__in=OPEN_STATES))
    commands.enqueue(
        Command(
            device=row.device,
            enrollment_id=row.device.enrollment_id,
            installation=row,
            kind=CommandKind.INSTALL if sending[row.device_id] == "install" else CommandKind.REMOVE,
            payload=_payload(app, row, sending[row.device_id]),
        )
        for row in rows
    )


def _payload(app: App, row: Installation, sends: str) -> dict[str, Any]:
    if sends == "remove":
        return mdm.remove_payload(app.listing.bundle_id)
    return mdm.install_payload(
        app,
        is_licensed=row.asset_id is not None,
        policies=app,
        platform=row.device.platform,
        enrollment_type=row.device.enrollment_type,
        take_over=True,
    )


def _end(row: Reconciliation, asked_at: datetime, made: Plan) -> None:
    """Put the row off until the next look; at once where something happened meanwhile."""
    now = timezone.now()
    retry_at = Installation.objects.filter(app=row.app_id, state=InstallState.FAILED).aggregate(at=Min("retry_at"))[
        "at"
    ]
    delay = min(EVERY, max(SHORTEST, retry_at - now)) if retry_at else EVERY
    if made.give_back or any(verdict.sends for verdict in made.verdicts):
        delay = min(delay, timedelta(seconds=60))
    row.postpone("", delay, planned_at=now, counts=dict(_counts(made)), attempt=0)
    behind = Reconciliation.objects.filter(pk=row.pk, state=WorkState.WAITING, asked_at__gt=asked_at)
    if behind.update(next_attempt_at=now):
        nudge("catalog.tasks.reconcile_due")


def _counts(made: Plan) -> Iterator[tuple[str, int]]:
    yield from Counter(str(verdict.state) for verdict in made.verdicts).items()
