"""The address for NanoMDM's events: only what it signed is stored, each event once, and answered with 200."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from catalog.commands import EVENTS_KEPT
from catalog.models import Command, DeviceEvent
from tests.channel import KEY, apply, authenticate, encoded, event, post
from tests.deliveries import deliver, run, taken
from tests.factories import DeviceFactory
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db
RECORDED = json.loads((Path(__file__).parents[1] / "data/nanomdm/webhooks.json").read_text())
RECORDED_AT = datetime(2026, 11, 22, 18, tzinfo=UTC)
BODY = encoded(authenticate("A", "C1"))


@pytest.fixture(autouse=True)
def key(settings: Any) -> None:
    settings.NANOMDM_WEBHOOK_KEY = KEY


def replay(number: int, change: Any = None) -> Any:
    one = RECORDED["events"][number]
    raw = base64.b64decode(one["body_b64"])
    return Client().post(
        "/mdm/events/",
        data=change(raw) if change else raw,
        content_type=one["headers"]["Content-Type"],
        headers={"X-Hmac-Signature": one["headers"]["X-Hmac-Signature"]},
    )


@time_machine.travel(RECORDED_AT)
def test_what_was_recorded_is_taken_bit_by_bit_and_applied(settings: Any) -> None:
    settings.NANOMDM_WEBHOOK_KEY = RECORDED["hmac_key"]
    assert [replay(number).status_code for number in range(12)] == [200] * 12
    assert DeviceEvent.objects.count() == 12
    apply()
    assert DeviceEvent.objects.filter(state="done").count() == 12
    device = Device.objects.get()
    assert (device.serial_number, device.model, device.platform, device.name) == ("C55555555", "iPad13,1", "iOS", "x")
    assert not device.is_enrolled
    assert device.last_seen_at == device.unenrolled_at
    assert not Command.objects.exists()


@pytest.mark.parametrize("number", range(12))
def test_one_flipped_byte_is_one_too_many(settings: Any, number: int) -> None:
    settings.NANOMDM_WEBHOOK_KEY = RECORDED["hmac_key"]
    assert replay(number, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])).status_code == 401
    assert replay(number, lambda raw: raw + b" ").status_code == 401
    assert not DeviceEvent.objects.exists()


@pytest.mark.parametrize("signed", ["", "x", "\xe4\xf6", base64.b64encode(b"0" * 32).decode()])
def test_what_nobody_signed_is_refused(signed: str) -> None:
    assert post(BODY, signed=signed).status_code == 401
    assert post(BODY, key="another key").status_code == 401
    assert not DeviceEvent.objects.exists()


def test_without_a_key_everything_is_refused_and_the_log_says_why(settings: Any) -> None:
    settings.NANOMDM_WEBHOOK_KEY = ""
    with capture_logs() as logs:
        assert post(BODY, key="").status_code == 401
    assert [(line["event"], line["log_level"]) for line in logs if line["event"] == "mdm_event_refused"] == [
        ("mdm_event_refused", "error")
    ]
    assert not DeviceEvent.objects.exists()


def test_an_event_is_stored_as_it_came_and_answered_with_200() -> None:
    answer = post(BODY)
    assert (answer.status_code, answer.content) == (200, b"")
    stored = DeviceEvent.objects.get()
    assert stored.body == json.loads(BODY)
    assert (stored.topic, stored.enrollment_id, stored.state) == ("mdm.Authenticate", "A", "waiting")


def test_an_event_recorded_long_ago_is_left() -> None:
    """Its row is forgotten, so it would be taken for a new one: an old end would part a device from its apps."""
    device = DeviceFactory(enrollment_id="A", enrolled_at=timezone.now() - timedelta(days=30))
    old = event("CheckOut", "A", at=timezone.now() - EVENTS_KEPT - timedelta(minutes=1))
    with capture_logs() as logs:
        assert post(encoded(old)).status_code == 200
    assert "mdm_event_left" in [line["event"] for line in logs]
    assert not DeviceEvent.objects.exists()
    apply()
    device.refresh_from_db()
    assert device.is_enrolled
    assert (
        post(encoded(event("CheckOut", "A", at=timezone.now() - EVENTS_KEPT + timedelta(minutes=1)))).status_code == 200
    )
    assert DeviceEvent.objects.exists()


@pytest.mark.parametrize("topic", ["TokenUpdate", "SetBootstrapToken", "GetBootstrapToken", "SomethingNew"])
def test_what_unlocks_or_wakes_a_device_is_not_kept(topic: str) -> None:
    secrets = {"UnlockToken": b"u", "Token": b"t", "PushMagic": "m", "BootstrapToken": b"b"}
    body = event(topic, "A", secrets, at=timezone.now())
    assert post(encoded(body)).status_code == 200
    del body["checkin_event"]["raw_payload"]
    assert DeviceEvent.objects.get().body == body


def test_an_event_that_comes_twice_is_stored_once_and_answered_twice() -> None:
    assert [post(BODY).status_code for _ in range(3)] == [200, 200, 200]
    assert DeviceEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_asked_once_for_many_events_and_again_after_it_has_begun() -> None:
    for _ in range(5):
        post(encoded(event("Connect", "A")))
    assert list(taken()) == [("catalog.tasks.apply_events", ())]
    post(encoded(event("Connect", "A")))
    assert list(taken()) == []
    post(encoded(authenticate("A", "C1")))
    run([("catalog.tasks.sweep_channel", ())])
    assert deliver()["catalog.tasks.apply_events"] == 1
    assert not DeviceEvent.objects.open().exists()
    post(encoded(event("Connect", "A")))
    assert list(taken()) == [("catalog.tasks.apply_events", ())]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"hello", b"\xff\xfe", b'{"topic": "mdm.Connect"}'])
def test_what_is_no_event_is_refused_even_when_signed(raw: bytes) -> None:
    assert post(raw).status_code == 400


def test_characters_that_no_database_takes_are_replaced() -> None:
    body = authenticate("A", "C1", owner="ada\0\ud800@company.example")
    assert post(encoded(body)).status_code == 200
    assert "ada��@" in DeviceEvent.objects.get().body["checkin_event"]["url_params"]["owner"]
    apply()


def test_a_body_that_is_too_large_is_refused() -> None:
    assert post(b"x" * (1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_is_refused(content_type: str) -> None:
    assert post(b"a=b", content_type=content_type).status_code == 400


def test_the_address_only_takes() -> None:
    assert Client().get("/mdm/events/").status_code == 405


def test_the_body_is_in_no_log() -> None:
    with capture_logs() as logs:
        post(BODY)
        post(BODY, signed="wrong")
        post(b"{}")
    assert "C1" not in str(logs)
    assert KEY not in str(logs)
