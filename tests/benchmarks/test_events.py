"""How fast events of devices are applied: 10,000 of 2,500 devices that enroll, take an app and list it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog import events
from catalog.mdm import read
from catalog.models import Command, CommandKind, CommandStatus, DeviceEvent, Installation, InstallState
from tests.channel import answer, authenticate, event, managed
from tests.factories import AppFactory
from vppportal.groups.models import Device

pytestmark = [pytest.mark.bench, pytest.mark.django_db]
DEVICES = 2500
CEILING = 40.0
"""Seconds; a machine with nothing else to do takes a quarter of them."""


def kept(bodies: Iterable[dict[str, Any]]) -> None:
    now = timezone.now()
    rows = [(body, read(body, now)) for body in bodies]
    DeviceEvent.objects.bulk_create(
        [
            DeviceEvent(
                event_id=report.event_id,
                topic=report.topic,
                enrollment_id=report.enrollment_id,
                happened_at=report.happened_at,
                received_at=now,
                body=body,
            )
            for body, report in rows
        ],
        1000,
    )


def applied(label: str) -> float:
    started, number = time.perf_counter(), 0
    while done := events.apply_due():
        number += done
    spent = time.perf_counter() - started
    print(f"{label}: {number} events in {spent:.1f} s, {number / spent:.0f} a second")
    return spent


def test_ten_thousand_events_are_applied_in_seconds() -> None:
    names = [f"E-{number}" for number in range(DEVICES)]
    kept(body for name in names for body in (authenticate(name, f"C{name[2:]}"), event("TokenUpdate", name, at=1)))
    spent = applied("enrolling")

    app, now = AppFactory(listing__bundle_id="example.app"), timezone.now()
    devices = list(Device.objects.order_by("pk"))
    fields: dict[str, Any] = {"app": app, "state": InstallState.SENT, "since": now - timedelta(minutes=1)}
    installations = [Installation(device=device, **fields) for device in devices]
    Installation.objects.bulk_create(installations, 500)
    sent = [
        Command(
            device=one.device,
            enrollment_id=one.device.enrollment_id,
            installation=one,
            kind=CommandKind.INSTALL,
            status=CommandStatus.SENT,
            sent_at=now,
        )
        for one in installations
    ]
    Command.objects.bulk_create(sent, 500)
    kept(answer(command, "Acknowledged", State="Queued") for command in sent)
    spent += applied("answers")

    lists = Command.objects.filter(kind=CommandKind.MANAGED_LIST)
    kept(answer(command, "Acknowledged", **managed(example_app="Managed")) for command in lists)
    spent += applied("lists")
    assert Installation.objects.filter(state=InstallState.INSTALLED).count() == DEVICES
    assert spent < CEILING
