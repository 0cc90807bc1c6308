"""Three roles, each with the permissions of the one before and more."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from tests.factories import UserFactory
from vppportal.roles import OPERATOR, ROLES, TOKEN_MANAGER, VIEWER, keep_roles

pytestmark = pytest.mark.django_db


def held(role: str) -> set[str]:
    permissions = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_there_with_every_permission_it_names(role: str) -> None:
    assert held(role) == ROLES[role]


def test_each_role_may_do_what_the_one_before_it_may_and_more() -> None:
    assert VIEWER < OPERATOR < TOKEN_MANAGER


def test_a_viewer_may_only_look() -> None:
    assert all(permission.partition(".")[2].startswith("view_") for permission in VIEWER)


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("tokens.view_contenttoken", {"Viewer", "Operator", "Token manager"}),
        ("catalog.approve_app", {"Operator", "Token manager"}),
        ("tokens.sync_contenttoken", {"Operator", "Token manager"}),
        ("tokens.add_contenttoken", {"Token manager"}),
        ("tokens.delete_contenttoken", {"Token manager"}),
        ("catalog.change_catalogsettings", {"Token manager"}),
        ("auth.change_user", set()),
    ],
)
def test_who_may_do_what(permission: str, roles: set[str]) -> None:
    assert {role for role in ROLES if UserFactory(role=role).has_perm(permission)} == roles
    assert not UserFactory().has_perm(permission)


def test_a_permission_taken_away_comes_back_and_one_given_by_hand_stays() -> None:
    viewer = Group.objects.get(name="Viewer")
    extra = Permission.objects.get(codename="sync_contenttoken")
    viewer.permissions.set([extra])
    keep_roles()
    assert held("Viewer") == VIEWER | {"tokens.sync_contenttoken"}


def test_running_it_again_changes_nothing() -> None:
    before = {role: held(role) for role in ROLES}
    keep_roles()
    assert {role: held(role) for role in ROLES} == before
    assert Group.objects.filter(name__in=ROLES).count() == len(ROLES)
