"""A device is asked by hand which apps are on it, and what it tells is shown to those who may control devices."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from catalog import installed
from catalog.installed import Installed
from catalog.models import Command, CommandKind, CommandStatus, DeviceEvent
from tests.channel import answer, refusal, told
from tests.factories import AppFactory, DeviceFactory, InstallationFactory, UserFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db

NOTES = {"Identifier": "example.notes", "Name": "Notes", "ShortVersion": "2.1", "Version": "2100"}
GAME = {"Identifier": "example.game", "Name": "A game", "Version": "7"}


@pytest.fixture
def by() -> User:
    user: User = UserFactory()
    return user


@pytest.fixture
def device() -> Device:
    made: Device = DeviceFactory(enrolled=True)
    return made


def question(device: Device, by: User) -> Command:
    """Return the question that a device was asked and that reached it."""
    assert installed.ask(device, by)
    Command.objects.open().update(status=CommandStatus.SENT, sent_at=timezone.now())
    return Command.objects.open().get()


def test_a_device_is_asked_once_at_a_time_and_that_is_recorded(device: Device, by: User) -> None:
    assert installed.ask(device, by)
    assert not installed.ask(device, by)
    command = Command.objects.get()
    assert (command.kind, command.requested_by) == (CommandKind.INSTALLED_LIST, by)
    assert command.payload == {"Items": ["Identifier", "Name", "ShortVersion", "Version"]}
    assert Entry.objects.get().verb == "asked for the installed apps of"


def test_a_device_that_cannot_be_reached_is_not_asked(by: User) -> None:
    assert not installed.ask(DeviceFactory(), by)


def test_in_user_enrollment_only_managed_apps_are_asked_for(by: User) -> None:
    installed.ask(DeviceFactory(in_user_enrollment=True), by)
    assert Command.objects.get().payload["ManagedAppsOnly"] is True


def test_what_it_tells_is_listed_with_what_came_from_the_portal(device: Device, by: User) -> None:
    app = AppFactory(listing__bundle_id="example.notes")
    InstallationFactory(app=app, device=device, installed=True, confirmed_at=timezone.now())
    assert installed.last_told(device) is None
    asked = question(device, by)
    told(answer(asked, "Acknowledged", InstalledApplicationList=[NOTES, GAME, {"Name": 5}, "nonsense"]))
    found = installed.last_told(device)
    assert found is not None
    assert found.apps == (
        Installed("A game", "example.game", "7", is_ours=False),
        Installed("Notes", "example.notes", "2.1", is_ours=True),
        Installed("without a name", "", "", is_ours=False),
    )
    assert (found.more, found.is_managed_only) == (0, False)


def test_of_thousands_of_apps_the_first_are_shown(device: Device, by: User) -> None:
    many = [{"Identifier": f"example.{number}", "Name": f"App {number:05}"} for number in range(1_500)]
    told(answer(question(device, by), "Acknowledged", InstalledApplicationList=many))
    found = installed.last_told(device)
    assert found is not None
    assert (len(found.apps), found.more) == (1_000, 500)


def test_the_last_answer_counts_and_a_refusal_changes_nothing(device: Device, by: User) -> None:
    hour_ago = timezone.now() - timedelta(hours=1)
    told(answer(question(device, by), "Acknowledged", at=hour_ago, InstalledApplicationList=[NOTES]))
    told(answer(question(device, by), "Acknowledged", InstalledApplicationList=[GAME]))
    told(answer(question(device, by), "Error", **refusal(12021)))
    found = installed.last_told(device)
    assert found is not None
    assert [app.name for app in found.apps] == ["A game"]
    DeviceEvent.objects.all().delete()
    forgotten = installed.last_told(device)
    assert forgotten is not None
    assert forgotten.apps == ()


def test_the_page_asks_and_shows_it_to_those_who_may_control_devices(device: Device, by: User) -> None:
    operator = sign_in("Operator")
    address = f"/devices/{device.pk}/"
    assert f"{address}ask/" in operator.get(address).content.decode()
    assert "those that the person installed among them" in operator.get(f"{address}ask/").content.decode()
    operator.post(f"{address}ask/")
    told(answer(Command.objects.get(), "Acknowledged", InstalledApplicationList=[NOTES, GAME]))
    text = unescape(operator.get(address).content.decode())
    assert "2 apps, told" in " ".join(text.split())
    assert "A game" in text
    viewer = sign_in("Viewer")
    assert "A game" not in viewer.get(address).content.decode()
    assert viewer.post(f"{address}ask/").status_code == 403
    Device.objects.update(unenrolled_at=timezone.now())
    assert "It is not under MDM control." in operator.get(f"{address}ask/", follow=True).content.decode()
