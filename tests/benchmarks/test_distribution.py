"""One app to 10,000 devices, over real processes: how many calls Apple gets, how long the plan and the whole way take.

The floor of the way is a program that enqueues as many commands at the MDM server over the same number of connections.
``DEVICES=1000 make bench`` measures fewer.
"""

from __future__ import annotations

import os
import plistlib
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from catalog.gathering import gather
from catalog.mdm.client import PARALLEL
from catalog.models import App
from catalog.plan import plan
from tests.journeys.company import Company, opened
from tests.portal import Template
from tests.processes import eventually
from vppportal.groups.models import Device, UserGroup
from vppportal.simulator.mdm.service import API_KEY

pytestmark = pytest.mark.bench

DEVICES = int(os.environ.get("DEVICES", "10000"))


def test_an_app_reaches_ten_thousand_devices(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> None:
    with opened(tmp_path_factory.mktemp("bench"), template, django_db_blocker, workers=2) as company:
        location = company.location()
        company.simulator.tell("limits", maxRequestPerSecond=100_000)
        app = company.app(location, licenses=DEVICES + 50)
        floor = enqueue_alone(company, enrolled(company, DEVICES))
        seconds, queries = planned(company, app)
        started = time.monotonic()
        company.distribute(app, is_for_everyone="on")
        eventually(lambda: company.held(location) == [DEVICES], 600, every=0.2)
        licensed = time.monotonic() - started
        company.reaches(app, 1800, installed=DEVICES)
        took = time.monotonic() - started
        calls = [one for one in company.simulator.ask("requests")["requests"] if one["path"].endswith("/associate")]
        print(
            f"\n{DEVICES:,} devices: plan {seconds:.2f} s in {queries} queries; {len(calls)} associate calls; "
            f"licensed after {licensed:.1f} s, all confirmed after {took:.1f} s; "
            f"enqueuing as many commands alone {floor:.1f} s: ratio {took / floor:.1f}"
        )
        assert len(calls) == -(-DEVICES // 1000)
        assert company.on_devices(app) == DEVICES


def enrolled(company: Company, number: int) -> list[str]:
    """Enroll devices at the MDM server and store them as the portal would have after their events."""
    made = company.simulator.tell("mdm-add", count=number, announce=False)["devices"]
    now = timezone.now()
    with company.portal.database():
        Device.objects.bulk_create(
            [
                Device(
                    serial_number=one["serialNumber"],
                    name=one["name"],
                    enrollment_id=one["id"],
                    os_version=one["osVersion"],
                    enrolled_at=now,
                    last_seen_at=now,
                    facts_at=now,
                )
                for one in made
            ],
            batch_size=500,
        )
        UserGroup.objects.get_or_create(name="Nobody in particular")
    return [one["id"] for one in made]


def planned(company: Company, app_id: int) -> tuple[float, int]:
    """Return how long the plan of an app for everyone takes before anything is there, and how many queries."""
    with company.portal.database():
        app = App.objects.select_related("listing").get(pk=app_id)
        draft = app.distributions.create(is_for_everyone=True)
        with CaptureQueriesContext(connections["default"]) as queries:
            started = time.monotonic()
            made = plan(gather(app, drafts=[draft]))
            seconds = time.monotonic() - started
        draft.delete()
    assert len(made.verdicts) == DEVICES
    return seconds, len(queries)


def enqueue_alone(company: Company, ids: list[str]) -> float:
    """Return how long it takes to queue a command for each device with nothing but HTTP."""
    session = requests.Session()
    session.auth = ("nanomdm", API_KEY)
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=PARALLEL)
    session.mount("http://", adapter)

    def queue(enrollment_id: str) -> None:
        command = {"Command": {"RequestType": "DeviceInformation", "Queries": []}, "CommandUUID": str(uuid.uuid4())}
        url = f"{company.simulator.mdm}/v1/enqueue/{enrollment_id}?nopush=1"
        session.put(url, data=plistlib.dumps(command), timeout=30).raise_for_status()

    started = time.monotonic()
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(queue, ids))
    return time.monotonic() - started
