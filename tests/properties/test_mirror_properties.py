"""Whatever happens at a location between syncs, and whatever moves during them, the mirror ends up the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import UserFactory
from tests.locations import Location, Mirror, assert_level, sync_now, written_rows
from tokens.models import ContentToken

pytestmark = pytest.mark.django_db
SMALL = st.integers(0, 9)


def assign(location: Location, asset: int, holder: int) -> None:
    users = sorted(location.world.users.active)
    device_or_user = {"client_user_ids": users[:1]} if holder % 3 == 0 and users else {"serial_numbers": [f"S{holder}"]}
    location.tell("assign", adam_id=one_of(location, asset), **device_or_user)


def take_back(location: Location, asset: int, holder: int) -> None:
    for row in list(location.world.holdings)[holder :: asset + 2]:
        location.world.take_back(row)
    location.world.change("assets", "assignments")


def buy(location: Location, asset: int, count: int) -> None:
    adam_id = one_of(location, asset)
    if not any(owned.is_unlimited for key, owned in location.world.assets.items() if key.adam_id == adam_id):
        location.tell("buy", adam_id=adam_id, count=count)


def add_app(location: Location, number: int, kind: int) -> None:
    location.tell(
        "add-app", adam_id=str(1_990_000_000 + number), kind=("ios", "mac", "book")[kind % 3], unlimited=kind > 6
    )


def transfer_away(location: Location, asset: int, _: int) -> None:
    if len(location.world.assets) > 1:
        location.tell("transfer-away", adam_id=one_of(location, asset))


def register_or_retire(location: Location, user: int, _: int) -> None:
    world = location.world
    if existing := world.users.active.get(f"user {user}"):
        world.retire(existing)
    else:
        world.register(f"user {user}", f"user{user}@company.example", "")
    world.change("users")


def move(location: Location, page: int, listing: int) -> None:
    name = ("assets", "users", "assignments")[listing % 3]
    location.tell("move-version", listing=name, page=page % 4, times=1 + page % 3, take_back=listing % 4)


def one_of(location: Location, number: int) -> str:
    return location.adam_ids[number % len(location.adam_ids)]


DEEDS = (assign, assign, take_back, buy, add_app, transfer_away, register_or_retire, move)
BETWEEN_SYNCS = st.lists(st.tuples(st.sampled_from(DEEDS), SMALL, SMALL), max_size=6)


def forget_moves(location: Location) -> None:
    location.world.moves.clear()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(st.lists(BETWEEN_SYNCS, min_size=1, max_size=4), st.integers(1, 12))
def test_any_history_ends_level_and_a_sync_after_that_writes_nothing(
    make_location: Callable[..., Location], history: list[list[tuple[Callable, int, int]]], page_size: int
) -> None:
    ContentToken.objects.all().delete()
    location = make_location(assets=3, assignments=12, users=2, devices=4)
    location.sim.control("page-size", size=page_size)
    token = location.mirrored(by=UserFactory())
    for deeds in history:
        seen = Mirror(token).assignments
        for deed, first, second in deeds:
            deed(location, first, second)
        held_throughout = seen & location.assignments
        sync_now(token)
        assert Mirror(token).assignments >= held_throughout & location.assignments, "nothing was lost by mistake"
    forget_moves(location)
    sync_now(token)
    level_but_for_what_is_gone(token, location)
    with written_rows() as rows:
        sync_now(token)
    assert rows == {}


def level_but_for_what_is_gone(token: ContentToken, location: Location) -> None:
    """Check the mirror; assignments of an app the portal never saw before it was transferred away cannot be there."""
    known = set(token.assets.values_list("adam_id", flat=True))
    unknown = {row for row in location.assignments if row[0] not in known}
    for row in [row for row in location.world.holdings if tuple(row) in unknown]:
        location.world.holdings.remove(row)
    assert_level(token, location)
