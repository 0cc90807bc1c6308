"""Carry one change to Apple and settle it: send, look, read back, send the rest again, or give up with a reason.

Apple's answer to a change means “queued”. What is sent is therefore stored before the call, and an answer that got
lost leaves the operation unknown: Apple's lists are read before anything is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.utils import timezone

from tokens import connection, people, readback, registration, sending, settling
from tokens.apple import (
    AppleClient,
    AppleError,
    AppleUnavailable,
    ClaimedElsewhere,
    EventReceipt,
    EventStatus,
    Failure,
    MayOnlyRead,
    RequestRefused,
    TokenRejected,
    UnknownEvent,
)
from tokens.apple.errors import sentence
from tokens.fields import CannotOpen
from tokens.models import (
    Notification,
    Operation,
    OperationKind,
    OperationStep,
    Target,
    TargetState,
    TokenStatus,
)
from tokens.settling import Settlement
from tokens.signals import Changes
from tokens.staging import LAG
from vppportal.work import OPEN_STATES, backoff

SOON: Final = timedelta(seconds=2.5)
PATIENCE: Final = timedelta(minutes=5)
"""Apple: wait for the notification, and ask when none has come after five minutes."""
BETWEEN_LOOKS: Final = timedelta(seconds=30)
STUCK: Final = timedelta(minutes=10)
"""Apple: what is still pending after ten minutes is sent again."""
UNTIL_RENEWAL: Final = timedelta(hours=1)
FAREWELL: Final = timedelta(days=1)
"""So long Apple is asked about what was sent with a token that is deleted meanwhile."""
KEPT: Final = timedelta(days=90)
MOST_SENDS: Final = 5
MAY_ONLY_READ: Final = 9637
NOTHING: Final = Changes("")

POISON: Final = "This change ended without an answer several times and is not tried again."
DELETED: Final = "The token was deleted."
GIVEN_UP: Final = f"Apple did not carry it out, though it was asked {MOST_SENDS} times."
HELD_AGAIN: Final = "It is assigned at Apple, perhaps anew: whether to take it back is decided again."
READING_BACK: Final = "Apple's answer is not known: its list is read to see what was done."
REFUSED: Final = "The token is refused; this goes on when it is renewed."


def carry_out(operation: Operation) -> Changes:
    """Do what is next for a claimed operation; return what that changed in the mirror.

    Whatever Apple answers ends in the operation's state. Raises LeaseLost when another worker has taken it.
    """
    token = operation.token
    try:
        if operation.is_poison:
            return _end(operation, POISON)
        if token.deleted_at and (operation.step == OperationStep.QUEUED or _is_given_up(operation)):
            return _end(operation, DELETED)
        if token.status != TokenStatus.ACTIVE:
            operation.postpone(REFUSED, UNTIL_RENEWAL)
            return NOTHING
        with connection.connect(token) as client:
            return _advance(operation, client)
    except (TokenRejected, ClaimedElsewhere) as error:
        return _refused(operation, error)
    except AppleUnavailable as error:
        _try_later(operation, error)
    except (AppleError, CannotOpen) as error:
        operation.postpone(str(error), backoff(operation.attempt, first=300))
    return NOTHING


def forget_old() -> None:
    """Delete what was settled more than 90 days ago; till then it tells where a license came from."""
    settled = Operation.objects.filter(settled_at__lt=timezone.now() - KEPT).exclude(state__in=OPEN_STATES)
    while keys := [*settled.values_list("pk", flat=True)[:100]]:
        Operation.objects.filter(pk__in=keys).delete()


def _try_later(operation: Operation, error: AppleUnavailable) -> None:
    operation.postpone(str(error), max(backoff(operation.attempt), timedelta(seconds=error.retry_after or 0)))


def _is_given_up(operation: Operation) -> bool:
    token = operation.token
    has_waited = token.deleted_at is not None and timezone.now() - token.deleted_at > FAREWELL
    return has_waited or token.status != TokenStatus.ACTIVE


def _refused(operation: Operation, error: AppleError) -> Changes:
    if operation.token.deleted_at:
        return _end(operation, DELETED)
    if registration.note_refusal(operation.token, error):
        operation.postpone(REFUSED, UNTIL_RENEWAL)
    else:
        operation.postpone("The token was renewed meanwhile.", timedelta())
    return NOTHING


def _end(operation: Operation, message: str, number: int | None = None) -> Changes:
    """End an operation without Apple: what was sent is refused as far as anybody knows, what was not is dropped."""
    found, targets = Settlement(), _open_targets(operation)
    if operation.step == OperationStep.QUEUED and number is None:
        found.drop(targets, message)
    else:
        found.fail(targets, message, number)
    return settling.store(operation, found, None)


def _open_targets(operation: Operation) -> list[Target]:
    return list(operation.targets.filter(state=TargetState.OPEN).order_by("pk"))


def _advance(operation: Operation, client: AppleClient) -> Changes:
    match operation.step:
        case OperationStep.QUEUED:
            return _send(operation, client)
        case OperationStep.PENDING:
            return _look(operation, client)
        case OperationStep.SENDING:  # whoever was sending it died
            operation.renew(step=OperationStep.UNKNOWN)
    return _read_back(operation, client)


def _send(operation: Operation, client: AppleClient) -> Changes:
    if operation.token.is_read_only:
        return _end(operation, sentence(MAY_ONLY_READ), MAY_ONLY_READ)
    targets, dropped = sending.make_ready(operation)
    if not targets:
        return dropped
    try:
        receipt = _ask(operation, client, targets)
    except AppleUnavailable as error:
        if error.may_have_been_applied:
            operation.postpone(READING_BACK, SOON, step=OperationStep.UNKNOWN)
        else:
            _unsend(operation)
            _try_later(operation, error)
        return dropped
    except ClaimedElsewhere as error:
        step = OperationStep.PENDING if error.event_id else OperationStep.UNKNOWN
        operation.renew(step=step, event_id=error.event_id or "")
        raise
    except TokenRejected:
        _unsend(operation)
        raise
    except RequestRefused as error:
        return _take_refusal(operation, client, targets, error)
    _wait_for(operation, receipt)
    return dropped


def _unsend(operation: Operation) -> None:
    """Apple has queued nothing, so this was not a send."""
    operation.renew(step=OperationStep.QUEUED, sends=operation.sends - 1, sent_at=None)


def _ask(operation: Operation, client: AppleClient, targets: Sequence[Target]) -> EventReceipt:
    serials = [target.serial_number for target in targets if target.serial_number]
    users = [target.client_user_id for target in targets if target.client_user_id]
    asset = operation.asset
    if asset is None:
        if operation.kind == OperationKind.RETIRE:
            return client.retire_users(users)
        tell = client.create_users if operation.kind == OperationKind.REGISTER else client.update_users
        return tell(people.payload(operation))
    ask = client.associate if operation.kind == OperationKind.ASSIGN else client.disassociate
    return ask([(asset.adam_id, asset.pricing_param)], serial_numbers=serials, client_user_ids=users)


def _take_refusal(operation: Operation, client: AppleClient, targets: list[Target], error: RequestRefused) -> Changes:
    """Apple said no at once, so nothing is queued: cut it smaller, leave out what Apple names, or give up."""
    if error.number in sending.TOO_MANY and len(targets) > 1:
        connection.forget_service()
        sending.cut_smaller(operation, targets)
        _unsend(operation)
        operation.postpone(str(error), timedelta())
        return NOTHING
    if isinstance(error, MayOnlyRead):
        registration.note_read_only(operation.token)
    info = error.error_info
    failure = Failure(error.number, error.message, info.assets, info.client_user_ids, info.serial_numbers)
    found = settling.judge(operation, targets, [failure])
    if not settling.judge_rest(operation, found.unsure, [failure], found):
        if operation.sends >= MOST_SENDS:  # it may name others than it was asked about, for ever
            found.fail(found.unsure, error.message, error.number)
        else:
            found.again += found.unsure
    found.unsure = []
    return settling.store(operation, found, client, wait=_pause(operation), why=str(error))


def _wait_for(operation: Operation, receipt: EventReceipt) -> None:
    """Keep the receipt, and look again when the notification may have been lost, or at once where it was quicker."""
    wait = PATIENCE if operation.token.subscribed_to else SOON
    sent_at = operation.sent_at or timezone.now()
    operation.postpone("", wait, step=OperationStep.PENDING, event_id=receipt.event_id)
    told = Notification.objects.filter(token=operation.token_id, received_at__gte=sent_at)
    if told.filter(body__eventId=receipt.event_id).exists():
        Operation.objects.filter(pk=operation.pk, epoch=operation.epoch).update(next_attempt_at=timezone.now())
        operation.next_attempt_at = timezone.now()


def _look(operation: Operation, client: AppleClient) -> Changes:
    try:
        status = client.event_status(operation.event_id)
    except UnknownEvent:
        return _read_back(operation, client)
    if status.status in ("COMPLETE", "FAILED"):
        return _settle(operation, client, status)
    if _since_sent(operation) > STUCK:
        return _read_back(operation, client, is_stuck=True)
    operation.postpone("", BETWEEN_LOOKS)
    return NOTHING


def _since_sent(operation: Operation) -> timedelta:
    return timezone.now() - (operation.sent_at or operation.created_at)


def _settle(operation: Operation, client: AppleClient, status: EventStatus) -> Changes:
    """Believe what Apple says of each target, and read back those it says nothing of."""
    found = settling.judge(operation, _open_targets(operation), status.failures)
    if not status.failures and status.status == "COMPLETE" and status.completed >= status.requested:
        found.done, found.unsure = found.unsure, []
    elif found.unsure:
        done, _ = readback.achieved(operation, client, found.unsure)
        found.done += done
        found.unsure = _without(found.unsure, done)
        if found.unsure and settling.judge_rest(operation, found.unsure, status.failures, found):
            found.unsure = []
    wait = BETWEEN_LOOKS if found.unsure else _pause(operation)
    why = next((failure.message for failure in status.failures), READING_BACK)
    return settling.store(operation, found, client, wait=wait, why=why)


def _read_back(operation: Operation, client: AppleClient, *, is_stuck: bool = False) -> Changes:
    """See in Apple's lists what was done; after a while take what is not there for not done."""
    targets = _open_targets(operation)
    done, is_certain = readback.achieved(operation, client, targets)
    found, rest = Settlement(done=done), _without(targets, done)
    waited = _since_sent(operation)
    if rest and not is_stuck and waited < (LAG if is_certain else STUCK):
        found.unsure = rest
    else:
        _leave_or_repeat(operation, found, rest, is_stuck)
    wait = min(BETWEEN_LOOKS, max(SOON, LAG - waited)) if found.unsure else timedelta()
    return settling.store(operation, found, client, wait=wait, why=READING_BACK if rest else "")


def _leave_or_repeat(operation: Operation, found: Settlement, rest: Sequence[Target], is_stuck: bool) -> None:
    if operation.token.deleted_at:
        found.fail(rest, DELETED)
    elif operation.kind == OperationKind.REVOKE and not is_stuck:
        found.drop(rest, HELD_AGAIN)
    elif operation.sends >= MOST_SENDS:
        found.fail(rest, GIVEN_UP)
    else:
        found.again += rest


def _without(targets: Sequence[Target], done: Sequence[Target]) -> list[Target]:
    keys = {target.pk for target in done}
    return [target for target in targets if target.pk not in keys]


def _pause(operation: Operation) -> timedelta:
    return backoff(operation.sends, first=30)
