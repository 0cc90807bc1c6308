"""Everything the simulator knows, in one place; `reset` goes back to where the seed starts."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vppportal.simulator import samples
from vppportal.simulator.events import Events
from vppportal.simulator.faults import Faults
from vppportal.simulator.location import Location
from vppportal.simulator.mdm import company
from vppportal.simulator.mdm.fleet import Fleet
from vppportal.simulator.mdm.gate import Gate
from vppportal.simulator.mdm.service import Options, Service
from vppportal.simulator.notifications import Notifications
from vppportal.simulator.pace import Pace
from vppportal.simulator.requestlog import RequestLog
from vppportal.simulator.store import Store
from vppportal.simulator.tokens import VALID_FOR, Token, issue, read_file, secret_of

LIMITS = {
    "maxAssets": 25,
    "maxClientUserIds": 1000,
    "maxSerialNumbers": 1000,
    "maxRevokeClientUserIds": 100,
    "maxRevokeSerialNumbers": 100,
    "maxUsers": 100,
    "maxNotificationLength": 512,
    "maxRequestPerSecond": 15,
    "maxMdmIdLength": 100,
    "maxMdmNameLength": 100,
    "maxMdmMetadataLength": 255,
    "maxSubscriptions": 25,
    "maxSubscriptionClientUserIds": 1000,
}
PAGE_SIZE = 549


class World:
    """Locations, their tokens, the store, the MDM server with its devices, orders of trouble, and the request log."""

    def __init__(
        self,
        seed: int = 1,
        *,
        page_size: int = PAGE_SIZE,
        event_seconds: float = 0.3,
        folder: Path | None = None,
        mdm: Options | None = None,
        run: str = "",
    ) -> None:
        self.run = run
        self.seed, self.usual_page_size, self.folder = seed, page_size, folder
        self.url = ""
        # The sample tokens count their year from here, so that a reset issues the very same files again.
        self.started_at = datetime.now(UTC)
        self.lock = threading.RLock()
        self.log, self.faults, self.pace = RequestLog(), Faults(), Pace()
        self.notifications = Notifications(seed)
        self.events = Events(self.notifications, event_seconds)
        self.store = Store()
        self.locations: dict[str, Location] = {}
        self.tokens: dict[str, Token] = {}
        self.mdm, self.gate = Service(mdm or Options(), seed), Gate()
        self.fleet = Fleet(self)
        self._fill()
        if folder:
            company.write_files(seed, folder)

    def _fill(self) -> None:
        self.page_size = self.usual_page_size
        self.limits = dict(LIMITS)
        self.random = random.Random(f"world:{self.seed}")
        self.made = 0
        samples.fill(self)
        if self.mdm.options.has_sample_devices:
            company.enroll(self)

    def reset(self) -> None:
        """Forget all that happened: locations, orders, events, log. The tokens of the samples stay the same."""
        with self.lock:
            self.faults.clear()
            self.events.reset()
            self.notifications.reset()
            self.store.products.clear()
            self.store.makers.clear()
            self.locations.clear()
            self.tokens.clear()
            self.gate.open()
            self.fleet.reset()
            self.mdm.reset()
            self._fill()
            self.pace.forget()
            self.log.clear()

    def close(self) -> None:
        """End the threads of events, deliveries and devices."""
        self.events.timetable.close()
        self.notifications.timetable.close()
        self.fleet.close()
        self.mdm.webhooks.close()

    def location(self, key: str) -> Location:
        """A location by its key or uId."""
        for location in self.locations.values():
            if key in (location.identity.key, location.uid):
                return location
        raise KeyError(f"there is no location {key}; there are {', '.join(self.locations)}")

    def tokens_of(self, key: str) -> list[Token]:
        """All tokens ever issued for a location, oldest first."""
        return [token for token in self.tokens.values() if token.location == key]

    def issue(self, location: Location, days: float | None = None, issued_at: datetime | None = None) -> Token:
        """Issue one more token for a location; those issued before stay valid unless revoked.

        A file of an earlier run with the same seed is taken over, so that a portal which kept it can go on using it.
        """
        with self.lock:
            key = location.identity.key
            number = len(self.tokens_of(key)) + 1
            expires_at = (issued_at or datetime.now(UTC)) + (VALID_FOR if days is None else timedelta(days=days))
            token = issue(self.seed, key, number, location.identity.organization, expires_at)
            if self.folder:
                self._adopt_or_write(token, self.folder / token.file_name, keep=days is None)
            self.tokens[token.text] = token
            return token

    def adopt_renewals(self, location: Location) -> None:
        """Take over the later files of a location, which an earlier run with the same seed has written."""
        key = location.identity.key
        while self.folder:
            number = len(self.tokens_of(key)) + 1
            earlier = read_file(self.folder / f"sToken_for_{key}_{number}.vpptoken")
            if earlier is None or earlier[1] != secret_of(self.seed, key, number):
                break
            self.issue(location)

    def _adopt_or_write(self, token: Token, path: Path, *, keep: bool) -> None:
        earlier = read_file(path) if keep else None
        if earlier and earlier[1] == token.secret and earlier[2] > datetime.now(UTC) + timedelta(days=1):
            token.text, _, token.expires_at = earlier
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(token.text, "ascii")
