"""Devices that do not find their licenses: in the end the portal asks Apple, and gives anew what is gone there."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from catalog import tasks
from catalog.models import App, Installation, InstallState, Reconciliation
from tests.changes import settle_all
from tests.channel import Channel
from tests.factories import AppFactory, DistributionFactory
from tests.locations import Location, finish
from tests.stores import looked_up
from tokens import schedule
from tokens.models import ContentToken, Listing, SyncReason, SyncRun
from tokens.staging import LAG
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(location: Location) -> ContentToken:
    return location.mirrored()


@pytest.fixture
def app(channel: Channel, token: ContentToken, location: Location) -> App:
    """The app of the location that has most licenses left."""
    looked_up(token)
    asset = token.assets.order_by("-available", "adam_id").first()
    assert asset is not None
    made: App = AppFactory(listing=Listing.objects.get(adam_id=asset.adam_id))
    return made


@pytest.fixture
def device(channel: Channel) -> Device:
    return channel.enroll()


def plan() -> None:
    """Plan the app anew, as if the time for its next try had come."""
    Installation.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
    Reconciliation.objects.update(state="waiting", next_attempt_at=timezone.now())
    tasks.reconcile_due()


def distribute(app: App, device: Device, location: Location) -> None:
    """Distribute the app to the device, which has its license then, but no app yet."""
    DistributionFactory(app=app).devices.set([device])
    Reconciliation.objects.update_or_create(app=app)
    plan()
    settle_all(location)
    plan()


def try_in_vain(channel: Channel) -> None:
    """Let the device try as often as it is told to."""
    for _ in range(3):
        channel.work()
        plan()
    stored = Installation.objects.get()
    assert (stored.state, stored.tries, stored.retry_at) == (InstallState.FAILED, 3, None)


def read_again() -> None:
    """Let the sync come that was asked for."""
    asked = SyncRun.objects.open().get()
    assert asked.reason == SyncReason.MISSED
    assert LAG - timedelta(minutes=1) < asked.next_attempt_at - timezone.now() <= LAG
    with time_machine.travel(asked.next_attempt_at + timedelta(minutes=1)):
        finish(asked)


def test_a_license_taken_back_behind_our_back_is_given_anew(
    channel: Channel, location: Location, app: App, device: Device
) -> None:
    distribute(app, device, location)
    location.tell("take-back", adam_id=app.adam_id, serial_numbers=[device.serial_number])
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    try_in_vain(channel)
    read_again()
    plan()
    settle_all(location)
    plan()
    for _ in range(3):
        channel.work()
    assert Installation.objects.get().state == InstallState.INSTALLED
    assert not SyncRun.objects.open().exists()


def test_a_license_that_apple_says_is_there_is_read_once_and_not_asked_for_again(
    channel: Channel, location: Location, app: App, device: Device
) -> None:
    distribute(app, device, location)
    channel.order("mdm-behave", devices=[device.enrollment_id], license_not_found=-1)
    SyncRun.objects.update(created_at=timezone.now() - timedelta(hours=1))
    try_in_vain(channel)
    read_again()
    calls = len(location.asked("/assets/associate"))
    plan()
    settle_all(location)
    assert len(location.asked("/assets/associate")) == calls
    assert Installation.objects.get().state == InstallState.FAILED
    assert not SyncRun.objects.open().exists()


def test_syncs_for_missed_licenses_keep_apart(channel: Channel, location: Location, app: App, device: Device) -> None:
    distribute(app, device, location)
    began = timezone.now() - timedelta(minutes=5)
    SyncRun.objects.update(created_at=began)
    channel.order("mdm-behave", devices=[device.enrollment_id], license_not_found=-1)
    try_in_vain(channel)
    waiting = SyncRun.objects.open().get()
    assert waiting.next_attempt_at == began + schedule.APART
    asset_id = Installation.objects.get().asset_id
    assert asset_id is not None
    schedule.ask_for_missed_licenses([asset_id])
    assert SyncRun.objects.open().count() == 1
