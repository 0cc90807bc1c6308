"""Orders about locations, their tokens and their claims."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from vppportal.simulator.location import Location
from vppportal.simulator.samples import OTHER_MDM, make, named
from vppportal.simulator.tokens import Token, apple_time
from vppportal.simulator.world import World


def list_locations(world: World) -> dict[str, Any]:
    """Every location: names, country, claim, counts, and its tokens by file name."""
    return {"locations": [describe(world, location) for location in world.locations.values()]}


def describe(world: World, location: Location) -> dict[str, Any]:
    identity = location.identity
    return {
        "key": identity.key,
        "uId": location.uid,
        "locationName": identity.name,
        "organization": identity.organization,
        "country": identity.country,
        "mdmInfo": location.mdm_info,
        "assets": len(location.assets),
        "assignments": len(location.holdings),
        "users": len(location.users.rows),
        "tokens": [_token(token) for token in world.tokens_of(identity.key)],
    }


def _token(token: Token) -> dict[str, Any]:
    state = "revoked" if token.is_revoked else "expired" if token.is_expired() else "valid"
    return {"file": token.file_name, "state": state, "expires": apple_time(token.expires_at)}


def locations(
    world: World,
    assets: int = 10,
    assignments: int = 0,
    users: int = 0,
    devices: int = 0,
    key: str = "",
    name: str = "",
    organization: str = "",
    country: str = "US",
) -> dict[str, Any]:
    """Make a location of any size and answer its token file."""
    with world.lock:
        key = key or f"made-{world.made}"
        if key in world.locations:
            raise ValueError(f"there is a location {key} already")
        location = Location(named(key, name, organization, country), f"location:{world.seed}:{key}", world.run)
        make(world, location, assets=assets, assignments=assignments, users=users, devices=devices)
        world.locations[key] = location
    return describe(world, location) | {"token": world.issue(location).text}


def tokens(world: World, location: str, days: float | None = None, revoke_others: bool = False) -> dict[str, Any]:
    """Issue a fresh token file for a location; the older ones stay valid unless revokeOthers is true."""
    place = world.location(location)
    for token in world.tokens_of(place.identity.key):
        token.is_revoked = token.is_revoked or revoke_others
    fresh = world.issue(place, days)
    return _token(fresh) | {"token": fresh.text}


def revoke(world: World, location: str) -> dict[str, Any]:
    """Revoke the tokens of a location: Apple answers 9625 from now on."""
    for token in _tokens(world, location):
        token.is_revoked = True
    return describe(world, world.location(location))


def expire(world: World, location: str) -> dict[str, Any]:
    """Let the tokens of a location expire now, whatever their files say: Apple answers 9621."""
    for token in _tokens(world, location):
        token.expires_at = datetime.now(UTC) - timedelta(seconds=1)
    return describe(world, world.location(location))


def restore(world: World, location: str) -> dict[str, Any]:
    """Make the tokens of a location valid and writing again."""
    for token in _tokens(world, location):
        token.is_revoked = token.is_read_only = False
        token.expires_at = max(token.expires_at, datetime.now(UTC) + timedelta(days=365))
    return describe(world, world.location(location))


def read_only(world: World, location: str) -> dict[str, Any]:
    """Take away the right to change anything: every POST is answered 9637."""
    for token in _tokens(world, location):
        token.is_read_only = True
    return describe(world, world.location(location))


def _tokens(world: World, location: str) -> list[Token]:
    return world.tokens_of(world.location(location).identity.key)


def claim(
    world: World,
    location: str,
    id: str = OTHER_MDM["id"],
    name: str = OTHER_MDM["name"],
    metadata: str = OTHER_MDM["metadata"],
) -> dict[str, Any]:
    """Claim a location for another MDM."""
    world.location(location).mdm_info = {"id": id, "name": name, "metadata": metadata}
    return describe(world, world.location(location))


def unclaim(world: World, location: str) -> dict[str, Any]:
    """Let no MDM claim a location."""
    world.location(location).mdm_info = None
    return describe(world, world.location(location))


ORDERS = (locations, tokens, revoke, expire, restore, read_only, claim, unclaim)
