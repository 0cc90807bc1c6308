"""Gather what the update rule needs to know of any number of installations: a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Q, QuerySet

from catalog.models import (
    App,
    AppStatus,
    CatalogSettings,
    DistributionState,
    Installation,
    InstallState,
    Reason,
    Rollout,
    UpdateState,
)
from catalog.targets import version
from catalog.updates.rule import Pilot, Rules, Ruling, Standing, verdict
from catalog.updates.windows import window_of
from vppportal.groups.models import ManagedUser, Platform
from vppportal.groups.time_zones import named

NEWEST: Final = F("app__listing__external_version_id")
_PLATFORMS: Final = "app__listing__platforms__contains"
NOT_COMPARABLE: Final = (
    Q(**{_PLATFORMS: ","}) & Q(**{_PLATFORMS: F("device__platform")}) & ~Q(device__platform=Platform.IOS)
)
"""Installations whose version the store does not tell; as `updates.is_comparable`."""
INSTALLED: Final = Q(state=InstallState.INSTALLED)
BEHIND: Final = INSTALLED & Q(external_version_id__lt=NEWEST) & ~NOT_COMPARABLE
"""Installations of an older version than the store's newest."""
ON_NEWEST: Final = INSTALLED & Q(external_version_id__gte=NEWEST) & ~NOT_COMPARABLE
FAILED: Final = BEHIND & Q(update_state=UpdateState.FAILED, update_to__gte=NEWEST)
"""Installations whose last try to get the newest version failed."""
HAS_FAILED: Final = BEHIND & Q(update_tries__gt=0, update_to__gte=NEWEST)
"""Installations on which the newest version failed before, also while it is tried again."""
LOST: Final = ~INSTALLED & Q(update_tries__gt=0, update_to__gte=NEWEST)
"""Installations whose app went with the newest version, and is to come back."""
GAVE_UP: Final = FAILED & Q(update_retry_at=None)
UNDER_WAY: Final = INSTALLED & Q(update_state=UpdateState.UNDER_WAY)
UPDATING: Final = BEHIND & UNDER_WAY

READ: Final = (
    "pk",
    "app_id",
    "external_version_id",
    "update_state",
    "update_to",
    "update_tries",
    "update_retry_at",
    "update_details",
    "update_asked_for",
    "distribution__state",
    "device__owner_id",
    "device__platform",
    "device__os_version",
    "device__time_zone",
    "device__enrollment_id",
    "device__unenrolled_at",
    "device__wiped_at",
    "device__retired_at",
)
Row = dict[str, Any]
FEW: Final = 1000
"""Of so many installations the owners are asked for by their keys."""


@dataclass(slots=True)
class Facts:
    """What holds for some apps, and which people are in their pilot groups."""

    rules: dict[int, Rules]
    groups: dict[int, int]
    members: dict[int, set[int]]
    zone: ZoneInfo

    def rule(self, row: Row, now: datetime) -> Ruling:
        """Return what is done about one installation."""
        return verdict(self.rules[row["app_id"]], self._standing(row), now)

    def _standing(self, row: Row) -> Standing:
        group = self.groups.get(row["app_id"])
        return Standing(
            row["external_version_id"],
            zone_of(row["device__time_zone"]) or self.zone,
            row["device__platform"],
            _os(row["device__os_version"]),
            _blocked(row),
            row["distribution__state"] == DistributionState.PAUSED,
            group is not None and row["device__owner_id"] in self.members.get(group, ()),
            row["update_asked_for"],
            row["update_state"],
            row["update_to"],
            row["update_tries"],
            row["update_retry_at"],
            row["update_details"],
        )


def ruled(rows: Sequence[Row], now: datetime) -> dict[int, Ruling]:
    """Return what is done about each of the rows that were read."""
    if not rows:
        return {}
    owners = {row["device__owner_id"] for row in rows} if len(rows) <= FEW else None
    facts = gather({row["app_id"] for row in rows}, owners=owners)
    return {row["pk"]: facts.rule(row, now) for row in rows}


def read(installations: QuerySet[Installation]) -> list[Row]:
    """Read of installations what the rule needs."""
    return list(installations.order_by("pk").values(*READ))


