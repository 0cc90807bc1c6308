"""The timetable over a real beat process: it goes on after the broker forgot everything, and after it was away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.portal import Portal
from tests.processes import eventually

pytestmark = [pytest.mark.journey, pytest.mark.once]


@pytest.fixture
def portal(make_portal: Callable[..., Portal]) -> Portal:
    """A portal of which nothing runs yet but the broker."""
    return make_portal()


def messages(portal: Portal) -> int:
    return int(portal.valkey.client.llen("celery"))


def test_the_timetable_outlives_a_flush_and_dead_beats(portal: Portal) -> None:
    beats = [portal.start_beat(), portal.start_beat()]
    eventually(lambda: messages(portal))

    portal.valkey.flush()
    eventually(lambda: messages(portal))
    assert all(beat.is_running for beat in beats)

    beats[0].kill()
    portal.valkey.client.delete("celery")
    eventually(lambda: messages(portal))
    beats[1].kill()
    beats.append(portal.start_beat())
    portal.valkey.client.delete("celery")
    eventually(lambda: messages(portal))


def test_the_timetable_goes_on_when_the_broker_comes_back(portal: Portal) -> None:
    beat = portal.start_beat()
    eventually(lambda: messages(portal))
    portal.valkey.process.kill()
    eventually(lambda: "timetable_without_broker" in beat.log)
    portal.valkey.start()
    portal.valkey.flush()
    eventually(lambda: messages(portal))
    assert beat.is_running
