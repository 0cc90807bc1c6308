"""The pages of groups, people and devices."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests.factories import ContentTokenFactory, DeviceFactory, ManagedUserFactory, UserFactory, UserGroupFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry
from vppportal.groups.models import Device, ManagedUser, UserGroup

pytestmark = pytest.mark.django_db


def test_a_group_is_added_and_recorded() -> None:
    answer = sign_in().post("/groups/add/", {"name": "Sales", "description": ""})
    group = UserGroup.objects.get()
    assert answer["Location"] == f"/groups/{group.pk}/"
    assert Entry.objects.get().verb == "added the user group"


def test_two_groups_of_one_name_are_refused_whatever_the_case() -> None:
    UserGroupFactory(name="Sales")
    answer = sign_in().post("/groups/add/", {"name": "SALES"})
    assert "There is already a user group of this name." in answer.content.decode()


def test_deleting_a_group_says_what_hangs_on_it() -> None:
    group = UserGroupFactory(name="Sales")
    ManagedUserFactory.create_batch(2, groups=[group])
    ContentTokenFactory(name="Head office").restricted_to.add(group)
    page = sign_in().get(f"/groups/{group.pk}/delete/").content.decode()
    assert "2 people are in it" in page
    assert "1 VPP token is restricted to it" in page
    assert "Restricted to this group only: Head office." in page
    assert UserGroup.objects.exists()


def test_a_confirmed_group_is_deleted_and_recorded() -> None:
    group = UserGroupFactory()
    sign_in().post(f"/groups/{group.pk}/delete/")
    assert not UserGroup.objects.exists()
    assert Entry.objects.get().verb == "deleted the user group"


def test_a_person_is_put_into_groups() -> None:
    group = UserGroupFactory()
    sign_in().post("/people/add/", {"name": "Ada", "email": "ada@x.example", "is_active": "on", "groups": [group.pk]})
    assert list(ManagedUser.objects.get().groups.all()) == [group]


def test_searching_groups_without_scripts_keeps_what_was_typed_and_ticked() -> None:
    ticked, found = UserGroupFactory(name="Board"), UserGroupFactory(name="Sales")
    UserGroupFactory(name="Elsewhere")
    typed = {"name": "Ada", "email": "", "groups": [ticked.pk], "groups_search": "sal", "search_choices": "yes"}
    page = sign_in().post("/people/add/", typed).content.decode()
    assert 'value="Ada"' in page
    assert f'value="{ticked.pk}" checked' in page
    assert f'value="{found.pk}"' in page
    assert "Elsewhere" not in page
    assert not ManagedUser.objects.exists()


def test_choosing_groups_never_loads_them_all() -> None:
    UserGroupFactory.create_batch(50)
    chosen = UserGroupFactory(name="Zebra")
    page = sign_in().get("/groups/choices/", {"name": "groups", "groups": [chosen.pk], "groups_search": "department"})
    text = page.content.decode()
    assert "The first 20 of 50 user groups" in text
    assert text.count('type="checkbox"') == 21
    assert "Zebra" in text


def test_a_device_gets_its_owner_by_e_mail_address() -> None:
    person = ManagedUserFactory()
    sent = {"serial_number": " dx12 ", "platform": "iOS", "owner": person.email.upper(), "enrollment_type": "device"}
    sign_in().post("/devices/add/", sent)
    device = Device.objects.get()
    assert (device.serial_number, device.owner) == ("DX12", person)


def test_an_unknown_owner_is_refused() -> None:
    page = sign_in().post("/devices/add/", {"serial_number": "D1", "platform": "iOS", "owner": "x@x.example"})
    assert "There is no person with this e-mail address." in page.content.decode()


def test_people_are_suggested_while_typing() -> None:
    ManagedUserFactory(name="Ada", email="ada@x.example")
    assert "ada@x.example" in sign_in().get("/people/suggestions/", {"owner": "ada"}).content.decode()


@pytest.mark.parametrize(
    ("make", "address", "button"),
    [
        (UserGroupFactory, "/groups/{}/", "/groups/{}/edit/"),
        (ManagedUserFactory, "/people/{}/", "/people/{}/edit/"),
        (DeviceFactory, "/devices/{}/", "/devices/{}/edit/"),
    ],
)
def test_buttons_are_shown_to_those_who_may_use_them(make: Any, address: str, button: str) -> None:
    row = make()
    link = f'href="{button.format(row.pk)}"'
    assert link in sign_in("Operator").get(address.format(row.pk)).content.decode()
    assert link not in sign_in("Viewer").get(address.format(row.pk)).content.decode()
    assert sign_in("Viewer").get(button.format(row.pk)).status_code == 403


def test_who_may_see_groups_but_no_people_sees_nobody_in_a_group() -> None:
    group = UserGroupFactory()
    ManagedUserFactory(name="Ada", groups=[group])
    user = UserFactory(role=None)
    user.user_permissions.add(Permission.objects.get(codename="view_usergroup"))
    browser = Client()
    browser.force_login(user)
    assert browser.get("/groups/").status_code == 200
    for address in (f"/groups/{group.pk}/", f"/groups/{group.pk}/?export=csv"):
        assert browser.get(address).status_code == 403


def test_a_saved_person_shows_on_the_persons_page() -> None:
    person = ManagedUserFactory(name="Ada", groups=[UserGroupFactory(name="Sales")])
    DeviceFactory(owner=person, name="Ada's iPad")
    page = sign_in("Viewer").get(f"/people/{person.pk}/").content.decode()
    assert "Sales" in page
    assert "Ada&#x27;s iPad" in page


def test_the_time_zone_of_a_device_is_taken_however_it_is_written() -> None:
    device = DeviceFactory(serial_number="C02")
    form = {"serial_number": "C02", "platform": "iOS", "enrollment_type": "device", "time_zone": "america/new york"}
    sign_in().post(f"/devices/{device.pk}/edit/", form)
    device.refresh_from_db()
    assert device.time_zone == "America/New_York"


def test_a_time_zone_nobody_knows_is_refused_in_words() -> None:
    form = {"serial_number": "C02", "platform": "iOS", "enrollment_type": "device", "time_zone": "Berlin"}
    answer = sign_in().post("/devices/add/", form)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "There is no time zone “Berlin”. Names are like Europe/Berlin" in page
    assert 'value="Berlin"' in page
    assert '<option value="Europe/Berlin">' in page
    assert not Device.objects.exists()
