"""The Django admin: no secret, nothing to change that has rules of its own, and no way to more rights."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from catalog.models import CatalogSettings, DeviceEvent
from tests.factories import (
    ContentTokenFactory,
    DeviceFactory,
    ImportFactory,
    ManagedUserFactory,
    UserFactory,
    UserGroupFactory,
    bring_app,
)
from vppportal.groups.models import ImportFile
from vppportal.readonly import ReadOnlyAdmin

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    """Return the browser of somebody with every permission there is, but no superuser."""
    user = UserFactory(role=None, is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    browser = Client()
    browser.force_login(user)
    return browser


def test_a_token_is_shown_without_its_secret(staff: Client) -> None:
    token = ContentTokenFactory()
    page = staff.get(reverse("admin:tokens_contenttoken_change", args=[token.pk])).content.decode()
    assert token.location_name in page
    assert token.secret.ciphertext not in page
    assert token.open_secret().reveal() not in page


@pytest.mark.parametrize("lookup", ["secret__startswith", "secret", "secret__regex"])
def test_not_even_the_sealed_secret_can_be_asked_for_letter_by_letter(staff: Client, lookup: str) -> None:
    token = ContentTokenFactory()
    answer = staff.get(reverse("admin:tokens_contenttoken_changelist"), {lookup: token.secret.ciphertext[:1]})
    assert answer.status_code == 400


@pytest.mark.parametrize("lookup", ["token__secret__startswith", "requested_by__password__startswith"])
def test_nor_by_way_of_another_table(staff: Client, lookup: str) -> None:
    answer = staff.get(reverse("admin:tokens_syncrun_changelist"), {lookup: "g"})
    assert answer.status_code == 400


def test_what_devices_sent_is_not_shown(staff: Client) -> None:
    now = timezone.now()
    event = DeviceEvent.objects.create(event_id="1", topic="mdm.Connect", happened_at=now, body={"told": "a-secret"})
    page = staff.get(reverse("admin:catalog_deviceevent_change", args=[event.pk]))
    assert page.status_code == 200
    assert "a-secret" not in page.content.decode()
    assert staff.get(reverse("admin:catalog_deviceevent_changelist"), {"body__told": "a"}).status_code == 400


def test_every_table_can_be_looked_at() -> None:
    ours = {model for model in apps.get_models() if model.__module__.startswith(("vppportal.", "tokens.", "catalog."))}
    assert len(ours) > 25
    assert ours - set(admin.site._registry) == set()


def test_an_uploaded_file_is_named_without_what_is_in_it(staff: Client) -> None:
    job = ImportFactory()
    ImportFile.objects.create(job=job, content=b"compressed")
    for address in (
        reverse("admin:groups_importfile_changelist"),
        reverse("admin:groups_importfile_change", args=[job.pk]),
    ):
        with CaptureQueriesContext(connection) as asked:
            assert str(job) in staff.get(address).content.decode()
        assert not [query["sql"] for query in asked if '"content"' in query["sql"]]


def test_what_only_the_portal_writes_cannot_be_changed_here(staff: Client) -> None:
    bring_app(ContentTokenFactory())
    read_only = [model for model, page in admin.site._registry.items() if isinstance(page, ReadOnlyAdmin)]
    assert len(read_only) > 8
    for model in read_only:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert staff.get(reverse(f"{name}_changelist")).status_code == 200
        assert staff.post(reverse(f"{name}_add")).status_code == 403
        row = model._default_manager.first()
        if row is not None:
            assert staff.post(reverse(f"{name}_change", args=[row.pk]), {"name": "x"}).status_code == 403
            assert staff.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_only_accounts_roles_and_settings_can_be_changed_here() -> None:
    changed = {model for model, page in admin.site._registry.items() if not isinstance(page, ReadOnlyAdmin)}
    assert changed == {User, Group, EmailAddress, CatalogSettings}


@pytest.mark.parametrize("factory", [DeviceFactory, ManagedUserFactory, UserGroupFactory])
def test_who_receives_apps_is_changed_on_the_portals_pages_alone(staff: Client, factory: Any) -> None:
    row = factory()
    name = f"admin:groups_{row._meta.model_name}"
    assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert staff.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    ticked = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    staff.post(reverse(f"{name}_changelist"), ticked)
    row.refresh_from_db()


@pytest.mark.parametrize("model", [User, Group, EmailAddress])
def test_accounts_and_roles_are_for_superusers_alone(staff: Client, model: Any) -> None:
    """Whoever may change any account, or where its letters go, can make a superuser of the own one."""
    EmailAddress.objects.create(user=UserFactory(), email="ada@example.org")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model.objects.first()
    for address in (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk]), reverse(f"{name}_add")):
        assert staff.get(address).status_code == 403


def test_a_superuser_makes_accounts() -> None:
    browser = Client()
    browser.force_login(UserFactory(role=None, is_staff=True, is_superuser=True))
    assert browser.get(reverse("admin:auth_user_add")).status_code == 200
    assert browser.get(reverse("admin:auth_group_changelist")).status_code == 200


def test_while_a_simulator_stands_in_for_apple_the_admin_says_so_once_a_page(staff: Client, settings: Any) -> None:
    token = ContentTokenFactory()
    pages = [
        reverse("admin:index"),
        reverse("admin:app_list", args=["tokens"]),
        reverse("admin:tokens_contenttoken_changelist"),
        reverse("admin:tokens_contenttoken_change", args=[token.pk]),
        reverse("admin:groups_device_add"),
        reverse("admin:groups_device_add") + "?_popup=1",
        reverse("admin:password_change"),
    ]
    for is_simulated in (False, True):
        settings.SIMULATED = is_simulated
        for address in pages:
            page = staff.get(address).content.decode()
            assert page.count("A simulator stands in for Apple") == is_simulated, address
            assert 'rel="icon"' in page


def test_the_admins_own_sign_in_leads_to_the_one_with_limits() -> None:
    answer = Client().post("/admin/login/", {"username": "a", "password": "b"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/")
