"""What tests know of App Stores: tokens whose apps are listed, builds that are shown, and who asked with what."""

from __future__ import annotations

from typing import NamedTuple

from tests.factories import AssetFactory
from tests.locations import Location
from tokens import listings, sync
from tokens.models import ContentToken, Listing
from vppportal.simulator import Simulator

LOOKUP = "/metadata/lookup"


class Question(NamedTuple):
    """One lookup: the ids, the storefront, the platform, and the location whose token was sent ("" for none)."""

    adam_ids: list[str]
    storefront: str
    platform: str
    location: str


def questions(sim: Simulator) -> list[Question]:
    """Return the lookups made so far."""
    return [
        Question(entry["query"]["id"].split(","), entry["query"]["cc"], entry["query"]["platform"], entry["location"])
        for entry in sim.requests(path=LOOKUP)
    ]


def owner_of(location: Location, adam_ids: list[str] | None = None, **fields) -> ContentToken:
    """Return a token that opens a location of the simulator, of whose apps only these are known."""
    token = location.upload(**fields).token
    for adam_id in adam_ids or location.adam_ids:
        AssetFactory(token=token, adam_id=adam_id)
    listings.enroll(token)
    return token


def looked_up(token: ContentToken) -> int:
    """Look up what is due of a token's apps, as its worker does."""
    return sum(sync.look_up_due(token))


def outcomes() -> dict[str, str]:
    """Return what became of the lookup of each app."""
    return dict(Listing.objects.values_list("adam_id", "outcome"))


def show(sim: Simulator, adam_id: str, build: int) -> int:
    """Let the store show this build of an app's history again; return Apple's number of it."""
    product = sim.world.store.find(adam_id)
    assert product is not None
    product.versions.append(product.versions[build])
    return product.versions[-1].external_id
