"""Configuration, assets, assignments, users and status, as Apple lists them."""

from __future__ import annotations

import pytest

LIMITS = {
    "maxAssets": 25,
    "maxClientUserIds": 1000,
    "maxSerialNumbers": 1000,
    "maxRevokeClientUserIds": 100,
    "maxRevokeSerialNumbers": 100,
    "maxUsers": 100,
    "maxNotificationLength": 512,
    "maxMdmIdLength": 100,
    "maxMdmNameLength": 100,
    "maxMdmMetadataLength": 255,
}
URLS = [
    "invitationEmail",
    "clientConfig",
    "createUsers",
    "updateUsers",
    "retireUsers",
    "getUsers",
    "getAssets",
    "getAssignments",
    "associateAssets",
    "disassociateAssets",
    "revokeAssets",
    "eventStatus",
    "contentMetadataLookup",
]


def test_service_config_names_limits_addresses_errors_and_types(mdm):
    config = mdm.get("/service/config")
    assert LIMITS.items() <= config["limits"].items()
    assert set(URLS) == set(config["urls"])
    assert all(url.startswith(mdm.sim.url) for url in config["urls"].values())
    assert {"errorNumber", "errorMessage"} == set(config["errorCodes"][0])
    assert len(config["notificationTypes"]) == 4
    assert "uId" not in config


def test_requests_per_second_are_limited_to_15_by_default(sim, mdm):
    sim.control("reset")
    assert mdm.get("/service/config")["limits"]["maxRequestPerSecond"] == 15


def test_client_config_says_where_the_token_belongs(mdm, other):
    business, school = mdm.get("/client/config"), other("school").get("/client/config")
    assert (business["countryISO2ACode"], business["defaultPlatform"]) == ("US", "enterprisestore")
    assert business["websiteURL"] == "https://business.apple.com"
    assert (school["countryISO2ACode"], school["defaultPlatform"]) == ("GB", "volumestore")
    assert school["websiteURL"] == "https://school.apple.com"
    assert business["locationName"]
    assert business["subscribedNotificationTypes"] == []
    assert "notificationUrl" not in business
    assert "apnToken" in school


def test_an_asset_has_the_documented_members_and_no_name(mdm):
    asset = mdm.get("/assets")["assets"][0]
    assert set(asset) == {
        "adamId",
        "pricingParam",
        "productType",
        "totalCount",
        "availableCount",
        "assignedCount",
        "retiredCount",
        "deviceAssignable",
        "revocable",
        "supportedPlatforms",
    }
    assert isinstance(asset["adamId"], str)


def test_total_is_available_and_assigned_and_retired(mdm):
    for asset in mdm.walk("/assets", "assets"):
        assert asset["totalCount"] == asset["availableCount"] + asset["assignedCount"] + asset["retiredCount"]


def test_counts_agree_with_the_assignments(mdm, other):
    for caller in (mdm, other("school"), other("large")):
        held = [(row["adamId"], row["pricingParam"]) for row in caller.walk("/assignments", "assignments")]
        for asset in caller.walk("/assets", "assets")[:40]:
            assert asset["assignedCount"] == held.count((asset["adamId"], asset["pricingParam"]))


FILTERS = [
    ("productType", "Book", lambda asset: asset["productType"] == "Book"),
    ("pricingParam", "PLUS", lambda asset: asset["pricingParam"] == "PLUS"),
    ("revocable", "false", lambda asset: not asset["revocable"]),
    ("deviceAssignable", "true", lambda asset: asset["deviceAssignable"]),
    ("minAvailableCount", 45, lambda asset: asset["availableCount"] >= 45),
    ("maxAvailableCount", 45, lambda asset: asset["availableCount"] <= 45),
    ("minAssignedCount", 4, lambda asset: asset["assignedCount"] >= 4),
    ("maxAssignedCount", 4, lambda asset: asset["assignedCount"] <= 4),
    ("unlimited", "false", lambda asset: asset["totalCount"] < 2147483647),
]


@pytest.mark.parametrize(("name", "value", "fits"), FILTERS)
def test_assets_can_be_filtered(mdm, name, value, fits):
    everything = mdm.walk("/assets", "assets")
    found = mdm.walk("/assets", "assets", **{name: value})
    assert found == [asset for asset in everything if fits(asset)]
    assert 0 < len(found) < len(everything)


def test_assets_can_be_filtered_by_id(mdm):
    adam_id = mdm.get("/assets", pricingParam="PLUS")["assets"][0]["adamId"]
    assert {asset["pricingParam"] for asset in mdm.get("/assets", adamId=adam_id)["assets"]} == {"STDQ", "PLUS"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("productType", "Song"), ("pricingParam", "CHEAP"), ("revocable", "1"), ("minAssignedCount", "x")],
)
def test_a_filter_with_a_wrong_value_is_refused_with_9602(mdm, name, value):
    assert mdm.get("/assets", **{name: value})["errorNumber"] == 9602


def test_unlimited_assets_come_with_the_largest_number_unless_asked_for_apart(mdm):
    plain = [asset for asset in mdm.get("/assets")["assets"] if asset["totalCount"] == 2147483647]
    apart = mdm.get("/assets", unlimited="true")
    assert len(plain) == 1
    assert [asset["adamId"] for asset in apart["unlimitedAssets"]] == [plain[0]["adamId"]]
    assert not {"totalCount", "availableCount", "retiredCount"} & set(apart["unlimitedAssets"][0])
    assert plain[0]["adamId"] not in [asset["adamId"] for asset in apart["assets"]]
    assert apart["size"] == len(apart["assets"]) + 1


