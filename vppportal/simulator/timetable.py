"""Things that happen later: one thread that does each at its time."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Timetable:
    """A heap of due actions; equal times keep their order."""

    def __init__(self, name: str) -> None:
        self.condition = threading.Condition()
        self.entries: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.is_closed = False
        self.busy = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do `action` once, `seconds` from now."""
        with self.condition:
            heapq.heappush(self.entries, (time.monotonic() + seconds, next(self.numbers), action))
            self.condition.notify()

    def clear(self) -> None:
        """Forget everything that has not happened yet."""
        with self.condition:
            self.entries.clear()

    def close(self) -> None:
        """End the thread; what is still due does not happen."""
        with self.condition:
            self.is_closed = True
            self.condition.notify()
        self.thread.join(timeout=10)

    def waiting(self) -> int:
        """How much is still to come, what is being done included."""
        with self.condition:
            return len(self.entries) + self.busy

    def _next(self) -> Callable[[], None] | None:
        with self.condition:
            self.busy = False
            while not self.is_closed:
                pause = self.entries[0][0] - time.monotonic() if self.entries else None
                if pause is not None and pause <= 0:
                    self.busy = True
                    return heapq.heappop(self.entries)[2]
                self.condition.wait(pause)
        return None

    def _run(self) -> None:
        while action := self._next():
            action()
