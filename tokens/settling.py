"""Decide what became of an operation's targets by what Apple answered, and store it with what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from tokens import counts, people
from tokens.apple import AppleClient, AppleError, Failure
from tokens.apple import Asset as AppleAsset
from tokens.apple.errors import TRY_LATER
from tokens.models import (
    Asset,
    Assignment,
    Operation,
    OperationKind,
    OperationStep,
    SyncPhase,
    SyncRun,
    Target,
    TargetState,
)
from tokens.signals import Changes

UNKNOWN_USER: Final = 9609
ALREADY_SO: Final[dict[str, frozenset[int]]] = {
    OperationKind.ASSIGN: frozenset({9616}),
    OperationKind.REVOKE: frozenset({9610, 9619}),
    OperationKind.REGISTER: frozenset({9716}),
    OperationKind.UPDATE: frozenset(),
    OperationKind.RETIRE: frozenset({UNKNOWN_USER, 9618, 9620}),
}
"""Refusals that say: it is as you want it."""


@dataclass
class Settlement:
    """What became of the targets so far: done, refused, not to be sent, to be sent again, not known yet."""

    done: list[Target] = field(default_factory=list)
    failed: list[Target] = field(default_factory=list)
    dropped: list[Target] = field(default_factory=list)
    again: list[Target] = field(default_factory=list)
    unsure: list[Target] = field(default_factory=list)

    def fail(self, targets: Iterable[Target], message: str, number: int | None = None) -> None:
        """Note that Apple refused these."""
        self.failed += _say(targets, TargetState.FAILED, message, number)

    def drop(self, targets: Iterable[Target], message: str) -> None:
        """Note that these are not sent (any more)."""
        self.dropped += _say(targets, TargetState.DROPPED, message)


def _say(targets: Iterable[Target], state: TargetState, message: str, number: int | None = None) -> list[Target]:
    told = list(targets)
    for target in told:
        target.state, target.message, target.number = state, message[:250], number
    return told


def judge(operation: Operation, targets: Sequence[Target], failures: Sequence[Failure]) -> Settlement:
    """Decide by Apple's failures; targets that none of them names are unsure.

    A failure that names no holder speaks for all that no other names.
    """
    found = Settlement()
    left = {target.pk: target for target in targets}
    for failure in failures:
        named = {*failure.serial_numbers, *failure.client_user_ids}
        hit = [target for target in left.values() if (target.serial_number or target.client_user_id) in named]
        if hit:
            _apply(operation, failure, hit, found)
        for target in hit:
            del left[target.pk]
    found.unsure = [*left.values()]
    return found


def judge_rest(operation: Operation, rest: Sequence[Target], failures: Sequence[Failure], found: Settlement) -> bool:
    """Let a failure that names no holder speak for the rest; return whether there is one."""
    for failure in failures:
        if not failure.serial_numbers and not failure.client_user_ids:
            _apply(operation, failure, rest, found)
            return True
    return False


def _apply(operation: Operation, failure: Failure, targets: Sequence[Target], found: Settlement) -> None:
    if failure.number in ALREADY_SO[operation.kind]:
        found.done += targets
    elif failure.number in TRY_LATER:
        found.again += targets
    elif failure.number == UNKNOWN_USER and operation.kind == OperationKind.ASSIGN:
        again = _register_again(operation, [target for target in targets if target.number != UNKNOWN_USER])
        keys = {target.pk for target in again}
        found.again += again
        found.fail((target for target in targets if target.pk not in keys), failure.message, failure.number)
    else:
        found.fail(targets, failure.message, failure.number)


def _register_again(operation: Operation, targets: Sequence[Target]) -> list[Target]:
    """Have people whom Apple has forgotten registered once more; return the targets that are worth another try."""
    ids = [target.client_user_id for target in targets]
    rows = operation.token.client_users.filter(client_user_id__in=ids, person__isnull=False).select_related("person")
    forgotten = {row.client_user_id: row.person for row in rows}
    operation.token.client_users.filter(client_user_id__in=forgotten).update(status="", trouble="")
    people.register(operation.token, [person for person in forgotten.values() if person], by=operation.requested_by)
    again = [target for target in targets if target.client_user_id in forgotten]
    for target in again:
        target.number = UNKNOWN_USER
    return again


def store(
    operation: Operation, found: Settlement, client: AppleClient | None, *, wait: timedelta = timedelta(), why: str = ""
) -> Changes:
    """Store what is known by now, the mirror with it, and let the operation end or come again after `wait`.

    Apple is asked for the counts first, as a request must not be made inside the transaction. Raises LeaseLost, with
    nothing written, where another worker holds the operation.
    """
    if operation.asset is None:
        _tell_people(operation, found, client)
    seen = _counts(operation, client)
    with transaction.atomic():
        _lock_mirror(operation)
        _close(operation, found, wait, why)
        _mark_targets(found)
        if operation.asset is not None:
            _keep_assignments(operation, operation.asset, found.done)
            counts.keep(operation.token, seen)
    return _changes(operation, found)


def _tell_people(operation: Operation, found: Settlement, client: AppleClient | None) -> None:
    if client is not None and (found.done or found.failed):
        failed = {target.client_user_id: (target.number, target.message) for target in found.failed}
        people.settled(operation, client, [target.client_user_id for target in found.done], failed)


def _counts(operation: Operation, client: AppleClient | None) -> list[AppleAsset]:
    """Return Apple's counts as they are now; where they cannot be had, a sync brings them later."""
    if client is None or operation.asset is None:
        return []
    try:
        return counts.read(client, operation.asset.adam_id)
    except AppleError:
        return []


