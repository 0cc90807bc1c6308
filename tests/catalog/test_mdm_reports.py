"""Reading NanoMDM's events: the recorded ones whole, odd ones not at all."""

from __future__ import annotations

import base64
import json
import plistlib
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.mdm import Report, Unreadable, read, signature
from tests.channel import START, event

RECORDED = json.loads((Path(__file__).parents[1] / "data/nanomdm/webhooks.json").read_text())
BODIES = [base64.b64decode(one["body_b64"]) for one in RECORDED["events"]]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
DEVICE = "55555555-AAAA-4BBB-8CCC-000000000001"


def report(body: dict[str, Any]) -> Report:
    return read(body, NOW)


@pytest.mark.parametrize("one", RECORDED["events"], ids=range(len(BODIES)))
def test_a_recorded_body_has_the_recorded_signature(one: dict[str, Any]) -> None:
    raw = base64.b64decode(one["body_b64"])
    assert signature(RECORDED["hmac_key"], raw) == one["headers"]["X-Hmac-Signature"]
    assert signature("another", raw) != one["headers"]["X-Hmac-Signature"]


def test_all_recorded_events_are_read() -> None:
    reports = [report(json.loads(body)) for body in BODIES]
    assert {one.enrollment_id for one in reports} == {DEVICE}
    assert [one.topic.removeprefix("mdm.") for one in reports] == [
        *("Authenticate", "TokenUpdate"),
        *["Connect"] * 9,
        "CheckOut",
    ]
    assert [one.status for one in reports if one.status != "Idle"][2:-1] == [
        *("Acknowledged", "Error", "Acknowledged", "Acknowledged", "NotNow", "Acknowledged")
    ]
    assert [one.happened_at for one in reports] == sorted(one.happened_at for one in reports)
    assert reports[0].payload()["SerialNumber"] == "C55555555"
    assert reports[4].payload()["ErrorChain"][0]["ErrorCode"] == 12064
    assert not any(one.is_about_a_person for one in reports)


def test_only_a_command_of_ours_has_an_id() -> None:
    name = uuid.uuid4()
    assert report(event("Connect", DEVICE, command_uuid=str(name).upper())).command_uuid == name
    assert report(event("Connect", DEVICE, command_uuid="pgsql-I1")).command_uuid is None
    assert report(event("Connect", DEVICE, command_uuid=7)).command_uuid is None


def test_events_from_before_ids_are_read_by_what_they_have() -> None:
    body = event("Connect", DEVICE)
    del body["acknowledge_event"]["ids"]
    assert report(body).enrollment_id == DEVICE
    body["acknowledge_event"] |= {"enrollment_id": "E-1"}
    assert report(body).enrollment_id == "E-1"


@pytest.mark.parametrize("ids", [{"type": "User"}, {"type": "User Enrollment"}, {"parent_id": "D"}])
def test_a_persons_channel_is_told_from_the_devices(ids: dict[str, str]) -> None:
    body = event("TokenUpdate", DEVICE)
    body["checkin_event"]["ids"] |= ids
    assert report(body).is_about_a_person


def test_the_owner_is_named_in_the_address_the_device_asked() -> None:
    assert report(event("Authenticate", DEVICE, owner="ada@company.example")).owner == "ada@company.example"
    assert report(event("Authenticate", DEVICE, url_params="owner=ada")).owner == ""


def test_what_is_yet_to_come_happens_now() -> None:
    assert report(event("Connect", DEVICE, at=NOW + timedelta(days=9000))).happened_at == NOW
    assert report(event("Connect", DEVICE, at=START)).happened_at == START


ODD: list[dict[str, Any]] = [
    {},
    {"event_id": "1", "topic": "mdm.Connect", "created_at": "2026-01-01T00:00:00Z"},
    {**event("Connect", DEVICE), "acknowledge_event": [1]},
    {**event("Connect", DEVICE), "event_id": ""},
    {**event("Connect", DEVICE), "event_id": "x" * 101},
    {**event("Connect", DEVICE), "topic": None},
    {**event("Connect", "D" * 128)},
    {**event("Connect", DEVICE), "created_at": "yesterday"},
    {**event("Connect", DEVICE), "created_at": "2026-01-01T00:00:00"},
    {**event("Connect", DEVICE), "created_at": "0001-01-01T00:00:00+14:00"},
    {**event("Connect", DEVICE), "created_at": 1767225600},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_what_is_no_event_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        report(body)


PAYLOADS = {
    "no base64": "***",
    "no property list": base64.b64encode(b"hello").decode(),
    "binary": base64.b64encode(plistlib.dumps({"a": 1}, fmt=plistlib.FMT_BINARY)).decode(),
    "no dictionary": base64.b64encode(plistlib.dumps([1])).decode(),
    "entities": base64.b64encode(
        b'<!DOCTYPE p [<!ENTITY a "aaaa">]><plist><dict><key>a</key><string>&a;</string></dict></plist>'
    ).decode(),
    "a number without end": base64.b64encode(b"<plist><integer>" + b"9" * 9000 + b"</integer></plist>").decode(),
    "a bad date": base64.b64encode(b"<plist><date>soon</date></plist>").decode(),
    "nothing": base64.b64encode(b"<plist></plist>").decode(),
    "depth": base64.b64encode(b"<plist>" + b"<array>" * 50_000).decode(),
    "size": "A" * (1024 * 1024 + 1),
}


@pytest.mark.parametrize("raw", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_that_no_device_sends_is_refused(raw: str) -> None:
    body = event("Connect", DEVICE)
    body["acknowledge_event"]["raw_payload"] = raw
    with pytest.raises(Unreadable):
        report(body).payload()


def test_a_payload_may_be_missing() -> None:
    body = event("Connect", DEVICE)
    del body["acknowledge_event"]["raw_payload"]
    assert report(body).payload() == {}
