"""Assign and revoke licenses by hand: what would happen, in numbers and sentences, before Apple is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Q, QuerySet

from tokens import fence, licenses
from tokens.diagnosis import diagnose
from tokens.licenses import Holder
from tokens.many import Texts
from tokens.models import Asset, Assignment, ClientUserStatus, ContentToken, ProductType, Target, TargetState
from vppportal.groups.models import Device, EnrollmentType, ManagedUser
from vppportal.wording import number

WHY: Final = "By hand"
MOST: Final = 20_000
"""Licenses revoked in one go: what waits in a form is stored at once, while somebody waits."""
READ_ONLY: Final = "Apple lets the account that downloaded this token only read, so nothing can be changed."
FOR_GOOD: Final = "Apple does not take licenses of this product back: whoever has one keeps it."


def hindrance(token: ContentToken) -> str:
    """Return why nothing at all can be changed at the token's location now; empty where it can."""
    diagnosis = diagnose(token)
    if diagnosis is not None:
        return f"{diagnosis.headline} Nothing can be changed until that is settled."
    return READ_ONLY if token.is_read_only else ""


def against_assigning(asset: Asset) -> str:
    """Return why no license of the asset can be assigned; empty where one can."""
    gone = "Apple lists this product no more: its licenses cannot be assigned." if asset.gone_at else ""
    return hindrance(asset.token) or gone


