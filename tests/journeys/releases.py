"""New versions of an app in a running portal: shipped, looked for, and seen from all sides."""

from __future__ import annotations

import html
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from celery import Celery

from catalog.models import App, Command, Installation, UpdateWindow
from tests.journeys.company import WITHIN, Company
from tests.processes import eventually
from vppportal.groups.models import Device

BETWEEN_TAGS = re.compile(r"<[^>]+>")


class Releases:
    """The versions of one app of a company."""

    def __init__(self, company: Company, app: int) -> None:
        self.company, self.app = company, app
        self.adam_id = company.adam_id(app)
        with company.portal.database():
            self.bundle_id = App.objects.select_related("listing").get(pk=app).listing.bundle_id

    def ship(self, **facts: Any) -> int:
        """Publish a new version and look for it as an administrator does; return its external version id."""
        shipped = self.company.simulator.tell("ship", adamId=self.adam_id, **facts)
        self.look()
        return int(shipped["externalId"])

    def look(self) -> None:
        """Ask for the store to be asked."""
        answer = self.company.portal.post(self.company.session, f"/catalog/{self.app}/updates/check/", {})
        assert answer.ok, answer.text[-3000:]

    def rules(self, **fields: Any) -> None:
        """Change the update rules of the app."""
        with self.company.portal.database():
            App.objects.filter(pk=self.app).update(**fields)

    def on_devices(self) -> Counter[int]:
        """Which versions are really on how many devices."""
        found = self.company.simulator.ask("mdm-devices")["devices"]
        return Counter(device["installed"][self.bundle_id] for device in found if self.bundle_id in device["installed"])

    def as_told(self) -> Counter[int | None]:
        """Which versions the portal knows to be on how many devices."""
        with self.company.portal.database():
            rows = Installation.objects.filter(app=self.app, state="installed")
            return Counter(rows.values_list("external_version_id", flat=True))

    def reaches(self, versions: dict[int, int], within: float = WITHIN) -> None:
        """Wait until the portal knows from their lists that devices have these versions, and see that it is true."""
        wanted = Counter(versions)
        try:
            eventually(lambda: self.as_told() == wanted and self.on_devices() == wanted, within, every=0.2)
        except AssertionError as error:
            with self.company.portal.database():
                rows = list(
                    Installation.objects.filter(app=self.app).values(
                        "state", "external_version_id", "update_state", "update_to", "update_tries", "update_details"
                    )
                )
            raise AssertionError(f"{self.on_devices()}\n{rows}\n{self.company.troubles}") from error

    def updates(self) -> Counter[str]:
        """How far the updates are that were ever sent, as commands by their status."""
        with self.company.portal.database():
            sent = Command.objects.filter(installation__app=self.app, updates_to__isnull=False)
            return Counter(sent.values_list("status", flat=True))

    def installs(self) -> int:
        """How many commands to install or update an app the MDM server was ever given, for whatever app."""
        return int(self.company.simulator.ask("mdm")["kinds"].get("InstallApplication", 0))

    def page(self, path: str = "") -> str:
        """The words of a page below the app's."""
        return words(self.company, f"/catalog/{self.app}/{path}")


def words(company: Company, path: str) -> str:
    """Return what is written on a page, without its tags."""
    answer = company.session.get(f"{company.portal.url}{path}", timeout=60)
    assert answer.ok, (path, answer.status_code, answer.text[-3000:])
    return words_of(answer)


def words_of(answer: requests.Response) -> str:
    """Return what is written on the page of an answer, without its tags."""
    return " ".join(html.unescape(BETWEEN_TAGS.sub(" ", answer.text)).split())


def hurry(company: Company, *tasks: str, times: int = 1) -> None:
    """Nudge workers, so often: what beat does sooner or later."""
    # Not as the current application of this process: other tests nudge through that one.
    with Celery(broker=company.portal.valkey.url, set_as_current=False) as nudging:
        for _ in range(times):
            for task in tasks:
                nudging.send_task(task)


def window_around_now(company: Company, name: str) -> int:
    """Keep an update window that is open for three hours in UTC, every day of the week; return its key."""
    now = datetime.now(UTC)
    start, end = ((now + timedelta(hours=hours)).time().replace(second=0, microsecond=0) for hours in (-1, 2))
    with company.portal.database():
        window = UpdateWindow.objects.create(name=name, weekdays=list(range(7)), start=start, end=end)
    return int(window.pk)


def knows_time_zones(company: Company, devices: list[int]) -> None:
    """Wait until devices have told where they are."""

    def told() -> bool:
        with company.portal.database():
            return not Device.objects.filter(pk__in=devices, time_zone="").exists()

    eventually(told, WITHIN, every=0.2)
