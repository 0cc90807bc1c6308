"""A person's page."""

from __future__ import annotations

from html import unescape

import pytest

from tests.factories import (
    AppFactory,
    AssignmentFactory,
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
    bring_app,
)
from tests.signed_in import sign_in
from vppportal.groups.models import ManagedUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> ManagedUser:
    made: ManagedUser = ManagedUserFactory(name="Ada", groups=[UserGroupFactory(name="Sales")])
    return made


def page(person: ManagedUser) -> str:
    return unescape(sign_in("Viewer").get(f"/people/{person.pk}/").content.decode())


def test_a_persons_groups_devices_and_apps_are_shown(person: ManagedUser) -> None:
    device = DeviceFactory(owner=person, name="Ada's iPad", enrolled=True)
    InstallationFactory(device=device, app=AppFactory(listing__name="Fieldnote"), installed=True)
    text = page(person)
    for words in ("Sales", "Ada's iPad", "Enrolled", "Fieldnote", "Installed"):
        assert words in text


def test_registrations_are_shown_with_their_state_in_words(person: ManagedUser) -> None:
    for name, status in (("Invites", "Registered"), ("Has", "Associated"), ("Asks", ""), ("New", "Suspended")):
        ClientUserFactory(token=ContentTokenFactory(name=f"{name} office"), person=person, status=status)
    ClientUserFactory(token=ContentTokenFactory(name="Old office", deleted=True), person=person)
    text = page(person)
    for words in ("Invites office", "Invited", "Registered", "Not registered", "Suspended"):
        assert words in text
    assert "Old office" not in text


def test_only_the_persons_own_licenses_are_shown(person: ManagedUser) -> None:
    here, elsewhere = ContentTokenFactory(), ContentTokenFactory()
    ClientUserFactory(token=here, person=person, client_user_id="same-id")
    ClientUserFactory(token=elsewhere, client_user_id="same-id")
    for token, name in ((here, "Fieldnote"), (elsewhere, "Somebody else's")):
        bring_app(token, name=name)
        AssignmentFactory(asset=token.assets.get(), serial_number="", client_user_id="same-id")
    text = page(person)
    assert "Fieldnote" in text
    assert "Somebody else's" not in text


def test_deleting_a_person_says_what_stays_at_apple(person: ManagedUser) -> None:
    operator = sign_in("Operator")
    assert "Apple knows" not in operator.get(f"/people/{person.pk}/delete/").content.decode()
    ClientUserFactory(token=ContentTokenFactory(), person=person, status="Associated")
    ClientUserFactory(token=ContentTokenFactory(), person=person, status="Retired")
    text = operator.get(f"/people/{person.pk}/delete/").content.decode()
    assert "Apple knows the person through 1 VPP token. Retire the person there first" in text


def test_a_page_about_nothing_says_so(person: ManagedUser) -> None:
    text = page(person)
    for sentence in (
        "The person has no device.",
        "The person holds no license; the devices may hold some of their own.",
        "The person is registered at no location.",
    ):
        assert sentence in text
