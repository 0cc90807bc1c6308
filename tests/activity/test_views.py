"""The page that shows what was done."""

from __future__ import annotations

import pytest

from tests.factories import EntryFactory, UserFactory
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


def test_the_newest_entry_comes_first() -> None:
    EntryFactory(object_name="Old")
    EntryFactory(object_name="New")
    page = sign_in("Viewer").get("/activity/").content.decode()
    assert page.index("New") < page.index("Old")


def test_what_people_did_is_told_from_what_the_portal_did() -> None:
    user = UserFactory(username="ada")
    EntryFactory(object_name="By a person", actor=user, actor_name="ada")
    EntryFactory(object_name="By itself")
    viewer = sign_in("Viewer")
    assert "By itself" not in viewer.get("/activity/", {"by": "people"}).content.decode()
    assert "By a person" not in viewer.get("/activity/", {"by": "portal"}).content.decode()


def test_details_are_shown_and_escaped() -> None:
    EntryFactory(details={"reason": "<script>", "number": 9625, "fields": ["name", "region"]})
    page = sign_in("Viewer").get("/activity/").content.decode()
    assert "reason: &lt;script&gt;" in page
    assert "number: 9625" in page
    assert "fields: name, region" in page


def test_without_the_permission_the_page_is_closed() -> None:
    assert sign_in(None).get("/activity/").status_code == 403
