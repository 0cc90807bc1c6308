"""What was asked of the simulator: one entry a request, never a credential."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Any

from vppportal.simulator.messages import Request

KEPT = 100_000
HIDDEN = {"inviteCode": "(hidden)"}


class RequestLog:
    """The last requests in order, and the highest number of parallel ones of each location."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything noted so far."""
        with self.lock:
            self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
            self.most_parallel: Counter[str] = Counter()
            self.number = 0

    def note(self, request: Request, status: int, error_number: int, started: float, fault: str) -> None:
        """Write one request down; the status is 0 when the connection was dropped instead of an answer."""
        seconds = time.monotonic() - started
        entry: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": {name: HIDDEN.get(name, value) for name, value in request.query.items()},
            "status": status,
            "errorNumber": error_number,
            "location": request.location,
            "at": round(time.time() - seconds, 4),
            "seconds": round(seconds, 5),
            "parallel": request.parallel,
            "fault": fault,
            **({"body": request.summary} if request.summary else {}),
        }
        with self.lock:
            self.number += 1
            entry["id"] = self.number
            self.entries.append(entry)
            if request.parallel > self.most_parallel[request.location]:
                self.most_parallel[request.location] = request.parallel

    def find(self, *, path: str = "", location: str = "", after: int = 0) -> list[dict[str, Any]]:
        """Entries whose path ends with `path`, of one location, after the entry with the id `after`."""
        with self.lock:
            entries = list(self.entries)
        return [
            entry
            for entry in entries
            if entry["id"] > after and entry["path"].endswith(path) and location in ("", entry["location"])
        ]

    def summary(self) -> dict[str, Any]:
        """Counts a test may want: how many, by path and status, and whether anybody was impolite."""
        with self.lock:
            entries, most = list(self.entries), dict(self.most_parallel)
        return {
            "requests": len(entries),
            "paths": Counter(f"{entry['method']} {entry['path']}" for entry in entries),
            "statuses": Counter(str(entry["status"]) for entry in entries),
            "mostParallel": most,
            "overParallel": sum(entry["parallel"] > 5 for entry in entries),
            "overRate": sum(entry["errorNumber"] == 9646 and not entry["fault"] for entry in entries),
        }
