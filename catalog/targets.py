"""Who an app is meant for, was meant for, or is on: a constant number of queries, however many devices there are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.commands import given_up_installs
from catalog.facts import Current, Target, Wish
from catalog.models import (
    WITHOUT_A_CLAIM,
    App,
    Distribution,
    DistributionState,
    Installation,
    InstallState,
    Reason,
    When,
)
from vppportal.groups.models import Device, ManagedUser, UserGroup

Groups = dict[int, set[int]]
"""The people of each group."""


@dataclass(frozen=True, slots=True)
class Audience:
    """A distribution with the keys of whom it names."""

    wish: Wish
    is_for_everyone: bool
    people: set[int]
    devices: set[int]
    excluded_people: set[int]
    excluded_devices: set[int]

    def includes(self, device_id: int | None, person_id: int | None) -> bool:
        """Is the app meant for this device of this person? An exclusion always wins."""
        if device_id in self.excluded_devices or person_id in self.excluded_people:
            return False
        return self.is_for_everyone or person_id in self.people or device_id in self.devices


def people_of_groups(group_ids: Iterable[int]) -> Groups:
    """Return the people of each of these groups."""
    members: Groups = defaultdict(set)
    through = ManagedUser.groups.through.objects.filter(usergroup__in=set(group_ids))
    for group_id, person_id in through.values_list("usergroup", "manageduser"):
        members[group_id].add(person_id)
    return members


def audiences_of(wanted: Iterable[Distribution], groups: Groups) -> list[Audience]:
    """Return whom these distributions name, the one that serves a device before the others first."""
    return sorted((_audience(row, groups) for row in wanted), key=lambda one: _precedence(one.wish))


def _precedence(wish: Wish) -> tuple[int, bool, bool, int]:
    """Where several distributions include a device, the most urgent one serves it."""
    return (wish.priority, wish.is_paused, wish.when == When.ON_DEMAND, wish.id)


def _audience(row: Distribution, groups: Groups) -> Audience:
    """Return whom a distribution names; it comes with its audience prefetched."""

    def members(chosen: Iterable[UserGroup], people: Iterable[ManagedUser]) -> set[int]:
        return {person.pk for person in people}.union(*(groups.get(group.pk, set()) for group in chosen))

    return Audience(
        Wish(row.pk, row.license_kind, row.when, row.priority, row.state == DistributionState.PAUSED),
        row.is_for_everyone,
        members(row.groups.all(), row.people.all()),
        {device.pk for device in row.devices.all()},
        members(row.excluded_groups.all(), row.excluded_people.all()),
        {device.pk for device in row.excluded_devices.all()},
    )


def devices_of(app: App, wanted: Sequence[Distribution]) -> QuerySet[Device]:
    """Return the devices that the app is, or was, meant for."""
    has_it = Q(Exists(Installation.objects.filter(app=app, device=OuterRef("pk"))))
    if any(row.is_for_everyone for row in wanted):
        return Device.objects.all()
    people = {person.pk for row in wanted for person in row.people.all()}
    devices = {device.pk for row in wanted for device in row.devices.all()}
    groups = {group.pk for row in wanted for group in row.groups.all()}
    in_groups = ManagedUser.groups.through.objects.filter(usergroup__in=groups).values("manageduser")
    return Device.objects.filter(has_it | Q(owner__in=in_groups) | Q(owner__in=people) | Q(pk__in=devices))


def targets_of(
    app: App, devices: QuerySet[Device], audiences: Sequence[Audience], accounts: dict[int, bool]
) -> list[Target]:
    """Return the devices with what they wish and have; `accounts` says which people could hold a license."""
    now = timezone.now()
    unheard = set(given_up_installs().filter(installation__app=app).values_list("installation", flat=True))
    current = {row.device_id: _current(row, now, row.pk in unheard) for row in app.installations.all()}
    known = [_target(device, audiences, current.get(device.pk), accounts) for device in devices.select_related("owner")]
    return [target for target in known if target.wish or target.current]


def _target(
    device: Device, audiences: Sequence[Audience], current: Current | None, accounts: dict[int, bool]
) -> Target:
    owner = device.owner_id
    return Target(
        device.pk,
        owner,
        wish=next((one.wish for one in audiences if one.includes(device.pk, owner)), None),
        serial_number=device.serial_number.upper(),
        platform=device.platform,
        os_version=version(device.os_version),
        enrollment_type=device.enrollment_type,
        blocked=_blocked(device),
        is_enrolled=device.is_enrolled,
        has_account=accounts.get(owner or 0, False),
        current=current,
    )


def _blocked(device: Device) -> Reason:
    """Return what takes away any claim this device may have."""
    if device.retired_at is not None:
        return Reason.RETIRED
    if device.wiped_at is not None:
        return Reason.WIPED
    if device.owner is not None and not device.owner.is_active:
        return Reason.PERSON_LEFT
    return Reason.NONE if device.is_enrolled else Reason.NOT_ENROLLED


def _current(row: Installation, now: datetime, may_have_come: bool) -> Current:
    return Current(
        InstallState(row.state),
        row.asset_id,
        row.holder,
        row.license_kind,
        row.queued_at,
        is_due=row.retry_at is not None and row.retry_at <= now,
        is_requested=row.is_requested,
        was_there=row.confirmed_at is not None or may_have_come,
        is_leaving=row.reason in WITHOUT_A_CLAIM,
    )


def people_without_device(audiences: Sequence[Audience], wanted: Sequence[Distribution]) -> list[Target]:
    """Return the people who are meant and have no device; they are named in a preview, and nothing is stored."""
    people = ManagedUser.objects.filter(devices=None)
    if not any(row.is_for_everyone for row in wanted):
        people = people.filter(pk__in=set().union(*(one.people for one in audiences)))
    targets = []
    for person_id, is_active in people.values_list("pk", "is_active"):
        wish = next((one.wish for one in audiences if one.includes(None, person_id)), None)
        if wish is not None:
            blocked = Reason.NONE if is_active else Reason.PERSON_LEFT
            targets.append(Target(None, person_id, wish, blocked=blocked))
    return targets


def version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, without trailing zeros: 17.0 is 17; nothing for what has none."""
    numbers = [int(number[:9]) for number in re.findall(r"\d+", text.split(" ")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
