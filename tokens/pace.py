"""How fast one location may be asked: a rate shared by all processes, and a pause when Apple asks for one."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import Final, Protocol, cast

import redis
import structlog

log = structlog.get_logger(__name__)

PATIENCE: Final = 3.0
RETRY_REDIS_AFTER: Final = 5.0
LONGEST_HOLD: Final = 6 * 3600.0


class OnHold(Exception):
    """The location must not be asked for another `seconds`, which is too long to sleep in a worker."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"on hold for another {seconds:.0f} s")
        self.seconds = seconds


class Pace(Protocol):
    """Anything that can make callers take turns."""

    def wait(self, key: str, per_second: float) -> None:
        """Return when it is the caller's turn; raise `OnHold` when that takes longer than a few seconds."""

    def hold(self, key: str, seconds: float) -> None:
        """Let nobody ask before that many seconds have passed."""


class NoPace:
    """No rate at all, for tests and benchmarks."""

    def wait(self, key: str, per_second: float) -> None:
        """Return at once."""

    def hold(self, key: str, seconds: float) -> None:
        """Forget it."""


def _shape(per_second: float) -> tuple[int, float]:
    """Return how many turns there are, and in how many seconds: a burst of about one second's worth."""
    turns = max(int(per_second), 1)
    return turns, turns / max(per_second, 0.001)


class LocalPace:
    """Turns among the threads of one process: at most the rate in *any* second, however the bursts fall."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: defaultdict[str, deque[float]] = defaultdict(deque)
        self._holds: dict[str, float] = {}

    def wait(self, key: str, per_second: float) -> None:
        """Return when it is the caller's turn; raise `OnHold` when a pause lasts longer than a few seconds."""
        number, window = _shape(per_second)
        with self._lock:
            now = time.monotonic()
            held = self._holds.get(key, now) - now
            if held > PATIENCE:
                raise OnHold(held)
            turns = self._turns[key]
            turn = max(now + max(held, 0.0), turns[-1] if turns else 0.0)
            if len(turns) >= number:
                turn = max(turn, turns[-number] + window)
            turns.append(turn)
            while len(turns) > number:
                turns.popleft()
        time.sleep(max(turn - now, 0.0))

    def hold(self, key: str, seconds: float) -> None:
        """Let nobody ask before that many seconds have passed."""
        with self._lock:
            end = time.monotonic() + min(max(seconds, 0.0), LONGEST_HOLD)
            self._holds[key] = max(end, self._holds.get(key, 0.0))

    def held_for(self, key: str) -> float:
        """Return for how many seconds nobody may ask, 0 when anybody may."""
        return max(self._holds.get(key, 0.0) - time.monotonic(), 0.0)


class RedisPace:
    """Turns among all processes that share a Redis; without it, each process keeps the pace by itself.

    The clock is that of Redis. A turn is booked and then slept for, so nobody polls and nobody starves.
    Give it a client with short time-outs and `Retry(NoBackoff(), 1)`: they are waited for when Redis is away.
    """

    def __init__(self, server: redis.Redis, prefix: str = "pace:") -> None:
        self._prefix, self._local = prefix, LocalPace()
        self._book = server.register_script(_BOOK)
        self._hold = server.register_script(_HOLD)
        self._ask_redis_at = 0.0
        self._is_reachable = True

    def wait(self, key: str, per_second: float) -> None:
        """Return when it is the caller's turn; raise `OnHold` when a pause lasts longer than a few seconds."""
        number, window = _shape(per_second)
        booked = self._run(self._book, key, [number, round(window * 1e6), round(PATIENCE * 1000)])
        if booked is None:
            self._local.wait(key, per_second)
            return
        is_held, milliseconds = booked
        seconds = max(milliseconds / 1000, self._local.held_for(key))
        if is_held or seconds > max(PATIENCE, milliseconds / 1000):
            raise OnHold(seconds)
        time.sleep(seconds)

    def hold(self, key: str, seconds: float) -> None:
        """Let nobody ask before that many seconds have passed."""
        self._local.hold(key, seconds)
        self._run(self._hold, key, [round(min(max(seconds, 0.0), LONGEST_HOLD) * 1000)])

    def _run(self, script: redis.commands.core.Script, key: str, arguments: list[int]) -> list[int] | None:
        """Return what a script answers, None when Redis cannot be reached (it is then left alone for a while)."""
        if time.monotonic() < self._ask_redis_at:
            return None
        keys = [f"{self._prefix}{{{key}}}:turns", f"{self._prefix}{{{key}}}:hold"]
        try:
            answer = cast(list[int], script(keys=keys, args=arguments))
        except (redis.RedisError, OSError) as error:
            self._ask_redis_at = time.monotonic() + RETRY_REDIS_AFTER
            if self._is_reachable:
                log.warning("pace_without_redis", error=type(error).__name__)
            self._is_reachable = False
            return None
        self._is_reachable = True
        return answer


# KEYS: turns, hold. ARGV: turns a window, window in microseconds, patience in milliseconds.
# The list holds the last turns given, newest first; a new one comes no sooner than one window after the n-th before it.
_BOOK: Final = """
local held = math.max(redis.call('PTTL', KEYS[2]), 0)
if held > tonumber(ARGV[3]) then return {1, held} end
local number, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local newest, nth = redis.call('LINDEX', KEYS[1], 0), redis.call('LINDEX', KEYS[1], number - 1)
local turn = math.max(now + held * 1000, tonumber(newest or 0))
if nth then turn = math.max(turn, tonumber(nth) + window) end
redis.call('LPUSH', KEYS[1], string.format('%.0f', turn))
redis.call('LTRIM', KEYS[1], 0, number - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil((turn - now + window) / 1000) + 1000)
return {0, math.ceil((turn - now) / 1000)}
"""

# KEYS: turns, hold. ARGV: milliseconds. A shorter hold never ends a longer one.
_HOLD: Final = """
local asked = tonumber(ARGV[1])
if asked > 0 and asked > redis.call('PTTL', KEYS[2]) then redis.call('SET', KEYS[2], '1', 'PX', asked) end
return {0, 0}
"""
