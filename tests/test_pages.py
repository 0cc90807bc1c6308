"""Every address of the portal: closed to strangers, closed without the permission, open with it, and whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from tests.factories import (
    AppFactory,
    ApprovalStepFactory,
    AssetFactory,
    ClientUserFactory,
    ContentTokenFactory,
    DeviceFactory,
    DistributionFactory,
    EntryFactory,
    ImportFactory,
    InstallationFactory,
    ManagedUserFactory,
    OperationFactory,
    QuotaFactory,
    SyncRunFactory,
    UpdateWindowFactory,
    UserFactory,
    UserGroupFactory,
    bring_app,
)
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db

FOR_EVERYBODY = {
    "apple-notifications",
    "mdm-events",
    "account_login",
    "account_inactive",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "health-live",
    "health-ready",
    "metrics",
}
WITHOUT_ROLE = {"home", "account_logout", "account_change_password"}
LEAST_ROLE = {
    "token-add": "Token manager",
    "token-edit": "Token manager",
    "token-renew": "Token manager",
    "token-delete": "Token manager",
    "token-policies": "Token manager",
    "asset-quota-add": "Token manager",
    "quota-edit": "Token manager",
    "quota-delete": "Token manager",
    "catalog-settings": "Token manager",
    "approval-steps": "Token manager",
    "approval-step-add": "Token manager",
    "approval-step-edit": "Token manager",
    "approval-step-move": "Token manager",
    "approval-step-remove": "Token manager",
    "device-channel-test": "Token manager",
}
READ_ONLY = {
    *("catalog", "app", "approvals", "tokens", "token", "token-progress", "activity"),
    *("installations", "line", "windows", "app-updates-card"),
    *("distributions", "distribution", "distribution-progress"),
    *("token-licenses", "token-people", "token-operations", "operation", "operation-progress"),
    *("asset-holders", "asset-quotas"),
    *("group-choices", "person-choices", "device-choices"),
    *("groups", "group", "people", "person", "person-suggestions", "devices", "device", "device-channel"),
}
POST_ONLY = {
    *("token-sync", "token-retry", "token-add-apps", "app-approve", "apps-approve"),
    *("apps-reject", "apps-ask-again", "approval-step-move"),
    *("app-check", "apps-update", "apps-updates", "installations-update"),
    *("distribution-start", "distribution-discard", "distribution-pause", "distribution-resume"),
    *("distribution-letters", "distributions-stop"),
    *("installations-retry", "installations-install", "installations-stop"),
    *("asset-revoke", "token-people-resend", "token-people-retire"),
    *("import-start", "import-discard", "group-people-remove", "device-channel-test"),
}
LISTS = (
    "tokens",
    "catalog",
    "approvals",
    "distributions",
    "line",
    "windows",
    "groups",
    "people",
    "devices",
    "imports",
    "activity",
)
OF_A_TOKEN = ("token", "token-licenses", "token-people", "token-operations", "asset-holders")
CEILING = 14
OF_A_FORM = {"distribution-preview", "distribution-start", "distribution-discard"}


def names(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                yield from names(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield pattern.name or str(pattern.pattern)


ALL = sorted(names(get_resolver().url_patterns))
CLOSED = [name for name in ALL if name not in FOR_EVERYBODY | WITHOUT_ROLE]


@pytest.fixture
def address() -> Any:
    """Return the address of a page, about a row that exists where it is about one."""
    token = ContentTokenFactory()
    asset = AssetFactory(token=token)
    app = AppFactory(pending=True)
    rows: dict[str, Any] = {
        "app": app,
        "approval": ApprovalStepFactory(),
        "distribution": DistributionFactory(app=app),
        "installations": app,
        "token": token,
        "asset": (token, asset),
        "quota": (token, asset, QuotaFactory(token=token, adam_id=asset.adam_id)),
        "operation": (token, OperationFactory(asset=asset)),
        "registration": (token, ClientUserFactory(token=token)),
        "group": UserGroupFactory(),
        "person": ManagedUserFactory(),
        "device": DeviceFactory(enrolled=True),
        "import": ImportFactory(),
        "window": UpdateWindowFactory(),
        "device-lift": DeviceFactory(enrolled=True, wiped_at=timezone.now()),
    }

    def of(name: str) -> str:
        if name in OF_A_FORM:
            return reverse(name, args=[DistributionFactory(draft=True).submission])
        try:
            return reverse(name)
        except NoReverseMatch:
            row = rows.get(name) or rows[name.split("-")[0]]
            path = row if isinstance(row, tuple) else (row,)
            return reverse(name, args=[one.pk for one in path])

    return of


def least_role(name: str) -> str:
    return "Viewer" if name in READ_ONLY else LEAST_ROLE.get(name, "Operator")


def open_page(browser: Client, name: str, url: str) -> Any:
    return browser.post(url) if name in POST_ONLY else browser.get(url)


@pytest.mark.parametrize("name", [*CLOSED, *sorted(WITHOUT_ROLE)])
def test_strangers_are_asked_to_sign_in(name: str, address: Any) -> None:
    answer = open_page(Client(), name, address(name))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login/") or name == "account_logout"


@pytest.mark.parametrize("name", CLOSED)
def test_without_a_role_every_page_is_closed(name: str, address: Any) -> None:
    assert open_page(sign_in(None), name, address(name)).status_code == 403


@pytest.mark.parametrize("name", [name for name in CLOSED if name not in READ_ONLY])
def test_the_next_lower_role_is_not_enough(name: str, address: Any) -> None:
    lower = {"Operator": "Viewer", "Token manager": "Operator"}[least_role(name)]
    assert open_page(sign_in(lower), name, address(name)).status_code == 403


@pytest.mark.parametrize("name", CLOSED)
def test_the_role_opens_the_page(name: str, address: Any) -> None:
    answer = open_page(sign_in(least_role(name)), name, address(name))
    assert answer.status_code in ({302} if name in POST_ONLY else {200})


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_what_changes_something_cannot_be_followed_as_a_link(name: str, address: Any) -> None:
    assert sign_in("Token manager").get(address(name)).status_code == 405


@pytest.mark.parametrize("name", [name for name in CLOSED if name not in POST_ONLY])
def test_no_page_has_inline_scripts_or_styles(name: str, address: Any) -> None:
    page = sign_in("Token manager").get(address(name)).content.decode()
    assert " style=" not in page
    assert "<style" not in page
    assert " onclick=" not in page
    assert "<script>" not in page


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_300_rows_costs_no_more_queries_than_one_of_3(name: str) -> None:
    def fill(rows: int) -> None:
        groups = UserGroupFactory.create_batch(rows)
        EntryFactory.create_batch(rows)
        ImportFactory.create_batch(rows, requested_by=UserFactory())
        for group in groups:
            token = ContentTokenFactory()
            bring_app(token)
            AppFactory(pending=True, added_from=token)
            SyncRunFactory(token=token, running=True)
            device = DeviceFactory(owner=ManagedUserFactory(groups=[group]))
            served = InstallationFactory(device=device, in_line=True, distribution=DistributionFactory())
            served.distribution.groups.add(group)
            UpdateWindowFactory()

    browser = sign_in("Operator" if name == "imports" else "Viewer")
    fill(3)
    with CaptureQueriesContext(connection) as few:
        browser.get(reverse(name), {"per_page": "100"})
    fill(97)
    with CaptureQueriesContext(connection) as many:
        browser.get(reverse(name), {"per_page": "100"})
    assert len(many) == len(few) <= CEILING


@pytest.mark.parametrize("name", [*LISTS, *OF_A_TOKEN])
def test_a_file_names_its_columns_as_the_screen_does(name: str, address: Any) -> None:
    browser = sign_in("Token manager")
    url = address(name)
    table = browser.get(url).context["list"].table
    shown = [str(column.header) for column in table.columns if not column.column.exclude_from_export]
    lines = browser.get(url, {"export": "csv"}).getvalue().decode("utf-8-sig").splitlines()
    named = next(csv.reader(lines))
    assert [name for name in shown if name not in named] == []


@pytest.mark.parametrize("path", ["/nothing-here/", "/tokens/999/", "/catalog/999/"])
def test_what_is_not_there_says_so_in_our_look(path: str) -> None:
    answer = sign_in("Token manager").get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_while_a_simulator_stands_in_for_apple_every_page_says_so(settings: Any) -> None:
    browser = sign_in("Viewer")
    assert "simulator" not in browser.get("/groups/").content.decode()
    settings.SIMULATED = True
    assert "A simulator stands in for Apple" in browser.get("/groups/").content.decode()
    assert "A simulator stands in for Apple" in Client().get("/login/").content.decode()


def test_signing_in_leads_home() -> None:
    browser = Client()
    assert "Sign in" in browser.get("/login/").content.decode()
    assert browser.get("/signup/").status_code == 404