def against_revoking(asset: Asset) -> str:
    """Return why no license of the asset can be taken back; empty where one can."""
    if asset.product_type == ProductType.BOOK:
        return "This is a book: Apple does not take licenses of books back, whoever has one keeps it."
    return FOR_GOOD if not asset.is_revocable else hindrance(asset.token)


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom an administrator chose: groups, people and devices, and what is to hold the license."""

    is_for_devices: bool
    groups: Collection[Any] = ()
    people: Collection[Any] = ()
    devices: Collection[Any] = ()

    def found_devices(self) -> QuerySet[Device]:
        """Return the chosen devices, and those of the chosen people."""
        named = Q(pk__in=_keys(self.devices)) | Q(owner__in=_keys(self.people))
        in_groups = ManagedUser.groups.through.objects.filter(usergroup__in=_keys(self.groups)).values("manageduser")
        return Device.objects.filter(named | Q(owner__in=in_groups)).order_by("serial_number", "pk")

    def found_people(self) -> QuerySet[ManagedUser]:
        """Return the chosen people, and the owners of the chosen devices."""
        owners = Device.objects.filter(pk__in=_keys(self.devices), owner__isnull=False).values("owner")
        in_groups = ManagedUser.groups.through.objects.filter(usergroup__in=_keys(self.groups)).values("manageduser")
        return ManagedUser.objects.filter(
            Q(pk__in=_keys(self.people)) | Q(pk__in=owners) | Q(pk__in=in_groups)
        ).order_by("name", "pk")


def _keys(rows: Collection[Any]) -> list[int]:
    return [row.pk for row in rows]


@dataclass(frozen=True, slots=True)
class Plan:
    """What assigning would do: for whom Apple would be asked, and how many are left out for which reason."""

    holders: tuple[Holder, ...]
    noun: tuple[str, str]
    free: int | None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def served(self) -> int:
        """How many would receive a license."""
        return len(self.holders) if self.free is None else min(self.free, len(self.holders))

    def sentences(self) -> list[str]:
        """Return the numbers as sentences."""
        told = [f"Apple is asked for {number(self.served, 'license', 'licenses')}, one for each {self.noun[0]}."]
        missing = len(self.holders) - self.served
        if missing:
            told.append(
                f"{_count(missing, *self.noun)} more would need one, but only {number(self.served, 'is', 'are')} free:"
                " they go without. Buy licenses or revoke some, then assign again."
            )
        elif self.free is not None:
            told.append(f"{number(self.free - self.served, 'license stays', 'licenses stay')} free.".capitalize())
        told += [f"{_count(many, *self.noun)} left out: {reason}." for reason, many in self.left_out.items() if many]
        return told


def _count(many: int, one: str, several: str) -> str:
    return f"{many:,} {one if many == 1 else several}"


def sentences_about_revoking(many: int, devices: int) -> list[str]:
    """Return what taking so many licenses back does, `devices` of them held by devices."""
    told = [
        f"Apple is asked to revoke {number(many, 'license', 'licenses')}. Held by devices: {devices:,};"
        f" by people: {many - devices:,}.",
        "They are free again once Apple has confirmed it.",
        "The app itself stays where it is. It may be used without a license for up to 30 days.",
        "Whoever a distribution still includes is given a license again: stop the distribution there first.",
    ]
    if many > MOST:
        told.insert(1, f"This time the first {MOST:,} of them are revoked; do it again for the rest.")
    return told


def plan(asset: Asset, choice: Choice) -> Plan:
    """Return what assigning licenses of the asset to the chosen would do; the number of queries is constant."""
    named = _named_devices(asset, choice) if choice.is_for_devices else _named_people(asset, choice)
    holders, left_out = named
    held, busy = _there_already(asset, holders)
    elsewhere, coming = licenses.elsewhere(asset, holders)
    served = held | elsewhere.keys()
    busy |= coming
    wanted = tuple(holder for holder in holders if holder not in served and holder not in busy)
    by_token = Counter(name for holder, name in elsewhere.items() if holder not in held)
    return Plan(
        holders=wanted,
        noun=("device", "devices") if choice.is_for_devices else ("person", "people"),
        free=licenses.free([asset])[asset.pk],
        left_out={
            "a license is there already": sum(holder in held for holder in holders),
            **{f"a license of this app is there already, from “{name}”": many for name, many in by_token.items()},
            "an earlier change is still under way": sum(holder in busy and holder not in served for holder in holders),
            **left_out,
        },
    )


def _named_devices(asset: Asset, choice: Choice) -> tuple[list[Holder], dict[str, int]]:
    rows = list(choice.found_devices().select_related("owner"))
    admitted = fence.admits(asset.token, {row.owner_id for row in rows if row.owner_id})
    is_restricted = asset.token.restricted_to.exists()
    reasons: dict[str, int] = {}
    holders = []
    for row in rows:
        reason = _against_device(row, is_outside=is_restricted and row.owner_id not in admitted)
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
        else:
            holders.append(Holder(serial_number=row.serial_number.upper()))
    return holders, reasons


def _against_device(row: Device, *, is_outside: bool) -> str:
    if row.retired_at:
        return "retired"
    if row.owner and not row.owner.is_active:
        return "the owner is not active any more"
    if row.enrollment_type == EnrollmentType.USER:
        return "in user enrollment, where the person must hold the license"
    if not row.serial_number:
        return "no serial number known"
    return "outside the user groups that the token is restricted to" if is_outside else ""


def _named_people(asset: Asset, choice: Choice) -> tuple[list[Holder], dict[str, int]]:
    people = list(choice.found_people())
    admitted = fence.admits(asset.token, {person.pk for person in people})
    rows = asset.token.client_users.live().filter(person__in=[person.pk for person in people])
    registered = {row.person_id: row for row in rows}
    reasons: dict[str, int] = {}
    holders = []
    for person in people:
        row = registered.get(person.pk)
        if not person.is_active:
            reason = "not active any more"
        elif person.pk not in admitted:
            reason = "outside the user groups that the token is restricted to"
        elif row is None or row.status != ClientUserStatus.ASSOCIATED:
            reason = "invited, but not accepted yet" if row and row.status else "not registered at this location yet"
        else:
            holders.append(Holder(client_user_id=row.client_user_id))
            continue
        reasons[reason] = reasons.get(reason, 0) + 1
    return holders, reasons


def _there_already(asset: Asset, holders: Sequence[Holder]) -> tuple[set[Holder], set[Holder]]:
    """Return who holds a license, and for whom a change is under way."""
    serials = Texts(holder.serial_number for holder in holders if holder.serial_number)
    ids = Texts(holder.client_user_id for holder in holders if holder.client_user_id)
    among = Q(serial_number__in=serials, client_user_id="") | Q(serial_number="", client_user_id__in=ids)
    held = Assignment.objects.filter(among, asset=asset)
    busy = Target.objects.filter(among, asset=asset, state=TargetState.OPEN)
    names = ("serial_number", "client_user_id")
    return {Holder(*row) for row in held.values_list(*names)}, {Holder(*row) for row in busy.values_list(*names)}
