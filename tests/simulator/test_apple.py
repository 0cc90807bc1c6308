"""Who is let in, and how a request that is wrong in form is refused."""

from __future__ import annotations

import base64
import http.client
import json

import pytest
import requests


def test_the_whole_file_is_the_bearer(mdm):
    assert mdm.ask("GET", "/client/config").status_code == 200


def test_the_token_inside_the_file_is_refused_with_9622(mdm, other):
    inner = json.loads(base64.b64decode(mdm.bearer))["token"]
    answer = other("business", inner).ask("GET", "/assets")
    assert (answer.status_code, answer.json()["errorNumber"]) == (401, 9622)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_a_malformed_header_is_refused_with_9722(mdm, header):
    answer = mdm.ask("GET", "/assets", headers={"Authorization": header})
    assert (answer.status_code, answer.json()["errorNumber"]) == (401, 9722)


@pytest.mark.parametrize(("location", "number"), [("expired", 9621), ("revoked", 9625)])
@pytest.mark.parametrize("path", ["/client/config", "/assets", "/assignments", "/users", "/status"])
def test_an_expired_or_revoked_token_is_refused_everywhere(other, location, number, path):
    answer = other(location).ask("GET", path)
    assert (answer.status_code, answer.json()["errorNumber"]) == (401, number)
    assert answer.json()["errorMessage"]


def test_service_config_proves_nothing_about_a_token(sim, other):
    assert other("revoked").ask("GET", "/service/config").status_code == 200
    assert requests.get(f"{sim.apple_url}/service/config", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/service/config"),
        ("POST", "/assets"),
        ("DELETE", "/client/config"),
        ("GET", "/assets/associate"),
        ("PUT", "/users/create"),
    ],
)
def test_the_wrong_verb_is_refused_with_9726(mdm, method, path):
    answer = mdm.ask(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["errorNumber"]) == (405, 9726)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused_with_9727(mdm, content_type):
    answer = mdm.ask("POST", "/users/create", data="{}", headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["errorNumber"]) == (415, 9727)


@pytest.mark.parametrize("body", ["", "[]", "nonsense", "[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused_with_9602(mdm, body):
    answer = mdm.ask("POST", "/users/create", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9602)


def test_an_unknown_path_is_not_found(mdm, sim):
    assert mdm.ask("GET", "/subscriptions").status_code == 404
    assert requests.get(f"{sim.url}/somewhere", timeout=5).status_code == 404


@pytest.mark.parametrize("path", ["/client/config", "/assets", "/assignments", "/users"])
def test_every_answer_carries_the_common_members(mdm, path):
    answer = mdm.get(path)
    assert answer["uId"] == mdm.get("/client/config")["uId"]
    assert answer["tokenExpirationDate"].endswith("+0000")
    assert answer["mdmInfo"] is None


def test_before_the_first_claim_mdm_info_may_be_absent(other):
    assert "mdmInfo" not in other("school").get("/client/config")


def test_one_connection_serves_many_requests(mdm):
    connection = http.client.HTTPConnection(mdm.sim.url.removeprefix("http://"), timeout=5)
    connection.connect()
    port = connection.sock.getsockname()
    for _ in range(5):
        connection.request("GET", "/mdm/v2/client/config", headers={"Authorization": f"Bearer {mdm.bearer}"})
        assert connection.getresponse().read()
        assert connection.sock.getsockname() == port
    connection.close()


def test_opening_the_invitation_accepts_it(mdm, subscribed, sim):
    template = mdm.get("/service/config")["urls"]["invitationEmail"]
    mdm.event("/users/create", users=[{"clientUserId": "new", "email": "new@elsewhere.example"}])
    code = mdm.get("/users", clientUserId="new")["users"][0]["inviteCode"]
    assert requests.get(template.replace("%25inviteCode%25", code), timeout=5).status_code == 200
    sim.control("settle")
    user = mdm.get("/users", clientUserId="new")["users"][0]
    assert user["status"] == "Associated"
    assert subscribed.of("USER_ASSOCIATED")[0]["notification"]["associatedUsers"][0]["inviteCode"] == code
    assert requests.get(template.replace("%25inviteCode%25", code), timeout=5).status_code == 404
