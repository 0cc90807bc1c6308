"""Promise licenses and ask for them back: who may have one, how many are free, and what is asked of Apple.

Nothing here speaks to Apple. What is asked for is stored as operations with their exact targets; an open target that
assigns is a reservation and counts as a license taken, from the moment it is stored until Apple's answer is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from tokens import connection
from tokens.apple import Limits
from tokens.apple.batches import cut
from tokens.fence import admits
from tokens.many import Keys, Texts
from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ContentToken,
    Operation,
    OperationKind,
    OperationStep,
    ProductType,
    Target,
    TargetState,
)
from tokens.queue import hurry
from vppportal.activity.models import record

__all__ = ["Asked", "Holder", "admits", "assign", "elsewhere", "free", "revoke"]

TAKEN_BACK_UNSENT = "Taken back before it was sent to Apple."


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a license: a device by its serial number, or a person by the client user id. One of them is empty."""

    serial_number: str = ""
    client_user_id: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a request: for whom Apple is asked, and for whom not, now.

    Refused is who finds no license free, and whose earlier change is still under way. Who has one of the app already
    (or, to be taken back, has it not) is in neither.
    """

    taken: tuple[Holder, ...] = ()
    refused: tuple[Holder, ...] = ()


def free(assets: Iterable[Asset]) -> dict[int, int | None]:
    """Return, by asset, how many licenses may be promised now; None where they are unlimited.

    Apple's counts and the mirror may each be late: the one that promises less is believed, less what is reserved.
    """
    present = {asset.pk: asset for asset in assets}
    limited = [pk for pk, asset in present.items() if not asset.is_unlimited and asset.gone_at is None]
    mirrored = _counted(Assignment.objects.filter(asset__in=limited))
    there = Assignment.objects.filter(
        asset=OuterRef("asset"), serial_number=OuterRef("serial_number"), client_user_id=OuterRef("client_user_id")
    )
    coming = Target.objects.filter(asset__in=limited, state=TargetState.OPEN, operation__kind=OperationKind.ASSIGN)
    reserved = _counted(coming.exclude(Exists(there)))
    counts: dict[int, int | None] = {pk: None if asset.is_unlimited else 0 for pk, asset in present.items()}
    for pk in limited:
        asset = present[pk]
        unused = min(asset.available, asset.total - asset.retired - mirrored.get(pk, 0))
        counts[pk] = max(0, unused - reserved.get(pk, 0))
    return counts


def _counted(rows: QuerySet[Assignment] | QuerySet[Target]) -> dict[int, int]:
    return dict(rows.order_by().values_list("asset").annotate(Count("pk")))


def assign(asset: Asset, holders: Sequence[Holder], *, by: User | None, why: str) -> Asked:
    """Ask Apple for a license for each holder, the first ones first, as far as licenses are free.

    Two who ask at once can neither be promised the same license nor give one holder two of an app: all assets of the
    app are locked, and looked at again, meanwhile.
    """
    wanted, limits = _distinct(holders), connection.limits()
    with transaction.atomic():
        of_app = list(_of_the_app(asset).select_for_update(of=("self",)))
        locked = next((row for row in of_app if row.pk == asset.pk), None)
        if locked is None or not locked.token.is_usable or locked.token.is_read_only:
            return Asked((), tuple(wanted))
        there, coming = _elsewhere(locked, of_app, wanted)
        held, busy = _held(locked, wanted) | there.keys(), _busy(locked, wanted) | coming
        missing = [holder for holder in wanted if holder not in held]
        may_have = [
            holder
            for holder in missing
            if holder not in busy and (locked.is_device_assignable or not holder.serial_number)
        ]
        taken = may_have[: free([locked])[locked.pk]]
        _ask(OperationKind.ASSIGN, locked, taken, limits, by, why)
    return Asked(tuple(taken), _others(missing, taken))


def elsewhere(asset: Asset, holders: Sequence[Holder]) -> tuple[dict[Holder, str], set[Holder]]:
    """Return who holds a license of the app from another asset, with the name of its token, and who has a change there.

    People are looked for under the ids that the other locations know them by.
    """
    return _elsewhere(asset, list(_of_the_app(asset)), holders)


def revoke(asset: Asset, holders: Sequence[Holder], *, by: User | None, why: str) -> Asked:
    """Ask Apple to take the licenses of these holders back.

    One that was asked for and not sent yet is not sent at all. Of what Apple never takes back, all are refused.
    """
    wanted, limits = _distinct(holders), connection.limits()
    with transaction.atomic():
        locked = _locked(asset)
        if locked is None or not _gives_back(locked):
            return Asked((), tuple(wanted))
        unsent = _take_back_unsent(locked, wanted)
        held, busy = _held(locked, wanted), _busy(locked, wanted)
        there = [holder for holder in wanted if holder in held or holder in busy or holder in unsent]
        taken = [holder for holder in there if holder in held and holder not in busy]
        _ask(OperationKind.REVOKE, locked, taken, limits, by, why)
        done = [holder for holder in there if holder in taken or (holder in unsent and holder not in busy)]
    return Asked(tuple(done), _others(there, done))


def _gives_back(asset: Asset) -> bool:
    is_for_good = asset.product_type == ProductType.BOOK or not asset.is_revocable
    return not is_for_good and asset.token.deleted_at is None and not asset.token.is_read_only


def _distinct(holders: Iterable[Holder]) -> list[Holder]:
    """Return each holder once, serial numbers as Apple lists them."""
    return [*dict.fromkeys(Holder(holder.serial_number.strip().upper(), holder.client_user_id) for holder in holders)]


def _others(holders: Sequence[Holder], chosen: Collection[Holder]) -> tuple[Holder, ...]:
    out = {*chosen}
    return tuple(holder for holder in holders if holder not in out)


def _locked(asset: Asset) -> Asset | None:
    """Return the asset as it is now; nobody else promises its licenses before the transaction ends."""
    return Asset.objects.select_for_update(of=("self",)).select_related("token").filter(pk=asset.pk).first()


def _of_the_app(asset: Asset) -> QuerySet[Asset]:
    """Return the assets that licenses of the same app come from, in the one order in which they are locked."""
    listed = Asset.objects.filter(adam_id=asset.adam_id, gone_at=None, token__deleted_at=None)
    return listed.select_related("token").order_by("pk")


def _elsewhere(
    asset: Asset, of_app: Iterable[Asset], holders: Sequence[Holder]
) -> tuple[dict[Holder, str], set[Holder]]:
    tokens = {row.pk: row.token for row in of_app if row.pk != asset.pk}
    if not tokens:
        return {}, set()
    people = _same_people(asset, tokens.values(), holders)
    devices = [holder for holder in holders if holder.serial_number]
    among = Q(_among([*devices, *(Holder(client_user_id=name) for _, name in people)]), asset__in=tokens)

    def found(rows: QuerySet[Assignment] | QuerySet[Target]) -> Iterable[tuple[Holder, str]]:
        for asset_id, serial, name in rows.values_list("asset", "serial_number", "client_user_id"):
            token = tokens[asset_id or 0]
            holder = Holder(serial) if serial else people.get((token.pk, name))
            if holder is not None:
                yield holder, token.name

    held = dict(found(Assignment.objects.filter(among)))
    return held, {holder for holder, _ in found(Target.objects.filter(among, state=TargetState.OPEN))}


def _same_people(
    asset: Asset, tokens: Iterable[ContentToken], holders: Sequence[Holder]
) -> dict[tuple[int, str], Holder]:
    """Return the people among the holders by the ids they have at the locations of these tokens."""
    named = {holder.client_user_id: holder for holder in holders if not holder.serial_number}
    if not named:
        return {}
    here = asset.token.client_users.live().filter(client_user_id__in=Texts(named), person__isnull=False)
    persons = {person: named[name] for person, name in here.values_list("person", "client_user_id")}
    live = ClientUser.objects.live().filter(token__in={token.pk for token in tokens}, person__in=Keys(persons))
    there = live.values_list("token", "client_user_id", "person")
    return {(asset.token_id, name): holder for name, holder in named.items()} | {
        (token_id, name): persons[person] for token_id, name, person in there
    }


def _among(holders: Sequence[Holder]) -> Q:
    serials = [holder.serial_number for holder in holders if holder.serial_number]
    people = [holder.client_user_id for holder in holders if holder.client_user_id]
    devices = Q(serial_number__in=Texts(serials), client_user_id="")
    return devices | Q(serial_number="", client_user_id__in=Texts(people))


def _held(asset: Asset, holders: Sequence[Holder]) -> set[Holder]:
    rows = Assignment.objects.filter(_among(holders), asset=asset)
    return {Holder(*row) for row in rows.values_list("serial_number", "client_user_id")}


def _busy(asset: Asset, holders: Sequence[Holder]) -> set[Holder]:
    rows = Target.objects.filter(_among(holders), asset=asset, state=TargetState.OPEN)
    return {Holder(*row) for row in rows.values_list("serial_number", "client_user_id")}


def _take_back_unsent(asset: Asset, holders: Sequence[Holder]) -> set[Holder]:
    """Strike out what was never sent to Apple yet; whoever sends it looks again under the same lock."""
    queued = Operation.objects.open().filter(asset=asset, kind=OperationKind.ASSIGN, step=OperationStep.QUEUED, sends=0)
    rows = Target.objects.filter(_among(holders), asset=asset, state=TargetState.OPEN, operation__in=queued)
    found = {pk: Holder(*row) for pk, *row in rows.values_list("pk", "serial_number", "client_user_id")}
    struck = {"state": TargetState.DROPPED, "message": TAKEN_BACK_UNSENT}
    Target.objects.filter(pk__in=found).update(**struck)
    return {*found.values()}


def _ask(
    kind: OperationKind, asset: Asset, holders: Sequence[Holder], limits: Limits, by: User | None, why: str
) -> None:
    """Store the operations, as few as Apple's limits allow, and their targets; one kind of holder in each."""
    devices = cut([holder for holder in holders if holder.serial_number], limits.max_serial_numbers)
    people = cut([holder for holder in holders if not holder.serial_number], limits.max_client_user_ids)
    batches = [*devices, *people]
    operations = Operation.objects.bulk_create(
        Operation(token=asset.token, kind=kind, asset=asset, requested_by=by, why=why[:120]) for _ in batches
    )
    Target.objects.bulk_create(
        Target(
            operation=operation,
            asset=asset,
            serial_number=holder.serial_number,
            client_user_id=holder.client_user_id,
        )
        for operation, batch in zip(operations, batches, strict=True)
        for holder in batch
    )
    if by is not None and holders:
        verb = f"asked Apple to {kind.value} licenses of"
        record(by, verb, asset.token, app=asset.adam_id, licenses=len(holders), why=why)
    hurry(operation.pk for operation in operations)
