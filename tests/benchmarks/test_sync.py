"""How long a sync takes beside a floor: a program that downloads and parses the same pages and COPYs the same rows.

The floor writes into a table of the same shape with the same indexes, knows no versions, no leases, no comparison, and
keeps nothing but the assignments. ``make bench`` measures 50,000 assignments, ``SIZES="50000 1000000" make bench`` the
large location too.
"""

from __future__ import annotations

import json
import os
import resource
import time
import uuid
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection as database
from django.utils import timezone

from catalog import additions
from tests.processes import Simulator
from tokens import registration, sync, vpptoken
from tokens.models import Assignment, ContentToken, SyncReason, SyncRun

pytestmark = [pytest.mark.bench, pytest.mark.django_db(transaction=True)]

SIZES = [int(size) for size in os.environ.get("SIZES", "50000").split()]
ASSETS, USERS, DEVICES_PER_ASSIGNMENT = 200, 100, 0.1


@pytest.fixture
def location(simulator: Simulator, request: pytest.FixtureRequest, settings: Any) -> bytes:
    """Return the token file of a location with as many assignments as the test asks for."""
    if database.vendor != "postgresql":
        pytest.skip("the benchmark compares with PostgreSQL's COPY: run it with `make bench`")
    settings.APPLE_VPP_URL = simulator.apple
    size = request.getfixturevalue("size")
    made = simulator.tell(
        "locations", assets=ASSETS, assignments=size, users=USERS, devices=int(size * DEVICES_PER_ASSIGNMENT)
    )
    # The portal obeys Apple's own rate; here the machine is measured, not the waiting.
    simulator.tell("limits", maxRequestPerSecond=100_000)
    return made["token"].encode()


@pytest.mark.parametrize("size", SIZES)
def test_a_sync_beside_its_floor(size: int, location: bytes, simulator: Simulator) -> None:
    token = registered(location)
    floor_download, floor_copy = floor(simulator, location, token)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first = timed_sync(token, SyncReason.UPLOAD)
    assert Assignment.objects.count() == size
    again = timed_sync(token, SyncReason.MANUAL)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert Assignment.objects.count() == size
    whole_floor = floor_download + floor_copy
    print(
        f"\n{size:>9,} assignments, {ASSETS} assets, PostgreSQL"
        f"\n  floor      download and parse {floor_download:6.2f} s, COPY {floor_copy:6.2f} s"
        f"\n  first      {first:6.2f} s = {first / whole_floor:.2f} x floor ({size / first:,.0f} assignments a second)"
        f"\n  unchanged  {again:6.2f} s = {again / whole_floor:.2f} x floor, {again / floor_download:.2f} x download"
        f"\n  memory     peak grew by {grown:.0f} MiB while syncing"
    )


def registered(file: bytes) -> ContentToken:
    vpp_token = vpptoken.read(file, now=timezone.now())
    facts = registration.examine(vpp_token, ["accept_region"], region="US")
    by = User.objects.create_user("bench")
    choices = {"name": "Bench", "region": "US"}
    return registration.register(vpp_token, facts, choices, by=by, submission=uuid.uuid4()).token


def timed_sync(token: ContentToken, reason: SyncReason) -> float:
    run = registration.ask_for_sync(token, reason, None)
    started = time.perf_counter()
    (claimed,) = SyncRun.objects.filter(pk=run.pk).claim(1)
    for _ in sync.carry_out(claimed):
        additions.add(claimed.token)
    taken = time.perf_counter() - started
    claimed.refresh_from_db()
    assert claimed.state == "done", claimed.last_error
    return taken


def floor(simulator: Simulator, file: bytes, token: ContentToken) -> tuple[float, float]:
    """Return the seconds to download and parse all pages on one connection, and to COPY their rows."""
    headers = {"Authorization": f"Bearer {file.decode().strip()}"}
    rows: list[tuple[str, str]] = []
    started = time.perf_counter()
    with requests.Session() as session:
        for path in ("assets", "users", "assignments"):
            index: int | None = 0
            while index is not None:
                page = json.loads(
                    session.get(f"{simulator.apple}/{path}", params={"pageIndex": index}, headers=headers).content
                )
                index = page.get("nextPageIndex")
                if path == "assignments":
                    rows += [(row["adamId"], row.get("serialNumber") or row["clientUserId"]) for row in page[path]]
    downloaded = time.perf_counter()
    with database.cursor() as cursor:
        cursor.execute("CREATE TABLE floor (LIKE tokens_assignment INCLUDING ALL)")
        now = timezone.now().isoformat()
        with cursor.copy("COPY floor (asset_id, serial_number, client_user_id, since) FROM STDIN") as copy:
            copy.write("".join(f"{adam_id}\t{holder}\t\t{now}\n" for adam_id, holder in rows))
        cursor.execute("DROP TABLE floor")
    return downloaded - started, time.perf_counter() - downloaded
