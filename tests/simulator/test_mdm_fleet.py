"""Simulated devices come when pushed, put commands off, stay away, enroll again and leave, ten thousand too."""

from __future__ import annotations

import base64
import json
import plistlib
import time
import uuid

import pytest
import requests

from tests.nanomdm import Listener
from tests.processes import eventually
from vppportal.simulator import Simulator
from vppportal.simulator.mdm.service import Options


def enqueue(sim, device, *, push=True, request="DeviceInformation"):
    name = str(uuid.uuid4())
    body = plistlib.dumps({"Command": {"RequestType": request}, "CommandUUID": name})
    url = f"{sim.mdm_url}/v1/enqueue/{device['id']}{'' if push else '?nopush=1'}"
    answer = requests.put(url, data=body, auth=("nanomdm", sim.mdm_api_key), timeout=10)
    assert answer.status_code == 200, answer.text
    return name


def add(sim, **members):
    return sim.control("mdm-add", **members)["devices"]


def statuses(sim, name):
    """What was reported about one command, in order."""
    sim.control("mdm-settle")
    events = [json.loads(event.body)["acknowledge_event"] for event in sim.mdm_events(topic="mdm.Connect")]
    return [event["status"] for event in events if event.get("command_uuid") == name]


def sent(event):
    body = json.loads(event.body)
    about = body.get("checkin_event") or body["acknowledge_event"]
    return body["topic"], about, plistlib.loads(base64.b64decode(about["raw_payload"]))


def shown(sim, device):
    return requests.get(f"{sim.control_url}/mdm-devices", params={"devices": device["id"]}, timeout=10).json()[
        "devices"
    ][0]


def test_a_pushed_device_comes_and_one_that_is_not_pushed_does_not(sim):
    (device,) = add(sim)
    name = enqueue(sim, device, push=False)
    assert statuses(sim, name) == []
    assert [one["uuid"] for one in shown(sim, device)["queue"]] == [name]
    enqueue(sim, device)
    assert statuses(sim, name) == ["Acknowledged"]
    assert shown(sim, device)["queue"] == []


def test_without_a_push_certificate_nobody_is_woken(sim):
    (device,) = add(sim)
    sim.control("mdm-push-certificate")
    url = f"{sim.mdm_url}/v1/push/{device['id']}"
    answer = requests.get(url, auth=("nanomdm", sim.mdm_api_key), timeout=10)
    assert answer.status_code == 500
    assert "retrieving push cert" in answer.json()["push_error"]
    sim.control("mdm-push-certificate", stored=True)
    assert requests.get(url, auth=("nanomdm", sim.mdm_api_key), timeout=10).status_code == 200


def test_enrolling_tells_what_the_device_is(sim):
    (device,) = add(sim, kind="iPad", osVersion="17.7")
    (topic, about, payload), (second, update, _) = map(sent, sim.mdm_events())
    assert (topic, second) == ("mdm.Authenticate", "mdm.TokenUpdate")
    assert about["udid"] == device["id"]
    assert update["token_update_tally"] == 1
    told = {name: payload[name] for name in ("SerialNumber", "OSVersion", "ModelName", "ProductName", "Model")}
    product = device["product"]
    assert told == {
        "SerialNumber": device["serialNumber"],
        "OSVersion": "17.7",
        "ModelName": "iPad",
        "ProductName": product,
        "Model": product,
    }


def test_in_user_enrollment_there_is_no_serial_number_but_an_owner(sim):
    (device,) = add(sim, userEnrolled=True, owner="ada@meridale.example")
    _, about, payload = sent(sim.mdm_events()[0])
    assert about["enrollment_id"] == device["id"]
    assert about["url_params"] == {"owner": "ada@meridale.example"}
    assert not {"SerialNumber", "UDID"} & set(payload)


def test_devices_can_be_there_without_anybody_being_told(sim):
    (device,) = add(sim, announce=False)
    assert sim.mdm_events() == []
    assert statuses(sim, enqueue(sim, device)) == ["Acknowledged"]