def test_pages_start_at_0_and_the_last_one_has_no_next(mdm, sim):
    sim.control("page-size", size=20)
    first, last = mdm.get("/assets"), mdm.get("/assets", pageIndex=2)
    assert (first["currentPageIndex"], first["nextPageIndex"], first["size"], first["totalPages"]) == (0, 1, 20, 3)
    assert (last["currentPageIndex"], last["size"]) == (2, 10)
    assert "nextPageIndex" not in last
    assert first["versionId"] == last["versionId"]


def test_the_page_size_is_the_servers_and_several_hundred(other):
    page = other("large").get("/assignments")
    assert (page["size"], page["totalPages"]) == (549, 92)


@pytest.mark.parametrize("index", [1, -1, 99999])
def test_a_page_out_of_range_is_refused_with_9650(mdm, index):
    answer = mdm.ask("GET", "/assets", params={"pageIndex": index})
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9650)


def test_an_empty_listing_is_one_empty_page(mdm):
    page = mdm.get("/assignments", serialNumber="NOBODY")
    assert (page["assignments"], page["size"], page["totalPages"]) == ([], 0, 1)


def test_an_assignment_names_a_device_or_a_user(mdm):
    rows = mdm.walk("/assignments", "assignments")
    shapes = {frozenset(row) for row in rows}
    assert shapes == {
        frozenset({"adamId", "pricingParam", "serialNumber"}),
        frozenset({"adamId", "pricingParam", "clientUserId"}),
    }


@pytest.mark.parametrize("location", ["business", "large"])
@pytest.mark.parametrize("name", ["adamId", "serialNumber", "clientUserId"])
def test_assignments_can_be_filtered(other, location, name):
    caller = other(location)
    rows = caller.walk("/assignments", "assignments")
    value = next(row[name] for row in rows if name in row)
    assert caller.walk("/assignments", "assignments", **{name: value}) == [
        row for row in rows if row.get(name) == value
    ]


def test_assignments_can_be_filtered_by_two_things_and_by_pricing(mdm):
    rows = mdm.walk("/assignments", "assignments")
    row = rows[3]
    assert mdm.get("/assignments", adamId=row["adamId"], serialNumber=row["serialNumber"])["assignments"] == [row]
    plus = mdm.walk("/assignments", "assignments", pricingParam="PLUS")
    assert plus == [row for row in rows if row["pricingParam"] == "PLUS"] != []


def test_user_state_is_shown_on_request(mdm):
    rows = mdm.get("/assignments", includeUserState="true")["assignments"]
    users = [row for row in rows if "clientUserId" in row]
    assert {"userStatus", "idHash"} <= set(users[0])
    assert not any("userStatus" in row for row in rows if "serialNumber" in row)


def test_a_delta_has_what_came_since(mdm):
    app = mdm.ordinary()
    before = mdm.get("/assignments")["versionId"]
    assert mdm.get("/assignments", sinceVersionId=before)["assignments"] == []
    mdm.event("/assets/associate", assets=[{"adamId": app["adamId"], "pricingParam": "STDQ"}], serialNumbers=["NEW1"])
    delta = mdm.get("/assignments", sinceVersionId=before)
    assert [row["serialNumber"] for row in delta["assignments"]] == ["NEW1"]
    assert delta["versionId"] != before


@pytest.mark.parametrize("path", ["/assignments", "/users"])
def test_a_version_apple_never_gave_out_is_refused_with_9721(mdm, other, path):
    foreign = other("large").get(path)["versionId"]
    for version in ("", "nonsense", foreign):
        answer = mdm.ask("GET", path, params={"sinceVersionId": version})
        assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9721)


def test_users_show_a_code_while_invited_and_a_hash_once_associated(mdm):
    users = mdm.walk("/users", "users")
    invited = [user for user in users if user["status"] == "Registered"]
    associated = [user for user in users if user["status"] == "Associated"]
    assert invited
    assert all("inviteCode" in user and "idHash" not in user for user in invited)
    assert all("idHash" in user and "inviteCode" not in user for user in associated)


def test_users_can_be_filtered(mdm):
    everyone = mdm.walk("/users", "users")
    active = mdm.walk("/users", "users", activeOnly="true")
    retired = mdm.walk("/users", "users", retiredOnly="true")
    assert len(active) + len(retired) == len(everyone)
    assert {user["status"] for user in retired} == {"Retired"}
    assert mdm.get("/users", clientUserId=active[0]["clientUserId"])["users"] == [active[0]]


def test_a_delta_of_users_has_who_changed(mdm):
    before = mdm.get("/users")["versionId"]
    mdm.event("/users/create", users=[{"clientUserId": "new", "email": "new@elsewhere.example"}])
    assert [user["clientUserId"] for user in mdm.get("/users", sinceVersionId=before)["users"]] == ["new"]


def test_an_unknown_event_is_refused_with_9708_and_none_with_9602(mdm, other):
    assert mdm.get("/status", eventId="nobody")["errorNumber"] == 9708
    assert mdm.get("/status")["errorNumber"] == 9602
    queued = mdm.post("/assets/revoke", serialNumbers=["X"])
    assert other("school").get("/status", eventId=queued["eventId"])["errorNumber"] == 9708
