"""Lists: search, filters, sorting, paging, CSV, empty states, selection - shown on the lists of groups and people."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from catalog.models import AppStatus, Outcome
from tests.factories import ContentTokenFactory, DeviceFactory, ManagedUserFactory, SyncRunFactory, UserGroupFactory
from tests.signed_in import LIST, sign_in
from tokens.models import ListingOutcome, TokenStatus
from vppportal.groups.models import UserGroup
from vppportal.groups.tables import GroupFilter
from vppportal.lists import defused, selected
from vppportal.templatetags.portal import TONES
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    return sign_in("Viewer")


def names(page: Any) -> list[str]:
    return [row.get_cell_value("name") for row in page.context["list"].table.paginated_rows]


def csv_rows(page: Any) -> list[list[str]]:
    text = b"".join(page.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def test_every_word_of_a_search_must_occur_somewhere(viewer: Client) -> None:
    UserGroupFactory(name="Sales", description="North and east")
    UserGroupFactory(name="Sales two", description="South")
    assert names(viewer.get("/groups/", {"q": "sales north"})) == ["Sales"]


def test_filters_stay_in_the_addresses_of_sorting_paging_and_export(viewer: Client) -> None:
    UserGroupFactory.create_batch(30)
    page = viewer.get("/groups/", {"q": "department"}).content.decode()
    assert 'href="?q=department&amp;sort=-name"' in page
    assert 'href="?q=department&amp;page=2"' in page
    assert 'href="?q=department&amp;export=csv"' in page


def test_a_list_is_sorted_as_the_address_says(viewer: Client) -> None:
    for name in ("b", "c", "a"):
        UserGroupFactory(name=name)
    assert names(viewer.get("/groups/")) == ["a", "b", "c"]
    assert names(viewer.get("/groups/", {"sort": "-name"})) == ["c", "b", "a"]


@pytest.mark.parametrize(
    "address",
    [
        *("?sort=password", "?sort=people__email", "?sort=--name", "?sort="),
        *("?per_page=-1", "?per_page=0", "?per_page=x", "?per_page=1000000", f"?per_page={'9' * 5000}"),
        *("?page=0", "?page=-1", "?page=x", "?page=²", f"?page={'9' * 30}", f"?page={'9' * 5000}"),
    ],
)
def test_nonsense_in_the_address_is_no_error(viewer: Client, address: str) -> None:
    UserGroupFactory.create_batch(3)
    assert len(names(viewer.get(f"/groups/{address}"))) == 3


def test_a_page_past_the_end_is_the_last_page(viewer: Client) -> None:
    UserGroupFactory.create_batch(26)
    assert len(names(viewer.get("/groups/", {"page": "99"}))) == 1


def test_equal_values_keep_one_order_over_all_pages(viewer: Client) -> None:
    UserGroupFactory.create_batch(60, description="same")
    pages = [names(viewer.get("/groups/", {"sort": "description", "page": page})) for page in (1, 2, 3)]
    assert len({name for page in pages for name in page}) == 60


def test_unknown_values_come_last_in_both_directions(viewer: Client) -> None:
    owner = ManagedUserFactory(name="Ada")
    shared, owned = DeviceFactory(), DeviceFactory(owner=owner)
    for sort in ("owner", "-owner"):
        page = viewer.get("/devices/", {"sort": sort})
        assert [row.record for row in page.context["list"].table.paginated_rows] == [owned, shared]


def test_refreshing_sends_the_list_alone(viewer: Client) -> None:
    UserGroupFactory(name="Sales")
    part = viewer.get("/groups/", headers=LIST).content.decode()
    assert "Sales" in part
    assert 'id="list"' in part
    assert "<html" not in part


def test_the_file_has_all_matching_rows_and_only_those(viewer: Client) -> None:
    UserGroupFactory.create_batch(30)
    UserGroupFactory(name="Other", description="")
    rows = csv_rows(viewer.get("/groups/", {"q": "department", "export": "csv"}))
    assert rows[0] == ["Name", "Description", "People", "VPP tokens restricted to it", "Added"]
    assert len(rows) == 31
    assert all(row[0].startswith("Department") for row in rows[1:])


def test_no_cell_of_the_file_is_a_formula(viewer: Client) -> None:
    UserGroupFactory(name='=HYPERLINK("http://evil.example")', description="@SUM(1)")
    row = csv_rows(viewer.get("/groups/", {"export": "csv"}))[1]
    assert row[:2] == ['\'=HYPERLINK("http://evil.example")', "'@SUM(1)"]


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@a", "\ta", "\ra", "'=1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_defused(value: str) -> None:
    assert defused(value) == f"'{value}"


def test_numbers_stay_numbers() -> None:
    assert defused(-5) == -5


def test_nothing_yet_says_so(viewer: Client) -> None:
    page = viewer.get("/groups/").content.decode()
    assert "No user groups yet" in page
    assert 'id="filters"' not in page


def test_nothing_matching_offers_to_clear_the_filters(viewer: Client) -> None:
    UserGroupFactory()
    page = viewer.get("/groups/", {"q": "nobody"}).content.decode()
    assert "Nothing matches" in page
    assert 'href="/groups/">Clear the filters' in page


def test_while_work_goes_on_an_empty_list_says_so_and_refreshes_itself(viewer: Client) -> None:
    run = SyncRunFactory(running=True)
    page = viewer.get(f"/tokens/{run.token_id}/").content.decode()
    assert "Working on it" in page
    assert "data-polls" in page


def test_what_cannot_be_known_is_said_with_the_reason(viewer: Client) -> None:
    token = ContentTokenFactory(revoked=True, never_synced=True)
    page = viewer.get(f"/tokens/{token.pk}/").content.decode()
    assert "This cannot be known at the moment" in page
    assert "data-polls" not in page


@pytest.mark.parametrize("address", ["/groups/", "/people/", "/devices/"])
def test_the_number_of_queries_does_not_grow(viewer: Client, address: str) -> None:
    def fill(rows: int) -> None:
        groups = UserGroupFactory.create_batch(rows)
        for person in ManagedUserFactory.create_batch(rows, groups=groups):
            DeviceFactory(owner=person)

    fill(2)
    with CaptureQueriesContext(connection) as few:
        viewer.get(address, {"per_page": "100"})
    fill(30)
    with CaptureQueriesContext(connection) as many:
        viewer.get(address, {"per_page": "100"})
    assert len(many) == len(few)


def test_selecting_takes_the_ticked_rows_or_all_that_match(rf: RequestFactory) -> None:
    UserGroupFactory.create_batch(3)
    other = UserGroupFactory(name="Other", description="")
    ticked = rf.post("/x/?q=department", {"selected": [str(other.pk), "x", "9" * 20, "9" * 5000]})
    assert list(selected(ticked, GroupFilter, UserGroup.objects.all())) == [other]
    everything = rf.post("/x/?q=department", {"all_matching": "1", "selected": [str(other.pk)]})
    assert selected(everything, GroupFilter, UserGroup.objects.all()).count() == 3


@pytest.mark.parametrize("choices", [TokenStatus, WorkState, ListingOutcome, Outcome, AppStatus])
def test_every_status_has_a_tone(choices: type[models.TextChoices]) -> None:
    assert set(choices.values) <= TONES.keys()
