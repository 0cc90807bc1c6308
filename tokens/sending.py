"""Make an operation ready to be sent: drop what is forbidden by now, cut off what is too much for one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.utils import timezone

from tokens import connection, fence
from tokens.apple import Limits
from tokens.apple.batches import cut
from tokens.models import (
    Asset,
    Operation,
    OperationStep,
    SyncPhase,
    Target,
    TargetState,
)
from tokens.queue import hurry
from tokens.signals import Changes

TOO_MANY: Final = frozenset({9701, 9702, 9714})


def make_ready(operation: Operation) -> tuple[list[Target], Changes]:
    """Store that these targets are being sent, in one transaction with the look at what forbids it; return them.

    Where none is left the operation is settled. Raises LeaseLost.
    """
    limits = connection.service().limits
    with transaction.atomic():
        _lock_asset(operation)
        waiting = list(operation.targets.filter(state=TargetState.OPEN).order_by("pk"))
        objections = fence.objections(operation, waiting)
        targets = [target for target in waiting if target.pk not in objections]
        _drop(objections)
        targets, rest = targets[: _most(targets, limits)], targets[_most(targets, limits) :]
        _move_out(operation, rest, _most(rest, limits))
        if targets:
            sends = operation.sends + 1
            operation.renew(step=OperationStep.SENDING, sends=sends, sent_at=timezone.now(), event_id="")
        else:
            operation.finish(step=OperationStep.SETTLED, settled_at=timezone.now())
    phase = SyncPhase.USERS if operation.asset_id is None else SyncPhase.ASSIGNMENTS
    return targets, Changes(phase, changed=len(objections))


def cut_smaller(operation: Operation, targets: Sequence[Target]) -> None:
    """Apple takes less in a request than it said: keep what it says it takes now, or half, and move out the rest."""
    most = min(_most(targets, connection.limits()), max(1, len(targets) // 2))
    with transaction.atomic():
        operation.renew()
        _move_out(operation, targets[most:], most)


def _lock_asset(operation: Operation) -> None:
    """Whoever takes unsent licenses back holds the same lock (licenses.revoke)."""
    if operation.asset_id:
        list(Asset.objects.select_for_update(of=("self",)).filter(pk=operation.asset_id).values_list("pk"))


def _most(targets: Sequence[Target], limits: Limits) -> int:
    """Return how many of these Apple takes in one request."""
    if not targets or targets[0].asset_id is None:
        return limits.max_users
    return limits.max_serial_numbers if targets[0].serial_number else limits.max_client_user_ids


def _drop(objections: dict[int, str]) -> None:
    by_message: dict[str, list[int]] = {}
    for pk, message in objections.items():
        by_message.setdefault(message, []).append(pk)
    for message, keys in by_message.items():
        Target.objects.filter(pk__in=keys).update(state=TargetState.DROPPED, message=message)


def _move_out(operation: Operation, rest: Sequence[Target], most: int) -> None:
    """Let new operations take over the targets that are too many."""
    parts = list(cut(rest, most))
    others = Operation.objects.bulk_create(
        Operation(
            token=operation.token,
            kind=operation.kind,
            asset_id=operation.asset_id,
            requested_by_id=operation.requested_by_id,
            why=operation.why,
        )
        for _ in parts
    )
    for other, part in zip(others, parts, strict=True):
        Target.objects.filter(pk__in=[target.pk for target in part]).update(operation=other)
    hurry(other.pk for other in others)
