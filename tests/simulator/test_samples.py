"""The sample locations hold what is promised, and their files are what Apple would give."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from vppportal.simulator import Simulator

KEYS = ["business", "school", "large", "expired", "revoked", "claimed"]


def read(text):
    return json.loads(base64.b64decode(text, validate=True))


@pytest.mark.parametrize("key", KEYS)
def test_a_file_is_base64_of_three_members(sim, key):
    content = read(sim.token_file(key))
    assert set(content) == {"token", "expDate", "orgName"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", content["expDate"])


@pytest.mark.parametrize("key", KEYS)
def test_a_token_is_valid_for_a_year_except_the_expired_one(sim, key):
    left = datetime.strptime(read(sim.token_file(key))["expDate"], "%Y-%m-%dT%H:%M:%S%z") - datetime.now(UTC)
    assert left < timedelta(0) if key == "expired" else timedelta(days=364) < left <= timedelta(days=365)


def test_an_organization_may_have_letters_beyond_ascii(sim):
    assert "ä" in read(sim.token_file("revoked"))["orgName"]


def test_the_business_location_holds_what_is_promised(mdm):
    assets = mdm.walk("/assets", "assets")
    apps = mdm.lookup(*{asset["adamId"] for asset in assets})["results"]
    platforms = Counter(tuple(asset["supportedPlatforms"]) for asset in assets if asset["pricingParam"] == "STDQ")
    assert platforms == {("iOS",): 40, ("macOS",): 4, ("iOS", "macOS"): 3, (): 2}
    assert sum(app.get("isB2BCustomApp", False) for app in apps.values()) == 6
    assert len({asset["adamId"] for asset in assets} - set(apps)) == 1
    twice = [adam_id for adam_id, count in Counter(asset["adamId"] for asset in assets).items() if count == 2]
    assert len(twice) == 1
    assert len(mdm.get("/assets", unlimited="true")["unlimitedAssets"]) == 1


def test_names_and_bundle_ids_are_unique_and_descriptions_are_there(mdm, other):
    for caller in (mdm, other("school")):
        apps = caller.lookup(*{asset["adamId"] for asset in caller.walk("/assets", "assets")}, cc="ie")["results"]
        assert len({app["name"] for app in apps.values()}) == len(apps)
        bundles = [app["bundleId"] for app in apps.values() if "bundleId" in app]
        assert len(set(bundles)) == len(bundles)
        assert all(len(app["description"]["standard"]) > 80 for app in apps.values())


def test_the_large_location_is_large(other):
    large = other("large")
    assert len(large.walk("/assets", "assets")) == 2_000
    rows = large.walk("/assignments", "assignments")
    assert len({tuple(row.items()) for row in rows}) == len(rows) == 50_000


def test_the_claimed_location_is_another_mdms(other):
    assert other("claimed").get("/client/config")["mdmInfo"]["name"] == "Ostrander Device Manager"


def test_locations_differ_in_id(sim):
    uids = [location.uid for location in sim.world.locations.values()]
    assert len(set(uids)) == len(KEYS)


def test_an_app_owned_by_two_locations_is_one_app(mdm, other):
    mine, theirs = ({asset["adamId"] for asset in one.walk("/assets", "assets")} for one in (mdm, other("claimed")))
    assert theirs < mine


def everything(simulator):
    world = simulator.world
    return [
        (location.uid, [asset.encode() for asset in location.assets.values()], list(location.holdings)[:300])
        for location in world.locations.values()
    ] + [[(token.location, token.secret) for token in world.tokens.values()]]


def test_the_same_seed_gives_the_same_world_and_another_seed_another():
    first, again, different = (Simulator(seed=seed) for seed in (7, 7, 8))
    try:
        assert everything(first) == everything(again) != everything(different)
        first.control("reset")
        assert everything(first) == everything(again)
    finally:
        for simulator in (first, again, different):
            simulator.close()


def test_the_same_seed_and_history_give_the_same_event_ids(mdm, sim):
    first = mdm.post("/assets/revoke", serialNumbers=["A"])["eventId"]
    sim.control("reset")
    assert mdm.post("/assets/revoke", serialNumbers=["A"])["eventId"] == first


def test_another_run_gives_other_event_ids_and_the_same_world():
    first, another = Simulator(seed=7, run="Monday"), Simulator(seed=7, run="Tuesday")
    try:
        assert everything(first) == everything(another)
        ids = [simulator.world.location("business").new_event_id() for simulator in (first, another)]
        assert ids[0] != ids[1]
    finally:
        for simulator in (first, another):
            simulator.close()


def test_files_are_written_and_taken_over_by_the_next_run(tmp_path):
    def start():
        simulator = Simulator(seed=1, samples=tmp_path)
        simulator.close()
        return simulator

    first = start()
    assert {path.name for path in tmp_path.glob("*.vpptoken")} == {f"sToken_for_{key}.vpptoken" for key in KEYS}
    first.control("tokens", location="business", days=100)
    assert (tmp_path / "sToken_for_business_2.vpptoken").read_text() == first.token_file("business")
    second = start()
    kept = [token.text for token in second.world.tokens_of("business")]
    assert kept == [token.text for token in first.world.tokens_of("business")]
