"""Find out from Apple's lists what became of an operation whose answer is lost, late or not to the point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from tokens.apple import AppleClient, PageOutOfRange, Walk
from tokens.models import Asset, ClientUserStatus, Operation, OperationKind, Target

T = TypeVar("T")

FEW: Final = 5
PAGE_ROWS: Final = 500
"""About as many rows as Apple puts on a page: asking for each holder is cheaper than reading all of them, or not."""
GRANTING: Final = (OperationKind.ASSIGN, OperationKind.REGISTER, OperationKind.UPDATE)
GONE: Final[tuple[str, ...]] = (ClientUserStatus.RETIRED, ClientUserStatus.DELETED)

Name = tuple[str, str]


def achieved(operation: Operation, client: AppleClient, targets: Sequence[Target]) -> tuple[list[Target], bool]:
    """Return the targets that are as the operation wants them, and whether the others are certainly not.

    A list that moved while it was read proves what it shows, and not what it lacks.
    """
    if operation.asset is None:
        shown, is_clean = _registered(operation, client, targets)
    else:
        shown, is_clean = _holding(operation, operation.asset, client, targets)
    if operation.kind in GRANTING:
        return [target for target in targets if _name(target) in shown], is_clean
    if not is_clean:
        return [], False
    return [target for target in targets if _name(target) not in shown], True


def _name(target: Target) -> Name:
    return target.serial_number, target.client_user_id


def _holding(
    operation: Operation, asset: Asset, client: AppleClient, targets: Sequence[Target]
) -> tuple[set[Name], bool]:
    wanted = {_name(target) for target in targets}
    product = {"adamId": asset.adam_id, "pricingParam": asset.pricing_param}
    shown: set[Name] = set()
    is_clean = True
    for holder in _filters(targets, asset.assigned):
        walk = Walk(client.assignments(**product, **holder))
        for row in _rows(operation, walk):
            if row[:2] == (asset.adam_id, asset.pricing_param) and row[2:] in wanted:
                shown.add(row[2:])
        is_clean &= walk.is_clean
    return shown, is_clean


def _registered(operation: Operation, client: AppleClient, targets: Sequence[Target]) -> tuple[set[Name], bool]:
    wanted = {_name(target) for target in targets}
    is_update = operation.kind == OperationKind.UPDATE
    shown: set[Name] = set()
    is_clean = True
    for user in _filters(targets, operation.token.client_users.count()):
        walk = Walk(client.users(**user))
        for row in _rows(operation, walk):
            # Whom an update is to associate was registered before: being listed says nothing of it.
            is_there = row.status == ClientUserStatus.ASSOCIATED if is_update else row.status not in GONE
            if is_there and ("", row.client_user_id) in wanted:
                shown.add(("", row.client_user_id))
        is_clean &= walk.is_clean
    return shown, is_clean


def _filters(targets: Sequence[Target], rows: int) -> list[dict[str, str]]:
    """Return the filters to ask with: one for each holder where that takes fewer requests than the whole list."""
    if len(targets) > max(FEW, rows // PAGE_ROWS):
        return [{}]
    return [
        {"serialNumber": target.serial_number} if target.serial_number else {"clientUserId": target.client_user_id}
        for target in targets
    ]


def _rows(operation: Operation, walk: Walk[T]) -> Iterator[T]:
    """Yield the rows of all pages, keeping the lease; a list that shrank meanwhile ends and is not clean."""
    try:
        for page in walk:
            operation.renew()
            yield from page.items
    except PageOutOfRange:
        return
