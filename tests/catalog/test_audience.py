"""Whom a distribution is meant for, in words and as people."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.audience import describe, in_words, people_of
from tests.factories import DeviceFactory, DistributionFactory, ManagedUserFactory, UserGroupFactory

pytestmark = pytest.mark.django_db


def test_one_of_a_kind_is_named_and_more_are_counted() -> None:
    row = DistributionFactory()
    assert in_words(row) == "nobody yet"
    row.groups.add(UserGroupFactory(name="Sales"))
    row.people.add(ManagedUserFactory(name="Ada"), ManagedUserFactory(name="Bob"), ManagedUserFactory(name="Cleo"))
    row.devices.add(DeviceFactory(serial_number="DX1"))
    assert in_words(row) == "Sales, Ada and 2 more people, DX1"


def test_exclusions_are_named_behind_everyone() -> None:
    row = DistributionFactory(is_for_everyone=True)
    row.excluded_groups.add(UserGroupFactory(name="Board"), UserGroupFactory(name="Sales"))
    row.excluded_devices.add(DeviceFactory(serial_number=""))
    assert in_words(row) == "everyone, except Board and 1 more user group, one device"


def test_describing_many_takes_one_query() -> None:
    group = UserGroupFactory(name="Sales")
    rows = DistributionFactory.create_batch(5)
    for row in rows:
        row.groups.add(group)
    with CaptureQueriesContext(connection) as queries:
        assert set(describe(rows).values()) == {"Sales"}
    assert len(queries) == 1


def test_people_are_those_of_groups_chosen_themselves_or_by_their_device_and_active() -> None:
    group, outer = UserGroupFactory(), UserGroupFactory()
    by_group, by_name, by_device = ManagedUserFactory(groups=[group]), ManagedUserFactory(), ManagedUserFactory()
    ManagedUserFactory(groups=[group], is_active=False)
    ManagedUserFactory(groups=[group, outer])
    ManagedUserFactory()
    row = DistributionFactory()
    row.groups.add(group)
    row.people.add(by_name)
    row.devices.add(DeviceFactory(owner=by_device), DeviceFactory())
    row.excluded_groups.add(outer)
    assert set(people_of(row)) == {by_group, by_name, by_device}


def test_everyone_is_everyone_but_the_excluded() -> None:
    kept, out = ManagedUserFactory(), ManagedUserFactory()
    row = DistributionFactory(is_for_everyone=True)
    row.excluded_people.add(out)
    assert list(people_of(row)) == [kept]
