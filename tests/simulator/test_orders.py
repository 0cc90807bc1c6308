"""Each order of the control address does what its sentence says."""

from __future__ import annotations

import requests


def refreshed(mdm, app):
    return mdm.get("/assets", adamId=app["adamId"], pricingParam=app["pricingParam"])["assets"][0]


def number_of(mdm, path="/assets"):
    return mdm.ask("GET", path).json().get("errorNumber", 0)


def test_locations_are_listed_with_their_files(sim):
    listed = requests.get(f"{sim.control_url}/locations", timeout=5).json()["locations"]
    assert [one["key"] for one in listed] == ["business", "school", "large", "expired", "revoked", "claimed"]
    assert [one["tokens"][0]["state"] for one in listed] == ["valid", "valid", "valid", "expired", "revoked", "valid"]
    assert listed[0]["tokens"][0]["file"] == "sToken_for_business.vpptoken"
    assert (listed[2]["assets"], listed[2]["assignments"]) == (2_000, 50_000)


def test_a_location_of_any_size_can_be_made(other, sim):
    made = sim.control("locations", assets=30, assignments=700, users=4, devices=60, country="FR", key="bench")
    caller = other("bench", made["token"])
    config = caller.get("/client/config")
    assert (config["uId"], config["countryISO2ACode"]) == (made["uId"], "FR")
    rows = caller.walk("/assignments", "assignments")
    assert len({tuple(row.items()) for row in rows}) == 700
    assert len(caller.walk("/users", "users")) == 4
    assets = caller.walk("/assets", "assets")
    assert len(assets) == 30
    assert sum(asset["assignedCount"] for asset in assets) == 700
    assert all(asset["availableCount"] > 0 for asset in assets)


def test_a_made_location_can_be_changed_like_any_other(other, sim):
    caller = other("bench", sim.control("locations", assets=3, assignments=30, devices=10, key="bench")["token"])
    adam_id = caller.get("/assets")["assets"][0]["adamId"]
    caller.event("/assets/associate", assets=[{"adamId": adam_id}], serialNumbers=["EXTRA"])
    caller.event("/assets/disassociate", assets=[{"adamId": adam_id}], serialNumbers=["EXTRA"])
    row = caller.get("/assignments")["assignments"][0]
    caller.event("/assets/revoke", serialNumbers=[row["serialNumber"]])
    assert len(caller.walk("/assignments", "assignments")) == 27


def test_a_fresh_token_leaves_the_older_one_valid(mdm, other, sim):
    fresh = sim.control("tokens", location="business")
    assert fresh["token"] == sim.token_file("business") != mdm.bearer
    assert number_of(mdm) == number_of(other("business")) == 0
    assert mdm.get("/client/config")["uId"] == other("business").get("/client/config")["uId"]


def test_a_fresh_token_may_end_the_older_one(mdm, other, sim):
    sim.control("tokens", location="business", revokeOthers=True)
    assert (number_of(mdm), number_of(other("business"))) == (9625, 0)


def test_a_fresh_token_may_be_short_lived(other, sim):
    sim.control("tokens", location="school", days=-1)
    assert number_of(other("school")) == 9621


def test_revoke_expire_read_only_and_restore(mdm, sim):
    sim.control("revoke", location="business")
    assert number_of(mdm) == 9625
    sim.control("restore", location="business")
    assert number_of(mdm) == 0
    sim.control("expire", location="business")
    assert number_of(mdm) == 9621
    sim.control("restore", location="business")
    sim.control("read-only", location="business")
    assert number_of(mdm) == 0
    assert mdm.error("/assets/revoke", serialNumbers=["A"]) == (403, 9637)
    sim.control("restore", location="business")
    assert "eventId" in mdm.post("/assets/revoke", serialNumbers=["A"])


def test_claim_and_unclaim(mdm, sim):
    sim.control("claim", location="business", name="Rival")
    assert mdm.get("/assets")["mdmInfo"]["name"] == "Rival"
    sim.control("unclaim", location="business")
    assert mdm.get("/assets")["mdmInfo"] is None


def test_buy_and_run_dry(mdm, sim):
    app = mdm.ordinary()
    sim.control("run-dry", location="business", adamId=app["adamId"])
    assert refreshed(mdm, app)["availableCount"] == 0
    sim.control("buy", location="business", adamId=app["adamId"], count=4)
    assert refreshed(mdm, app)["availableCount"] == 4
    sim.control("run-dry", location="business")
    assert mdm.get("/assets", minAvailableCount=1, unlimited="false")["assets"] == []


def test_every_change_of_assets_moves_their_version(mdm, sim):
    app = mdm.ordinary()
    before = mdm.get("/assets")["versionId"]
    sim.control("buy", location="business", adamId=app["adamId"], count=4)
    assert mdm.get("/assets")["versionId"] != before


