"""Devices are asked for their OS version and time zone after they enroll and once a day, and what they say is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import device_facts
from catalog.mdm import facts_payload
from catalog.models import Command, CommandKind, CommandStatus, Reason, Reconciliation
from catalog.tasks import look_after_devices
from tests.channel import Channel, answer, is_planned, told
from tests.factories import CommandFactory, DeviceFactory, InstallationFactory
from vppportal.groups.models import Device
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def asked() -> Command:
    """Return the one question there is, as sent."""
    device_facts.ask()
    command = Command.objects.select_related("device").get(state=WorkState.WAITING)
    Command.objects.filter(pk=command.pk).update(status=CommandStatus.SENT, sent_at=timezone.now())
    return command


def tells(device: Device, status: str = "Acknowledged", **facts: Any) -> Device:
    """Let a device answer the question; return it as it is known then."""
    told(answer(asked(), status, QueryResponses=facts) if facts else answer(asked(), status))
    return Device.objects.get(pk=device.pk)


def enrolled(**fields: Any) -> Device:
    """Return a device that enrolled an hour ago."""
    device: Device = DeviceFactory(enrolled=True, **fields)
    device.enrolled_at = timezone.now() - timedelta(hours=1)
    device.save()
    return device


def later(span: timedelta) -> None:
    """Let time pass: all that was asked and told lies so much further back."""
    for device in Device.objects.all():
        device.facts_at = device.facts_at and device.facts_at - span
        device.enrolled_at = device.enrolled_at and device.enrolled_at - span
        device.save()
    for command in Command.objects.all():
        command.created_at -= span
        command.save()


def test_a_device_is_asked_once_after_it_enrolled() -> None:
    device = enrolled()
    assert device_facts.ask() == 1
    command = Command.objects.get()
    assert (command.device, command.kind, command.payload) == (device, "DeviceInformation", facts_payload())
    assert device_facts.ask() == 0


def test_what_it_tells_is_kept() -> None:
    device = tells(enrolled(os_version="18.6"), OSVersion="26.1", TimeZone="Europe/Berlin")
    assert (device.os_version, device.time_zone) == ("26.1", "Europe/Berlin")
    assert device.facts_at is not None
    assert Command.objects.get().status == CommandStatus.ACKNOWLEDGED


def test_it_is_asked_again_after_a_day() -> None:
    tells(enrolled(), OSVersion="26.1")
    assert device_facts.ask() == 0
    later(DAY)
    assert device_facts.ask() == 1


def test_it_is_asked_again_when_it_enrolled_anew() -> None:
    device = tells(enrolled(), OSVersion="26.1")
    Device.objects.filter(pk=device.pk).update(enrolled_at=timezone.now(), enrollment_id="another")
    assert device_facts.ask() == 1


def test_one_that_refuses_is_left_in_peace_for_a_day() -> None:
    device = tells(enrolled(os_version="18.6"), "Error")
    assert (device.os_version, device.facts_at) == ("18.6", None)
    assert device_facts.ask() == 0
    later(DAY)
    assert device_facts.ask() == 1


def test_one_that_does_not_answer_has_one_open_question() -> None:
    enrolled()
    device_facts.ask()
    later(3 * DAY)
    assert device_facts.ask() == 0


@pytest.mark.parametrize(
    "fields", [{"enrollment_id": ""}, {"unenrolled_at": True}, {"wiped_at": True}, {"retired_at": True}]
)
def test_devices_that_cannot_be_reached_are_not_asked(fields: dict[str, Any]) -> None:
    device = enrolled()
    Device.objects.filter(pk=device.pk).update(
        **{name: timezone.now() if value is True else value for name, value in fields.items()}
    )
    assert device_facts.ask() == 0


def test_many_are_asked_some_at_a_time_the_longest_silent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_facts, "AT_ONCE", 2)
    known = enrolled(facts_at=timezone.now() - 2 * DAY)
    unknown = [enrolled(), enrolled()]
    assert [device_facts.ask(), device_facts.ask(), device_facts.ask()] == [2, 1, 0]
    assert list(Command.objects.order_by("pk").values_list("device", flat=True)) == [
        *(device.pk for device in unknown),
        known.pk,
    ]


def test_the_timetable_asks() -> None:
    enrolled()
    look_after_devices()
    assert Command.objects.get().kind == CommandKind.DEVICE_FACTS


def test_a_name_and_a_model_somebody_typed_stay() -> None:
    device = tells(enrolled(name="Front desk", model="iPad Air"), DeviceName="iPad", ModelName="iPad13,18")
    assert (device.name, device.model, device.platform) == ("Front desk", "iPad Air", "iOS")


def test_what_nobody_knew_is_taken_from_the_device() -> None:
    device = tells(enrolled(name="", model=""), DeviceName="Ada's Mac", ModelName="MacBook Pro", ProductName="Mac14,2")
    assert (device.name, device.model, device.platform) == ("Ada's Mac", "MacBook Pro", "macOS")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", 7, ["Europe/Berlin"], "x" * 100, None])
def test_a_time_zone_that_is_none_leaves_the_known_one(zone: Any) -> None:
    facts = {"OSVersion": "26.1"} if zone is None else {"OSVersion": "26.1", "TimeZone": zone}
    device = tells(enrolled(time_zone="Asia/Tokyo"), **facts)
    assert (device.os_version, device.time_zone) == ("26.1", "Asia/Tokyo")


def test_an_older_answer_does_not_overwrite_a_newer_one() -> None:
    device = enrolled(os_version="26.1", facts_at=timezone.now() - 2 * DAY)
    command = asked()
    Device.objects.filter(pk=device.pk).update(facts_at=timezone.now())
    told(answer(command, "Acknowledged", at=timezone.now() - timedelta(minutes=1), QueryResponses={"OSVersion": "9"}))
    device.refresh_from_db()
    assert device.os_version == "26.1"


def test_apps_that_the_device_was_too_old_for_are_planned_anew() -> None:
    device = enrolled(os_version="18.6")
    waiting = InstallationFactory(device=device, state="skipped", reason=Reason.OS_TOO_OLD)
    other = InstallationFactory(device=device, installed=True)
    tells(device, OSVersion="18.6")
    assert not Reconciliation.objects.exists()
    later(DAY)
    tells(device, OSVersion="26.1")
    assert is_planned(waiting)
    assert not is_planned(other)


def test_the_answers_of_many_take_no_more_queries() -> None:
    numbers = []
    for count in (1, 6):
        devices = [enrolled() for _ in range(count)]
        facts = {device.pk: (timezone.now(), {"QueryResponses": {"OSVersion": "27.0"}}) for device in devices}
        with CaptureQueriesContext(connection) as queries:
            device_facts.store(facts)
        numbers.append(len(queries))
        assert all(Device.objects.get(pk=device.pk).os_version == "27.0" for device in devices)
    assert numbers[0] == numbers[1]


def test_an_answer_to_a_question_that_was_given_up_is_not_needed() -> None:
    device = enrolled(os_version="18.6")
    command = CommandFactory(device=device, kind=CommandKind.DEVICE_FACTS, status="lost", state="failed")
    told(answer(command, "Acknowledged", QueryResponses={"OSVersion": "26.1"}))
    device.refresh_from_db()
    assert (device.os_version, device.facts_at) == ("18.6", None)


def test_simulated_devices_answer(channel: Channel) -> None:
    device = channel.enroll(osVersion="18.6", timeZone="Asia/Singapore")
    device_facts.ask()
    channel.work()
    device.refresh_from_db()
    assert (device.os_version, device.time_zone) == ("18.6", "Asia/Singapore")
    channel.order("mdm-changes", osVersion="26.1", timeZone="")
    later(DAY)
    device_facts.ask()
    channel.work()
    device.refresh_from_db()
    assert (device.os_version, device.time_zone) == ("26.1", "Asia/Singapore")