def _lock_mirror(operation: Operation) -> None:
    """Keep a running sync from writing the same assignments in another order, and others from promising licenses."""
    list(SyncRun.objects.open().select_for_update(of=("self",)).filter(token=operation.token_id).values_list("pk"))
    if operation.asset is not None:
        same = Asset.objects.filter(token=operation.token_id, adam_id=operation.asset.adam_id).order_by("pk")
        list(same.select_for_update(of=("self",)).values_list("pk"))


def _close(operation: Operation, found: Settlement, wait: timedelta, why: str) -> None:
    now = timezone.now()
    if found.unsure:
        operation.postpone(why, wait, step=OperationStep.UNKNOWN, settled_at=now)
    elif found.again:
        operation.postpone(why, wait, step=OperationStep.QUEUED, event_id="", settled_at=now)
    elif found.failed and not found.done:
        operation.fail(found.failed[0].message, step=OperationStep.SETTLED, settled_at=now)
    else:
        operation.finish(step=OperationStep.SETTLED, settled_at=now)


def _mark_targets(found: Settlement) -> None:
    _say(found.done, TargetState.DONE, "")
    told: dict[tuple[str, int | None, str], list[int]] = {}
    for target in (*found.done, *found.failed, *found.dropped, *found.again):
        told.setdefault((target.state, target.number, target.message), []).append(target.pk)
    for (state, number, message), keys in told.items():
        still_open = Target.objects.filter(pk__in=keys, state=TargetState.OPEN)
        still_open.update(state=state, number=number, message=message)


def _keep_assignments(operation: Operation, asset: Asset, done: Sequence[Target]) -> None:
    if operation.kind == OperationKind.ASSIGN:
        now = timezone.now()
        rows = [
            Assignment(asset=asset, serial_number=target.serial_number, client_user_id=target.client_user_id, since=now)
            for target in done
        ]
        Assignment.objects.bulk_create(rows, 500, ignore_conflicts=True)
        return
    held = Assignment.objects.filter(asset=asset)
    serials = [target.serial_number for target in done if target.serial_number]
    users = [target.client_user_id for target in done if target.client_user_id]
    held.filter(serial_number__in=serials, client_user_id="").delete()
    held.filter(serial_number="", client_user_id__in=users).delete()


def _changes(operation: Operation, found: Settlement) -> Changes:
    phase = SyncPhase.USERS if operation.asset is None else SyncPhase.ASSIGNMENTS
    is_removal = operation.kind in (OperationKind.REVOKE, OperationKind.RETIRE)
    done = len(found.done)
    others = len(found.failed) + len(found.dropped)
    return Changes(phase, 0 if is_removal else done, others, done if is_removal else 0)
