"""Telling an MDM what happened: best effort, at most 100 elements each, up to three tries - or worse, on order."""

from __future__ import annotations

import http.client
import ipaddress
import json
import random
import socket
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from vppportal.simulator.location import Location, Webhook
from vppportal.simulator.timetable import Timetable

MOST_ELEMENTS = 100
TIMEOUT = 5.0
MODES = ("normal", "late", "twice", "never", "disorder")


@dataclass
class Manner:
    """How notifications are delivered; changed by the control address."""

    mode: str = "normal"
    # How late in the mode "late", and the span over which "disorder" scatters them.
    seconds: float = 2.0
    tries: int = 3
    retry_seconds: float = 2.0


@dataclass
class Delivery:
    """One notification on its way, or what became of it."""

    location: str
    notificationId: str
    notificationType: str
    elements: int
    state: str = "waiting"
    statuses: list[int] = field(default_factory=list)


class Notifications:
    """The deliveries of all locations; one thread, so that a slow receiver delays notifications and nothing else."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.manner = Manner()
        self.random = random.Random(f"notifications:{seed}")
        self.timetable = Timetable("deliveries")
        self.deliveries: deque[Delivery] = deque(maxlen=20_000)
        self.withheld: list[tuple[Delivery, Webhook, bytes]] = []
        self.lock = threading.Lock()

    def tell(self, location: Location, kind: str, content: dict[str, Any]) -> None:
        """Send one notification, if the location's MDM asked for this kind."""
        webhook = location.webhook
        if webhook and kind in webhook.types:
            self.send(location, kind, content, webhook)

    def send(
        self,
        location: Location,
        kind: str,
        content: dict[str, Any],
        webhook: Webhook,
        members: dict[str, Any] | None = None,
    ) -> None:
        """Send one notification whether asked for or not; `members` overrule those of the envelope."""
        envelope = {
            "notificationId": location.new_event_id(),
            "notificationType": kind,
            "uId": location.uid,
            "notification": content,
        }
        envelope |= members or {}
        delivery = Delivery(location.identity.key, str(envelope["notificationId"]), kind, _elements(content))
        body = json.dumps(envelope, ensure_ascii=False).encode()
        with self.lock:
            self.deliveries.append(delivery)
            if self.manner.mode == "never":
                delivery.state = "withheld"
                self.withheld.append((delivery, webhook, body))
                return
        for pause in self._pauses():
            self.timetable.after(pause, partial(self._attempt, delivery, webhook, body))

    def _pauses(self) -> list[float]:
        manner = self.manner
        return {
            "late": [manner.seconds],
            "twice": [0.0, 0.0],
            "disorder": [self.random.uniform(0, manner.seconds)],
        }.get(manner.mode, [0.0])

    def release(self) -> int:
        """Send after all what was withheld; how many that were."""
        with self.lock:
            withheld, self.withheld = self.withheld, []
        for entry in withheld:
            self.timetable.after(0, partial(self._attempt, *entry))
        return len(withheld)

    def _attempt(self, delivery: Delivery, webhook: Webhook, body: bytes) -> None:
        status = post(webhook, body)
        delivery.statuses.append(status)
        if 200 <= status < 300:
            delivery.state = "delivered"
        elif len(delivery.statuses) < self.manner.tries:
            self.timetable.after(self.manner.retry_seconds, partial(self._attempt, delivery, webhook, body))
        else:
            delivery.state = "lost"

    def report(self) -> list[dict[str, Any]]:
        """What was sent and what became of it, oldest first."""
        with self.lock:
            return [asdict(delivery) for delivery in self.deliveries]

    def reset(self) -> None:
        """Forget everything, also what is on its way."""
        self.timetable.clear()
        with self.lock:
            self.deliveries.clear()
            self.withheld.clear()
        self.manner = Manner()
        self.random = random.Random(f"notifications:{self.seed}")


def test_notification(location: Location, webhook: Webhook) -> bool:
    """Post a TEST_NOTIFICATION at once; whether the receiver took it."""
    envelope = {
        "notificationId": location.new_event_id(),
        "notificationType": "TEST_NOTIFICATION",
        "uId": location.uid,
        "notification": {},
    }
    return 200 <= post(webhook, json.dumps(envelope).encode()) < 300


def post(webhook: Webhook, body: bytes) -> int:
    """Post a notification; the HTTP status, or 0 when no answer came. Redirects are not followed."""
    try:
        return _post(webhook, body)
    except (OSError, ValueError, http.client.HTTPException):
        # A ValueError is an address or a bearer that cannot be sent at all.
        return 0


def _post(webhook: Webhook, body: bytes) -> int:
    address = urlsplit(webhook.url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {webhook.auth_token}"}
    try:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request("POST", address.path or "/", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def is_loopback(host: str) -> bool:
    """Whether an address can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def chunks(elements: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    """The elements in portions that fit into one notification each."""
    for start in range(0, len(elements), MOST_ELEMENTS):
        yield elements[start : start + MOST_ELEMENTS]


def _elements(content: dict[str, Any]) -> int:
    return sum(len(value) for value in content.values() if isinstance(value, list)) or 1
