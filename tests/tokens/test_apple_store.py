"""Looking products up in the store: what is asked, whom the credential goes to, and what odd entries become."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.tokens.conftest import SECRET
from tests.tokens.scripted import Asked, Reply
from tokens.apple import AppleUnavailable, RequestRefused, public_store_items
from tokens.apple.addresses import is_at, may_hold_credential

ENTRY = {
    "id": "408709785",
    "name": "Alder Notes",
    "artistName": "Alder Works",
    "bundleId": "example.alder.notes",
    "kind": "iosSoftware",
    "deviceFamilies": ["iphone", "ipad"],
    "genreNames": ["Productivity"],
    "artwork": {"url": "https://is1-ssl.mzstatic.com/image/thumb/x/{w}x{h}bb.{f}", "width": 1024, "height": 1024},
    "description": {"standard": "Notes."},
    "whatsNew": "Faster.",
    "releaseDate": "2019-04-09",
    "latestVersionReleaseDate": "Apr 9, 2019",
    "minimumOSVersion": "17.0",
    "isB2BCustomApp": False,
    "isVppDeviceBasedLicensingEnabled": True,
    "url": "https://apps.apple.com/de/app/id408709785",
    "offers": [
        {
            "type": "get",
            "price": 2.99,
            "priceFormatted": "$2.99",
            "buyParams": "productType=C&salableAdamId=1&appExtVrsId=830000001&pricingParameters=STDQ",
            "version": {"display": " 7.1", "externalId": 840000002},
        }
    ],
}
GERMANY: Any = {"country": "DE", "language": "de-DE", "platform": "enterprisestore"}


def looked_up(client, apple, *adam_ids, **results):
    apple.script = [Reply({"results": results, "version": 2, "isAuthenticated": False})]
    return client.store_items(apple.url + "/lookup", adam_ids or ["1"], **GERMANY)


def item_of(client, apple, **changes):
    entry = {key: value for key, value in {**ENTRY, **changes}.items() if value is not ...}
    return looked_up(client, apple, "1", **{"1": entry})["1"]


def test_a_product_is_read(client, apple):
    item = item_of(client, apple)
    assert (item.adam_id, item.name, item.developer) == ("1", "Alder Notes", "Alder Works")
    assert (item.bundle_id, item.kind, item.device_families) == (
        "example.alder.notes",
        "iosSoftware",
        ("iphone", "ipad"),
    )
    assert (item.version, item.external_version_id, item.minimum_os) == ("7.1", 840000002, "17.0")
    assert (item.price, item.price_formatted) == (Decimal("2.99"), "$2.99")
    assert (item.is_custom, item.is_device_assignable) == (False, True)
    assert (item.released_on, item.release_notes, item.description) == (date(2019, 4, 9), "Faster.", "Notes.")
    assert item.icon_url == "https://is1-ssl.mzstatic.com/image/thumb/x/128x128bb.png"
    assert (item.store_url, item.genres) == ("https://apps.apple.com/de/app/id408709785", ("Productivity",))


def test_the_store_is_asked_as_apple_wants_it(client, apple):
    looked_up(client, apple, "1", "2", "2", "rubbish")
    asked = apple.asked[0]
    assert asked.query == {
        "version": "2",
        "id": "1,2",
        "p": "mdm-lockup",
        "caller": "MDM",
        "platform": "enterprisestore",
        "cc": "de",
        "l": "de-DE",
    }
    assert asked.headers["cookie"] == "itvt=" + SECRET
    assert "authorization" not in asked.headers


def test_many_products_are_looked_up_in_batches(client, apple):
    def script(asked: Asked) -> Reply:
        return Reply({"results": dict.fromkeys(asked.query["id"].split(","), ENTRY)})

    apple.script = script
    found = client.store_items(apple.url + "/lookup", (str(number) for number in range(1, 251)), **GERMANY)
    assert list(found) == [str(number) for number in range(1, 251)]
    assert len(apple.asked) == 3


@pytest.mark.parametrize("results", [{}, {"2": ENTRY}, {"1": None}, {"1": []}])
def test_what_the_store_does_not_know_is_missing(client, apple, results):
    assert looked_up(client, apple, "1", **results) == {}


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": []}])
def test_a_store_that_says_nothing_knows_nothing(client, apple, body):
    apple.script = [Reply(body)]
    assert client.store_items(apple.url + "/lookup", ["1"], **GERMANY) == {}


def test_results_that_are_none_are_unreadable(client, apple):
    apple.script = [Reply({"results": "x"})]
    with pytest.raises(AppleUnavailable):
        client.store_items(apple.url + "/lookup", ["1"], **GERMANY)


def test_nothing_asked_is_nothing_sent(client, apple):
    assert client.store_items(apple.url + "/lookup", [], **GERMANY) == {}
    assert not apple.asked


def test_a_custom_app_lacks_much_and_is_read_all_the_same(client, apple):
    item = looked_up(client, apple, "1", **{"1": {"id": 1, "name": "Inhouse", "isB2BCustomApp": True}})["1"]
    assert (item.name, item.is_custom, item.version, item.external_version_id) == ("Inhouse", True, "", None)
    assert (item.icon_url, item.price, item.released_on, item.device_families) == ("", None, None, ())


@pytest.mark.parametrize("offers", [..., None, [], {}, [None], [{}], [{"version": None}], [{"version": []}]])
def test_a_product_may_have_no_offers(client, apple, offers):
    item = item_of(client, apple, offers=offers)
    assert (item.version, item.external_version_id, item.price) == ("", None, None)


def test_the_number_of_a_build_may_be_text_or_stand_in_the_purchase(client, apple):
    def number(offer):
        return item_of(client, apple, offers=[offer]).external_version_id

    assert number({"version": {"externalId": "840000002"}}) == 840000002
    assert number({"version": {"display": "1"}, "buyParams": "a=1&appExtVrsId=830000001&b=2"}) == 830000001
    assert number({"version": {"externalId": "x"}, "buyParams": "xappExtVrsId=1"}) is None
    assert number({"version": {}, "buyParams": "appExtVrsId=9999999999999999999"}) is None  # no database holds it


def test_a_name_with_markup_stays_text_and_a_long_one_is_cut(client, apple):
    assert item_of(client, apple, name="<b>Alder</b>").name == "<b>Alder</b>"
    assert len(item_of(client, apple, name="x" * 10_000).name) == 250
    assert item_of(client, apple, name=None, nameRaw="Raw").name == "Raw"


@pytest.mark.parametrize("day", [..., None, "Apr 9, 2019", "9. Apr. 2019", "2019-13-09", 5])
def test_a_localised_date_is_no_date(client, apple, day):
    assert item_of(client, apple, releaseDate=day).released_on is None


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("Apr 9, 2019", date(2019, 4, 9)),
        ("September 30, 2026", date(2026, 9, 30)),
        ("Feb 30, 2026", None),
        ("9. Apr. 2019", None),
        ("2019-04-09", None),
        (5, None),
        (None, None),
        (..., None),
    ],
)
def test_the_day_of_a_version_is_written_in_words(client, apple, day, expected):
    item = item_of(client, apple, latestVersionReleaseDate=day, releaseDate="2017-01-01")
    assert (item.version_released_on, item.released_on) == (expected, date(2017, 1, 1))


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), (..., None), (None, None), ("yes", None)])
def test_whether_something_is_sold_inside_is_told_or_not_known(client, apple, said, expected):
    assert item_of(client, apple, hasInAppPurchases=said).has_in_app_purchases is expected


def test_the_age_rating_is_apples_own(client, apple):
    systems = {"appsApple": {"name": "17+", "value": 600}, "appsBrazil": {"name": "18"}}
    assert item_of(client, apple, contentRatingsBySystem=systems).content_rating == "17+"


@pytest.mark.parametrize("systems", [..., None, [], {}, {"appsApple": None}, {"appsApple": {}}, {"appsApple": ["4+"]}])
def test_an_app_may_have_no_age_rating(client, apple, systems):
    assert item_of(client, apple, contentRatingsBySystem=systems).content_rating == ""


@pytest.mark.parametrize(
    ("price", "expected"),
    [(0, Decimal(0)), ("1.50", Decimal("1.50")), ("free", None), (None, None), (-1, None), ("NaN", None)],
)
def test_a_price_is_a_number_or_none(client, apple, price, expected):
    assert item_of(client, apple, offers=[{"price": price}]).price == expected


def test_artwork_may_be_a_list_of_sizes(client, apple):
    sizes = [{"url": f"https://is1-ssl.mzstatic.com/{size}.png", "width": size} for size in (60, 256, 512)]
    assert item_of(client, apple, artwork=sizes).icon_url == "https://is1-ssl.mzstatic.com/256.png"
    assert item_of(client, apple, artwork=sizes[:1]).icon_url == "https://is1-ssl.mzstatic.com/60.png"


def test_an_icon_may_lie_where_we_ask_anyway(client, apple):
    assert item_of(client, apple, artwork={"url": apple.url + "/icons/1.png"}).icon_url == apple.url + "/icons/1.png"


@pytest.mark.parametrize(
    "url",
    [
        "https://intranet.example.org/x.png",
        "http://169.254.169.254/latest/meta-data",
        "http://is1-ssl.mzstatic.com/x.png",
        "https://mzstatic.com.example.org/x.png",
        "https://xmzstatic.com/x.png",
        "https://is1.mzstatic.com:8443/x.png",
        "https://user:pass@is1.mzstatic.com/x.png",
        "javascript:alert(1)",
        "data:image/png;base64,AA==",
        "//is1-ssl.mzstatic.com/x.png",
        "https://is1-ssl.mzstatic.com/" + "x" * 500,
        "",
        None,
        5,
    ],
)
def test_an_icon_from_anywhere_else_is_none(client, apple, url):
    assert item_of(client, apple, artwork={"url": url}).icon_url == ""
    assert item_of(client, apple, artwork=[{"url": url}]).icon_url == ""


@pytest.mark.parametrize("artwork", [..., None, [], {}, "x", [None], 5])
def test_a_product_may_have_no_artwork(client, apple, artwork):
    assert item_of(client, apple, artwork=artwork).icon_url == ""


@pytest.mark.parametrize("url", ["javascript:alert(1)", "x", None, "https://a b", "https://x/" + "y" * 500])
def test_a_store_address_that_is_none_is_left_out(client, apple, url):
    assert item_of(client, apple, url=url).store_url == ""


HOSTILE = [
    "https://lookup.example.org/lookup",
    "http://uclient-api.itunes.apple.com/lookup",
    "https://apple.com.example.org/lookup",
    "https://example.org\\@itunes.apple.com/lookup",
    "https://itunes.apple.com@example.org/lookup",
    "https://itunes.apple.com:8443/lookup",
    "https://evilapple.com/lookup",
    "https://example.org/#.apple.com",
    "https://example.org/?.apple.com",
    "https://itunes.apple.com:99999/x",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_the_credential_goes_to_nobody_but_apple_and_who_we_ask_anyway(client, apple, address):
    with pytest.raises(RequestRefused):
        client.store_items(address, ["1"], **GERMANY)
    assert not may_hold_credential(address, apple.url)
    assert not is_at(address, "apple.com")


def test_apple_itself_may_be_asked_from_everywhere():
    assert may_hold_credential(
        "https://uclient-api.itunes.apple.com/WebObjects/x", "https://vpp.itunes.apple.com/mdm/v2"
    )
    assert may_hold_credential("HTTPS://Uclient-API.itunes.apple.com./x".lower(), "http://127.0.0.1:9/mdm/v2")


def test_another_port_of_this_machine_is_another_origin(client, apple):
    with pytest.raises(RequestRefused):
        client.store_items("http://127.0.0.1:9/lookup", ["1"], **GERMANY)


def test_the_lookup_follows_no_redirect(client, apple):
    apple.script = [Reply({}, 302, {"Location": apple.url + "/elsewhere"})]
    with pytest.raises(AppleUnavailable):
        client.store_items(apple.url + "/lookup", ["1"], **GERMANY)
    assert len(apple.asked) == 1


@pytest.mark.parametrize("reply", [Reply({}, 401), Reply({"errorNumber": 9622}, 401), Reply({}, 403), Reply({}, 404)])
def test_the_stores_word_on_a_token_does_not_count(client, apple, reply):
    apple.script = [reply]
    with pytest.raises(RequestRefused):
        client.store_items(apple.url + "/lookup", ["1"], **GERMANY)


def test_anybody_may_look_up_without_a_credential(apple):
    apple.script = [Reply({"results": {"1": ENTRY}})]
    found = public_store_items(apple.url + "/lookup", ["1"], base_url=apple.url, **GERMANY)
    assert found["1"].name == "Alder Notes"
    assert not apple.asked[0].headers.keys() & {"cookie", "authorization"}
