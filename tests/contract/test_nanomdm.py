"""What the portal relies on in NanoMDM, true of the stand-in and of a real NanoMDM on PostgreSQL alike.

Without variables that name a real server, a fresh stand-in is asked; tests/nanomdm.py says which they are.
"""

from __future__ import annotations

import base64
import hmac
import plistlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.nanomdm import Listener, Server, SignedDevice, command, member, new, outcome, under_test
from tests.processes import eventually

pytestmark = pytest.mark.once
FOREIGN_KEY = (
    'pq: insert or update on table "enrollment_queue" violates foreign key constraint "enrollment_queue_id_fkey"'
)
DUPLICATE = 'pq: duplicate key value violates unique constraint "commands_pkey"'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with under_test() as server:
        yield server


@pytest.fixture
def make_device(server: Server) -> Iterator[Callable[..., SignedDevice]]:
    made: list[SignedDevice] = []

    def make(**options: Any) -> SignedDevice:
        made.append(server.device(**options))
        return made[-1]

    yield make
    for device in made:
        device.session.close()


@pytest.fixture
def device(make_device: Callable[..., SignedDevice]) -> SignedDevice:
    """A device that has enrolled."""
    return make_device().enroll()


@pytest.fixture
def listener(server: Server) -> Listener:
    if server.listener is None:
        pytest.skip("NANOMDM_CONTRACT_WEBHOOK_PORT is not set")
    return server.listener


# --- The API ---------------------------------------------------------------------------------------------------------


def test_the_version_is_told_to_anybody(server: Server):
    answer = requests.get(f"{server.url}/version", timeout=30)
    assert answer.status_code == 200
    assert answer.json()["version"].startswith("v")


@pytest.mark.parametrize("path", ["/v1/enqueue/X", "/v1/push/X", "/v1/pushcert"])
def test_a_wrong_key_is_refused(server: Server, path: str):
    answer = server.ask("PUT", path, command(new()), key="not the key")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="nanomdm"'
    assert answer.text == "Unauthorized\n"


def test_an_empty_path_tells_a_good_key_from_a_bad_one(server: Server):
    answer = server.ask("PUT", "/v1/enqueue/")
    assert outcome(answer) == (500, "getting enrollment ids: empty path")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_command_is_taken(server: Server, device: SignedDevice, method: str):
    name = new()
    answer = server.enqueue(device.id, name, method=method)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {"no_push": True, "command_uuid": name, "request_type": "DeviceInformation"}
    assert device.poll() == [(name, "Acknowledged")]


def test_nothing_can_be_queued_before_the_token_is_told(server: Server, make_device: Callable[..., SignedDevice]):
    device, name = make_device(), new()
    assert outcome(server.enqueue(device.id, name)) == (500, FOREIGN_KEY)
    device.authenticate()
    assert outcome(server.enqueue(device.id, name)) == (500, FOREIGN_KEY)
    device.token_update()
    assert outcome(server.enqueue(device.id, name)) == (200, "")


def test_ids_heed_case(server: Server, device: SignedDevice):
    assert outcome(server.enqueue(device.id.lower(), new())) == (500, FOREIGN_KEY)


def test_the_same_command_is_taken_once(server: Server, device: SignedDevice):
    name = new()
    server.enqueue(device.id, name)
    assert outcome(server.enqueue(device.id, name)) == (500, DUPLICATE)
    # It stays taken when it was answered, and for everybody.
    assert device.poll() == [(name, "Acknowledged")]
    assert outcome(server.enqueue(new(), name)) == (500, DUPLICATE)
    assert device.poll() == []


def test_several_ids_are_all_or_nothing(server: Server, make_device: Callable[..., SignedDevice]):
    first, second, name = make_device().enroll(), make_device().enroll(), new()
    assert outcome(server.enqueue(f"{first.id},{new()}", name)) == (500, FOREIGN_KEY)
    assert first.poll() == []
    assert outcome(server.enqueue(f"{first.id},{second.id}", name)) == (200, "")
    assert first.poll() == second.poll() == [(name, "Acknowledged")]


def test_what_is_no_command_is_refused(server: Server, device: SignedDevice):
    address = f"/v1/enqueue/{device.id}?nopush=1"
    status, complaint = outcome(server.ask("PUT", address, b"hello"))
    assert status == 500
    assert complaint.startswith("decoding command: parse error: ")
    nameless = plistlib.dumps({"Command": {"RequestType": "DeviceInformation"}})
    assert outcome(server.ask("PUT", address, nameless)) == (500, "decoding command: invalid command")
    assert outcome(server.ask("PUT", address)) == (500, "must enqueue or push")
    assert device.poll() == []


def test_a_push_that_fails_leaves_the_command_queued(server: Server, device: SignedDevice):
    name = new()
    answer = server.enqueue(device.id, name, query="")
    assert answer.status_code == 500
    assert answer.json() == {
        "push_error": f'retrieving push cert for topic "{device.topic}": sql: no rows in result set',
        "command_uuid": name,
        "request_type": "DeviceInformation",
    }
    assert device.poll() == [(name, "Acknowledged")]


def test_an_unknown_id_cannot_be_pushed(server: Server):
    id = new()
    answer = server.ask("GET", f"/v1/push/{id}")
    assert answer.status_code == 500
    assert answer.json() == {"status": {id: {"push_error": "push data missing for id"}}}


# --- The queue -------------------------------------------------------------------------------------------------------


