"""Taking turns: among threads, among processes that share a Redis, and without it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.processes import Valkey
from tokens.pace import LocalPace, NoPace, OnHold, Pace, RedisPace

pytestmark = pytest.mark.alone


@pytest.fixture
def server(valkey: Valkey) -> redis.Redis:
    return valkey.client


@pytest.fixture(params=["one process", "redis"])
def pace(request: pytest.FixtureRequest, server: redis.Redis) -> Pace:
    return LocalPace() if request.param == "one process" else RedisPace(server)


def turns(pace: Pace, number: int, per_second: float, threads: int = 1) -> list[float]:
    taken: list[float] = []

    def take() -> None:
        for _ in range(number // threads):
            pace.wait("here", per_second)
            taken.append(time.monotonic())

    workers = [threading.Thread(target=take) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(taken)


def test_a_burst_of_one_second_passes_at_once(pace):
    taken = turns(pace, 15, 15)
    assert taken[-1] - taken[0] < 0.5


def test_no_second_has_more_turns_than_the_rate_whoever_takes_them(pace):
    taken = turns(pace, 50, 20, threads=5)
    assert all(later - earlier > 0.95 for earlier, later in zip(taken, taken[20:], strict=False))
    assert taken[-1] - taken[0] < 3.0


def test_a_rate_below_one_a_second_is_kept(pace):
    taken = turns(pace, 3, 0.8)
    assert all(later - earlier > 1.2 for earlier, later in pairwise(taken))


def test_every_location_has_a_rate_of_its_own(pace):
    begun = time.monotonic()
    for key in ("a", "b", "c"):
        for _ in range(10):
            pace.wait(key, 10)
    assert time.monotonic() - begun < 0.9


def test_a_long_pause_is_told_at_once(pace):
    pace.hold("here", 60)
    begun = time.monotonic()
    with pytest.raises(OnHold) as raised:
        pace.wait("here", 15)
    assert time.monotonic() - begun < 0.5
    assert raised.value.seconds == pytest.approx(60, abs=1)
    pace.wait("there", 15)


def test_a_short_pause_is_slept_through(pace):
    pace.hold("here", 0.5)
    begun = time.monotonic()
    pace.wait("here", 15)
    assert 0.4 < time.monotonic() - begun < 1.0


def test_a_shorter_pause_does_not_end_a_longer_one(pace):
    pace.hold("here", 60)
    pace.hold("here", 1)
    pace.hold("here", 0)
    pace.hold("here", -5)
    with pytest.raises(OnHold):
        pace.wait("here", 15)


def test_no_pause_lasts_longer_than_six_hours(pace):
    pace.hold("here", 10.0**9)
    with pytest.raises(OnHold) as raised:
        pace.wait("here", 15)
    assert raised.value.seconds <= 6 * 3600


def test_processes_share_rate_and_pause(server, valkey):
    program = (
        "import sys, time, redis; from tokens.pace import RedisPace\n"
        "pace = RedisPace(redis.Redis.from_url(sys.argv[1]))\n"
        "for _ in range(15): pace.wait('here', 10); print(time.time())\n"
    )
    root = Path(__file__).resolve().parents[2]
    workers = [
        subprocess.Popen([sys.executable, "-c", program, valkey.url], stdout=subprocess.PIPE, text=True, cwd=root)
        for _ in range(2)
    ]
    taken = sorted(float(line) for worker in workers for line in worker.communicate()[0].splitlines())
    assert len(taken) == 30
    assert all(later - earlier > 0.9 for earlier, later in zip(taken, taken[10:], strict=False))
    RedisPace(server).hold("here", 30)
    with pytest.raises(OnHold):
        RedisPace(server).wait("here", 10)


def test_nothing_is_left_in_redis_after_a_while(server):
    pace = RedisPace(server)
    pace.wait("here", 15)
    pace.hold("here", 30)
    keys = server.keys("pace:*")
    assert len(keys) == 2
    assert all(0 < server.ttl(key) <= 30 for key in keys)


def patient_with_nobody(url: str) -> redis.Redis:
    """Make a client as `RedisPace` wants it: short time-outs, no waiting between tries."""
    return redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5, retry=Retry(NoBackoff(), 1))


def unreachable() -> redis.Redis:
    return patient_with_nobody("redis://127.0.0.1:1")


def test_without_redis_each_process_keeps_the_pace_and_says_so_once():
    pace = RedisPace(unreachable())
    with structlog.testing.capture_logs() as events:
        taken = turns(pace, 25, 20)
    assert taken[-1] - taken[0] > 0.9
    assert [event["event"] for event in events] == ["pace_without_redis"]


def test_without_redis_a_pause_is_kept_in_this_process():
    pace = RedisPace(unreachable())
    pace.hold("here", 60)
    with pytest.raises(OnHold):
        pace.wait("here", 15)


def test_a_pause_survives_a_flushed_redis(server):
    pace = RedisPace(server)
    pace.hold("here", 60)
    server.flushall()
    with pytest.raises(OnHold):
        pace.wait("here", 15)


def test_redis_is_used_again_when_it_is_back(tmp_path):
    valkey = Valkey(tmp_path)
    client = patient_with_nobody(valkey.url)
    pace = RedisPace(client)
    try:
        pace.wait("here", 15)
        valkey.process.stop()
        pace.wait("here", 15)
        valkey.start()
        valkey.flush()
        pace._ask_redis_at = 0.0
        pace.wait("here", 15)
        assert valkey.client.keys("pace:*")
    finally:
        client.close()
        valkey.stop()


def test_no_pace_waits_for_nothing():
    pace = NoPace()
    pace.hold("here", 60)
    pace.wait("here", 0.001)
