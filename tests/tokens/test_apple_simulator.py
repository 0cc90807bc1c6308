"""The client and the simulator together: every endpoint once, and the stories that need a server with a memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.processes import eventually
from tokens.apple import (
    AppleClient,
    AppleUnavailable,
    BadVersion,
    ClaimedElsewhere,
    EventReceipt,
    EventStatus,
    MdmInfo,
    NewUser,
    RequestRefused,
    TokenRejected,
    UnknownEvent,
    Walk,
    service_config,
)
from tokens.secret import Secret
from tokens.vpptoken import BadTokenFile, read
from vppportal.simulator import Simulator

US = MdmInfo("0d5ff8f6-portal", "VPP Portal", "portal.example.org")
STORE = {"country": "US", "language": "en-US", "platform": "enterprisestore"}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(seed=11, event_seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    running.control("reset")
    running.control("limits", maxRequestPerSecond=100_000)
    return running


def client_of(sim: Simulator, location: str, **how) -> AppleClient:
    token = read(sim.token_file(location).encode(), now=datetime.now(UTC))
    return AppleClient(sim.apple_url, token.secret, retries=0, **how)


@pytest.fixture
def business(sim: Simulator) -> Iterator[AppleClient]:
    with client_of(sim, "business") as client:
        yield client


def finished(client: AppleClient, receipt: EventReceipt) -> EventStatus:
    return eventually(lambda: told if (told := client.event_status(receipt.event_id)).status != "PENDING" else None)


def everything(pages):
    walk = Walk(pages)
    items = [item for page in walk for item in page.items]
    assert walk.is_clean
    return items


def an_app(client: AppleClient):
    return next(
        asset
        for asset in everything(client.assets(productType="App", minAvailableCount=20))
        if asset.is_device_assignable and not asset.is_unlimited
    )


def test_service_config_names_limits_addresses_and_errors(sim):
    config = service_config(sim.apple_url)
    assert config.limits.max_requests_per_second == 100_000
    assert config.lookup_url.startswith(sim.url)
    assert config.error_messages[9625]


def test_a_location_is_claimed_and_stays_ours(sim, business):
    assert business.client_config().mdm_info is None
    assert business.claim(US).mdm_info == US
    with client_of(sim, "business", mdm_id=US.id) as ours:
        assert ours.client_config().mdm_info == US
        sim.control("claim", location="business", id="them", name="Other MDM")
        with pytest.raises(ClaimedElsewhere) as raised:
            next(ours.assets())
    assert raised.value.owner.id == "them"


def test_a_location_of_another_is_told_by_name(sim):
    with client_of(sim, "claimed", mdm_id=US.id) as client, pytest.raises(ClaimedElsewhere) as raised:
        client.client_config()
    assert raised.value.owner.name


def test_an_address_apple_cannot_reach_is_refused(business):
    with pytest.raises(RequestRefused) as raised:
        business.subscribe("https://127.0.0.1:9/x/", Secret("hook"), ["ASSET_COUNT"])
    assert raised.value.number == 9728


@pytest.mark.parametrize(("location", "number"), [("revoked", 9625), ("expired", 9621)])
def test_a_token_out_of_use_is_rejected_with_its_number(sim, location, number):
    with client_of(sim, location) as client, pytest.raises(TokenRejected) as raised:
        client.client_config()
    assert raised.value.number == number


def test_the_inner_token_is_no_bearer_and_no_file(sim, business):
    inner = json.loads(base64.b64decode(sim.token_file("business")))["token"]
    with AppleClient(sim.apple_url, Secret(inner), retries=0) as client, pytest.raises(TokenRejected) as raised:
        client.client_config()
    assert raised.value.number == 9622
    with pytest.raises(BadTokenFile) as refused:
        read(inner.encode(), now=datetime.now(UTC))
    assert refused.value.code == "inner_token"


def test_all_assets_of_the_business_are_read(business):
    assets = everything(business.assets())
    keys = [(asset.adam_id, asset.pricing_param) for asset in assets]
    assert len(keys) == len(set(keys)) >= 50
    assert {asset.product_type for asset in assets} == {"App", "Book"}
    assert sum(asset.is_unlimited for asset in assets) == 1
    assert any(asset.platforms == ("macOS",) for asset in assets)
    assert {"STDQ", "PLUS"} == {asset.pricing_param for asset in assets}


def test_unlimited_assets_are_found_in_their_own_list(business):
    assert sum(asset.is_unlimited for asset in everything(business.assets(unlimited=True))) == 1
    assert not any(asset.is_unlimited for asset in everything(business.assets(unlimited=False)))


def test_all_assignments_of_a_large_location_are_read_once(sim):
    with client_of(sim, "large") as client:
        assignments = everything(client.assignments())
        assigned = sum(asset.assigned for asset in everything(client.assets()))
    assert len(assignments) == len(set(assignments)) == assigned == 50_000


def test_users_are_read_with_their_states(sim):
    with client_of(sim, "school") as client:
        users = everything(client.users())
    assert users
    assert {user.status for user in users} <= {"Registered", "Associated", "Retired", "Deleted"}


def test_a_license_is_given_to_a_device_and_taken_back(business):
    app = an_app(business)
    key = (app.adam_id, app.pricing_param)
    version = next(business.assignments()).version_id
    assert finished(business, business.associate([key], serial_numbers=["C02NEW0000A1"])).status == "COMPLETE"
    (found,) = everything(business.assignments(serialNumber="C02NEW0000A1"))
    assert (found.adam_id, found.serial_number) == (app.adam_id, "C02NEW0000A1")
    assert found in everything(business.assignments(since=version))
    finished(business, business.disassociate([key], serial_numbers=["C02NEW0000A1"]))
    assert everything(business.assignments(serialNumber="C02NEW0000A1")) == []


def test_everything_is_taken_back_from_a_device(business):
    app = an_app(business)
    finished(business, business.associate([(app.adam_id, app.pricing_param)], serial_numbers=["C02NEW0000A1"]))
    assert finished(business, business.revoke(serial_numbers=["C02NEW0000A1"])).type == "REVOKE"
    assert everything(business.assignments(serialNumber="C02NEW0000A1")) == []


def test_a_user_is_created_changed_and_retired(business):
    finished(business, business.create_users([NewUser("anna-1", email="anna@example.org")]))
    (user,) = everything(business.users(clientUserId="anna-1"))
    assert (user.status, user.email, bool(user.invite_code)) == ("Registered", "anna@example.org", True)
    finished(business, business.update_users([NewUser("anna-1", email="a@example.org")]))
    (user,) = everything(business.users(clientUserId="anna-1"))
    assert user.email == "a@example.org"
    finished(business, business.retire_users(["anna-1"]))
    assert [user.status for user in everything(business.users(clientUserId="anna-1"))] == ["Retired"]


def test_too_few_licenses_fail_with_their_number(sim, business):
    app = an_app(business)
    sim.control("run-dry", location="business", adamId=app.adam_id)
    status = finished(business, business.associate([(app.adam_id, app.pricing_param)], serial_numbers=["C02NEW0000A1"]))
    assert status.status == "FAILED"
    assert [failure.number for failure in status.failures] == [9709]


def test_what_is_too_much_for_one_request_is_refused(business):
    with pytest.raises(RequestRefused) as raised:
        business.associate([(str(number), "STDQ") for number in range(1, 27)], serial_numbers=["C02A"])
    assert raised.value.number == 9700


def test_unknown_events_and_versions_have_kinds_of_their_own(business):
    with pytest.raises(UnknownEvent):
        business.event_status("never-heard-of")
    with pytest.raises(BadVersion):
        list(business.assignments(since="never-heard-of"))


def test_a_list_that_moves_while_it_is_read_is_no_clean_walk(sim):
    sim.control("move-version", location="large", listing="assignments", page=3)
    with client_of(sim, "large") as client:
        walk = Walk(client.assignments())
        assert len(list(walk)) > 5
        assert not walk.is_clean
        again = Walk(client.assignments())
        list(again)
    assert again.is_clean
    assert again.first_version != walk.first_version


def test_a_change_that_was_done_although_the_line_broke_is_in_doubt(sim, business):
    app = an_app(business)
    sim.control("faults", path="/mdm/v2/assets/associate", drop="after")
    with pytest.raises(AppleUnavailable) as raised:
        business.associate([(app.adam_id, app.pricing_param)], serial_numbers=["C02NEW0000A1"])
    assert raised.value.may_have_been_applied
    sim.control("settle")
    assert len(everything(business.assignments(serialNumber="C02NEW0000A1"))) == 1


def test_the_store_knows_public_and_custom_apps_and_not_those_withdrawn(sim, business):
    lookup = service_config(sim.apple_url).lookup_url
    apps = [asset.adam_id for asset in everything(business.assets()) if asset.product_type == "App"]
    found = business.store_items(lookup, apps, **STORE)
    assert 0 < len(set(apps)) - len(found) < 5
    assert sum(item.is_custom for item in found.values()) == 6
    assert all(item.name and item.icon_url.startswith(sim.url) for item in found.values())
    assert all(item.version and item.external_version_id and item.bundle_id for item in found.values())


def test_a_new_version_has_a_new_number(sim, business):
    lookup, app = service_config(sim.apple_url).lookup_url, an_app(business)
    before = business.store_items(lookup, [app.adam_id], **STORE)[app.adam_id]
    sim.control("ship", adamId=app.adam_id, version="99.1", notes="All new.")
    after = business.store_items(lookup, [app.adam_id], **STORE)[app.adam_id]
    assert (after.version, after.release_notes) == ("99.1", "All new.")
    assert (after.external_version_id or 0) > (before.external_version_id or 0)
