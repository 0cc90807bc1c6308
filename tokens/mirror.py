"""The three lists of a location as sets: read all pages, compare with what is stored, write only what differs.

Rows are taken out of the mirror only after a clean walk: all pages of one version, none missing. Every write goes with
a renewal of the run's lease in the same transaction, so a worker that lost the run writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from django.db import transaction
from django.utils import timezone

from tokens import staging
from tokens.apple import AppleClient, Page, PageOutOfRange, Walk
from tokens.apple import Asset as AppleAsset
from tokens.apple import Assignment as AppleAssignment
from tokens.apple import User as AppleUser
from tokens.fields import Sealed
from tokens.models import GONE, Asset, ClientUser, ContentToken, Invitation, SyncPhase, SyncRun
from tokens.secret import Secret
from tokens.signals import Changes

T = TypeVar("T")

WRITE_ROWS: Final = 5_000
"""Assignments written in one transaction: enough to be quick, few enough that pages are read meanwhile and that nobody
waits long for SQLite's one writer."""
PROGRESS_SECONDS: Final = 0.5
ASSET_FIELDS: Final = (
    "product_type",
    "total",
    "available",
    "assigned",
    "retired",
    "is_unlimited",
    "is_device_assignable",
    "is_revocable",
    "platforms",
    "gone_at",
)


def level_assets(run: SyncRun, token: ContentToken, client: AppleClient) -> Changes:
    """Bring the token's assets level with Apple's list; what left it is marked gone, as its assignments may live on."""
    seen, is_clean = _read_all(run, lambda: client.assets())
    wanted = {(row.adam_id, row.pricing_param): as_asset(token, row) for row in seen}
    stored = {(asset.adam_id, asset.pricing_param): asset for asset in token.assets.all()}
    new = [asset for key, asset in wanted.items() if key not in stored]
    changed = [stored[key] for key, asset in wanted.items() if key in stored and take_over(stored[key], asset)]
    gone = (
        [asset.pk for key, asset in stored.items() if key not in wanted and asset.gone_at is None] if is_clean else []
    )
    # Whoever promises licenses locks all assets of an app in this order, too.
    changed.sort(key=lambda asset: asset.pk)
    with transaction.atomic():
        run.renew()
        Asset.objects.bulk_create(new, batch_size=500, ignore_conflicts=True)
        if changed:
            Asset.objects.bulk_create(
                changed, 500, update_conflicts=True, unique_fields=["pk"], update_fields=ASSET_FIELDS
            )
        Asset.objects.filter(pk__in=gone).update(gone_at=timezone.now())
    return Changes(SyncPhase.ASSETS, len(new), len(changed), len(gone))


def as_asset(token: ContentToken, row: AppleAsset) -> Asset:
    """Return the row the mirror would have of what Apple lists."""
    return Asset(
        token=token,
        adam_id=row.adam_id,
        pricing_param=row.pricing_param,
        product_type=row.product_type,
        total=row.total,
        available=row.available,
        assigned=row.assigned,
        retired=row.retired or 0,
        is_unlimited=row.is_unlimited,
        is_device_assignable=row.is_device_assignable,
        is_revocable=row.is_revocable,
        platforms=",".join(row.platforms)[:100],
    )


def take_over(stored: Asset, seen: Asset) -> bool:
    """Copy what Apple says onto a stored asset; return whether anything differed."""
    differing = [name for name in ASSET_FIELDS if getattr(stored, name) != getattr(seen, name)]
    for name in differing:
        setattr(stored, name, getattr(seen, name))
    return bool(differing)


def level_users(run: SyncRun, token: ContentToken, client: AppleClient) -> Changes:
    """Bring the people registered at the location level with Apple's list.

    Rows that Apple has not confirmed yet stay, and so does what somebody else wrote while the list was read.
    """
    before = {user.client_user_id: user for user in token.client_users.all()}
    seen, is_clean = _read_all(run, lambda: client.users())
    wanted: dict[str, AppleUser] = {}
    # Several retired registrations may share an id with the live one: the live one counts.
    for row in sorted(seen, key=lambda user: user.status not in GONE):
        wanted[row.client_user_id] = row
    with transaction.atomic():
        run.renew()
        stored = {user.client_user_id: user for user in token.client_users.select_for_update(of=("self",))}
        new = [client_user(token, row) for key, row in wanted.items() if key not in stored]
        changed = [
            client_user(token, row)
            for key, row in wanted.items()
            if key in stored and differs(stored[key], row) and _is_untouched(stored[key], before.get(key))
        ]
        gone = [user.pk for key, user in before.items() if key not in wanted and user.status] if is_clean else []
        keep_client_users([*new, *changed])
        ClientUser.objects.filter(pk__in=gone).delete()
        Invitation.objects.ask_for_new(token.client_users.all())
    return Changes(SyncPhase.USERS, len(new), len(changed), len(gone))


