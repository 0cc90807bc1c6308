"""The picker of groups: what no page of ours sends is an error in the form, never one of the server."""

from __future__ import annotations

import pytest

from tests.factories import ContentTokenFactory, UserGroupFactory
from tests.signed_in import sign_in
from vppportal.groups.models import ManagedUser

pytestmark = pytest.mark.django_db
NONSENSE = ["x", "-1", "9" * 20, "9" * 5000, "²"]


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
