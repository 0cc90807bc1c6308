"""What taking apps away would do, counted beforehand, for the pages that ask whether it is meant so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count, Q, QuerySet

from catalog import commands
from catalog.audience import AUDIENCE
from catalog.models import (
    IN_NEED,
    UNWANTED,
    WITHOUT_APP,
    App,
    Distribution,
    Installation,
    InstallState,
)
from catalog.targets import Audience, audiences_of, people_of_groups
from tokens.many import Keys
from tokens.models import Assignment, ProductType
from vppportal.groups.models import Device, UserGroup

ON_DEVICE: Final = Q(state__in=(InstallState.SENT, InstallState.INSTALLING, InstallState.INSTALLED)) | Q(
    confirmed_at__isnull=False
)
WAITS: Final = (*IN_NEED, InstallState.LICENSING, InstallState.READY)
WITHOUT_NEED: Final = (*WITHOUT_APP, InstallState.SKIPPED, InstallState.OFFERED)
"""What is in these states needs no license."""

SENTENCES: Final = (
    (
        "removes",
        "installation is removed from its device, with its data.",
        "installations are removed from their devices, with their data.",
    ),
    (
        "keeps",
        "installation stays on its device, as the app's policies say.",
        "installations stay on their devices, as the app's policies say.",
    ),
    (
        "stays",
        "installation stays as it is: another distribution, or another part of it, includes its device.",
        "installations stay as they are: another distribution, or another part of it, includes their devices.",
    ),
    (
        "unreachable",
        "installation is on a device that cannot be reached.",
        "installations are on devices that cannot be reached.",
    ),
    (
        "cancels",
        "installation that waits or is about to be sent is cancelled.",
        "installations that wait or are about to be sent are cancelled.",
    ),
    (
        "withdraws",
        "device is no longer offered it; nothing was sent to it.",
        "devices are no longer offered it; nothing was sent to them.",
    ),
    (
        "frees",
        "license returns to the VPP token and can be given to somebody else.",
        "licenses return to the VPP token and can be given to somebody else.",
    ),
    (
        "shared",
        "license stays with its person, who goes on using it on another device.",
        "licenses stay with their people, who go on using them on other devices.",
    ),
    (
        "holds",
        "license stays where it is, as the app's policies say.",
        "licenses stay where they are, as the app's policies say.",
    ),
    (
        "not_reclaimable",
        "license cannot come back: Apple does not take it back.",
        "licenses cannot come back: Apple does not take them back.",
    ),
)
"""Each consequence in words, of one and of many."""


@dataclass(frozen=True, slots=True)
class Consequences:
    """What taking apps away would do, in numbers of installations and licenses."""

    removes: int = 0
    keeps: int = 0
    stays: int = 0
    unreachable: int = 0
    cancels: int = 0
    withdraws: int = 0
    frees: int = 0
    shared: int = 0
    holds: int = 0
    not_reclaimable: int = 0

    def sentences(self) -> list[str]:
        """Return the numbers as sentences for the confirmation page."""
        counted = [(getattr(self, name), one, many) for name, one, many in SENTENCES]
        told = [f"{number:,} {one if number == 1 else many}" for number, one, many in counted if number]
        return told or ["No device has anything of it, and no license is concerned."]


def of_ending(distributions: Collection[Distribution]) -> Consequences:
    """Return what stopping these distributions does; whom another one includes keeps everything."""
    served = Installation.objects.filter(distribution__in=[row.pk for row in distributions])
    others = Distribution.objects.in_force().exclude(pk__in=[row.pk for row in distributions])
    return _of_losing(served, _audiences(others.filter(app__in={row.app_id for row in distributions})))


def of_stop(installations: QuerySet[Installation]) -> Consequences:
    """Return what follows when nobody wants these installations any more."""
    return _count(installations, removes=Q(app__remove_on_stop=True))


def of_wipe(device: Device) -> Consequences:
    """Return what a selective wipe of the device does."""
    return _count(device.installations.all(), removes=Q(app__remove_on_selective_wipe=True))


def of_release(device: Device) -> Consequences:
    """Return what removing MDM control from the device does."""
    return _count(device.installations.all(), removes=Q(app__remove_on_mdm_removal=True))


def of_retirement(device: Device) -> Consequences:
    """Return what taking the device out of use does: every app goes, and every license, whatever the policies say."""
    counted = _count(device.installations.all(), removes=Q(pk__isnull=False), returns_always=True)
    by_hand = held_without_app(device)
    free = by_hand.filter(asset__is_revocable=True).exclude(asset__product_type=ProductType.BOOK).count()
    rest = by_hand.count() - free
    return replace(counted, frees=counted.frees + free, not_reclaimable=counted.not_reclaimable + rest)


def of_delete(app: App) -> Consequences:
    """Return what deleting the app from the catalog does."""
    return of_stop(app.installations.all())


def of_deleting(group: UserGroup) -> Consequences:
    """Return what the people of a user group lose when no distribution can name it any more."""
    naming = Distribution.objects.in_force().filter(groups=group)
    served = Installation.objects.filter(distribution__in=naming, device__owner__in=group.people.all())
    rest = Distribution.objects.in_force().filter(app__in=naming.values("app"))
    return _of_losing(served, _audiences(rest, without=group))


def let_in_without(group: UserGroup) -> int:
    """Return how many apps more come to devices, app by app, when no distribution can exclude the group any more."""
    excluding = Distribution.objects.in_force().filter(excluded_groups=group)
    rows = Distribution.objects.in_force().filter(app__in=excluding.values("app"), app__deleted_at=None)
    before, after = _audiences(rows), _audiences(rows, without=group)
    devices = list(Device.objects.enrolled().filter(owner__in=group.people.all()).values_list("pk", "owner"))
    return sum(
        not _includes(before[app], *device) and _includes(audiences, *device)
        for app, audiences in after.items()
        for device in devices
    )


def held_without_app(device: Device) -> QuerySet[Assignment]:
    """Return the licenses a device holds by its serial number that serve no app of the portal on it."""
    serving = device.installations.filter(holder=device.serial_number, asset__isnull=False)
    held = Assignment.objects.filter(serial_number=device.serial_number, asset__token__deleted_at=None)
    return held.exclude(serial_number="").exclude(asset__in=serving.values("asset"))


def _of_losing(served: QuerySet[Installation], audiences: dict[int, list[Audience]]) -> Consequences:
    """Return what follows when only these audiences are left; whom they include keeps everything."""
    rows = served.filter(app__in=audiences).exclude(state__in=UNWANTED)
    kept = [
        key
        for key, app, device, owner in rows.values_list("pk", "app", "device", "device__owner")
        if _includes(audiences[app], device, owner)
    ]
    return replace(of_stop(served.exclude(pk__in=Keys(kept))), stays=len(kept))


def _includes(audiences: Iterable[Audience], device: int, owner: int | None) -> bool:
    return any(audience.includes(device, owner) for audience in audiences)


def _audiences(wanted: QuerySet[Distribution], without: UserGroup | None = None) -> dict[int, list[Audience]]:
    """Return whom these distributions name, app by app, by the rule of the plan; `without` has nobody in it."""
    by_app: dict[int, list[Distribution]] = defaultdict(list)
    for row in wanted.prefetch_related(*AUDIENCE):
        by_app[row.app_id].append(row)
    named = {group.pk for rows in by_app.values() for row in rows for group in _groups(row)}
    groups = people_of_groups(named - {without.pk} if without else named)
    return {app: audiences_of(rows, groups) for app, rows in by_app.items()}


def _groups(row: Distribution) -> list[UserGroup]:
    return [*row.groups.all(), *row.excluded_groups.all()]


def _count(installations: QuerySet[Installation], *, removes: Q, returns_always: bool = False) -> Consequences:
    reachable = Q(device__unenrolled_at=None) & ~Q(device__enrollment_id="")
    given_up = Q(pk__in=commands.given_up_installs().values("installation"))
    there = (ON_DEVICE | given_up) & ~Q(state__in=WITHOUT_APP)
    counted = installations.aggregate(
        removes=Count("pk", filter=there & reachable & removes),
        keeps=Count("pk", filter=there & reachable & ~removes),
        unreachable=Count("pk", filter=there & ~reachable),
        cancels=Count("pk", filter=~there & Q(state__in=WAITS)),
        withdraws=Count("pk", filter=~there & Q(state=InstallState.OFFERED)),
    )
    return Consequences(**counted, **_licenses(installations, returns_always=returns_always))


def _licenses(installations: QuerySet[Installation], *, returns_always: bool) -> dict[str, int]:
    """Count each license once, however many devices of its person use it."""
    licensed = installations.filter(asset__isnull=False)
    held = licensed.values_list("asset", "holder", "asset__is_revocable", "app__revoke_on_stop").order_by().distinct()
    in_use = _in_use_elsewhere(licensed)
    counted = {"frees": 0, "shared": 0, "holds": 0, "not_reclaimable": 0}
    for asset, holder, is_revocable, returns in held:
        if (asset, holder) in in_use:
            counted["shared"] += 1
        elif not returns and not returns_always:
            counted["holds"] += 1
        else:
            counted["frees" if is_revocable else "not_reclaimable"] += 1
    return counted


def _in_use_elsewhere(licensed: QuerySet[Installation]) -> set[tuple[int | None, str]]:
    """Return the licenses of people that other installations than these go on using."""
    of_people = licensed.filter(license_kind="user").order_by()
    same = Installation.objects.filter(
        license_kind="user", asset__in=of_people.values("asset"), holder__in=of_people.values("holder")
    )
    return {*same.exclude(state__in=WITHOUT_NEED).exclude(pk__in=licensed.values("pk")).values_list("asset", "holder")}
