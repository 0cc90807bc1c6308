"""People are registered and retired at Apple as licenses are given and taken: once, and read back when in doubt."""

from __future__ import annotations

import pytest

from tests.changes import settle_all, states
from tests.factories import ManagedUserFactory
from tests.locations import Location, Mirror
from tokens import people
from tokens.models import ClientUser, ContentToken, OperationKind

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(location: Location) -> ContentToken:
    """A token whose mirror is level."""
    return location.mirrored()


def test_people_are_registered_and_retired(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory(email="new@company.example")
    people.register(token, [person], by=None)
    settle_all(location)
    user = ClientUser.objects.get(person=person)
    assert user.status == "Registered"
    assert Mirror(token).users == location.users
    people.retire([user], by=None)
    settle_all(location)
    user.refresh_from_db()
    assert user.status == "Retired"
    assert states() == {"done": 2}


def test_a_registration_whose_answer_is_lost_is_read_back(location: Location, token: ContentToken) -> None:
    location.sim.control("faults", path="/users/create", drop="after")
    people.register(token, [ManagedUserFactory(email="new@company.example")], by=None)
    settle_all(location)
    assert len(location.asked("/users/create")) == 1
    assert states() == {"done": 1}
    assert Mirror(token).users == location.users


def test_a_registration_that_never_arrived_is_sent_again(location: Location, token: ContentToken) -> None:
    location.sim.control("faults", path="/users/create", drop="before")
    people.register(token, [ManagedUserFactory(email="new@company.example")], by=None)
    settle_all(location)
    assert len(location.asked("/users/create")) == 2
    assert states() == {"done": 1}


def test_a_retirement_of_somebody_already_retired_is_done(location: Location, token: ContentToken) -> None:
    person = ManagedUserFactory(email="new@company.example")
    people.register(token, [person], by=None)
    settle_all(location)
    user = ClientUser.objects.get(person=person)
    location.world.retire(location.world.users.active[user.client_user_id])
    people.retire([user], by=None)
    settle_all(location)
    assert states(kind=OperationKind.RETIRE) == {"done": 1}


def with_account(location: Location, token: ContentToken) -> ClientUser:
    """Return somebody who was invited, and has got a Managed Apple Account since that Apple is to be told of."""
    person = ManagedUserFactory(email="new@company.example")
    people.register(token, [person], by=None)
    settle_all(location)
    person.managed_apple_account = f"new@{location.world.identity.domain}"
    person.save()
    people.register(token, [person], by=None)
    return ClientUser.objects.get(person=person)


def test_an_invited_person_is_registered_by_an_account_that_came_later(location: Location, token: ContentToken) -> None:
    user = with_account(location, token)
    settle_all(location)
    user.refresh_from_db()
    assert user.status == "Associated"
    assert states(kind=OperationKind.UPDATE) == {"done": 1}
    assert Mirror(token).users == location.users


def test_an_account_whose_answer_is_lost_is_read_back(location: Location, token: ContentToken) -> None:
    user = with_account(location, token)
    location.sim.control("faults", path="/users/update", drop="after")
    settle_all(location)
    user.refresh_from_db()
    assert (user.status, len(location.asked("/users/update"))) == ("Associated", 1)


def test_an_account_that_never_arrived_is_sent_again(location: Location, token: ContentToken) -> None:
    user = with_account(location, token)
    location.sim.control("faults", path="/users/update", drop="before")
    settle_all(location)
    user.refresh_from_db()
    assert (user.status, len(location.asked("/users/update"))) == ("Associated", 2)


def test_a_hundred_people_are_one_call(location: Location, token: ContentToken) -> None:
    people.register(token, ManagedUserFactory.create_batch(101), by=None)
    settle_all(location)
    assert [entry["body"]["users"] for entry in location.asked("/users/create")] == [100, 1]
    assert states() == {"done": 101}