def test_not_now_holds_until_it_is_lifted(sim):
    (device,) = add(sim)
    sim.control("mdm-behave", notNow=True)
    name = enqueue(sim, device)
    assert statuses(sim, name) == ["NotNow"]
    enqueue(sim, device)
    assert statuses(sim, name) == ["NotNow", "NotNow"]
    sim.control("mdm-behave", notNow=False)
    assert statuses(sim, name)[-1] == "Acknowledged"


def test_a_silent_device_says_nothing_until_it_is_found_again(sim):
    first, second = add(sim, count=2)
    sim.control("mdm-behave", devices=[first["serialNumber"]], silent=True)
    lost, other = enqueue(sim, first), enqueue(sim, second)
    assert (statuses(sim, lost), statuses(sim, other)) == ([], ["Acknowledged"])
    sim.control("mdm-behave", silent=False)
    assert statuses(sim, lost) == ["Acknowledged"]


def test_conduct_of_all_is_that_of_later_ones_too(sim):
    sim.control("mdm-behave", notNow=True)
    (device,) = add(sim)
    assert shown(sim, device)["conduct"]["not_now"] is True


def test_a_wiped_device_is_not_heard_of_until_it_enrolls_again(sim):
    (device,) = add(sim)
    adam_id = next(key.adam_id for key in sim.world.location("business").assets)
    sim.control("mdm-has-app", adamId=adam_id)
    sim.control("mdm-wipe", devices="all")
    assert shown(sim, device)["installed"] == {}
    lost = enqueue(sim, device)
    assert statuses(sim, lost) == []
    sim.control("mdm-enroll", devices=device["id"])
    assert shown(sim, device)["queue"] == []
    assert [event.topic for event in sim.mdm_events()].count("mdm.Authenticate") == 2
    assert statuses(sim, enqueue(sim, device)) == ["Acknowledged"]


def test_a_device_can_enroll_again_under_another_id(sim):
    (device,) = add(sim)
    (again,) = sim.control("mdm-enroll", devices=[device["serialNumber"]], newId=True)["devices"]
    assert again["id"] != device["id"]
    assert again["serialNumber"] == device["serialNumber"]
    _, _, payload = sent(sim.mdm_events(device=again["id"])[0])
    assert payload["SerialNumber"] == device["serialNumber"]


@pytest.mark.parametrize("way", ["by hand", "on command"])
def test_leaving_takes_along_what_was_to_go_with_management(sim, way):
    (device,) = add(sim)
    ids = [key.adam_id for key in sim.world.location("business").assets][:2]
    for flags, adam_id in enumerate(ids):
        sim.control("mdm-has-app", adamId=adam_id)
        bundle_id = sim.world.store.find(adam_id).bundle_id
        app = sim.world.fleet.devices[device["id"]].apps[bundle_id]
        app.is_managed, app.flags = True, flags
    if way == "by hand":
        sim.control("mdm-check-out", devices=device["id"])
    else:
        assert statuses(sim, enqueue(sim, device, request="RemoveProfile")) == ["Acknowledged"]
    assert sim.mdm_events()[-1].topic == "mdm.CheckOut"
    after = shown(sim, device)
    assert (after["enrolled"], after["managed"]) == (False, {})
    assert list(after["installed"]) == [sim.world.store.find(ids[0]).bundle_id]
    assert statuses(sim, enqueue(sim, device)) == []


def test_an_accepted_invitation_makes_the_apple_user_associated(sim):
    location = sim.world.location("business")
    user = next(one for one in location.users.active.values() if one.status == "Registered")
    (device,) = add(sim)
    name = str(uuid.uuid4())
    invitation = {
        "RequestType": "InviteToProgram",
        "ProgramID": "com.apple.cloudvpp",
        "InvitationURL": f"{sim.url}/invitation/x?cc=us&inviteCode={user.invite_code}&mt=8",
    }
    body = plistlib.dumps({"Command": invitation, "CommandUUID": name})
    url = f"{sim.mdm_url}/v1/enqueue/{device['id']}"
    sim.control("mdm-behave", refuses=True)
    requests.put(url, data=body, auth=("nanomdm", sim.mdm_api_key), timeout=10)
    assert statuses(sim, name) == ["Acknowledged"]
    assert user.status == "Registered"
    sim.control("mdm-behave", refuses=False)
    again = body.replace(name.encode(), str(uuid.uuid4()).encode())
    requests.put(url, data=again, auth=("nanomdm", sim.mdm_api_key), timeout=10)
    sim.control("mdm-settle")
    assert user.status == "Associated"
    assert sent(sim.mdm_events()[-1])[2]["InvitationResult"] == "Acknowledged"


