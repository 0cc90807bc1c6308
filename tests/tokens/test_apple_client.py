"""One test an endpoint: what is asked, and what becomes of the answer; and whose location it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.tokens.conftest import SECRET
from tests.tokens.scripted import Reply
from tokens.apple import (
    AppleClient,
    AppleUnavailable,
    ClaimedElsewhere,
    Failure,
    Limits,
    MdmInfo,
    NewUser,
    Timeout,
    service_config,
)
from tokens.secret import Secret

LOCATION = {
    "uId": "2049025000431439",
    "locationName": "Alder & Sons",
    "countryISO2ACode": "de",
    "defaultPlatform": "enterprisestore",
    "websiteURL": "https://business.apple.com",
    "notificationUrl": "https://portal.example.org/apple/x/",
    "notificationAuthToken": "canary-webhook",
    "subscribedNotificationTypes": ["ASSET_COUNT", "ASSET_MANAGEMENT"],
    "mdmInfo": {"id": "us", "name": "VPP Portal", "metadata": "portal.example.org"},
    "tokenExpirationDate": "2027-06-30T12:00:00+0000",
    "apnToken": "x",
}
US = MdmInfo("us", "VPP Portal", "portal.example.org")
THEM = {"id": "them", "name": "Other MDM", "metadata": "mdm.example.com"}
RECEIPT = {"eventId": "e-1", "uId": "2049025000431439"}


def test_service_config_is_read_without_a_credential(apple):
    apple.script = [
        Reply(
            {
                "urls": {"contentMetadataLookup": "https://x.apple.com/lookup", "invitationEmail": 5},
                "limits": {"maxAssets": 10, "maxSerialNumbers": "500", "maxRequestPerSecond": 20, "maxUnheardOf": 1},
                "errorCodes": [{"errorNumber": 9603, "errorMessage": "Internal error"}, {"errorNumber": "x"}, None],
                "notificationTypes": ["ASSET_COUNT", "TEST_NOTIFICATION"],
            }
        )
    ]
    config = service_config(apple.url + "/mdm/v2/", timeout=Timeout(1, 1, 2))
    assert (config.limits.max_assets, config.limits.max_serial_numbers) == (10, 500)
    assert config.limits.max_requests_per_second == 20
    assert config.limits.max_client_user_ids == 1000
    assert dict(config.urls) == {"contentMetadataLookup": "https://x.apple.com/lookup"}
    assert dict(config.error_messages) == {9603: "Internal error"}
    assert config.notification_types == ("ASSET_COUNT", "TEST_NOTIFICATION")
    assert apple.asked[0].path == "/mdm/v2/service/config"
    assert "authorization" not in apple.asked[0].headers


@pytest.mark.parametrize("body", [{}, {"urls": None, "limits": [], "errorCodes": {}, "notificationTypes": "x"}])
def test_a_service_config_without_anything_leaves_the_defaults(apple, body):
    apple.script = [Reply(body)]
    config = service_config(apple.url, timeout=Timeout(1, 1, 2))
    assert config.limits == Limits()
    assert (config.lookup_url, config.invitation_url("x")) == ("", "")


@pytest.mark.parametrize("limit", [0, -1, "0", "many", None, True, [], 1.5, "1e3", 10**30])
def test_a_limit_that_is_none_leaves_the_default(apple, limit):
    apple.script = [Reply({"limits": {"maxAssets": limit}})]
    assert service_config(apple.url).limits.max_assets == 25


def test_the_invitation_address_is_filled_in(apple):
    for template in ("https://a.example/x?inviteCode=%25inviteCode%25", "https://a.example/x?inviteCode=%inviteCode%"):
        apple.script = [Reply({"urls": {"invitationEmail": template}})]
        assert service_config(apple.url).invitation_url("a&b") == "https://a.example/x?inviteCode=a%26b"


def test_a_location_is_read_with_the_bearer_and_without_the_webhook_secret(client, apple):
    apple.script = [Reply(LOCATION)]
    config = client.client_config()
    assert (config.location_id, config.location_name, config.country) == ("2049025000431439", "Alder & Sons", "DE")
    assert (config.default_platform, config.website_url) == ("enterprisestore", "https://business.apple.com")
    assert config.mdm_info == US
    assert config.token_expires_at == datetime(2027, 6, 30, 12, tzinfo=UTC)
    assert config.subscribed_notification_types == ("ASSET_COUNT", "ASSET_MANAGEMENT")
    assert "canary-webhook" not in repr(config)
    assert apple.asked[0].headers["authorization"] == "Bearer " + SECRET
    assert "cookie" not in apple.asked[0].headers


def test_a_location_needs_no_more_than_its_id(client, apple):
    apple.script = [Reply({"uId": "1", "defaultPlatform": "moonstore", "countryISO2ACode": "Germany"})]
    config = client.client_config()
    assert (config.location_name, config.country, config.default_platform) == ("", "", "moonstore")
    assert config.mdm_info is config.token_expires_at is None


def test_claiming_sends_all_three_members(client, apple):
    apple.script = [Reply(LOCATION)]
    assert client.claim(US).mdm_info == US
    asked = apple.asked[0]
    assert (asked.method, asked.path, asked.headers["content-type"]) == (
        "POST",
        "/mdm/v2/client/config",
        "application/json",
    )
    assert asked.body == {"mdmInfo": {"id": "us", "name": "VPP Portal", "metadata": "portal.example.org"}}


def test_a_claim_that_another_has_overwritten_at_once_is_noticed(client, apple):
    apple.script = [Reply({**LOCATION, "mdmInfo": THEM})]
    with pytest.raises(ClaimedElsewhere):
        client.claim(US)


def test_subscribing_sends_address_and_secret_together(client, apple):
    apple.script = [Reply(LOCATION)]
    client.subscribe("https://portal.example.org/apple/x/", Secret("hook"), ["ASSET_COUNT"])
    assert apple.asked[0].body == {
        "notificationUrl": "https://portal.example.org/apple/x/",
        "notificationAuthToken": "hook",
        "notificationTypes": ["ASSET_COUNT"],
    }


@pytest.mark.parametrize("verb", ["associate", "disassociate"])
def test_licenses_are_given_and_taken_by_asset_and_holder(client, apple, verb):
    apple.script = [Reply(RECEIPT)]
    ask = getattr(client, verb)
    assert (
        ask([("1", "STDQ"), ("2", "PLUS"), ("1", "STDQ")], serial_numbers=["c02a", " C02A", "C02B"]).event_id == "e-1"
    )
    ask([("1", "STDQ")], client_user_ids=["anna", "anna"])
    assert [asked.path for asked in apple.asked] == [f"/mdm/v2/assets/{verb}"] * 2
    assert apple.asked[0].body == {
        "assets": [{"adamId": "1", "pricingParam": "STDQ"}, {"adamId": "2", "pricingParam": "PLUS"}],
        "serialNumbers": ["C02A", "C02B"],
    }
    assert apple.asked[1].body == {"assets": [{"adamId": "1", "pricingParam": "STDQ"}], "clientUserIds": ["anna"]}


def test_revoking_names_holders_only(client, apple):
    apple.script = [Reply(RECEIPT)]
    assert client.revoke(serial_numbers=["C02A"], client_user_ids=["anna"]).event_id == "e-1"
    assert apple.asked[0].path == "/mdm/v2/assets/revoke"
    assert apple.asked[0].body == {"serialNumbers": ["C02A"], "clientUserIds": ["anna"]}


def test_users_are_created_updated_and_retired(client, apple):
    apple.script = [Reply(RECEIPT)]
    users = [NewUser("a", email="a@example.org"), NewUser("b", managed_apple_id="b@example.org")]
    assert client.create_users(users).event_id == "e-1"
    client.update_users(users[:1])
    client.retire_users(["a", "b"])
    assert [(asked.path.removeprefix("/mdm/v2/"), asked.body["users"]) for asked in apple.asked] == [
        (
            "users/create",
            [{"clientUserId": "a", "email": "a@example.org"}, {"clientUserId": "b", "managedAppleId": "b@example.org"}],
        ),
        ("users/update", [{"clientUserId": "a", "email": "a@example.org"}]),
        ("users/retire", [{"clientUserId": "a"}, {"clientUserId": "b"}]),
    ]


@pytest.mark.parametrize("body", [{}, {"eventId": ""}, {"eventId": None}, {"eventId": 5}])
def test_a_change_without_a_receipt_may_have_been_applied(client, apple, body):
    apple.script = [Reply(body)]
    with pytest.raises(AppleUnavailable) as raised:
        client.retire_users(["a"])
    assert raised.value.may_have_been_applied


def test_an_event_that_failed_in_part_is_read(client, apple):
    failure = {
        "errorNumber": 9709,
        "errorMessage": "Not enough licenses",
        "errorInfo": {"assets": [{"adamId": "1", "pricingParam": "STDQ"}], "serialNumbers": ["C02A", "C02B"]},
    }
    apple.script = [
        Reply(
            {
                "eventStatus": "FAILED",
                "eventType": "ASSOCIATE",
                "numRequested": 16,
                "numCompleted": "14",
                "failures": [failure, None, {}],
            }
        )
    ]
    status = client.event_status("e-1")
    assert apple.asked[0].query == {"eventId": "e-1"}
    assert (status.event_id, status.type, status.status) == ("e-1", "ASSOCIATE", "FAILED")
    assert (status.requested, status.completed) == (16, 14)
    assert status.failures[0] == Failure(9709, "There are not enough licenses.", (("1", "STDQ"),), (), ("C02A", "C02B"))
    assert status.failures[1].number is None


@pytest.mark.parametrize("failures", [None, [], "x"])
def test_an_event_without_failures_has_none(client, apple, failures):
    apple.script = [Reply({"eventStatus": "COMPLETE", "numRequested": 2, "numCompleted": 3, "failures": failures})]
    status = client.event_status("e-1")
    assert (status.status, status.completed, status.failures) == ("COMPLETE", 3, ())


def test_an_event_without_a_status_is_unreadable(client, apple):
    apple.script = [Reply({"numRequested": 2})]
    with pytest.raises(AppleUnavailable):
        client.event_status("e-1")


@pytest.mark.parametrize("info", [..., None, {}, {"id": ""}, {"id": None, "name": "x"}, [], "x", {"id": "us"}])
def test_an_answer_without_a_foreign_claim_is_ours(connect, apple, info):
    body = {**LOCATION, "mdmInfo": info}
    apple.script = [Reply({key: value for key, value in body.items() if value is not ...})]
    assert connect(mdm_id="us").client_config().location_id


def test_a_foreign_claim_is_noticed_on_every_endpoint(connect, apple):
    apple.script = [Reply({**LOCATION, **RECEIPT, "assets": [], "users": [], "assignments": [], "mdmInfo": THEM})]
    client: AppleClient = connect(mdm_id="us")
    for ask in (
        client.client_config,
        lambda: next(client.assets()),
        lambda: next(client.assignments()),
        lambda: next(client.users()),
        lambda: client.event_status("e-1"),
        lambda: client.create_users([NewUser("a")]),
    ):
        with pytest.raises(ClaimedElsewhere) as raised:
            ask()
        assert raised.value.owner == MdmInfo("them", "Other MDM", "mdm.example.com")


def test_a_change_answered_with_a_foreign_claim_keeps_its_receipt(connect, apple):
    apple.script = [Reply({**RECEIPT, "mdmInfo": THEM})]
    with pytest.raises(ClaimedElsewhere) as raised:
        connect(mdm_id="us").associate([("1", "STDQ")], serial_numbers=["C02A"])
    assert raised.value.event_id == "e-1"


def test_who_minds_no_claim_is_told_of_it(client, apple):
    apple.script = [Reply({**LOCATION, "mdmInfo": THEM})]
    assert client.client_config().mdm_info == MdmInfo("them", "Other MDM", "mdm.example.com")


@pytest.mark.parametrize("address", ["ftp://x/mdm", "x", "", "https://user@apple.com/", "http://a.com\\@b.com/"])
def test_an_address_that_is_none_is_refused_at_once(address):
    with pytest.raises(ValueError, match="address"):
        AppleClient(address, Secret("x"))
