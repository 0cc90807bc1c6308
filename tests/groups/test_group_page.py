"""The page of a user group: putting people in and taking them out, many at once."""

from __future__ import annotations

import pytest

from tests.factories import ManagedUserFactory, UserGroupFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry
from vppportal.groups.models import ManagedUser, UserGroup

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> UserGroup:
    group: UserGroup = UserGroupFactory(name="Sales")
    ManagedUserFactory.create_batch(2, groups=[group])
    return group


def test_people_outside_the_group_are_offered(group: UserGroup) -> None:
    ManagedUserFactory(name="Outsider")
    page = sign_in().get(f"/groups/{group.pk}/people/add/").content.decode()
    assert "Outsider" in page
    assert group.people.all()[0].name not in page


def test_ticked_people_are_put_in_and_it_is_recorded_once(group: UserGroup) -> None:
    people = ManagedUserFactory.create_batch(3)
    browser = sign_in()
    answer = browser.post(f"/groups/{group.pk}/people/add/", {"selected": [person.pk for person in people]})
    assert answer["Location"] == f"/groups/{group.pk}/"
    assert group.people.count() == 5
    entry = Entry.objects.get()
    assert (entry.verb, entry.details) == ("added people to the user group", {"people": 3})
    browser.post(f"/groups/{group.pk}/people/add/", {"selected": [person.pk for person in people]})
    assert Entry.objects.count() == 1


def test_all_who_match_the_filters_are_put_in(group: UserGroup) -> None:
    ManagedUserFactory.create_batch(30, name="Clerk")
    ManagedUserFactory(name="Boss")
    sign_in().post(f"/groups/{group.pk}/people/add/?q=clerk", {"all_matching": "1", "selected": "1"})
    assert group.people.filter(name="Clerk").count() == 30
    assert not group.people.filter(name="Boss").exists()


def test_taking_people_out_asks_first(group: UserGroup) -> None:
    person = group.people.all()[0]
    browser = sign_in()
    address = f"/groups/{group.pk}/people/remove/"
    page = browser.post(address, {"selected": [person.pk]}).content.decode()
    assert "Take 1 person out of “Sales”?" in page
    assert group.people.count() == 2
    browser.post(address, {"selected": [person.pk], "confirmed": "yes"})
    assert person not in group.people.all()
    assert ManagedUser.objects.count() == 2
    assert Entry.objects.get().details == {"people": 1}


def test_all_who_match_the_filters_are_taken_out(group: UserGroup) -> None:
    other = ManagedUserFactory(name="Boss", groups=[group, UserGroupFactory()])
    ManagedUserFactory.create_batch(30, name="Clerk", groups=[group])
    address = f"/groups/{group.pk}/people/remove/?q=clerk"
    sign_in().post(address, {"all_matching": "1", "confirmed": "yes"})
    assert group.people.count() == 3
    assert other.groups.count() == 2


def test_choosing_nobody_changes_nothing(group: UserGroup) -> None:
    browser = sign_in()
    assert browser.post(f"/groups/{group.pk}/people/remove/", {"selected": ["x"]}).status_code == 302
    assert "Nobody was chosen." in browser.get(f"/groups/{group.pk}/").content.decode()
    assert browser.post(f"/groups/{group.pk}/people/add/").status_code == 302
    assert group.people.count() == 2


def test_a_viewer_is_offered_neither(group: UserGroup) -> None:
    page = sign_in("Viewer").get(f"/groups/{group.pk}/").content.decode()
    assert "people/add" not in page
    assert "people/remove" not in page


def test_filling_a_group_takes_as_many_queries_for_many_as_for_few(
    group: UserGroup, django_assert_max_num_queries: object
) -> None:
    ManagedUserFactory.create_batch(200)
    browser = sign_in()
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        browser.post(f"/groups/{group.pk}/people/add/", {"all_matching": "1"})
    assert group.people.count() == 202
