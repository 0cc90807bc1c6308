"""The control address over HTTP: help, orders, and what is wrong with an order."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import requests

from vppportal.simulator import control


def test_it_lists_its_verbs_with_a_sentence_each(sim):
    answer = requests.get(f"{sim.control_url}/", timeout=5).json()
    assert set(answer) == {"GET /control/", "POST /control/", "DELETE /control/"}
    assert set(answer["POST /control/"]) == set(control.ORDERS)
    for verbs in answer.values():
        assert all(len(sentence) > 20 for sentence in verbs.values())
    assert "adamId" in answer["POST /control/"]["buy"]


def test_an_order_is_a_post_with_a_json_object(mdm, sim):
    app = mdm.ordinary()
    answer = requests.post(
        f"{sim.control_url}/buy", json={"location": "business", "adamId": app["adamId"], "count": 3}, timeout=5
    )
    assert answer.json()["totalCount"] == app["totalCount"] + 3


def test_an_order_without_members_needs_no_body(sim):
    assert requests.post(f"{sim.control_url}/reset", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("dance", {}, 404),
        ("revoke", {}, 400),
        ("revoke", {"location": "business", "gently": True}, 400),
        ("revoke", {"location": "nowhere"}, 404),
        ("buy", {"location": "business", "adamId": "1", "count": 1}, 404),
        ("ship", {"adamId": "1"}, 404),
        ("limits", {"maxDreams": 1}, 400),
        ("page-size", {"size": 0}, 400),
        ("notifications", {"mode": "loud"}, 400),
        ("move-version", {"location": "business", "listing": "dreams"}, 400),
        ("notify", {"location": "business", "type": "X"}, 400),
        ("accept", {"location": "business", "clientUserId": "x"}, 404),
        ("locations", {"assets": 1, "assignments": 10, "devices": 1}, 400),
        ("locations", {"key": "business"}, 400),
    ],
)
def test_a_wrong_order_is_refused_with_a_sentence(sim, verb, body, status):
    answer = requests.post(f"{sim.control_url}/{verb}", json=body, timeout=5)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_body_that_is_no_object_is_refused(sim):
    assert requests.post(f"{sim.control_url}/revoke", data="[]", timeout=5).status_code == 400


def test_reset_keeps_the_sample_tokens_whatever_the_time(sim, monkeypatch):
    before = [sim.token_file(key) for key in sim.world.locations]
    monkeypatch.setattr("vppportal.simulator.world.datetime", Tomorrow)
    sim.control("reset")
    assert [sim.token_file(key) for key in sim.world.locations] == before


class Tomorrow(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=1)


def test_reset_goes_back_to_the_beginning(mdm, sim):
    before = mdm.get("/assets")
    sim.control("run-dry", location="business")
    sim.control("faults", path="/users", times=-1, status=500)
    sim.control("claim", location="business")
    sim.control("reset")
    assert mdm.get("/assets") == before
    assert mdm.ask("GET", "/users").status_code == 200
