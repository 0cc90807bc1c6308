"""Claims, subscriptions, and the rules a request must keep before anything is queued."""

from __future__ import annotations

import pytest

CLAIM = {"id": "7c1d", "name": "Portal", "metadata": "portal.example"}


def test_a_claim_is_echoed_in_every_later_answer(mdm):
    assert mdm.post("/client/config", mdmInfo=CLAIM)["mdmInfo"] == CLAIM
    for path in ("/client/config", "/assets", "/assignments", "/users"):
        assert mdm.get(path)["mdmInfo"] == CLAIM


def test_the_last_claim_wins_without_an_error(mdm, other):
    before = other("claimed").get("/assets")["mdmInfo"]
    assert before["name"] == "Ostrander Device Manager"
    assert other("claimed").post("/client/config", mdmInfo=CLAIM)["mdmInfo"] == CLAIM


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"id": None}, 9723),
        ({"name": ""}, 9723),
        ({"id": "x" * 101}, 9724),
        ({"name": "x" * 101}, 9725),
        ({"metadata": "x" * 256}, 9713),
    ],
)
def test_a_claim_needs_three_members_of_limited_length(mdm, change, number):
    assert mdm.error("/client/config", mdmInfo=CLAIM | change) == (400, number)
    assert mdm.error("/client/config", mdmInfo={}) == (400, 9723)
    assert mdm.get("/client/config")["mdmInfo"] is None


def test_members_of_full_length_are_taken(mdm):
    longest = {"id": "x" * 100, "name": "x" * 100, "metadata": "x" * 255}
    assert mdm.post("/client/config", mdmInfo=longest)["mdmInfo"] == longest


def test_subscribing_posts_a_test_notification_during_the_call(mdm, receiver):
    config = mdm.post(
        "/client/config",
        notificationUrl=receiver.url,
        notificationAuthToken="hush",
        notificationTypes=["ASSET_COUNT", "ASSET_MANAGEMENT"],
    )
    assert receiver.received[0]["notificationType"] == "TEST_NOTIFICATION"
    assert receiver.received[0]["notification"] == {}
    assert receiver.received[0]["uId"] == config["uId"]
    assert receiver.bearers == ["Bearer hush"]
    assert config["subscribedNotificationTypes"] == ["ASSET_COUNT", "ASSET_MANAGEMENT"]
    assert (config["notificationUrl"], config["notificationAuthToken"]) == (receiver.url, "hush")


def test_the_wanted_types_replace_the_earlier_ones(mdm, subscribed):
    assert mdm.post("/client/config", notificationTypes=["ASSET_COUNT"])["subscribedNotificationTypes"] == [
        "ASSET_COUNT"
    ]
    assert mdm.error("/client/config", notificationTypes=["GOSSIP"]) == (400, 9602)


@pytest.mark.parametrize("status", [301, 403, 500])
def test_a_receiver_that_does_not_take_the_test_is_refused_with_9728(mdm, receiver, status):
    receiver.statuses = [status]
    answer = mdm.error("/client/config", mdmInfo=CLAIM, notificationUrl=receiver.url, notificationAuthToken="hush")
    assert answer == (400, 9728)
    config = mdm.get("/client/config")
    assert "notificationUrl" not in config
    assert config["mdmInfo"] is None


@pytest.mark.parametrize(
    ("url", "token"),
    [("http://127.0.0.1:9/here", "hush"), ("http://127.0.0.1:99999/", "hush"), ("http://127.0.0.1:9/", "a\nb")],
)
def test_an_address_that_cannot_be_told_is_refused_with_9728(mdm, url, token):
    assert mdm.error("/client/config", notificationUrl=url, notificationAuthToken=token) == (400, 9728)


@pytest.mark.parametrize(
    ("url", "token", "number"),
    [
        ("https://portal.example/n", "", 9710),
        ("", "hush", 9710),
        ("http://portal.example/n", "hush", 9712),
        ("https://portal.example/" + "n" * 500, "hush", 9711),
        ("https://portal.example/n", "h" * 513, 9711),
        ("https://portal.example/n?a=b", "hush", 9602),
    ],
)
def test_a_subscription_has_rules(mdm, url, token, number):
    assert mdm.error("/client/config", notificationUrl=url, notificationAuthToken=token) == (400, number)


