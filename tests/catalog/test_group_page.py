"""Deleting a user group says what distributions lose with it, and whom they let in."""

from __future__ import annotations

from html import unescape

import pytest

from tests.factories import (
    AssetFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
)
from tests.signed_in import sign_in
from vppportal.groups.models import UserGroup

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> UserGroup:
    made: UserGroup = UserGroupFactory(name="Sales")
    return made


def text_of(group: UserGroup) -> str:
    return unescape(sign_in("Operator").get(f"/groups/{group.pk}/delete/").content.decode())


def test_what_its_people_lose_is_said_in_numbers(group: UserGroup) -> None:
    running = DistributionFactory()
    running.groups.add(group)
    for _ in range(2):
        device = DeviceFactory(enrolled=True, owner=ManagedUserFactory(groups=[group]))
        InstallationFactory(
            app=running.app, device=device, distribution=running, installed=True, asset=AssetFactory(), holder="S"
        )
    text = text_of(group)
    assert "2 people are in it" in text
    assert "1 distribution includes its people; that ends." in text
    assert "2 installations are removed from their devices, with their data." in text
    assert "2 licenses return to the VPP token" in text
    assert "exclude" not in text


def test_whom_it_kept_out_is_said_to_be_let_in(group: UserGroup) -> None:
    DeviceFactory(enrolled=True, owner=ManagedUserFactory(groups=[group]))
    DistributionFactory(is_for_everyone=True).excluded_groups.add(group)
    text = text_of(group)
    assert "1 distribution excludes its people; that ends, too." in text
    assert "1 installation more on their devices would follow." in text


def test_nothing_is_said_of_distributions_where_none_names_it(group: UserGroup) -> None:
    DistributionFactory(stopped=True).groups.add(group)
    assert "distribution" not in text_of(group).split("Delete “Sales”?")[-1]


def test_once_confirmed_it_is_deleted(group: UserGroup) -> None:
    answer = sign_in("Operator").post(f"/groups/{group.pk}/delete/", follow=True)
    assert "“Sales” is deleted." in unescape(answer.content.decode())
    assert not UserGroup.objects.exists()
