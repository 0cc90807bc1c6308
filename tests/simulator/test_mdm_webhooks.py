"""Events are told once and signed; on order late, twice, in disorder or never."""

from __future__ import annotations

import base64
import hmac
import http.client
import json
import time

import pytest
import requests

from tests.nanomdm import Listener
from tests.processes import eventually


@pytest.fixture
def listener(sim):
    """Who is told everything."""
    made = Listener()
    sim.control("mdm-webhooks", url=made.url, key="of this test")
    yield made
    sim.control("mdm-webhooks", url="")
    made.stop()


@pytest.fixture
def device(sim, listener):
    (made,) = sim.control("mdm-add", announce=False)["devices"]
    return made["id"]


def tell(sim, device, count=1):
    """Let a device come so often, which is one event each."""
    for _ in range(count):
        sim.control("mdm-poll", devices=device)
        eventually(lambda: not sim.world.fleet.due)


def states(sim):
    return [event.state for event in sim.mdm_events()]


def test_an_event_is_signed_with_the_key(sim, listener, device):
    tell(sim, device)
    sim.control("mdm-settle")
    ((headers, body),) = listener.received
    assert headers["X-Hmac-Signature"] == base64.b64encode(hmac.digest(b"of this test", body, "sha256")).decode()
    assert states(sim) == ["delivered"]


def test_only_a_200_counts(sim, listener, device):
    listener.refusals[device] = http.client.NO_CONTENT
    tell(sim, device)
    sim.control("mdm-settle")
    assert states(sim) == ["lost"]
    assert len(listener.received) == 1


def test_nobody_there_is_a_loss(sim, listener, device):
    sim.control("mdm-webhooks", url="http://127.0.0.1:9/nobody")
    tell(sim, device)
    sim.control("mdm-settle")
    assert [(event.state, event.statuses) for event in sim.mdm_events()] == [("lost", [0])]


def test_twice(sim, listener, device):
    sim.control("mdm-webhooks", mode="twice")
    tell(sim, device)
    sim.control("mdm-settle")
    (_, first), (_, second) = listener.received
    assert first == second


@pytest.mark.alone
def test_late(sim, listener, device):
    sim.control("mdm-webhooks", mode="late", seconds=0.3)
    started = time.monotonic()
    tell(sim, device)
    assert listener.received == []
    eventually(lambda: listener.received)
    assert time.monotonic() - started >= 0.3


def test_never_and_then_after_all(sim, listener, device):
    sim.control("mdm-webhooks", mode="never")
    tell(sim, device, 2)
    assert sim.control("mdm-settle")["events"] == 0
    assert (states(sim), listener.received) == (["withheld"] * 2, [])
    assert sim.control("release-mdm-webhooks") == {"released": 2}
    sim.control("mdm-settle")
    assert states(sim) == ["delivered"] * 2


def test_so_many_only_or_one_topic_only(sim, listener, device):
    sim.control("mdm-webhooks", mode="never", times=1)
    tell(sim, device, 2)
    sim.control("mdm-webhooks", mode="never", topic="mdm.Authenticate")
    sim.control("mdm-enroll", devices=device)
    sim.control("mdm-settle")
    assert states(sim) == ["withheld", "delivered", "withheld", "delivered"]


def test_disorder(sim, listener, device):
    sim.control("mdm-webhooks", mode="disorder", seconds=1.0)
    tell(sim, device, 8)
    sim.control("mdm-settle")
    order = [json.loads(body)["event_id"] for _, body in listener.received]
    happened = [event.id for event in sim.mdm_events()]
    assert sorted(order) == sorted(happened)
    assert order != happened


def test_with_nobody_to_tell_events_can_be_read(sim):
    sim.control("mdm-add")
    assert states(sim) == ["kept", "kept"]
    shown = requests.get(f"{sim.control_url}/mdm-events", params={"topic": "mdm.TokenUpdate"}, timeout=10).json()
    (event,) = shown["events"]
    assert json.loads(event["body"])["event_id"] == event["id"]
    after = requests.get(f"{sim.control_url}/mdm-events", params={"after": event["id"]}, timeout=10).json()
    assert after["events"] == []


def test_a_mode_that_does_not_exist_is_refused(sim):
    with pytest.raises(ValueError, match="the modes are normal"):
        sim.control("mdm-webhooks", mode="sometimes")