def gather(app_ids: Iterable[int], *, owners: Iterable[int | None] | None) -> Facts:
    """Return what holds for some apps; of their pilot groups those people only who are among the `owners`."""
    settings = CatalogSettings.load()
    apps = App.objects.filter(pk__in=set(app_ids)).select_related("listing", "update_window", "pilot_group")
    known = {app.pk: app for app in apps.defer("listing__description", "listing__release_notes")}
    groups = {pk: app.pilot_group_id for pk, app in known.items() if app.pilot_hours is not None and app.pilot_group_id}
    rollouts = Rollout.objects.filter(app__in=known, external_version_id=NEWEST)
    begun = {row.app_id: row for row in rollouts}
    pilots = _pilots(known, groups)
    rules = {
        pk: _rules(app, settings, begun.get(pk), pilots.get(pk, Pilot()), has_group=pk in groups)
        for pk, app in known.items()
    }
    return Facts(rules, groups, _members(groups.values(), owners), zone_of(settings.time_zone) or ZoneInfo("UTC"))


def _rules(app: App, settings: CatalogSettings, rollout: Rollout | None, pilot: Pilot, *, has_group: bool) -> Rules:
    listing = app.listing
    return Rules(
        newest=listing.external_version_id,
        version=listing.version,
        seen_at=listing.version_seen_at,
        minimum_os=_os(listing.minimum_os),
        platforms=frozenset(filter(None, listing.platforms.split(","))),
        mode=settings.update_mode,
        is_automatic=app.update_automatically,
        is_approved=app.status == AppStatus.AVAILABLE,
        is_deleted=app.deleted_at is not None,
        window=window_of(app.update_window) if app.update_window else None,
        pilot_hours=app.pilot_hours,
        pilot_group=str(app.pilot_group) if has_group else "",
        failure_percent=app.pilot_failure_percent,
        pilot=pilot,
        pilot_started_at=rollout.pilot_started_at if rollout else None,
        decision=rollout.decision if rollout else "",
    )


def _pilots(apps: dict[int, App], groups: dict[int, int]) -> dict[int, Pilot]:
    """Return how far the pilot devices are; those that get another platform's build say nothing.

    One that failed has failed until it has the version: the others must not slip through while it is tried again, nor
    where the update cost it the app.
    """
    if not groups:
        return {}
    of_pilots = Installation.objects.filter(app__in=groups, device__owner__groups=F("app__pilot_group"))
    piloted = of_pilots.filter(INSTALLED | LOST)
    counted = (
        piloted.order_by()
        .values("app")
        .annotate(
            number=Count("pk", filter=~NOT_COMPARABLE),
            done=Count("pk", filter=ON_NEWEST),
            failed=Count("pk", filter=HAS_FAILED | LOST),
        )
    )
    return {row["app"]: Pilot(row["number"], row["done"], row["failed"]) for row in counted}


def _members(group_ids: Iterable[int], owners: Iterable[int | None] | None) -> dict[int, set[int]]:
    """Return the people of each of these groups, as far as they are among the owners (None: all of them)."""
    found: dict[int, set[int]] = defaultdict(set)
    wanted = set(group_ids)
    if not wanted or owners == ():
        return found
    through = ManagedUser.groups.through.objects.filter(usergroup__in=wanted)
    if owners is not None:
        through = through.filter(manageduser__in={owner for owner in owners if owner is not None})
    for group_id, person_id in through.values_list("usergroup", "manageduser"):
        found[group_id].add(person_id)
    return found


def _blocked(row: Row) -> Reason:
    """Return what keeps anything from being sent to a device."""
    if row["device__retired_at"] is not None:
        return Reason.RETIRED
    if row["device__wiped_at"] is not None:
        return Reason.WIPED
    is_enrolled = row["device__enrollment_id"] and row["device__unenrolled_at"] is None
    return Reason.NONE if is_enrolled else Reason.NOT_ENROLLED


@lru_cache(maxsize=1024)
def _os(text: str) -> tuple[int, ...]:
    return version(text)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone of a name; none where nobody knows it."""
    known = named(name) if name else ""
    return ZoneInfo(known) if known else None