def test_commands_come_in_order_and_those_put_off_again_after_each_other_answer(server: Server, device: SignedDevice):
    late, *others = names = [new() for _ in range(3)]
    for name in names:
        server.enqueue(device.id, name)

    def answer(name: str) -> str:
        return "NotNow" if name == late else "Acknowledged"

    put_off = (late, "NotNow")
    first, second = ((name, "Acknowledged") for name in others)
    assert device.poll(answer) == [put_off, first, put_off, second, put_off]
    assert device.poll(answer) == [put_off]
    assert device.poll() == [(late, "Acknowledged")]
    assert device.poll() == []


@pytest.mark.parametrize("status", ["Error", "CommandFormatError"])
def test_a_refusal_is_an_end(server: Server, device: SignedDevice, status: str):
    name = new()
    server.enqueue(device.id, name)
    assert device.poll(lambda command: status) == [(name, status)]
    assert device.poll() == []


def test_enrolling_anew_empties_the_queue(server: Server, device: SignedDevice):
    lost, name = new(), new()
    server.enqueue(device.id, lost)
    device.enroll()
    assert device.poll() == []
    assert outcome(server.enqueue(device.id, lost)) == (500, DUPLICATE)
    server.enqueue(device.id, name)
    assert device.poll() == [(name, "Acknowledged")]


def test_a_device_that_left_can_still_be_queued_for(server: Server, device: SignedDevice):
    device.check_in("CheckOut").raise_for_status()
    assert outcome(server.enqueue(device.id, new())) == (200, "")


# --- Devices ---------------------------------------------------------------------------------------------------------


def test_a_report_about_an_unknown_command_is_refused(device: SignedDevice):
    assert device.report("Acknowledged", new()).status_code == 500


def test_a_second_report_does_no_harm(server: Server, device: SignedDevice):
    name = new()
    server.enqueue(device.id, name)
    device.poll()
    assert device.report("Acknowledged", name).status_code == 200


def test_a_body_that_is_not_signed_is_refused(device: SignedDevice):
    body = plistlib.dumps({"Status": "Idle", **device.names})
    for signature in ("", "bm90IGEgc2lnbmF0dXJl", device.sign(b"another body")):
        answer = device.send(body, check_in=False, signature=signature)
        assert (answer.status_code, answer.text) == (400, "Bad Request\n")


def test_nobody_speaks_for_another_device(server: Server, device: SignedDevice):
    thief = SignedDevice(server.url, device.identity)
    assert thief.report("Idle").status_code >= 400
    assert thief.authenticate().status_code >= 400
    thief.session.close()


# --- Webhooks --------------------------------------------------------------------------------------------------------


def told(listener: Listener, device: SignedDevice, count: int) -> list[dict[str, Any]]:
    """Return the events about a device once so many are there."""
    return eventually(lambda: events if len(events := listener.events(device.id)) >= count else None)


def test_everything_a_device_says_is_told(server: Server, listener: Listener, device: SignedDevice):
    name = new()
    server.enqueue(device.id, name)
    device.poll()
    device.check_in("CheckOut")
    events = told(listener, device, 5)
    topics = ["mdm.Authenticate", "mdm.TokenUpdate", "mdm.Connect", "mdm.Connect", "mdm.CheckOut"]
    assert [event["topic"] for event in events] == topics
    assert {member(event)["udid"] for event in events} == {device.id}
    assert all(member(event)["ids"] == {"id": device.id, "type": "Device"} for event in events)
    assert len({event["event_id"] for event in events}) == 5
    idle, acknowledged = (event["acknowledge_event"] for event in events[2:4])
    assert (idle["status"], "command_uuid" in idle) == ("Idle", False)
    assert (acknowledged["status"], acknowledged["command_uuid"]) == ("Acknowledged", name)


def test_events_carry_what_the_device_sent_to_the_byte(listener: Listener, device: SignedDevice):
    # The odd spaces would not survive being read and written.
    body = plistlib.dumps({"Status": "Idle", **device.names}).replace(b"<dict>", b"<dict>  ")
    device.send(body, check_in=False).raise_for_status()
    event = told(listener, device, 3)[-1]
    assert base64.b64decode(member(event)["raw_payload"]) == body


def test_events_are_signed(server: Server, listener: Listener, device: SignedDevice):
    told(listener, device, 2)
    for headers, body in listener.received:
        expected = base64.b64encode(hmac.digest(server.webhook_key.encode(), body, "sha256")).decode()
        assert headers["X-Hmac-Signature"] == expected
        assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_the_tally_tells_an_enrollment_from_a_new_token(listener: Listener, device: SignedDevice):
    told(listener, device, 2)
    device.token_update()
    # The number is looked up while the event is on its way.
    told(listener, device, 3)
    device.enroll()
    events = told(listener, device, 5)
    assert [member(event).get("token_update_tally") for event in events] == [None, 1, 2, None, 1]


def test_the_query_of_the_profile_comes_along(listener: Listener, make_device: Callable[..., SignedDevice]):
    device = make_device(user_enrolled=True, query="?owner=ada%40meridale.example").enroll()
    for event in told(listener, device, 2):
        about = member(event)
        assert about["url_params"] == {"owner": "ada@meridale.example"}
        assert about["ids"] == {"id": device.id, "type": "User Enrollment (Device)"}
        assert (about["enrollment_id"], "udid" in about) == (device.id, False)


def test_an_event_that_is_not_taken_is_lost(listener: Listener, device: SignedDevice):
    told(listener, device, 2)
    listener.refusals[device.id] = 503
    for _ in range(2):
        device.report("Idle")
    told(listener, device, 4)
    time.sleep(0.5)
    ids = [event["event_id"] for event in listener.events(device.id)]
    assert len(set(ids)) == len(ids) == 4
