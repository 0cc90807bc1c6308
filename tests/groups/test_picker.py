"""The pickers of groups, people and devices: they never load all, and a key that cannot be is an error in the form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import ContentTokenFactory, DeviceFactory, ManagedUserFactory, UserGroupFactory
from tests.signed_in import sign_in
from vppportal.groups.models import ManagedUser

pytestmark = pytest.mark.django_db
NONSENSE = ["x", "-1", "9" * 20, "9" * 5000, "²"]


def search(path: str, name: str, text: str, **chosen: Any) -> str:
    asked: dict[str, Any] = {"name": name, f"{name}_search": text, **chosen}
    return sign_in("Viewer").get(f"{path}choices/", asked).content.decode()


def test_a_group_says_how_many_people_and_devices_it_means() -> None:
    group = UserGroupFactory(name="Sales")
    DeviceFactory.create_batch(2, owner=ManagedUserFactory(groups=[group]))
    DeviceFactory(owner=ManagedUserFactory(groups=[group], is_active=False))
    assert "1 person, 2 devices" in search("/groups/", "groups", "sales")


def test_people_are_found_by_name_and_address_and_say_what_they_have() -> None:
    DeviceFactory(owner=ManagedUserFactory(name="Ada Lovelace", email="ada@company.example"))
    ManagedUserFactory(name="Ada Elsewhere", email="other@example.org")
    page = search("/people/", "people", "ada company")
    assert "Ada Lovelace" in page
    assert "ada@company.example, 1 device" in page
    assert "Elsewhere" not in page


def test_devices_are_found_by_serial_number_and_owner() -> None:
    DeviceFactory(name="Till 1", serial_number="SHOP0001", owner=ManagedUserFactory(name="Grace"))
    DeviceFactory(name="Till 2", serial_number="SHOP0002")
    page = search("/devices/", "excluded_devices", "shop grace")
    assert "Till 1" in page
    assert "SHOP0001, iOS / iPadOS, of Grace" in page
    assert "Till 2" not in page
    assert 'name="excluded_devices"' in page


def test_enter_stores_the_form_and_in_a_search_field_searches() -> None:
    browser = sign_in()
    page = browser.get("/people/add/").content.decode()
    buttons = re.findall(r'<button type="submit"[^>]*>', page.partition("form-page")[2])
    assert 'name="entered"' in buttons[0]
    UserGroupFactory(name="Sales")
    typed = {"name": "Ada", "email": "ada@x.example", "is_active": "on", "entered": "yes", "groups_searched": ""}
    page = browser.post("/people/add/", {**typed, "groups_search": "sal"}).content.decode()
    assert "Sales" in page
    assert not ManagedUser.objects.exists()
    assert '<input type="hidden" name="groups_searched" value="sal">' in page
    browser.post("/people/add/", {**typed, "groups_search": "sal", "groups_searched": "sal"})
    assert ManagedUser.objects.exists()


def test_choosing_among_300_people_costs_no_more_than_among_3() -> None:
    ManagedUserFactory.create_batch(3)
    browser = sign_in("Viewer")
    with CaptureQueriesContext(connection) as few:
        browser.get("/people/choices/", {"name": "people"})
    ManagedUserFactory.create_batch(297)
    with CaptureQueriesContext(connection) as many:
        page = browser.get("/people/choices/", {"name": "people"}).content.decode()
    assert len(many) - len(few) <= 1  # how many there are in all
    assert "The first 20 of 300 people" in page
    assert page.count('type="checkbox"') == 20


@pytest.mark.parametrize("key", NONSENSE)
def test_the_search_ignores_groups_that_cannot_be(key: str) -> None:
    UserGroupFactory(name="Sales")
    answer = sign_in("Viewer").get("/groups/choices/", {"name": "groups", "groups": key})
    assert answer.status_code == 200
    assert "Sales" in answer.content.decode()


@pytest.mark.parametrize("key", NONSENSE)
def test_a_person_is_not_stored_with_groups_that_cannot_be(key: str) -> None:
    answer = sign_in().post("/people/add/", {"name": "Ada", "email": "ada@example.org", "groups": key})
    assert answer.status_code == 422
    assert not ManagedUser.objects.exists()


@pytest.mark.parametrize("key", NONSENSE)
def test_a_restriction_that_cannot_be_does_not_become_no_restriction(key: str) -> None:
    group = UserGroupFactory()
    token = ContentTokenFactory()
    token.restricted_to.add(group)
    sent = {"name": token.name, "region": token.region, "version": token.version, "restricted_to": key}
    answer = sign_in().post(f"/tokens/{token.pk}/edit/", sent)
    assert answer.status_code == 422
    assert list(token.restricted_to.all()) == [group]
