"""The rows of Apple's lists as values, odd rows included."""

from __future__ import annotations

import pytest

from tests.tokens.scripted import Reply
from tokens.apple import Asset, Assignment

ASSET = {
    "adamId": "408709785",
    "pricingParam": "STDQ",
    "productType": "App",
    "totalCount": 100,
    "availableCount": 60,
    "assignedCount": 38,
    "retiredCount": 2,
    "deviceAssignable": True,
    "revocable": True,
    "supportedPlatforms": ["iOS", "macOS"],
}


def assets_of(client, apple, *rows, **members):
    apple.script = [Reply({"assets": list(rows), **members})]
    return next(client.assets()).items


def asset_of(client, apple, **changes):
    row = {key: value for key, value in {**ASSET, **changes}.items() if value is not ...}
    return assets_of(client, apple, row)[0]


def assignments_of(client, apple, *rows):
    apple.script = [Reply({"assignments": list(rows)})]
    return next(client.assignments())


def users_of(client, apple, *rows):
    apple.script = [Reply({"users": list(rows)})]
    return next(client.users())


def test_an_asset_is_read(client, apple):
    assert asset_of(client, apple) == Asset(
        "408709785", "STDQ", "App", 100, 60, 38, 2, False, True, True, ("iOS", "macOS")
    )


def test_one_product_in_both_pricings_is_two_assets(client, apple):
    found = assets_of(client, apple, ASSET, {**ASSET, "pricingParam": "PLUS"})
    assert [asset.pricing_param for asset in found] == ["STDQ", "PLUS"]


def test_a_count_at_its_limit_means_unlimited(client, apple):
    asset = asset_of(client, apple, totalCount=2147483647, availableCount=2147483600)
    assert (asset.is_unlimited, asset.total, asset.available, asset.assigned) == (True, 0, 0, 38)


def test_the_list_of_unlimited_assets_counts_as_unlimited(client, apple):
    row = {key: ASSET[key] for key in ("adamId", "pricingParam", "productType", "assignedCount", "supportedPlatforms")}
    apple.script = [Reply({"assets": [ASSET], "unlimitedAssets": [row], "size": 1})]
    page = next(client.assets(unlimited=True))
    assert [asset.is_unlimited for asset in page.items] == [False, True]
    assert (page.items[1].assigned, page.is_whole) == (38, True)
    assert apple.asked[0].query == {"unlimited": "true"}


def test_counts_may_be_texts_negative_or_more_than_there_are(client, apple):
    asset = asset_of(client, apple, totalCount="5", availableCount=-3, assignedCount=9, retiredCount=...)
    assert (asset.total, asset.available, asset.assigned, asset.retired) == (5, 0, 9, None)


def test_missing_counts_follow_from_the_others(client, apple):
    assert asset_of(client, apple, totalCount=...).total == 100
    assert asset_of(client, apple, availableCount=...).available == 60
    assert asset_of(client, apple, totalCount="x", availableCount=None, assignedCount=[], retiredCount={}).total == 0


@pytest.mark.parametrize("platforms", [..., None, [], "iOS", [None, 5], {}])
def test_platforms_may_be_missing(client, apple, platforms):
    assert asset_of(client, apple, supportedPlatforms=platforms).platforms == ()


def test_unknown_platforms_are_kept_once(client, apple):
    assert asset_of(client, apple, supportedPlatforms=["homeOS", "iOS", "iOS"]).platforms == ("homeOS", "iOS")


def test_a_book_goes_to_people_and_never_comes_back_unless_apple_says_otherwise(client, apple):
    book = asset_of(client, apple, productType="Book", deviceAssignable=..., revocable=...)
    assert (book.is_device_assignable, book.is_revocable) == (False, False)
    app = asset_of(client, apple, productType=..., deviceAssignable=..., revocable=...)
    assert (app.product_type, app.is_device_assignable, app.is_revocable) == ("App", True, True)
    app = asset_of(client, apple, deviceAssignable=False, revocable="false")
    assert (app.is_device_assignable, app.is_revocable) == (False, False)


@pytest.mark.parametrize("row", [None, 5, "x", [], {}, {"adamId": ""}, {"adamId": "12 or 1=1"}, {"adamId": True}])
def test_an_asset_without_a_store_id_is_left_out_and_counted(client, apple, row):
    apple.script = [Reply({"assets": [row, {**ASSET, "adamId": 7}], "size": 2})]
    page = next(client.assets())
    assert [asset.adam_id for asset in page.items] == ["7"]
    assert (page.skipped, page.is_whole) == (1, True)


def test_an_assignment_names_a_device_or_a_person(client, apple):
    page = assignments_of(
        client,
        apple,
        {"adamId": "1", "pricingParam": "PLUS", "serialNumber": "C02A"},
        {"adamId": 2, "clientUserId": "Anna-1", "userStatus": "Associated", "idHash": "h"},
    )
    assert page.items == [Assignment("1", "PLUS", "C02A", ""), Assignment("2", "STDQ", "", "Anna-1")]
    assert all(type(item) is Assignment for item in page.items)


def test_serial_numbers_become_upper_case_without_spaces(client, apple):
    page = assignments_of(client, apple, {"adamId": "1", "serialNumber": " c02ab "})
    assert page.items[0].serial_number == "C02AB"


@pytest.mark.parametrize(
    "row",
    [
        {"adamId": "1"},
        {"adamId": "1", "serialNumber": "C02A", "clientUserId": "anna"},
        {"adamId": "1", "serialNumber": "", "clientUserId": None},
        {"adamId": "1", "serialNumber": "   "},
        {"adamId": "1", "serialNumber": 5},
        {"adamId": "1", "serialNumber": ["C02A"]},
        {"adamId": "1", "serialNumber": "X" * 65},
        {"adamId": "1", "clientUserId": 5},
        {"adamId": "1", "clientUserId": "x" * 101},
        {"adamId": None, "serialNumber": "C02A"},
        {"adamId": [], "serialNumber": "C02A"},
        {"serialNumber": "C02A"},
        {},
        None,
        [],
        "x",
        5,
    ],
)
def test_an_assignment_of_no_use_is_left_out_and_counted(client, apple, row):
    page = assignments_of(client, apple, row, {"adamId": "1", "clientUserId": "anna"})
    assert page.items == [Assignment("1", "STDQ", "", "anna")]
    assert page.skipped == 1


def test_users_are_read_with_what_they_have(client, apple):
    page = users_of(
        client,
        apple,
        {"clientUserId": "a", "email": "a@example.org", "status": "Registered", "inviteCode": "f551b37d"},
        {"clientUserId": "a", "status": "Retired", "idHash": "h"},
        {"clientUserId": "a", "status": "Retired"},
        {"clientUserId": "d", "status": "Deleted", "email": None},
        {"email": "nobody@example.org"},
        None,
    )
    assert [(user.client_user_id, user.status) for user in page.items] == [
        ("a", "Registered"),
        ("a", "Retired"),
        ("a", "Retired"),
        ("d", "Deleted"),
    ]
    assert (page.items[0].invite_code, page.items[1].id_hash, page.items[3].email) == ("f551b37d", "h", "")
    assert page.skipped == 2
    assert "f551b37d" not in repr(page)
