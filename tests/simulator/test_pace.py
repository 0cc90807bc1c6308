"""The rate of requests is enforced for each location; parallel ones are only counted."""

from __future__ import annotations

import threading

import pytest

from vppportal.simulator.pace import ALLOWANCE, Pace

pytestmark = pytest.mark.alone


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("vppportal.simulator.pace.time", clock)
    return clock


def test_a_second_takes_the_rate_and_a_small_allowance(clock):
    pace = Pace()
    admitted = [pace.admit("a", 15) for _ in range(40)]
    assert admitted.count(True) == 15 + ALLOWANCE
    assert pace.admit("b", 15)


def test_an_even_pace_is_never_refused(clock):
    pace = Pace()
    for _ in range(200):
        clock.now += 1 / 15
        assert pace.admit("a", 15)


def test_refused_requests_do_not_make_the_wait_longer(clock):
    pace = Pace()
    for _ in range(100):
        pace.admit("a", 15)
    clock.now += 1
    assert pace.admit("a", 15)


def test_too_many_requests_are_answered_9646_with_retry_after(mdm, other, sim):
    sim.control("limits", maxRequestPerSecond=2)
    answers = [mdm.ask("GET", "/client/config") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {(one.json()["errorNumber"], one.headers["Retry-After"]) for one in refused} == {(9646, "1")}
    assert other("school").ask("GET", "/client/config").status_code == 200
    assert sim.world.log.summary()["overRate"] == len(refused)


def test_service_config_and_the_lookup_have_no_rate(mdm, sim):
    sim.control("limits", maxRequestPerSecond=1)
    assert [mdm.ask("GET", "/service/config").status_code for _ in range(12)] == [200] * 12
    assert [mdm.lookup("1")["results"] for _ in range(12)] == [{}] * 12


def test_more_than_five_parallel_requests_are_served_and_counted(other, sim):
    sim.control("latency", seconds=2.0, path="/assets")
    callers = [other("business") for _ in range(7)]
    statuses = []
    threads = [
        threading.Thread(target=lambda one=one: statuses.append(one.ask("GET", "/assets").status_code))
        for one in callers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 7
    summary = sim.world.log.summary()
    assert summary["mostParallel"]["business"] == 7
    assert summary["overParallel"] == 2
