"""The locations the simulator starts with, and locations made to a size."""

from __future__ import annotations

import random
import uuid
import zlib
from datetime import date
from typing import TYPE_CHECKING

from vppportal.simulator.assignments import Assignment, Block
from vppportal.simulator.catalogue import BUSINESS, SCHOOL, SMALL, Entry, describe, invented
from vppportal.simulator.location import UNLIMITED, Asset, AssetKey, Identity, Location
from vppportal.simulator.store import Product, Store, history
from vppportal.simulator.users import ASSOCIATED, ClientUser

if TYPE_CHECKING:
    from vppportal.simulator.world import World

FIRST_ID = 1_600_000_000
MADE_ID = 3_000_000_000
MADE_SPAN = 10_000_000
PLATFORMS = {
    "ios": ("iOS",),
    "ipad": ("iOS",),
    "mac": ("macOS",),
    "universal": ("iOS", "macOS"),
    "book": (),
    "tv": ("tvOS",),
}
OTHER_MDM = {
    "id": "5f0c2a1e-4d4b-4f52-9a70-2f6f0f1f8c11",
    "name": "Ostrander Device Manager",
    "metadata": "mdm.ostrander.example",
}

IDENTITIES = {
    "business": Identity("business", "Meridale Headquarters", "Meridale Instruments, Inc.", domain="meridale.example"),
    "school": Identity(
        "school",
        "Aldermoor Upper School",
        "Aldermoor Schools Trust",
        "GB",
        "volumestore",
        "aldermoor.example",
        hides_unclaimed=True,
    ),
    "large": Identity("large", "Corvane Stores", "Corvane Retail Group", domain="corvane.example"),
    "expired": Identity("expired", "Brackenfell Depot", "Brackenfell Haulage Ltd", "GB", domain="brackenfell.example"),
    "revoked": Identity(
        "revoked", "Bäckerei Hollriegel Zentrale", "Bäckerei Hollriegel GmbH", "DE", domain="hollriegel.example"
    ),
    "claimed": Identity("claimed", "Ostrander Clinic North", "Ostrander Clinics", "CA", domain="ostrander.example"),
}


def fill(world: World) -> None:
    """Set up the samples; the same seed gives the same ones."""
    for identity in IDENTITIES.values():
        location = Location(identity, f"location:{world.seed}:{identity.key}", world.run)
        world.locations[identity.key] = location
        _stock(world, location)
        token = world.issue(location, -30 if identity.key == "expired" else None, world.started_at)
        token.is_revoked = identity.key == "revoked"
        world.adopt_renewals(location)
    world.locations["claimed"].mdm_info = dict(OTHER_MDM)


def _stock(world: World, location: Location) -> None:
    key = location.identity.key
    if key == "large":
        make(world, location, assets=2_000, assignments=50_000, users=500, devices=4_000)
        return
    entries = {"business": BUSINESS, "school": SCHOOL}.get(key, SMALL)
    first = FIRST_ID + {"business": 1_000, "school": 40_000}.get(key, 1_000)
    for entry in entries:
        # Small locations own some of the business apps: an app shared by several tokens is one app.
        adam_id = first + 977 * (BUSINESS if first == FIRST_ID + 1_000 else SCHOOL).index(entry)
        enter(world.store, adam_id, entry)
        _own(location, adam_id, entry)
    _people(location, 12 if key == "business" else 6)
    _use(location)


def enter(store: Store, adam_id: int, entry: Entry) -> Product:
    """Put an invented product into the store."""
    kind, marks = entry.kind, entry.marks
    developer = "".join(char for char in entry.developer.lower() if char.isalnum() and char.isascii())
    product = Product(adam_id, entry.name, entry.developer, entry.genre, describe(entry), kind)
    if kind != "book":
        product.bundle_id = f"example.{developer}.{product.slug.replace('-', '')}"
    product.price = (adam_id % 9 + 1) * 5 - 0.01 if "paid" in marks or kind == "book" else 0.0
    product.minimum_os = "13.0" if kind == "mac" else ("15.0", "16.0", "17.0", "26.0")[adam_id % 4]
    product.custom = "custom" in marks
    product.device_licensing = "userlicence" not in marks
    product.missing_in = frozenset({"us"}) if "absent" in marks else frozenset()
    product.versions = history(adam_id, date(2026, 11, 1))
    return store.add(product)


