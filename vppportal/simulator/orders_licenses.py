"""Orders about licenses, as other people buy, take and move them, and about the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vppportal.simulator import apple
from vppportal.simulator.assignments import Assignment
from vppportal.simulator.catalogue import Entry
from vppportal.simulator.location import UNLIMITED, Asset, AssetKey, Location
from vppportal.simulator.orders_location import describe
from vppportal.simulator.samples import PLATFORMS, enter
from vppportal.simulator.store import Product, Version
from vppportal.simulator.world import World

NEW_ID = 1_900_000_000


def buy(world: World, location: str, adam_id: str, count: int, pricing_param: str = "STDQ") -> dict[str, Any]:
    """Buy licenses, or give some back with a negative count; the MDM gets ASSET_COUNT."""
    place = world.location(location)
    with place.lock:
        asset = _asset(place, adam_id, pricing_param)
        if asset.available + count < 0:
            raise ValueError(f"only {asset.available} licenses are free")
        asset.total += count
        place.change("assets")
    _tell_count(world, place, asset.key, count)
    return {"totalCount": asset.total, "availableCount": asset.available}


def _tell_count(world: World, location: Location, key: AssetKey, delta: int) -> None:
    content = {"adamId": key.adam_id, "pricingParam": key.pricing_param, "countDelta": delta}
    world.notifications.tell(location, "ASSET_COUNT", content)


def _asset(location: Location, adam_id: str, pricing_param: str = "") -> Asset:
    asset = location.asset(str(adam_id), pricing_param)
    if asset is None:
        raise KeyError(f"{location.identity.key} owns no {adam_id} {pricing_param}".rstrip())
    return asset


def run_dry(world: World, location: str, adam_id: str = "") -> dict[str, Any]:
    """Leave no license free, of one app or of all."""
    place = world.location(location)
    with place.lock:
        for asset in [_asset(place, adam_id)] if adam_id else place.assets.values():
            if not asset.is_unlimited:
                asset.total = asset.assigned + asset.retired
        place.change("assets")
    return describe(world, place)


def counts(
    world: World,
    location: str,
    adam_id: str,
    total: int | None = None,
    assigned: int | None = None,
    retired: int | None = None,
) -> dict[str, Any]:
    """Show counts of an asset that do not fit together, as when they lag behind the assignments."""
    place = world.location(location)
    with place.lock:
        asset = _asset(place, adam_id)
        asset.total = asset.total if total is None else total
        asset.assigned = asset.assigned if assigned is None else assigned
        asset.retired = asset.retired if retired is None else retired
        place.change("assets")
    return {"totalCount": asset.total, "availableCount": asset.available}


def add_app(
    world: World,
    location: str,
    adam_id: str = "",
    name: str = "Freshly Bought",
    kind: str = "ios",
    count: int = 10,
    pricing_param: str = "STDQ",
    custom: bool = False,
    unlimited: bool = False,
) -> dict[str, Any]:
    """Buy an app: a known one by adamId, otherwise a new one. Of one that is owned, or was, there are so many more."""
    place = world.location(location)
    with world.lock:
        adam_id = str(adam_id) or str(NEW_ID + len(world.store.products))
        if world.store.find(adam_id) is None:
            marks = frozenset((kind, "custom" if custom else ""))
            enter(
                world.store, int(adam_id), Entry(name, "Latecomer Software", "Business", "Bought a moment ago.", marks)
            )
    key = AssetKey(adam_id, pricing_param)
    is_app = kind != "book"
    total = UNLIMITED if unlimited else count
    with place.lock:
        asset = place.assets.get(key) or place.departed.pop(key, None)
        if asset is None:
            asset = Asset(
                key, total, "App" if is_app else "Book", is_app, is_app, PLATFORMS[kind], is_unlimited=unlimited
            )
        elif not asset.is_unlimited:
            asset.total += count
        place.assets[key] = asset
        place.change("assets")
    _tell_count(world, place, key, count)
    return {"adamId": adam_id}


def transfer_away(world: World, location: str, adam_id: str, pricing_param: str = "STDQ") -> dict[str, Any]:
    """Take an asset off the list although licenses of it are still assigned."""
    place = world.location(location)
    with place.lock:
        asset = _asset(place, adam_id, pricing_param)
        place.departed[asset.key] = place.assets.pop(asset.key)
        place.change("assets")
    _tell_count(world, place, asset.key, -asset.available)
    return describe(world, place)


def assign(
    world: World,
    location: str,
    adam_id: str,
    serial_numbers: list[str] | None = None,
    client_user_ids: list[str] | None = None,
    pricing_param: str = "",
) -> dict[str, Any]:
    """Assign licenses at once and without a word, as another MDM would."""
    place = world.location(location)
    with place.lock:
        key = _asset(place, adam_id, pricing_param).key
        place.change("assets", "assignments")
        rows = _rows(key, serial_numbers, client_user_ids)
        refused = [number for number in map(place.assign, rows) if number]
    return {"assigned": len(rows) - len(refused), "refused": refused}


def take_back(
    world: World,
    location: str,
    adam_id: str,
    serial_numbers: list[str] | None = None,
    client_user_ids: list[str] | None = None,
    pricing_param: str = "",
) -> dict[str, Any]:
    """Take licenses back at once and without a word, as another MDM would."""
    place = world.location(location)
    with place.lock:
        key = _asset(place, adam_id, pricing_param).key
        place.change("assets", "assignments")
        freed = [place.take_back(row) for row in _rows(key, serial_numbers, client_user_ids)]
    return {"freed": sum(freed)}


def _rows(key: AssetKey, serial_numbers: list[str] | None, client_user_ids: list[str] | None) -> list[Assignment]:
    devices = [Assignment(*key, serial_number=serial) for serial in serial_numbers or ()]
    return devices + [Assignment(*key, client_user_id=user_id) for user_id in client_user_ids or ()]


def accept(world: World, location: str, client_user_id: str) -> dict[str, Any]:
    """Let an invited user accept; the MDM gets USER_ASSOCIATED."""
    place = world.location(location)
    if client_user_id not in place.users.active:
        raise KeyError(f"{location} has no user {client_user_id}")
    apple.accept(world, place, client_user_id)
    return place.users.active[client_user_id].as_json()


def ship(
    world: World,
    adam_id: str,
    version: str = "",
    notes: str = "",
    minimum_os: str = "",
    late: Sequence[str] = (),
) -> dict[str, Any]:
    """Publish a new version of an app; the stores of the countries in `late` go on showing the one before it."""
    product = _product(world, adam_id)
    product.late_in = frozenset(country.lower() for country in late)
    return _shown(world.store.ship(product, version, notes, minimum_os))


def withdraw(world: World, adam_id: str) -> dict[str, Any]:
    """Take the newest version of an app back: the store shows the one before it, with its lower number."""
    return _shown(world.store.withdraw(_product(world, adam_id)))


def _shown(version: Version) -> dict[str, Any]:
    return {"display": version.display, "externalId": version.external_id}


def delist(world: World, adam_id: str, back: bool = False) -> dict[str, Any]:
    """Remove an app from the store, or with `back` put it back."""
    product = _product(world, adam_id)
    product.delisted = not back
    return {"adamId": adam_id, "delisted": product.delisted}


def storefronts(world: World, adam_id: str, missing: list[str]) -> dict[str, Any]:
    """Name the countries whose stores do not have an app."""
    product = _product(world, adam_id)
    product.missing_in = frozenset(country.lower() for country in missing)
    return {"adamId": adam_id, "missing": sorted(product.missing_in)}


def _product(world: World, adam_id: str) -> Product:
    product = world.store.find(str(adam_id))
    if product is None:
        raise KeyError(f"the store has no {adam_id}")
    return product


ORDERS = (
    *(buy, run_dry, counts, add_app, transfer_away, assign, take_back, accept),
    *(ship, withdraw, delist, storefronts),
)