def client_user(token: ContentToken, row: AppleUser) -> ClientUser:
    """Return a row of the mirror that says what Apple says of a person."""
    code = Sealed.seal(Secret(row.invite_code), bound_to=row.client_user_id) if row.invite_code else None
    return ClientUser(
        token=token,
        client_user_id=row.client_user_id,
        email=row.email[:254],
        status=row.status[:20],
        id_hash=row.id_hash[:100],
        invite_code=code,
    )


def differs(stored: ClientUser, row: AppleUser) -> bool:
    """Does Apple say something else of a person than the mirror?"""
    now = (row.email[:254], row.status[:20], row.id_hash[:100])
    if (stored.email, stored.status, stored.id_hash) != now:
        return True
    if stored.invite_code is None or not row.invite_code:
        return bool(row.invite_code) or stored.invite_code is not None
    return stored.open_invite_code().reveal() != row.invite_code


def keep_client_users(rows: list[ClientUser]) -> None:
    """Store what Apple says of people; whom the portal registered and how often it invited stays as it is."""
    ClientUser.objects.bulk_create(
        rows,
        500,
        update_conflicts=True,
        unique_fields=["token", "client_user_id"],
        update_fields=["email", "status", "id_hash", "invite_code"],
    )


def _is_untouched(stored: ClientUser, before: ClientUser | None) -> bool:
    return before is not None and all(getattr(stored, name) == getattr(before, name) for name in ("status", "id_hash"))


def level_assignments(run: SyncRun, token: ContentToken, client: AppleClient) -> Changes:
    """Bring who holds what level with Apple's list, streaming: memory does not grow with the number of rows.

    A list that moves while it is read is read once more. If it moves again, what was seen is taken in and nothing is
    taken out: the next sync does that.
    """
    keys = {
        (adam_id, pricing_param): pk
        for pk, adam_id, pricing_param in token.assets.values_list("pk", "adam_id", "pricing_param")
    }
    with staging.stage(token) as stage:
        added, is_clean = _stage(run, client.assignments(), keys, stage)
        if is_clean:
            return _write_rest(run, stage, added, is_clean)
    with staging.stage(token) as stage:
        again, is_clean = _stage(run, client.assignments(), keys, stage)
        return _write_rest(run, stage, added + again, is_clean)


def _read_all(run: SyncRun, read: Callable[[], Iterable[Page[T]]]) -> tuple[list[T], bool]:
    """Read a whole list, once more if it moved meanwhile; return its rows and whether they are one state of it."""
    for _ in range(2):
        walk = Walk(read())
        rows: list[T] = []
        try:
            for page in walk:
                rows.extend(page.items)
                run.renew(done=len(rows))
        except PageOutOfRange:
            continue
        if walk.is_clean:
            return rows, True
    return rows, False


def _stage(
    run: SyncRun, pages: Iterable[Page[AppleAssignment]], keys: dict[tuple[str, str], int], stage: staging.Stage
) -> tuple[int, bool]:
    """Stream all pages into the stage; return the rows inserted meanwhile and whether the pages are one state."""
    walk = Walk(pages)
    shown_at = time.monotonic()
    added = 0
    try:
        for page in walk:
            stage.add([(keys[row[:2]], row.serial_number, row.client_user_id) for row in page.items if row[:2] in keys])
            if stage.to_insert >= WRITE_ROWS:
                added += _insert_batch(run, stage)
            if time.monotonic() - shown_at > PROGRESS_SECONDS:
                shown_at = time.monotonic()
                run.renew(done=walk.rows, total=max(run.total or 0, walk.rows))
    except PageOutOfRange:
        return added, False
    run.renew(done=walk.rows, total=walk.rows)
    return added, walk.is_clean


def _write_rest(run: SyncRun, stage: staging.Stage, added: int, is_clean: bool) -> Changes:
    stage.compare()
    removed = 0
    if stage.to_insert or (stage.to_delete and is_clean):
        run.renew(message=f"Storing {stage.to_insert + stage.to_delete:,} changes")
    while stage.to_insert:
        added += _insert_batch(run, stage)
    while stage.to_delete and is_clean:
        with transaction.atomic():
            run.renew()
            removed += stage.delete(WRITE_ROWS)
    run.renew(message="")
    return Changes(SyncPhase.ASSIGNMENTS, added, 0, removed)


def _insert_batch(run: SyncRun, stage: staging.Stage) -> int:
    with transaction.atomic():
        run.renew()
        return stage.insert(WRITE_ROWS, timezone.now())