def _own(location: Location, adam_id: int, entry: Entry) -> None:
    kind, marks = entry.kind, entry.marks
    total = UNLIMITED if "unlimited" in marks else location.random.choice((10, 25, 50, 100, 250))
    for pricing in ("STDQ", "PLUS") if "both" in marks else ("STDQ",):
        key = AssetKey(str(adam_id), pricing)
        location.assets[key] = Asset(
            key,
            total,
            product_type="Book" if kind == "book" else "App",
            device_assignable=kind != "book" and "userlicence" not in marks,
            revocable=kind != "book",
            platforms=PLATFORMS[kind],
            is_unlimited="unlimited" in marks,
        )


def _people(location: Location, count: int) -> None:
    names = ("ada", "ben", "carla", "dmitri", "elif", "farid", "greta", "hugo", "ines", "jonas", "kim", "lena")
    for number in range(count):
        account = f"{names[number % len(names)]}@{location.identity.domain}"
        # Most have a Managed Apple Account; some were invited by mail and have not answered.
        invited = number % 4 == 3
        location.register(location.new_id(), account, "" if invited else account)
    location.retire(location.users.rows[-1])


def _use(location: Location) -> None:
    """Some licenses are in use already, by devices and by people."""
    marks = location.identity.key[:2].upper()
    serials = [f"{marks}{zlib.crc32(f'{location.seed}{n}'.encode()) % 36**8:08X}"[:10] for n in range(30)]
    people = [user.client_user_id for user in location.users.active.values() if user.status == ASSOCIATED]
    for number, asset in enumerate(list(location.assets.values())):
        chosen = location.random.sample(serials, min(asset.total, 2 + number % 7)) if asset.device_assignable else []
        for serial in chosen:
            location.assign(Assignment(*asset.key, serial_number=serial))
        if people and (number % 5 == 0 or not asset.device_assignable):
            location.assign(Assignment(*asset.key, client_user_id=people[number % len(people)]))


def make(world: World, location: Location, *, assets: int, assignments: int, users: int = 0, devices: int = 0) -> None:
    """Fill a location with so much of everything; rows and store entries come into being when they are asked for."""
    if assets > MADE_SPAN:
        raise ValueError(f"at most {MADE_SPAN} assets")
    devices = devices or (0 if users else max(1, -(-assignments // max(1, assets))))
    start = MADE_ID + world.made * MADE_SPAN
    world.made += 1
    numbers = range(start, start + assets)
    world.store.makers.append((numbers, invent))
    draw = random.Random(location.seed)
    # Serial numbers and user ids of a made location differ only in their ends.
    marks = "".join(draw.choices("CDFGHJKLMNPQ", k=3)), str(uuid.UUID(int=draw.getrandbits(128), version=4))[:24]
    block = Block([str(number) for number in numbers], assignments, devices, users, marks)
    location.holdings.block = block
    for number, adam_id in enumerate(block.adam_ids):
        used, kind = block.count(number), kind_of(int(adam_id))
        asset = Asset(AssetKey(adam_id), used + 20 + used // 4, platforms=PLATFORMS[kind], assigned=used)
        location.assets[asset.key] = asset
    for number in range(users):
        account = f"person{number}@{location.identity.domain}"
        user = ClientUser(block.user_id(number), account, account, ASSOCIATED, id_hash=location.id_hash(account))
        location.users.add(user)


def kind_of(adam_id: int) -> str:
    """What a product of a made location runs on."""
    return "mac" if adam_id % 40 == 7 else "universal" if adam_id % 25 == 3 else "ipad" if adam_id % 6 == 1 else "ios"


def invent(adam_id: int) -> Product:
    """A store entry for a product of a made location, from nothing but its number."""
    return enter(Store(), adam_id, invented(adam_id % MADE_SPAN, kind_of(adam_id)))


def named(key: str, name: str = "", organization: str = "", country: str = "US") -> Identity:
    """The identity of a location made on order."""
    return Identity(
        key,
        name or f"Made to measure {key}",
        organization or "Made to Measure Holdings",
        country,
        domain=f"{key}.example",
    )
