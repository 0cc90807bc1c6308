"""The stand-in answers as the NanoMDM did that was recorded, to the byte."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
import requests

from tests.nanomdm import Authority, SignedDevice, command
from vppportal.simulator import Simulator
from vppportal.simulator.mdm.service import Options
from vppportal.simulator.mdm.webhooks import sign

RECORDINGS = Path(__file__).parents[1] / "data" / "nanomdm"
HTTP = json.loads((RECORDINGS / "http.json").read_text())
WEBHOOKS = json.loads((RECORDINGS / "webhooks.json").read_text())
AUTHORITY = Authority()
EVENTS = [base64.b64decode(event["body_b64"]) for event in WEBHOOKS["events"]]
BY_OPERATORS = re.compile(r"/v1/|/version")


@pytest.fixture(scope="module")
def replayed():
    """What a fresh stand-in answers to the recorded requests, in their order, and the events it sends."""
    with Simulator(mdm=Options(api_key="secretkey", webhook_key=WEBHOOKS["hmac_key"])) as sim:
        device = SignedDevice(sim.mdm_url, AUTHORITY.identity())
        answers = {record["name"]: replay(sim, device, record) for record in HTTP}
        device.session.close()
        yield answers, sim.mdm_events()


def replay(sim, device, record):
    name, request = record["name"], record["request"]
    if not BY_OPERATORS.match(request["path"]):
        body = request["body"].encode()
        signature = "" if "without Mdm-Signature" in name else None
        return device.send(body, check_in=b"MessageType" in body, signature=signature)
    key = {"enqueue without credentials": None, "enqueue with wrong key": ("nanomdm", "wrong")}
    auth = key.get(name, ("nanomdm", "secretkey"))
    url = f"{sim.mdm_url}{request['path']}"
    return requests.request(request["method"], url, data=request["body"].encode(), auth=auth, timeout=10)


@pytest.mark.parametrize("record", HTTP, ids=lambda record: record["name"])
def test_an_answer_is_the_recorded_one(replayed, record):
    answer, recorded = replayed[0][record["name"]], record["response"]
    assert answer.text == recorded["body"]
    assert answer.status_code == recorded["status"]
    assert answer.headers.get("Content-Type") == recorded["content_type"]
    assert answer.headers.get("WWW-Authenticate") == recorded["www_authenticate"]


def masked(body):
    """The bytes of an event without what differs from one run to the next."""
    return re.sub(rb'"(event_id|created_at)":"[^"]+"', rb'"\1":""', body)


def test_the_events_are_the_recorded_ones(replayed):
    assert [masked(event.body) for event in replayed[1]] == [masked(body) for body in EVENTS]


def test_ids_and_times_of_events_look_like_the_recorded_ones(replayed):
    pattern = {"event_id": r"[0-9a-f]{16}", "created_at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"}
    for body in (*EVENTS, *(event.body for event in replayed[1])):
        assert all(re.fullmatch(shape, json.loads(body)[name]) for name, shape in pattern.items())


@pytest.mark.parametrize("event", WEBHOOKS["events"], ids=range(len(EVENTS)))
def test_an_event_is_signed_as_the_recorded_one(event):
    assert sign(WEBHOOKS["hmac_key"], base64.b64decode(event["body_b64"])) == event["headers"]["X-Hmac-Signature"]


def queue_in_order(sim):
    """Return what a conversation about the order of the queue comes to, as the recording writes it down."""
    device, authority = SignedDevice(sim.mdm_url, AUTHORITY.identity()), ("nanomdm", "secretkey")

    def enqueue(name, ids=device.id):
        url = f"{sim.mdm_url}/v1/enqueue/{ids}?nopush=1"
        return requests.put(url, data=command(name), auth=authority, timeout=10)

    def refused(about, name, ids=device.id):
        answer = enqueue(name, ids)
        return f"{about}: {answer.status_code} {answer.text}"

    def polled(number, put_off):
        talked = device.poll(lambda name: "NotNow" if name in put_off else "Acknowledged")
        return f"poll{number} {talked} last HTTP {device.report('Idle').status_code}"

    lines = [refused("unenrolled id", "PRE-1")]
    lines += [f"auth {device.authenticate().status_code}", refused("authenticated only", "PRE-2")]
    lines += [f"tok {device.token_update().status_code}"]
    lines += [f"{name} {enqueue(name).status_code}" for name in ("N-1", "B-2", "C-3")]
    lines += [refused("dup uuid", "B-2"), refused("one known one unknown", "D-4", f"{device.id},UNKNOWN")]
    lines += [polled(1, {"N-1"}), polled(2, {"N-1"}), polled(3, ()), polled(4, ())]
    for about, name in (("ack of unknown uuid", "NOBODY"), ("second ack of acked", "B-2")):
        answer = device.report("Acknowledged", name)
        lines.append(f"{about} {answer.status_code} {answer.text}")
    device.session.close()
    return lines


def test_the_queue_keeps_the_recorded_order():
    with Simulator(mdm=Options(api_key="secretkey")) as sim:
        assert "\n".join(queue_in_order(sim)).split() == (RECORDINGS / "queue-order.txt").read_text().split()