def body_of(app, **more):
    return {"assets": [{"adamId": app["adamId"], "pricingParam": app["pricingParam"]}], **more}


@pytest.mark.parametrize("path", ["/assets/associate", "/assets/disassociate"])
@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"serialNumbers": ["A"]}, 9718),
        ({"assets": [], "serialNumbers": ["A"]}, 9718),
        ({"assets": [{"adamId": "1"}]}, 9719),
        ({"assets": [{"adamId": "1"}], "serialNumbers": [], "clientUserIds": []}, 9719),
        ({"assets": [{"adamId": str(n)} for n in range(26)], "serialNumbers": ["A"]}, 9700),
        ({"assets": [{"adamId": "1"}], "clientUserIds": [str(n) for n in range(1001)]}, 9701),
        ({"assets": [{"adamId": "1"}], "serialNumbers": [str(n) for n in range(1001)]}, 9702),
        ({"assets": [{"adamId": "1"}, {"adamId": "1", "pricingParam": "STDQ"}], "serialNumbers": ["A"]}, 9703),
        ({"assets": [{"adamId": "1"}], "clientUserIds": ["A", "A"]}, 9704),
        ({"assets": [{"adamId": "1"}], "serialNumbers": ["A", "A"]}, 9705),
        ({"assets": "all", "serialNumbers": ["A"]}, 9602),
        ({"assets": [{"adamId": 1}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{"adamId": "1", "pricingParam": "FREE"}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{"adamId": "1"}], "serialNumbers": "A"}, 9602),
    ],
)
def test_a_license_request_has_rules(mdm, path, body, number):
    assert mdm.error(path, **body) == (400, number)


def test_a_refused_request_queues_nothing(mdm, sim):
    book = mdm.an_app(productType="Book")
    before = mdm.get("/assignments")
    assert mdm.error("/assets/associate", **body_of(book, serialNumbers=["A"])) == (400, 9707)
    assert mdm.error("/assets/disassociate", **body_of(book, clientUserIds=["A"])) == (400, 9706)
    sim.control("settle")
    assert mdm.get("/assignments") == before


def test_largest_requests_are_taken(mdm, sim):
    assets = [{"adamId": asset["adamId"]} for asset in mdm.get("/assets", deviceAssignable="true")["assets"][:25]]
    status = mdm.event("/assets/associate", assets=assets, serialNumbers=[f"S{n}" for n in range(1000)])
    assert status["numRequested"] == 25_000


@pytest.mark.parametrize(("name", "number"), [("clientUserIds", 9701), ("serialNumbers", 9702)])
def test_revoking_has_smaller_limits(mdm, name, number):
    assert mdm.error("/assets/revoke", **{name: [str(n) for n in range(101)]}) == (400, number)
    assert mdm.error("/assets/revoke") == (400, 9719)


@pytest.mark.parametrize("path", ["/users/create", "/users/update", "/users/retire"])
@pytest.mark.parametrize(
    ("users", "number"),
    [
        ([], 9720),
        ([{"clientUserId": str(n)} for n in range(101)], 9714),
        ([{"clientUserId": "a"}, {"clientUserId": "a"}], 9715),
        ([{"clientUserId": "a", "email": "nonsense"}], 9717),
        ([{"email": "a@b.example"}], 9602),
    ],
)
def test_a_user_request_has_rules(mdm, path, users, number):
    assert mdm.error(path, users=users) == (400, number)


@pytest.mark.parametrize("path", ["/users/update", "/users/retire"])
def test_unknown_users_are_refused_with_9609_at_once(mdm, path):
    answer = mdm.ask("POST", path, json={"users": [{"clientUserId": "nobody"}]})
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9609)
    assert answer.json()["errorInfo"] == {"clientUserIds": ["nobody"]}


def test_every_write_answers_an_event_id_and_the_common_members(mdm):
    queued = mdm.post("/assets/associate", **body_of(mdm.ordinary(), serialNumbers=["A"]))
    assert {"eventId", "uId", "tokenExpirationDate"} <= set(queued)
