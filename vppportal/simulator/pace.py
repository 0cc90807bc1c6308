"""How many requests a location makes: the rate Apple enforces and the parallel ones it only asks us to limit.

Answers take less than a millisecond, so parallel requests overlap here only when latency was ordered.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

# Clocks and networks are not exact: this many requests above the rate are let through in any one second.
ALLOWANCE = 5


class Pace:
    """Requests of each location within the last second, and those in progress."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.recent: defaultdict[str, deque[float]] = defaultdict(deque)
        self.running: Counter[str] = Counter()

    def forget(self) -> None:
        """Forget the requests that were let through."""
        with self.lock:
            self.recent.clear()

    def admit(self, location: str, rate: int) -> bool:
        """Whether one more request fits into the second that ends now; a refused one does not count."""
        now = time.monotonic()
        with self.lock:
            recent = self.recent[location]
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= rate + ALLOWANCE:
                return False
            recent.append(now)
            return True

    @contextmanager
    def count(self, location: str) -> Iterator[int]:
        """How many requests of the location are in progress, this one included."""
        with self.lock:
            self.running[location] += 1
            running = self.running[location]
        try:
            yield running
        finally:
            with self.lock:
                self.running[location] -= 1
