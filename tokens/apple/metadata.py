"""Look products up in the store (contentMetadataLookup): names, icons, versions, and which are custom apps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import islice
from typing import Any, Final

from requests.auth import AuthBase

from tokens.apple.addresses import is_at, is_plain, may_hold_credential, origin
from tokens.apple.answers import Body, Unreadable
from tokens.apple.errors import RequestRefused, TokenRejected
from tokens.apple.parsing import adam_id, integer, text, texts, truth
from tokens.apple.transport import Ask, Transport
from tokens.apple.values import StoreItem

AT_ONCE: Final = 100
ICON_SIZE: Final = "128"
QUESTION: Final = {"version": "2", "p": "mdm-lockup", "caller": "MDM"}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_IN_WORDS: Final = re.compile(r"([A-Z][a-z]{2})[a-z]* (\d{1,2}), (\d{4})", re.ASCII)
_VERSION_IN_BUY_PARAMS: Final = re.compile(r"(?:^|&)appExtVrsId=(\d{1,19})(?:&|$)", re.ASCII)


def look_up(
    transport: Transport,
    auth: AuthBase,
    lookup_url: str,
    adam_ids: Iterable[str],
    *,
    base_url: str,
    country: str,
    language: str,
    platform: str,
) -> dict[str, StoreItem]:
    """Return what the store knows of the products, by store id; what it does not know is missing.

    The store's word on a credential is not the API's: its 401 is an ordinary refusal.
    """
    if not may_hold_credential(lookup_url, base_url):
        raise RequestRefused("The address of the store lookup is not Apple's; it is not asked.")
    common = {**QUESTION, "platform": platform, "cc": country.lower(), "l": language}
    found: dict[str, StoreItem] = {}
    wanted = iter(dict.fromkeys(filter(None, map(adam_id, adam_ids))))
    while batch := list(islice(wanted, AT_ONCE)):
        parse = partial(_items, batch, {origin(lookup_url), origin(base_url)})
        params = {**common, "id": ",".join(batch)}
        ask = Ask("GET contentMetadataLookup", lookup_url, parse, auth, params)
        found |= _ask(transport, ask)
    return found


def _ask(transport: Transport, ask: Ask[dict[str, StoreItem]]) -> dict[str, StoreItem]:
    try:
        return transport.call(ask, "store " + ask.url)
    except TokenRejected as error:
        refusal = RequestRefused(error.message, number=error.number, http_status=error.http_status)
    raise refusal


def _items(asked: list[str], origins: set[tuple[str, str, int]], body: Body) -> dict[str, StoreItem]:
    results = body.get("results")
    if results is not None and not isinstance(results, (dict, list)):
        raise Unreadable("it holds no results")
    rows = results if isinstance(results, dict) else {}
    return {key: store_item(key, rows[key], origins) for key in asked if isinstance(rows.get(key), dict)}


def store_item(key: str, row: Body, origins: set[tuple[str, str, int]]) -> StoreItem:
    """Return one entry of the store; icons only from Apple's hosts or one of the origins we ask anyway."""
    offers = [offer for offer in _list(row.get("offers")) if isinstance(offer, dict)]
    offer: Body = next(
        (offer for offer in offers if isinstance(offer.get("version"), dict)), offers[0] if offers else {}
    )
    version = _dict(offer.get("version"))
    notes = row.get("whatsNew")
    return StoreItem(
        adam_id=key,
        name=text(row.get("name")) or text(row.get("nameRaw")),
        developer=text(row.get("artistName")),
        bundle_id=text(row.get("bundleId")),
        kind=text(row.get("kind"), 40),
        device_families=texts(row.get("deviceFamilies"), 20),
        is_custom=truth(row.get("isB2BCustomApp")),
        is_device_assignable=truth(row.get("isVppDeviceBasedLicensingEnabled")),
        icon_url=_icon(row.get("artwork"), origins),
        version=text(version.get("display"), 60),
        external_version_id=_external_version_id(version, offer),
        minimum_os=text(row.get("minimumOSVersion"), 20),
        price=_price(offer.get("price")),
        price_formatted=text(offer.get("priceFormatted"), 40),
        release_notes=text(notes, 10_000),
        released_on=_day(row.get("releaseDate")),
        version_released_on=_written_out(row.get("latestVersionReleaseDate")),
        description=text(_dict(row.get("description")).get("standard"), 20_000),
        genres=texts(row.get("genreNames")),
        store_url=_link(row.get("url")),
        content_rating=text(_dict(_dict(row.get("contentRatingsBySystem")).get("appsApple")).get("name"), 20),
        has_in_app_purchases=row["hasInAppPurchases"] if isinstance(row.get("hasInAppPurchases"), bool) else None,
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> Body:
    return value if isinstance(value, dict) else {}


def _external_version_id(version: Body, offer: Body) -> int | None:
    """Apple's number of a build: a plain member, or else inside the text a purchase would send."""
    number = integer(version.get("externalId"))
    inside = _VERSION_IN_BUY_PARAMS.search(text(offer.get("buyParams"), 2000))
    return number if number is not None or inside is None else integer(inside[1])


def _price(value: object) -> Decimal | None:
    try:
        price = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 <= price < 10**9 else None


def _day(value: object) -> date | None:
    """Return a date written as such; the store also writes localised ones, which are for reading only."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        return None


def _written_out(value: object) -> date | None:
    """Return a date such as “Apr 9, 2019”, which the store writes in the language it was asked in; None for others."""
    found = _IN_WORDS.fullmatch(text(value, 30))
    if found is None or found[1] not in _MONTHS:
        return None
    try:
        return date(int(found[3]), _MONTHS.index(found[1]) + 1, int(found[2]))
    except ValueError:
        return None


def _icon(artwork: object, origins: set[tuple[str, str, int]]) -> str:
    """Return the address of an icon: `artwork` is a list of finished sizes, or one template to be filled in."""
    if isinstance(artwork, list):
        sizes = [row for row in artwork if isinstance(row, dict)]
        template = next((row for row in sizes if _width(row) >= int(ICON_SIZE)), sizes[-1] if sizes else {}).get("url")
    else:
        template = _dict(artwork).get("url")
    url = text(template, 501)
    for name, value in {"w": ICON_SIZE, "h": ICON_SIZE, "f": "png", "c": "bb"}.items():
        url = url.replace("{" + name + "}", value)
    if len(url) > 500 or not is_plain(url):
        return ""
    return url if is_at(url, "mzstatic.com") or is_at(url, "apple.com") or origin(url) in origins else ""


def _width(row: Body) -> int:
    return integer(row.get("width")) or 0


def _link(value: object) -> str:
    url = text(value, 501)
    return url if len(url) <= 500 and re.fullmatch(r"https?://[!-~]+", url) else ""
