"""The list of distributions, the page of one, and pausing, resuming and stopping."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Distribution, DistributionState, InstallState, Letter
from tests.factories import (
    AppFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
)
from tests.signed_in import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


@pytest.fixture
def running() -> Distribution:
    made: Distribution = DistributionFactory(app__listing__name="Keynote", started_at=timezone.now())
    made.groups.add(UserGroupFactory(name="Sales"))
    return made


def install(row: Distribution, **states: int) -> None:
    for state, number in states.items():
        InstallationFactory.create_batch(number, app=row.app, distribution=row, state=state)


def rows(page: Any) -> list[Any]:
    return [row.record for row in page.context["list"].table.paginated_rows]


def test_the_list_says_for_whom_and_how_far(operator: Client, running: Distribution) -> None:
    install(running, installed=3, sent=2, licensing=1, in_line=2, unregistered=1, failed=1, skipped=4)
    DistributionFactory(draft=True)
    (row,) = rows(operator.get("/catalog/distributions/"))
    assert row.audience == "Sales"
    assert (row.installed, row.on_the_way, row.waiting, row.failed) == (3, 3, 3, 1)


def test_distributions_are_found_by_app_state_and_group(operator: Client, running: Distribution) -> None:
    other = DistributionFactory(paused=True, app=AppFactory(listing__name="Pages"))
    group = running.groups.get()

    def found(**filters: Any) -> list[Any]:
        return rows(operator.get("/catalog/distributions/", filters))

    assert found(q="keyn") == [running]
    assert found(state="paused") == [other]
    assert found(app=other.app.pk) == [other]
    assert found(group=group.pk) == [running]


def test_the_list_is_exported_with_its_numbers(operator: Client, running: Distribution) -> None:
    install(running, installed=3)
    answer: Any = operator.get("/catalog/distributions/", {"export": "csv"})
    file = b"".join(answer.streaming_content).decode()
    assert "Keynote,Sales,Active,3,0,0,0" in file


def test_the_page_links_its_counts_to_the_installations(operator: Client, running: Distribution) -> None:
    install(running, installed=2, failed=1)
    InstallationFactory(app=running.app, state=InstallState.INSTALLED)
    page = operator.get(running.get_absolute_url())
    assert page.context["counts"] == {"installed": 2, "failed": 1}
    assert "Installed on 2 of 3 devices" in page.content.decode()
    link = f"/catalog/{running.app_id}/installations/?distribution={running.pk}&amp;state=installed"
    assert link in page.content.decode()
    assert len(rows(operator.get(link.replace("&amp;", "&")))) == 2


def test_the_page_refreshes_itself_while_something_is_under_way(operator: Client, running: Distribution) -> None:
    assert "data-polls" not in operator.get(running.get_absolute_url()).content.decode()
    install(running, sent=1)
    assert "data-polls" in operator.get(running.get_absolute_url()).content.decode()
    part = operator.get(f"/catalog/distributions/{running.pk}/progress/").content.decode()
    assert part.lstrip().startswith("<section")
    assert "data-polls" in part


def test_pausing_and_resuming(operator: Client, running: Distribution) -> None:
    address = f"/catalog/distributions/{running.pk}/"
    assert "Paused" in operator.post(f"{address}pause/", follow=True).content.decode()
    running.refresh_from_db()
    assert running.state == DistributionState.PAUSED
    assert "not active any more" in operator.post(f"{address}pause/", follow=True).content.decode()
    page = operator.post(f"{address}resume/", follow=True).content.decode()
    running.refresh_from_db()
    assert running.state == DistributionState.ACTIVE
    assert "resumed distributing" in page


def test_stopping_says_before_what_it_takes_away(operator: Client, running: Distribution) -> None:
    install(running, installed=2)
    address = f"/catalog/distributions/{running.pk}/stop/"
    page = operator.get(address)
    assert "“Keynote” is not distributed to Sales any more." in page.content.decode()
    assert len(page.context["sentences"]) > 1
    running.refresh_from_db()
    assert running.state == DistributionState.ACTIVE
    operator.post(address)
    running.refresh_from_db()
    assert running.state == DistributionState.STOPPED
    assert "stopped already" in operator.get(address, follow=True).content.decode()


def test_who_is_included_elsewhere_is_said_to_keep_the_app(operator: Client, running: Distribution) -> None:
    install(running, installed=2)
    address = f"/catalog/distributions/{running.pk}/stop/"
    DistributionFactory(app=running.app)
    assert "another distribution" not in operator.get(address).content.decode()
    DistributionFactory(app=running.app, is_for_everyone=True)
    assert "another distribution" in operator.get(address).content.decode()


def test_many_are_stopped_at_once_after_asking(operator: Client, running: Distribution) -> None:
    other, kept = DistributionFactory(app=AppFactory(listing__name="Pages")), DistributionFactory()
    chosen = {"selected": [running.pk, other.pk]}
    asked = operator.post("/catalog/distributions/stop/", chosen)
    assert "Stop 2 distributions?" in asked.content.decode()
    operator.post("/catalog/distributions/stop/", {**chosen, "confirmed": "yes"})
    states = dict(Distribution.objects.values_list("pk", "state"))
    assert states == {running.pk: "stopped", other.pk: "stopped", kept.pk: "active"}
    again = operator.post("/catalog/distributions/stop/", chosen, follow=True)
    assert "None of these is distributed any more" in again.content.decode()


def test_a_page_of_300_distributions_costs_no_more_queries_than_one_of_3(operator: Client) -> None:
    def make(number: int) -> None:
        for row in DistributionFactory.create_batch(number):
            row.groups.add(UserGroupFactory())
            row.people.add(ManagedUserFactory())
            install(row, installed=1, failed=1)

    def look() -> int:
        with CaptureQueriesContext(connection) as queries:
            operator.get("/catalog/distributions/", {"per_page": "100"})
        return len(queries)

    make(3)
    few = look()
    make(97)
    assert look() == few <= 12


def test_an_app_shows_its_distributions_and_a_button(operator: Client, running: Distribution) -> None:
    install(running, installed=3)
    page = operator.get(running.app.get_absolute_url()).content.decode()
    assert "For Sales" in page
    assert "3 installed, 0 on the way, 0 waiting, 0 failed" in " ".join(page.split())
    assert f"/catalog/{running.app_id}/distribute/" in page
    waiting = operator.get(AppFactory(pending=True).get_absolute_url()).content.decode()
    assert "distributed to nobody: it is not approved" in waiting
    assert "/distribute/" not in waiting


def test_only_who_may_distribute_sees_the_buttons(running: Distribution) -> None:
    viewer = sign_in("Viewer")
    pages = [
        viewer.get(address).content.decode()
        for address in ("/catalog/", "/catalog/distributions/", running.get_absolute_url())
    ]
    for page in pages:
        assert "/stop/" not in page
        assert "/distribute/" not in page


def test_mails_that_failed_are_shown_and_sent_again_by_hand(operator: Client, running: Distribution) -> None:
    person = ManagedUserFactory(name="Ada", email="ada@nowhere.example")
    letter = Letter.objects.create(
        distribution=running, person=person, state="failed", last_error="The mail server does not accept the address."
    )
    page = operator.get(running.get_absolute_url()).content.decode()
    assert "1 e-mail could not be sent" in page
    assert "ada@nowhere.example" in page
    assert "does not accept the address" in page
    operator.post(f"/catalog/distributions/{running.pk}/letters/")
    letter.refresh_from_db()
    assert letter.state == "waiting"
