"""A new version is found, sent to the devices that may have it, and confirmed by them, over real processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import F
from pytest_django import DjangoDbBlocker

from catalog.models import Installation, Rollout
from tests.journeys.company import WITHIN, Company, opened
from tests.journeys.releases import Releases, hurry, knows_time_zones, window_around_now
from tests.portal import Template
from tests.processes import eventually
from tokens.models import ListingVersion

pytestmark = pytest.mark.journey

LOOKS = ("tokens.tasks.sweep", "catalog.tasks.propagate_updates", "catalog.tasks.sweep", "catalog.tasks.sweep_channel")


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> Iterator[Company]:
    """A company whose portal has two workers and two beats: neither doubles what the other does."""
    with opened(tmp_path_factory.mktemp("company"), template, django_db_blocker, workers=2) as made:
        made.portal.start_beat()
        yield made


def before_of(releases: Releases) -> int:
    """Return the one version that is on all devices so far, once the portal knows it."""
    eventually(lambda: releases.on_devices() == releases.as_told(), WITHIN)
    (version,) = releases.on_devices()
    return version


def test_a_new_version_of_a_custom_app_reaches_the_devices_that_may_have_it(company: Company) -> None:
    location = company.location()
    releases = Releases(company, company.app(location, licenses=10, custom=True))
    here, elsewhere = company.devices(3, timeZone="Etc/UTC"), company.devices(1, timeZone="Asia/Tokyo")
    too_old = company.devices(1, osVersion="26.0", timeZone="Etc/UTC")
    company.distribute(releases.app, devices=[*here, *elsewhere, *too_old])
    company.reaches(releases.app, installed=5)
    knows_time_zones(company, [*here, *elsewhere, *too_old])
    before = before_of(releases)
    releases.rules(update_window=window_around_now(company, "Working hours"))

    newest = releases.ship(version="2.0.0", minimumOs="26.1", notes="Works offline.")
    releases.reaches({newest: 3, before: 2})
    assert releases.updates() == {"acknowledged": 3}
    with company.portal.database():
        seen = ListingVersion.objects.get(listing__adam_id=releases.adam_id, external_version_id=newest)
        assert (seen.version, seen.minimum_os, seen.release_notes) == ("2.0.0", "26.1", "Works offline.")
    listed = releases.page("installations/")
    assert "Waits for the window “Working hours”, which opens" in listed
    assert "(Asia/Tokyo)" in listed
    assert "26.1" in listed
    page = releases.page()
    assert "2.0.0" in page
    assert "3 of 5" in page

    sent, there = releases.installs(), releases.updates()
    for _ in range(3):
        releases.look()
        hurry(company, *LOOKS, times=4)
        eventually(lambda: is_quiet(company), WITHIN)
    assert (releases.installs(), releases.updates()) == (sent, there)
    assert releases.on_devices() == {newest: 3, before: 2}


def test_a_device_that_asks_to_wait_updates_later(company: Company) -> None:
    location = company.location()
    releases = Releases(company, company.app(location, licenses=5))
    devices = company.devices(2)
    company.distribute(releases.app, devices=devices)
    company.reaches(releases.app, installed=2)
    before = before_of(releases)
    (locked,) = company.serials(devices[:1])
    company.simulator.tell("mdm-behave", devices=[locked], notNow=True)
    newest = releases.ship()
    releases.reaches({newest: 1, before: 1})
    eventually(lambda: releases.updates() == {"acknowledged": 1, "not_now": 1}, WITHIN)
    company.simulator.tell("mdm-behave", devices=[locked], notNow=False)
    releases.reaches({newest: 2})
    assert releases.updates() == {"acknowledged": 2}


def test_a_pilot_that_fails_stops_the_roll_out_until_somebody_decides(company: Company) -> None:
    location = company.location()
    releases = Releases(company, company.app(location, licenses=10))
    pilots, others = company.people(2, "Pilots"), company.people(2)
    second = company.devices(owners=pilots)[1]
    company.devices(owners=others)
    company.distribute(releases.app, people=[*pilots, *others])
    company.reaches(releases.app, installed=4)
    before = before_of(releases)
    releases.rules(pilot_group=company.group("Pilots"), pilot_hours=4, pilot_failure_percent=20)
    company.simulator.tell("mdm-behave", devices=company.serials([second]), refuses=True)

    newest = releases.ship(version="3.1.0")
    releases.reaches({newest: 1, before: 3})
    eventually(lambda: failed(company, releases.app) == [second], WITHIN)
    with company.portal.database():
        begun = F("pilot_started_at") - timedelta(hours=5)
        assert Rollout.objects.filter(app=releases.app).update(pilot_started_at=begun) == 1
    hurry(company, *LOOKS, times=2)
    eventually(lambda: is_quiet(company), WITHIN)
    listed = releases.page("installations/")
    assert listed.count("Stopped, because 1 of 2 devices of the pilot group “Pilots” failed.") == 2
    assert "The person declined the update." in listed
    assert releases.on_devices() == {newest: 1, before: 3}

    company.portal.post(company.session, f"/catalog/{releases.app}/updates/release/", {})
    releases.reaches({newest: 3, before: 1})
    assert failed(company, releases.app) == [second]


def is_quiet(company: Company) -> bool:
    """Whether no worker has, or is about to be given, anything to do."""
    broker = company.portal.valkey.client
    return broker.llen("celery") == 0 and broker.hlen("unacked") == 0


def failed(company: Company, app: int) -> list[int]:
    """Return the devices on which an update failed."""
    with company.portal.database():
        rows = Installation.objects.filter(app=app, update_state="failed", update_details__gt="")
        return list(rows.values_list("device", flat=True))


def test_nobody_updates_while_the_people_decide(company: Company) -> None:
    location = company.location()
    releases = Releases(company, company.app(location, licenses=5))
    company.distribute(releases.app, devices=company.devices(1))
    company.reaches(releases.app, installed=1)
    before = before_of(releases)
    form = {"approval": "per_token", "update_mode": "end_users", "time_zone": "UTC"}
    company.portal.post(company.session, "/catalog/settings/", form)
    try:
        newest = releases.ship()
        eventually(lambda: "0 of 1" in releases.page(), WITHIN)
        assert "The people decide on updates" in releases.page("installations/")
        hurry(company, *LOOKS, times=2)
        eventually(lambda: is_quiet(company), WITHIN)
        assert releases.updates() == {}
        assert releases.on_devices() == {before: 1}
    finally:
        company.portal.post(company.session, "/catalog/settings/", form | {"update_mode": "administrators"})
    releases.reaches({newest: 1})
