"""The request log says what was asked of Apple, and nothing that is secret."""

from __future__ import annotations

import json

import requests


def test_an_entry_says_what_was_asked_by_whom_and_how_it_ended(mdm, sim):
    mdm.get("/assets", pageIndex=7)
    (entry,) = sim.requests(path="/assets")
    assert (entry["method"], entry["path"], entry["query"]) == ("GET", "/mdm/v2/assets", {"pageIndex": "7"})
    assert (entry["status"], entry["errorNumber"], entry["location"]) == (400, 9650, "business")
    assert entry["seconds"] >= 0
    assert entry["parallel"] == 1


def test_writes_are_counted_by_size(mdm, sim):
    mdm.post("/assets/associate", assets=[{"adamId": "1"}, {"adamId": "2"}], serialNumbers=["A", "B", "C"])
    assert sim.requests(path="/associate")[0]["body"] == {"assets": 2, "serialNumbers": 3}


def test_no_credential_is_written_down(mdm, sim, receiver):
    mdm.lookup("1")
    mdm.post("/client/config", notificationUrl=receiver.url, notificationAuthToken="very-secret")
    requests.get(f"{sim.url}/invitation/x", params={"inviteCode": "abcdef"}, timeout=5)
    text = json.dumps(requests.get(f"{sim.control_url}/requests", timeout=5).json())
    for secret in (mdm.bearer, "very-secret", "abcdef"):
        assert secret not in text


def test_it_can_be_filtered_read_from_an_entry_on_and_cleared(mdm, other, sim):
    mdm.get("/assets")
    other("school").get("/assets")
    mdm.get("/users")
    first = sim.requests()[0]["id"]
    assert [entry["location"] for entry in sim.requests(path="/assets")] == ["business", "school"]
    assert [entry["path"][-6:] for entry in sim.requests(location="business", after=first)] == ["/users"]
    by_http = requests.get(f"{sim.control_url}/requests?location=school", timeout=5).json()
    assert len(by_http["requests"]) == 1
    assert by_http["summary"]["paths"] == {"GET /mdm/v2/assets": 2, "GET /mdm/v2/users": 1}
    requests.delete(f"{sim.control_url}/requests", timeout=5)
    assert sim.requests() == []


def test_dropped_connections_and_other_trouble_are_marked(mdm, sim):
    sim.control("faults", path="/assets", errorNumber=9646)
    mdm.get("/assets")
    entry = sim.requests()[0]
    assert (entry["fault"], entry["status"]) == ("9646", 429)
    assert sim.world.log.summary()["overRate"] == 0


def test_the_control_address_is_not_in_the_log(sim):
    requests.get(f"{sim.control_url}/", timeout=5)
    assert sim.requests() == []