def test_counts_may_be_made_to_disagree(mdm, sim):
    app = mdm.ordinary()
    sim.control("counts", location="business", adamId=app["adamId"], assigned=app["totalCount"] + 3)
    after = refreshed(mdm, app)
    assert after["assignedCount"] > after["totalCount"]
    assert after["availableCount"] < 0


def test_an_app_can_be_added_new_or_known(mdm, sim, other):
    adam_id = sim.control("add-app", location="business", name="Just Arrived", custom=True, count=7)["adamId"]
    assert mdm.get("/assets", adamId=adam_id)["assets"][0]["totalCount"] == 7
    assert mdm.lookup(adam_id)["results"][adam_id]["name"] == "Just Arrived"
    known = other("school").an_app()["adamId"]
    sim.control("add-app", location="business", adamId=known)
    assert mdm.get("/assets", adamId=known)["size"] == 1
    book = sim.control("add-app", location="business", kind="book", name="Late Pages")["adamId"]
    assert mdm.get("/assets", adamId=book)["assets"][0]["productType"] == "Book"
    free = sim.control("add-app", location="business", unlimited=True, name="Free for All")["adamId"]
    assert mdm.get("/assets", adamId=free)["assets"][0]["totalCount"] == 2147483647


def test_an_app_that_is_or_was_owned_keeps_what_is_assigned_of_it(mdm, sim):
    adam_id = sim.control("add-app", location="business", count=7)["adamId"]
    sim.control("assign", location="business", adamId=adam_id, serialNumbers=["A"])
    for total in (10, 13):
        sim.control("add-app", location="business", adamId=adam_id, count=3)
        asset = mdm.get("/assets", adamId=adam_id)["assets"][0]
        assert (asset["assignedCount"], asset["totalCount"]) == (1, total)
        sim.control("transfer-away", location="business", adamId=adam_id)


def test_an_asset_can_be_transferred_away_while_its_assignments_remain(mdm, sim):
    app = mdm.an_app(deviceAssignable=True, supportedPlatforms=["iOS"])
    held = mdm.get("/assignments", adamId=app["adamId"])["size"]
    sim.control("transfer-away", location="business", adamId=app["adamId"])
    assert mdm.get("/assets", adamId=app["adamId"])["assets"] == []
    assert mdm.get("/assignments", adamId=app["adamId"])["size"] == held > 0


def test_another_mdm_can_assign_and_take_back(mdm, sim):
    app = mdm.ordinary()
    order = {"location": "business", "adamId": app["adamId"], "serialNumbers": ["FOREIGN"]}
    assert sim.control("assign", **order) == {"assigned": 1, "refused": []}
    assert mdm.get("/assignments", serialNumber="FOREIGN")["size"] == 1
    assert refreshed(mdm, app)["availableCount"] == app["availableCount"] - 1
    assert sim.control("take-back", **order) == {"freed": 1}
    assert refreshed(mdm, app) == app


def test_limits_are_shown_and_enforced(mdm, sim):
    sim.control("limits", maxAssets=1, maxSerialNumbers=2)
    assert mdm.get("/service/config")["limits"]["maxAssets"] == 1
    assets = [{"adamId": "1"}, {"adamId": "2"}]
    assert mdm.error("/assets/associate", assets=assets, serialNumbers=["A"]) == (400, 9700)
    assert mdm.error("/assets/associate", assets=assets[:1], serialNumbers=["A", "B", "C"]) == (400, 9702)


def test_the_page_size_can_be_changed_in_the_middle_of_a_walk(mdm, sim):
    sim.control("page-size", size=10)
    assert mdm.get("/assets")["totalPages"] == 5
    sim.control("page-size", size=25)
    assert mdm.get("/assets", pageIndex=1)["totalPages"] == 2


def test_the_version_moves_on_the_page_that_was_ordered(mdm, sim):
    sim.control("page-size", size=20)
    sim.control("move-version", location="business", listing="assets", page=1)
    versions = [mdm.get("/assets", pageIndex=index)["versionId"] for index in (0, 1, 2, 1)]
    assert versions[0] != versions[1] == versions[2] == versions[3]


def test_rows_may_be_taken_back_in_the_middle_of_a_walk(mdm, sim):
    sim.control("page-size", size=50)
    whole = mdm.walk("/assignments", "assignments")
    sim.control("move-version", location="business", listing="assignments", page=2, takeBack=3)
    seen = mdm.walk("/assignments", "assignments")
    missed = [row for row in whole[3:] if row not in seen]
    assert missed == whole[100:103]


def test_waiting_says_what_is_still_to_come(mdm, sim):
    sim.control("events", seconds=30)
    mdm.post("/assets/revoke", serialNumbers=["A"])
    assert requests.get(f"{sim.control_url}/waiting", timeout=5).json() == {"events": 1, "deliveries": 0}
    assert sim.control("settle", seconds=0.05) == {"events": 1, "deliveries": 0}
