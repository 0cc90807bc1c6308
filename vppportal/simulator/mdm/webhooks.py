"""Telling the portal what devices said: once, in no promised order, and only a 200 counts - or worse, on order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from vppportal.simulator.timetable import Timetable

TIMEOUT = 10.0
SENDERS = 4
KEPT = 30_000
MODES = ("normal", "late", "twice", "never", "disorder")

Told = Callable[[int], None]


@dataclass
class Manner:
    """How events are delivered; changed by the control address."""

    mode: str = "normal"
    # How late in the mode "late", and the span over which "disorder" scatters them.
    seconds: float = 2.0
    # Only events of this topic, and only so many of them; everything else is delivered as usual.
    topic: str = ""
    times: int = -1


@dataclass(slots=True)
class Event:
    """One event on its way, or what became of it."""

    id: str
    topic: str
    device: str
    body: bytes
    signature: str
    state: str = "waiting"
    statuses: list[int] = field(default_factory=list)
    told: Told | None = None


class Webhooks:
    """The events of all devices; a few threads, so that a slow receiver holds up no device."""

    def __init__(self, url: str, key: str, seed: int) -> None:
        self.first_url, self.first_key, self.seed = url, key, seed
        self.lock = threading.Lock()
        self.timetable = Timetable("mdm webhooks")
        self.outbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.senders: list[threading.Thread] = []
        self.reset()

    def reset(self) -> None:
        """Forget what was sent, and deliver as usual from now on."""
        self.timetable.clear()
        with self.lock:
            self.url, self.key = self.first_url, self.first_key
            self.manner = Manner()
            self.random = random.Random(f"mdm webhooks:{self.seed}")
            self.events: deque[Event] = deque(maxlen=KEPT)
            self.withheld: list[Event] = []
            self.under_way = 0

    def close(self) -> None:
        """End the threads; what was not sent yet is lost."""
        self.timetable.close()
        for _ in self.senders:
            self.outbox.put(None)

    def send(self, topic: str, device: str, members: dict[str, Any], told: Told | None = None) -> None:
        """Tell one event; `told` hears the answer's status, unless it is withheld."""
        # Not drawn from the seed: a portal that outlives this process would take a repeated id for a repeated event.
        id = os.urandom(8).hex()
        body = encode({"topic": topic, "event_id": id, "created_at": nanoseconds(time.time_ns()), **members})
        event = Event(id, topic, device, body, sign(self.key, body) if self.key else "", told=told)
        with self.lock:
            self.events.append(event)
            pauses = self._pauses(event)
            self.under_way += len(pauses) if self.url else 0
        if not self.url:
            # Nobody to tell: it can be read at the control address.
            event.state = "kept"
            return
        for pause in pauses:
            if pause:
                self.timetable.after(pause, partial(self._post, event))
            else:
                self._post(event)

    def _pauses(self, event: Event) -> list[float]:
        manner = self.manner
        if manner.topic not in ("", event.topic) or manner.times == 0:
            return [0.0]
        manner.times -= manner.times > 0
        if manner.mode == "never":
            event.state = "withheld"
            self.withheld.append(event)
        return {
            "late": [manner.seconds],
            "twice": [0.0, 0.0],
            "never": [],
            "disorder": [self.random.uniform(0, manner.seconds)],
        }.get(manner.mode, [0.0])

    def release(self) -> int:
        """Send after all what was withheld; how many that were."""
        with self.lock:
            withheld, self.withheld = self.withheld, []
            self.under_way += len(withheld) if self.url else 0
        for event in withheld if self.url else ():
            self._post(event)
        return len(withheld)

    def _post(self, event: Event) -> None:
        with self.lock:
            if len(self.senders) < SENDERS:
                thread = threading.Thread(target=self._run, name="mdm webhooks sender", daemon=True)
                self.senders.append(thread)
                thread.start()
        self.outbox.put(event)

    def _run(self) -> None:
        while event := self.outbox.get():
            status = post(self.url, event.body, event.signature)
            event.statuses.append(status)
            is_taken = status == http.HTTPStatus.OK or event.state == "delivered"
            event.state = "delivered" if is_taken else "lost"
            if event.told:
                event.told(status)
            with self.lock:
                self.under_way = max(0, self.under_way - 1)

    def waiting(self) -> int:
        """How many deliveries are still to come."""
        with self.lock:
            return self.under_way

    def find(self, *, topic: str = "", device: str = "", after: str = "") -> list[Event]:
        """Events in the order in which they happened: of a topic, of a device, after the one with the id `after`."""
        with self.lock:
            events = list(self.events)
        if after:
            places = [place for place, event in enumerate(events) if event.id == after]
            events = events[places[0] + 1 :] if places else events
        return [event for event in events if topic in ("", event.topic) and device in ("", event.device)]


def encode(event: dict[str, Any]) -> bytes:
    """An event as NanoMDM writes it: names in order of the alphabet, no spaces."""
    return json.dumps(event, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sign(key: str, body: bytes) -> str:
    """The value of X-Hmac-Signature."""
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()


def nanoseconds(moment: int) -> str:
    """A time as Go writes it, with nine places after the second."""
    seconds, rest = divmod(moment, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def post(url: str, body: bytes, signature: str) -> int:
    """Post an event; the HTTP status, or 0 when no answer came."""
    address = urlsplit(url)
    headers = {"Content-Type": "application/json; charset=utf-8", "Connection": "close"}
    if signature:
        headers["X-Hmac-Signature"] = signature
    try:
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=TIMEOUT)
        try:
            connection.request("POST", address.path or "/", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        return 0