@pytest.mark.alone
@pytest.mark.parametrize("mode", ["refused", "503"])
def test_the_server_can_be_away_for_a_time(sim, mode):
    (device,) = add(sim)
    name = enqueue(sim, device, push=False)
    with requests.Session() as session:
        assert session.get(f"{sim.mdm_url}/version", timeout=10).ok
        sim.control("mdm-down", mode=mode, seconds=0.3)
        if mode == "503":
            assert session.get(f"{sim.mdm_url}/version", timeout=10).status_code == 503
        else:
            # Neither the connection that was open nor a new one gets an answer.
            for _ in range(2):
                with pytest.raises(requests.ConnectionError):
                    session.get(f"{sim.mdm_url}/version", timeout=10)
    sim.control("mdm-poll")
    assert statuses(sim, name) == []
    eventually(lambda: requests.get(f"{sim.control_url}/mdm", timeout=10).json()["down"] == "")
    assert statuses(sim, name) == ["Acknowledged"]
    assert requests.get(f"{sim.mdm_url}/version", timeout=10).ok


def test_devices_enroll_again_until_the_portal_was_told():
    listener = Listener()
    with Simulator(mdm=Options(webhook_url=listener.url)) as sim:
        (refused,) = sim.control("mdm-add", devices=[{"id": "A", "serialNumber": "S"}])["devices"]
        sim.control("mdm-settle")
        assert len(listener.events(refused["id"])) == 2
        listener.refusals["B"] = 503
        sim.control("mdm-add", devices=[{"id": "B"}])
        eventually(lambda: len(listener.events("B")) == 4)
        time.sleep(0.2)
        assert len(listener.events("A")) == 2
    listener.stop()


def test_devices_come_by_themselves_from_time_to_time():
    with Simulator(mdm=Options(poll_seconds=0.2)) as sim:
        (device,) = add(sim)
        name = enqueue(sim, device, push=False)
        eventually(lambda: statuses(sim, name) == ["Acknowledged"])


@pytest.mark.alone
def test_ten_thousand_devices_are_no_trouble(sim):
    devices = add(sim, count=10_000, announce=False)
    assert len({device["serialNumber"] for device in devices}) == 10_000
    ids = ",".join(device["id"] for device in devices[:1000])
    started = time.monotonic()
    for device in devices[::100]:
        enqueue(sim, device)
    assert requests.get(f"{sim.mdm_url}/v1/push/{ids}", auth=("nanomdm", sim.mdm_api_key), timeout=10).ok
    sim.control("mdm-poll")
    waiting = sim.control("mdm-settle", seconds=60)
    assert waiting == {"coming": 0, "events": 0}
    assert time.monotonic() - started < 30
    assert requests.get(f"{sim.control_url}/mdm", timeout=10).json()["queued"] == 0


def test_commands_are_counted_by_their_kinds(sim):
    first, second = add(sim, count=2)
    for device in (first, second):
        enqueue(sim, device, push=False)
    enqueue(sim, first, push=False, request="ManagedApplicationList")
    told = requests.get(f"{sim.control_url}/mdm", timeout=10).json()
    assert (told["commands"], told["kinds"]) == (3, {"DeviceInformation": 2, "ManagedApplicationList": 1})


def test_the_same_seed_gives_the_same_devices(sim):
    first = add(sim, count=3)
    sim.control("reset")
    assert add(sim, count=3) == first


def test_a_device_that_is_not_there_is_named(sim):
    with pytest.raises(KeyError, match="there is no device NOBODY"):
        sim.control("mdm-poll", devices=["NOBODY"])
