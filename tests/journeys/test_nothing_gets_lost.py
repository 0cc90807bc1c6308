"""Kill, flush and double what runs in the background: the large import still ends, complete and without duplicates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.journeys.stories import progress, settled, upload
from tests.portal import Portal
from tests.processes import Process, Simulator, eventually

pytestmark = pytest.mark.journey

COMPLETE = {"added": 1950, "mac_only": 50}
WITHIN = 240.0


@pytest.fixture
def portal(make_portal: Callable[..., Portal], simulator: Simulator) -> Portal:
    """A portal whose processes the test starts itself."""
    return make_portal(APPLE_VPP_URL=simulator.apple)


def upload_large(portal: Portal, simulator: Simulator) -> None:
    upload(portal, portal.sign_in(), simulator.sample("large"), "Large")


def some_assignments(portal: Portal) -> bool:
    return 0 < progress(portal)["assignments"] < 50_000


def is_complete(end: dict[str, object]) -> bool:
    return end["outcomes"] == COMPLETE and end["assignments"] == 50_000 and end["tokens"] == 1


@pytest.mark.once  # its lease has to run out first; tests/faults/test_crashes.py kills on both databases, anywhere
def test_a_worker_killed_in_the_middle(portal: Portal, simulator: Simulator) -> None:
    simulator.tell("latency", seconds=0.05)
    portal.start_beat()
    worker: Process = portal.start_worker()
    portal.start_web()
    upload_large(portal, simulator)
    eventually(lambda: some_assignments(portal), WITHIN)
    worker.kill()
    assert progress(portal)["assignments"] < 50_000
    portal.start_worker()
    assert is_complete(settled(portal, WITHIN))


@pytest.mark.once
def test_the_broker_flushed_in_the_middle(portal: Portal, simulator: Simulator) -> None:
    simulator.tell("latency", seconds=0.05)
    portal.start_all(workers=1, beats=1)
    upload_large(portal, simulator)
    eventually(lambda: progress(portal)["apps"], WITHIN)
    portal.valkey.flush()
    assert is_complete(settled(portal, WITHIN))


def test_two_workers_and_two_beats(portal: Portal, simulator: Simulator) -> None:
    portal.start_all(workers=2, beats=2)
    upload_large(portal, simulator)
    assert is_complete(settled(portal, WITHIN))


@pytest.mark.once
def test_an_upload_while_the_broker_is_away(portal: Portal, simulator: Simulator) -> None:
    portal.start_web()
    session = portal.sign_in()
    portal.valkey.process.kill()
    page = upload(portal, session, simulator.sample("business"), "Business")
    assert "Active" in page.text
    portal.valkey.start()
    portal.start_worker()
    portal.start_beat()
    assert settled(portal, WITHIN)["apps"] == 42
