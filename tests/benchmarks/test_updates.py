"""2,000 apps with a new version on 50,000 installations: how long a pass plans, and how many queries that takes.

The floor is a program that reads the same rows and does nothing with them. ``INSTALLATIONS=5000 make bench`` measures
fewer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import App, Command, Installation, InstallState, UpdateState, UpdateWindow
from catalog.updates import updating
from catalog.updates.gathering import BEHIND, read
from tests.factories import AppFactory, DeviceFactory, ListingFactory, ManagedUserFactory, UserGroupFactory
from tests.releases import NEW, OLD
from tokens.models import Listing
from vppportal.groups.models import Device, UserGroup

pytestmark = [pytest.mark.bench, pytest.mark.django_db]

INSTALLATIONS = int(os.environ.get("INSTALLATIONS", "50000"))
OF_AN_APP: Final = 25
ZONES: Final = ("", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Mars/Olympus")
SECONDS: Final = 5.0
T = TypeVar("T")


def test_a_pass_over_fifty_thousand_installations() -> None:
    few = passed(INSTALLATIONS // 50)
    Command.objects.all().delete()
    Installation.objects.all().delete()
    many = passed(INSTALLATIONS)
    print(
        f"\n{INSTALLATIONS // OF_AN_APP:,} apps, {INSTALLATIONS:,} installations behind, of which {many.allowed:,} may"
        f" be updated now: planned in {many.plan:.2f} s and {many.queries} queries; reading the same rows alone takes "
        f"{many.floor:.2f} s: ratio {many.plan / many.floor:.1f}. Storing {many.allowed:,} commands took "
        f"{many.stored:.1f} s more; with these under way, the next pass takes {many.again:.2f} s."
    )
    assert many.queries == few.queries
    assert many.plan < SECONDS


@dataclass(slots=True)
class Figures:
    """What a pass took: seconds, queries, and how many installations may be updated now."""

    floor: float
    plan: float
    queries: int
    allowed: int
    stored: float = 0.0
    again: float = 0.0


def passed(number: int) -> Figures:
    """Plan and carry out a pass over so many installations that are behind."""
    release(number)
    floor, rows = timed(lambda: read(Installation.objects.filter(BEHIND)))
    assert len(rows) == number
    with CaptureQueriesContext(connection) as queries:
        plan, allowed = timed(lambda: updating.plan(timezone.now()))
    figures = Figures(floor, plan, len(queries), len(allowed))
    took, sent = timed(updating.propagate)
    figures.stored = took - plan
    figures.again, nothing = timed(updating.propagate)
    assert (sent, nothing) == (figures.allowed, 0)
    assert Installation.objects.filter(update_state=UpdateState.UNDER_WAY).count() == figures.allowed
    return figures


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how long some work takes, and what it returns."""
    started = time.monotonic()
    done = work()
    return time.monotonic() - started, done


def release(number: int) -> None:
    """Store apps with a new version, in four kinds: free, with a window, with a pilot, and switched off."""
    now, group = timezone.now(), UserGroupFactory()
    person = ManagedUserFactory(groups=[group])
    devices = Device.objects.bulk_create(
        [
            DeviceFactory.build(
                enrolled=True, owner=person if at % 100 == 0 else None, time_zone=ZONES[at % len(ZONES)]
            )
            for at in range(max(number // 10, OF_AN_APP))
        ],
        1000,
    )
    apps = released(number // OF_AN_APP, group)
    Installation.objects.bulk_create(
        [
            Installation(
                app=app,
                device=devices[(place * OF_AN_APP + at) % len(devices)],
                state=InstallState.INSTALLED,
                external_version_id=OLD,
                confirmed_at=now,
            )
            for place, app in enumerate(apps)
            for at in range(OF_AN_APP)
        ],
        1000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as a database does by itself after a while


def released(number: int, group: UserGroup) -> list[App]:
    """Store so many apps of which a new version was seen an hour ago."""
    seen_at = timezone.now() - timedelta(hours=1)
    listings = Listing.objects.bulk_create(
        ListingFactory.build_batch(number, external_version_id=NEW, version="2.0", version_seen_at=seen_at)
    )
    window = UpdateWindow.objects.create(name=f"Never {number}", start="00:00", end="00:00")
    kinds: list[dict[str, object]] = [
        {},
        {"update_window": window},
        {"pilot_group": group, "pilot_hours": 24},
        {"update_automatically": False},
    ]
    return App.objects.bulk_create(
        AppFactory.build(listing=listing, **kinds[at % len(kinds)]) for at, listing in enumerate(listings)
    )
