"""Asynchronous requests: they take time, may fail in part, and are reported by notifications and by their status."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vppportal.simulator.errors import error_body
from vppportal.simulator.location import Location
from vppportal.simulator.notifications import Notifications, chunks
from vppportal.simulator.timetable import Timetable


@dataclass
class Failure:
    """Units that failed for one reason: their number, what they name, and how a notification lists them."""

    number: int
    info: dict[str, Any]
    elements: list[dict[str, Any]]


@dataclass
class Outcome:
    """What an event did: the elements of its notifications, and its failures."""

    done: list[dict[str, Any]]
    failures: list[Failure] = field(default_factory=list)


@dataclass
class Event:
    """One queued request."""

    id: str
    kind: str
    location: str
    requested: int
    completed: int = 0
    status: str = "PENDING"
    failures: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The members of a status answer."""
        body: dict[str, Any] = {
            "eventStatus": self.status,
            "eventType": self.kind,
            "numCompleted": self.completed,
            "numRequested": self.requested,
        }
        if self.failures:
            body["failures"] = self.failures
        return body


@dataclass
class Order:
    """How the next event is to go wrong."""

    # This many of its units, from the last one back, fail with this number.
    fail: int = 0
    error_number: int = 9603
    pending: bool = False
    # Apple does not know the event afterwards (9708), although it is carried out.
    forget: bool = False
    seconds: float | None = None


Work = Callable[[Order], Outcome]


class Events:
    """Every event of every location, and how events behave."""

    def __init__(self, notifications: Notifications, seconds: float) -> None:
        self.notifications = notifications
        self.seconds = self.usual_seconds = seconds
        # How long after an event is complete its assignments are listed.
        self.lag = 0.0
        self.failing: dict[str, int] = {}
        self.orders: list[Order] = []
        self.events: dict[str, Event] = {}
        self.stuck: list[Callable[[], None]] = []
        self.timetable = Timetable("events")
        self.lock = threading.Lock()

    def queue(self, location: Location, kind: str, requested: int, work: Work) -> Event:
        """Take a request in; `work` is carried out when its time has come."""
        event = Event(location.new_event_id(), kind, location.uid, requested)
        with self.lock:
            order = self.orders.pop(0) if self.orders else Order()
            if not order.forget:
                self.events[event.id] = event
            action = partial(self._carry_out, location, event, work, order)
            if order.pending:
                self.stuck.append(action)
                return event
        self.timetable.after(self.seconds if order.seconds is None else order.seconds, action)
        return event

    def _carry_out(self, location: Location, event: Event, work: Work, order: Order) -> None:
        outcome = work(order)
        failed = sum(len(failure.elements) for failure in outcome.failures)
        event.completed = event.requested - failed
        event.failures = [error_body(failure.number, failure.info) for failure in outcome.failures]
        event.status = "FAILED" if failed else "COMPLETE"
        self._report(location, event, outcome)

    def _report(self, location: Location, event: Event, outcome: Outcome) -> None:
        is_users = event.kind in ("CREATE", "UPDATE", "RETIRE")
        kind, listing = ("USER_MANAGEMENT", "users") if is_users else ("ASSET_MANAGEMENT", "assignments")
        content = {"eventId": event.id, "type": event.kind}
        for part in chunks(outcome.done):
            self.notifications.tell(location, kind, content | {"result": "SUCCESS", listing: part})
        for failure in outcome.failures:
            trouble = {"result": "FAILURE", "error": error_body(failure.number)}
            for part in chunks(failure.elements):
                self.notifications.tell(location, kind, content | trouble | {listing: part})

    def find(self, location: Location, event_id: str) -> Event | None:
        """An event of this location."""
        event = self.events.get(event_id)
        return event if event and event.location == location.uid else None

    def release(self) -> int:
        """Carry out the events that were ordered to stay pending; how many that were."""
        with self.lock:
            stuck, self.stuck = self.stuck, []
        for action in stuck:
            self.timetable.after(0, action)
        return len(stuck)

    def reset(self) -> None:
        """Forget all events and orders."""
        self.timetable.clear()
        with self.lock:
            self.events.clear()
            self.orders.clear()
            self.failing.clear()
            self.stuck.clear()
        self.lag, self.seconds = 0.0, self.usual_seconds
