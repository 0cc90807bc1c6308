"""From “a new version is visible at Apple” to “all allowed commands are queued”, over real processes.

The floor is a program that enqueues as many commands at the MDM server over the same number of connections.
``DEVICES=1000 make bench`` measures fewer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from pytest_django import DjangoDbBlocker

from catalog.models import Command
from tests.benchmarks.test_distribution import enqueue_alone, enrolled
from tests.journeys.company import Company, opened
from tests.journeys.releases import Releases
from tests.portal import Template
from tests.processes import eventually
from tokens.models import ListingVersion

pytestmark = pytest.mark.bench

DEVICES = int(os.environ.get("DEVICES", "2500"))


def test_a_new_version_is_on_its_way_to_all_devices(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> None:
    with opened(tmp_path_factory.mktemp("bench"), template, django_db_blocker, workers=2) as company:
        releases = installed_everywhere(company)
        floor = enqueue_alone(company, idle_ids(company))
        calls = lookups(company)
        started = time.monotonic()
        newest = releases.ship()
        seen = after(started, lambda: is_seen(company, newest))
        first = after(started, lambda: stored(company, newest))
        planned = after(started, lambda: stored(company, newest) == DEVICES)
        queued = after(started, lambda: releases.installs() == 2 * DEVICES)
        asked = lookups(company) - calls
        company.simulator.tell("mdm-behave", silent=False)
        releases.reaches({newest: DEVICES}, 1800)
        took = time.monotonic() - started
        print(
            f"\n{DEVICES:,} devices: new version seen after {seen:.2f} s ({asked} lookups), first command stored after "
            f"{first:.2f} s, all after {planned:.2f} s, all queued at the MDM server after {queued:.1f} s; "
            f"enqueuing as many alone {floor:.1f} s: ratio {queued / floor:.1f}; "
            f"all devices confirmed the version after {took:.1f} s"
        )
        assert asked == 1
        assert stored(company, newest) == DEVICES


def installed_everywhere(company: Company) -> Releases:
    """Bring an app to all devices, which then stay silent."""
    location = company.location()
    company.simulator.tell("limits", maxRequestPerSecond=100_000)
    releases = Releases(company, company.app(location, licenses=DEVICES + 50, custom=True))
    enrolled(company, DEVICES)
    company.distribute(releases.app, is_for_everyone="on")
    company.reaches(releases.app, 1800, installed=DEVICES)
    assert releases.on_devices() == releases.as_told()
    company.simulator.tell("mdm-behave", silent=True)
    return releases


def idle_ids(company: Company) -> list[str]:
    """Return the enrollments of all devices."""
    return [device["id"] for device in company.simulator.ask("mdm-devices")["devices"]]


def after(started: float, question: Callable[[], object]) -> float:
    """Wait until something is true; return how long that was after the start."""
    eventually(question, 600, every=0.02)
    return time.monotonic() - started


def is_seen(company: Company, version: int) -> bool:
    with company.portal.database():
        return ListingVersion.objects.filter(external_version_id=version).exists()


def stored(company: Company, version: int) -> int:
    """Return how many devices have been commanded to update to a version."""
    with company.portal.database():
        return Command.objects.filter(updates_to=version).count()


def lookups(company: Company) -> int:
    """Return how often the store was asked."""
    return len(company.simulator.ask("requests?path=/metadata/lookup")["requests"])
