"""Corners of the MDM server's addresses that the recordings do not reach."""

from __future__ import annotations

import base64
import json
import plistlib

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.nanomdm import Authority, SignedDevice, certify, new_key
from vppportal.simulator.mdm.certificates import elements, signer

TOPIC = "com.apple.mgmt.External.of-this-test"


def ask(sim, method, path, body=b""):
    auth = ("nanomdm", sim.mdm_api_key)
    return requests.request(method, f"{sim.mdm_url}{path}", data=body, auth=auth, timeout=10)


def pem(topic):
    key = new_key()
    certificate = certify("Push", key, None, key, user_id=topic).public_bytes(Encoding.PEM)
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_a_push_certificate_is_stored_for_its_topic(sim):
    device = SignedDevice(sim.mdm_url, Authority().identity())
    device.topic = TOPIC
    device.enroll()
    device.session.close()
    address = f"/v1/push/{device.id}"
    assert ask(sim, "GET", address).status_code == 500
    stored = ask(sim, "PUT", "/v1/pushcert", b"".join(pem(TOPIC)))
    assert stored.status_code == 200
    assert stored.json()["topic"] == TOPIC
    assert stored.json()["not_after"].endswith("Z")
    assert "push_result" in ask(sim, "GET", address).json()["status"][device.id]


@pytest.mark.parametrize("body", [b"", b"garbage", pem(TOPIC)[0], b"".join(pem("some.other.topic"))])
def test_what_is_no_push_certificate_is_refused(sim, body):
    answer = ask(sim, "PUT", "/v1/pushcert", body)
    assert answer.status_code == 500
    assert answer.json()["error"]


def test_some_unknown_ids_among_others_are_told_one_by_one(sim):
    (device,) = sim.control("mdm-add")["devices"]
    answer = ask(sim, "GET", f"/v1/push/{device['id']},nobody")
    assert answer.status_code == 207
    told = answer.json()["status"]
    assert "push_result" in told[device["id"]]
    assert told["nobody"] == {"push_error": "push data missing for id"}


def test_an_unknown_address_is_not_found(sim):
    answer = ask(sim, "GET", "/v1/devices")
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("name", ["B" * 128, "C"])
def test_what_the_database_would_not_hold_is_refused(sim, name):
    (device,) = sim.control("mdm-add")["devices"]
    layout = plistlib.FMT_XML if len(name) > 1 else plistlib.FMT_BINARY
    body = plistlib.dumps({"Command": {"RequestType": "X"}, "CommandUUID": name}, fmt=layout)
    assert "command_error" in ask(sim, "PUT", f"/v1/enqueue/{device['id']}?nopush=1", body).json()


def test_requests_are_noted_apart_from_those_to_apple(sim):
    (device,) = sim.control("mdm-add")["devices"]
    body = plistlib.dumps({"Command": {"RequestType": "DeviceInformation"}, "CommandUUID": "A"})
    ask(sim, "PUT", f"/v1/enqueue/{device['id']}", body)
    (noted,) = sim.mdm_requests(path=device["id"])
    assert noted["body"] == {"RequestType": "DeviceInformation", "CommandUUID": "A"}
    assert sim.requests() == []


def test_trouble_on_order_is_for_one_server_or_the_other(sim):
    sim.control("faults", path="*", status=500)
    assert ask(sim, "GET", "/version").status_code == 200
    sim.control("faults", path="/v1/enqueue/*", status=502, nth=2)
    assert [ask(sim, "PUT", f"/v1/enqueue/{id}?nopush=1").status_code for id in "AB"] == [500, 502]
    sim.control("faults", location="mdm", drop="before")
    with pytest.raises(requests.ConnectionError):
        ask(sim, "GET", "/version")


def test_a_device_that_says_nothing_sensible_is_refused(sim):
    device = SignedDevice(sim.mdm_url, Authority().identity())
    for body in (b"hello", plistlib.dumps(["Idle"]), plistlib.dumps({"Status": "Idle"})):
        assert device.send(body, check_in=False).status_code == 500
    assert device.check_in("UserAuthenticate").status_code >= 400
    device.enroll()
    assert device.check_in("SetBootstrapToken", BootstrapToken=b"x").status_code == 200
    assert device.check_in("UserAuthenticate").status_code == 410
    assert device.check_in("Nonsense").status_code == 500
    device.session.close()


def test_users_of_a_device_have_enrollments_of_their_own(sim):
    device = SignedDevice(sim.mdm_url, Authority().identity()).enroll()
    device.names["UserID"] = "U"
    device.token_update().raise_for_status()
    device.names |= {"UserID": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "UserShortName": "ada"}
    device.token_update().raise_for_status()
    device.session.close()
    own, shared = (json.loads(event.body) for event in sim.mdm_events()[-2:])
    assert own["checkin_event"]["ids"] == {"id": f"{device.id}:U", "type": "User", "parent_id": device.id}
    assert shared["checkin_event"]["ids"]["type"] == "Shared iPad"


@pytest.mark.parametrize("header", ["", "AAAA", base64.b64encode(b"\x30\x03\x06\x01\x2a").decode(), "no base64!"])
def test_what_is_no_signature_is_refused(header):
    with pytest.raises(ValueError):
        signer(header, b"")


def test_lengths_that_lie_are_noticed():
    with pytest.raises(ValueError):
        list(elements(b"\x30\x84\xff\xff\xff\xff"))
