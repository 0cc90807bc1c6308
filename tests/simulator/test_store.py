"""The metadata lookup: who sees which app, and what is said about it."""

from __future__ import annotations

import pytest
import requests


def ids(mdm, **query):
    return [asset["adamId"] for asset in mdm.walk("/assets", "assets", **query)]


def everything(mdm, **query):
    return mdm.lookup(*dict.fromkeys(ids(mdm)), **query)["results"]


def one(mdm, **wanted):
    return next(found for found in everything(mdm).values() if wanted.items() <= found.items())


def test_several_ids_are_answered_by_id(mdm):
    first, second = ids(mdm)[:2]
    results = mdm.lookup(first, second)["results"]
    assert list(results) == [first, second]
    assert {str(found["id"]) for found in results.values()} == {first, second}


def test_the_frame_never_says_authenticated(mdm):
    answer = mdm.lookup(ids(mdm)[0], cc="de", l="de")
    assert answer["isAuthenticated"] is False
    assert answer["meta"] == {"storefront": {"id": "143443", "cc": "de"}, "language": {"tag": "de"}}


def test_custom_apps_are_shown_to_a_cookie_of_an_owner_only(mdm, other):
    custom = str(one(mdm, isB2BCustomApp=True)["id"])
    assert custom in mdm.lookup(custom)["results"]
    assert mdm.lookup(custom, cookie=False)["results"] == {}
    assert other("school").lookup(custom)["results"] == {}
    assert other("business", "nonsense").lookup(custom)["results"] == {}


def test_public_apps_need_no_cookie(mdm):
    public = str(one(mdm, isB2BCustomApp=False)["id"])
    assert public in mdm.lookup(public, cookie=False)["results"]


@pytest.mark.parametrize("verb", ["revoke", "expire"])
def test_the_cookie_of_a_token_that_does_not_work_is_no_cookie(mdm, sim, verb):
    custom = str(one(mdm, isB2BCustomApp=True)["id"])
    sim.control(verb, location="business")
    assert mdm.lookup(custom)["results"] == {}


def test_a_delisted_app_is_shown_to_its_owners_only(mdm, other, sim):
    public = str(one(mdm, isB2BCustomApp=False)["id"])
    sim.control("delist", adamId=public)
    assert public in mdm.lookup(public)["results"]
    assert other("school").lookup(public)["results"] == {}
    sim.control("delist", adamId=public, back=True)
    assert public in mdm.lookup(public, cookie=False)["results"]


def test_an_app_missing_from_a_storefront_is_absent_there_even_for_its_owner(mdm):
    owned = set(ids(mdm))
    (missing,) = owned - set(everything(mdm))
    assert missing in mdm.lookup(missing, cc="gb")["results"]


@pytest.mark.parametrize("query", [{"id": "1"}, {"id": ""}, {"id": "x"}, {"p": "mdm-look-up"}, {"version": "1"}])
def test_what_cannot_be_answered_is_empty_without_a_reason(mdm, query):
    assert mdm.lookup(ids(mdm)[0], **query)["results"] == {}


def test_an_offer_has_version_and_external_id(mdm):
    offer = one(mdm, kind="iosSoftware")["offers"][0]
    assert set(offer["version"]) == {"display", "externalId"}
    assert f"appExtVrsId={offer['version']['externalId']}" in offer["buyParams"]


def test_both_shapes_of_artwork_occur(mdm):
    shapes = {type(found["artwork"]) for found in everything(mdm).values()}
    assert shapes == {dict, list}
    template = next(found["artwork"] for found in everything(mdm).values() if isinstance(found["artwork"], dict))
    assert template["url"].endswith("/{w}x{h}bb.{f}")
    assert {"width", "height", "bgColor"} <= set(template)


def test_ids_come_as_numbers_and_as_strings(mdm):
    assert {type(found["id"]) for found in everything(mdm).values()} == {int, str}


def test_artwork_can_be_fetched_from_where_it_says(mdm):
    for found in list(everything(mdm).values())[:6]:
        art = found["artwork"]
        url = art["url"].format(w=64, h=64, f="png") if isinstance(art, dict) else art[0]["url"]
        picture = requests.get(url, timeout=5)
        assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/png")


def test_families_and_kinds_tell_what_an_app_runs_on(mdm):
    found = everything(mdm).values()
    families = {tuple(one["deviceFamilies"]) for one in found if "deviceFamilies" in one}
    assert families == {("iphone", "ipad", "ipod"), ("ipad",), ("mac",), ("iphone", "ipad", "ipod", "mac")}
    assert {one["kind"] for one in found} == {"iosSoftware", "desktopApp", "ebook"}


def test_books_have_no_bundle_id(mdm):
    book = one(mdm, kind="ebook")
    assert "bundleId" not in book
    assert "version" not in book["offers"][0]


def test_the_mac_build_of_a_universal_app_has_numbers_of_its_own(mdm):
    universal = next(
        one
        for one in everything(mdm).values()
        if "mac" in one.get("deviceFamilies", []) and len(one["deviceFamilies"]) > 1
    )
    mac = mdm.lookup(str(universal["id"]), platform="macappstore")["results"][str(universal["id"])]
    assert mac["offers"][0]["version"]["externalId"] != universal["offers"][0]["version"]["externalId"]


def test_custom_apps_lack_what_only_public_ones_have(mdm):
    assert not {"isFirstParty", "userRating", "url"} & set(one(mdm, isB2BCustomApp=True))


def test_shipping_moves_the_version_on(mdm, sim):
    app = one(mdm, isB2BCustomApp=False)
    before, adam_id = app["offers"][0]["version"], str(app["id"])
    shipped = sim.control("ship", adamId=adam_id, minimumOs="26.1")
    after = mdm.lookup(adam_id)["results"][adam_id]
    assert after["offers"][0]["version"] == shipped
    assert after["minimumOSVersion"] == "26.1"
    assert shipped["externalId"] > before["externalId"]
    assert shipped["display"] != before["display"]
    assert sim.control("ship", adamId=adam_id, version="99.0")["display"] == "99.0"


def version(mdm, adam_id, **query):
    return mdm.lookup(adam_id, **query)["results"][adam_id]["offers"][0]["version"]


def test_a_version_that_is_taken_back_makes_the_one_before_it_the_newest(mdm, sim):
    adam_id = str(one(mdm, isB2BCustomApp=True)["id"])
    before = version(mdm, adam_id)
    shipped = sim.control("ship", adamId=adam_id)
    assert sim.control("withdraw", adamId=adam_id) == before == version(mdm, adam_id)
    assert sim.control("ship", adamId=adam_id) == shipped


def test_the_only_version_cannot_be_taken_back(sim, mdm):
    adam_id = str(one(mdm, isB2BCustomApp=True)["id"])
    with pytest.raises(ValueError, match="only version"):
        for _ in range(9):
            sim.control("withdraw", adamId=adam_id)


def test_some_stores_may_be_late_with_a_version(mdm, sim):
    adam_id = str(one(mdm, isB2BCustomApp=False)["id"])
    before = version(mdm, adam_id)
    shipped = sim.control("ship", adamId=adam_id, late=["GB"])
    assert version(mdm, adam_id, cc="us") == shipped
    assert version(mdm, adam_id, cc="gb") == before
    assert version(mdm, adam_id, cc="gb") != version(mdm, adam_id, cc="de")


def test_apps_of_a_made_location_are_invented_when_they_are_asked_for(other, sim):
    large = other("large")
    found = large.lookup(*ids(large)[:100])["results"]
    assert len(found) == 100
    assert len({one["name"] for one in found.values()}) == 100
