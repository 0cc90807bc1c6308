"""A company in a running portal: its tokens, people and devices, and what both sides know of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from pytest_django import DjangoDbBlocker

from catalog.models import App, Distribution, Installation
from tests.journeys.stories import upload
from tests.portal import Portal, Template
from tests.processes import Simulator, eventually
from tokens.models import Asset, ContentToken
from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.simulator.mdm.service import API_KEY, WEBHOOK_KEY

WITHIN = 90.0


@contextmanager
def opened(folder: Path, template: Template, blocker: DjangoDbBlocker, workers: int = 1) -> Iterator[Company]:
    """Start a portal, the simulator with its MDM server, and sign in."""
    portal = Portal(folder, template, blocker)
    simulator = Simulator(folder, "--mdm-webhook-url", f"{portal.url}/mdm/events/", "--event-seconds", "0.1")
    portal.environment |= {
        "APPLE_VPP_URL": simulator.apple,
        "ARTWORK_SOURCES": simulator.url,
        "NANOMDM_URL": simulator.mdm,
        "NANOMDM_API_KEY": API_KEY,
        "NANOMDM_WEBHOOK_KEY": WEBHOOK_KEY,
        "PORTAL_URL": portal.url,
        "EMAIL_URL": f"filemail:///{folder / 'mail'}",
    }
    try:
        portal.start_all(workers=workers)
        yield Company(portal, simulator, portal.sign_in(), folder)
    finally:
        portal.stop()
        simulator.stop()
        template.drop(portal.database_url)


class Company:
    """What the journeys do and see; every journey works with locations, people and devices of its own."""

    def __init__(self, portal: Portal, simulator: Simulator, session: requests.Session, folder: Path) -> None:
        self.portal, self.simulator, self.session, self.folder = portal, simulator, session, folder

    def location(self, **choices: Any) -> str:
        """Make an empty location and upload its token; return the location's key."""
        key = f"place-{uuid.uuid4().hex[:8]}"
        made = self.simulator.tell("locations", key=key, assets=0)
        file = self.folder / f"{key}.vpptoken"
        file.write_text(made["token"])
        policies = {"remove_on_stop": "on", "remove_on_selective_wipe": "on", "name": key}
        fields = policies | choices
        page = upload(self.portal, self.session, file, fields.pop("name"), **fields)
        assert "Active" in page.text, page.text[-3000:]
        eventually(lambda: self._is_synced(key), WITHIN)
        return key

    def _is_synced(self, location: str) -> bool:
        with self.portal.database():
            return ContentToken.objects.filter(name=location, synced_at__isnull=False).exists()

    def app(self, *locations: str, licenses: int, adam_id: str = "", custom: bool = False) -> int:
        """Buy licenses of one app at each location; return its key in the catalog once it is there."""
        for location in locations:
            facts = {"name": f"App {location}", "custom": custom}
            bought = self.simulator.tell("add-app", location=location, adamId=adam_id, count=licenses, **facts)
            adam_id = bought["adamId"]
            self.sync(location)
        return int(eventually(lambda: self._app(adam_id, len(locations)), WITHIN))

    def _app(self, adam_id: str, owners: int) -> int | None:
        with self.portal.database():
            app = App.objects.filter(adam_id=adam_id).first()
            owned = Asset.objects.filter(adam_id=adam_id).values("token").distinct().count()
            return app.pk if app and owned == owners else None

    def sync(self, location: str) -> None:
        self.portal.post(self.session, f"/tokens/{self.token(location)}/sync/", {})

    def token(self, location: str) -> int:
        with self.portal.database():
            return ContentToken.objects.get(name=location).pk

    def adam_id(self, app: int) -> str:
        with self.portal.database():
            return App.objects.get(pk=app).adam_id

    def people(self, number: int, group: str = "", account_at: str = "") -> list[int]:
        """Add people, in a group and with accounts of a location's organization where these are named."""
        with self.portal.database():
            members = []
            for _ in range(number):
                name = f"person-{uuid.uuid4().hex[:8]}"
                email = f"{name}@example.com"
                account_name = f"{name}@{account_at}.example" if account_at else ""
                members.append(ManagedUser.objects.create(name=name, email=email, managed_apple_account=account_name))
            if group:
                made, _ = UserGroup.objects.get_or_create(name=group)
                made.people.add(*members)
            return [person.pk for person in members]

    def group(self, name: str) -> int:
        with self.portal.database():
            return UserGroup.objects.get_or_create(name=name)[0].pk

    def devices(self, number: int = 0, owners: Sequence[int] = (), **facts: Any) -> list[int]:
        """Enroll devices, so many of nobody or one for each owner; return their keys once the portal knows them."""
        with self.portal.database():
            people = {person.pk: person for person in ManagedUser.objects.filter(pk__in=list(owners))}
        described: list[dict[str, Any]] = [
            {"owner": people[pk].email, "account": people[pk].managed_apple_account or people[pk].email, **facts}
            for pk in owners
        ]
        made = self.simulator.tell("mdm-add", devices=described or [facts] * number)["devices"]
        keys = eventually(lambda: self._enrolled([device["id"] for device in made]), WITHIN)
        with self.portal.database():
            for key, owner in zip(keys, owners, strict=False):
                Device.objects.filter(pk=key).update(owner=owner)
        return keys

    def _enrolled(self, ids: list[str]) -> list[int] | None:
        with self.portal.database():
            known = dict(Device.objects.enrolled().filter(enrollment_id__in=ids).values_list("enrollment_id", "pk"))
        return [known[one] for one in ids] if len(known) == len(ids) else None

    def serials(self, devices: Iterable[int]) -> list[str]:
        with self.portal.database():
            return list(Device.objects.filter(pk__in=list(devices)).values_list("serial_number", flat=True))

    def ask_to_distribute(self, app: int, submission: str = "", **audience: Any) -> requests.Response:
        """Fill in the form and send it; return what is answered."""
        submission = submission or str(uuid.uuid4())
        form = {"submission": submission, "license_kind": "automatic", "when": "now", "priority": "100", **audience}
        return self.portal.post(self.session, f"/catalog/{app}/distribute/", form)

    def distribute(self, app: int, **audience: Any) -> int:
        """Fill in the form, look at the preview and start; return the distribution."""
        submission = str(uuid.uuid4())
        preview = self.ask_to_distribute(app, submission, **audience)
        assert preview.url.endswith(f"/{submission}/preview/"), preview.text[-3000:]
        self.portal.post(self.session, f"/catalog/distributions/{submission}/start/", {})
        with self.portal.database():
            return Distribution.objects.get(submission=submission, state="active").pk

    def stop(self, distribution: int) -> None:
        self.portal.post(self.session, f"/catalog/distributions/{distribution}/stop/", {})

    def states(self, app: int) -> Counter[str]:
        """How many installations of an app are in which state."""
        with self.portal.database():
            return Counter(Installation.objects.filter(app=app).values_list("state", flat=True))

    def reaches(self, app: int, within: float = WITHIN, **states: int) -> None:
        """Wait until the installations of an app are in these states, and in no others."""
        try:
            eventually(lambda: self.states(app) == Counter(states), within, every=0.2)
        except AssertionError as error:
            with self.portal.database():
                rows = list(
                    Installation.objects.filter(app=app).values("state", "reason", "details", "holder", "tries")
                )
            raise AssertionError(f"{rows}\n{self.troubles}") from error

    @property
    def troubles(self) -> str:
        """What any process of the portal complained about."""
        lines = [line for line in self.portal.log.splitlines() if '"level": "info"' not in line]
        return "\n".join(lines[-60:])

    def held(self, *locations: str) -> list[int]:
        """How many licenses are assigned at Apple, location by location."""
        known = {one["key"]: one["assignments"] for one in self.simulator.ask("locations")["locations"]}
        return [known[location] for location in locations]

    def on_devices(self, app: int) -> int:
        """On how many of all devices the app really is."""
        with self.portal.database():
            bundle_id = App.objects.select_related("listing").get(pk=app).listing.bundle_id
        found = self.simulator.ask("mdm-devices")["devices"]
        return sum(1 for device in found if bundle_id in device["installed"])

    def bought(self, location: str, app: int, number: int) -> None:
        self.simulator.tell("buy", location=location, adamId=self.adam_id(app), count=number)
