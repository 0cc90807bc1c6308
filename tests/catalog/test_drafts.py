"""Drafts of distributions: what a form said, until it is put into force, discarded or forgotten."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import drafts
from catalog.models import Distribution, DistributionState
from tests.factories import (
    AppFactory,
    DeviceFactory,
    DistributionFactory,
    ManagedUserFactory,
    UserFactory,
    UserGroupFactory,
)
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    made: User = UserFactory()
    return made


def wish(**chosen: Any) -> dict[str, Any]:
    nobody: dict[str, Any] = {"groups": [], "people": [], "devices": []}
    nobody |= {f"excluded_{name}": [] for name in nobody}
    options = {"license_kind": "automatic", "when": "now", "priority": 100, "notify_by_email": False}
    return {"is_for_everyone": False, **nobody, **options, **chosen}


def test_a_form_is_one_draft_an_app(admin: User) -> None:
    submission, group, device = uuid.uuid4(), UserGroupFactory(), DeviceFactory()
    apps = [AppFactory().pk, AppFactory().pk]
    assert drafts.keep(submission, apps, wish(groups=[group], excluded_devices=[device], priority=7), admin)
    rows = drafts.of(submission)
    assert [row.app_id for row in rows] == apps
    assert {row.state for row in rows} == {DistributionState.DRAFT}
    for row in rows:
        assert (list(row.groups.all()), list(row.excluded_devices.all()), row.priority) == ([group], [device], 7)


def test_a_second_click_is_the_same_draft_and_the_last_word_counts(admin: User) -> None:
    submission, app, first, second = uuid.uuid4(), AppFactory(), ManagedUserFactory(), ManagedUserFactory()
    drafts.keep(submission, [app.pk], wish(people=[first]), admin)
    drafts.keep(submission, [app.pk], wish(people=[second]), admin)
    (row,) = drafts.of(submission)
    assert list(row.people.all()) == [second]


def test_many_apps_cost_no_more_queries_than_one(admin: User) -> None:
    people = ManagedUserFactory.create_batch(3)
    apps = [app.pk for app in AppFactory.create_batch(21)]
    with CaptureQueriesContext(connection) as few:
        drafts.keep(uuid.uuid4(), apps[:1], wish(people=people), admin)
    with CaptureQueriesContext(connection) as many:
        drafts.keep(uuid.uuid4(), apps[1:], wish(people=people), admin)
    assert len(many) == len(few)


def test_what_is_in_force_is_no_draft_any_more(admin: User) -> None:
    row = DistributionFactory()
    assert not drafts.keep(row.submission, [row.app_id], wish(is_for_everyone=True), admin)
    row.refresh_from_db()
    assert not row.is_for_everyone
    assert Distribution.objects.count() == 1


def test_starting_puts_all_drafts_of_a_form_into_force_once(admin: User) -> None:
    submission = uuid.uuid4()
    drafts.keep(submission, [AppFactory().pk, AppFactory().pk], wish(is_for_everyone=True), admin)
    assert len(drafts.put_into_force(submission, admin)) == 2
    assert drafts.put_into_force(submission, admin) == []
    assert Distribution.objects.filter(state=DistributionState.ACTIVE).count() == 2


def test_an_app_that_lost_its_approval_meanwhile_is_left_out(admin: User) -> None:
    submission, good, bad = uuid.uuid4(), AppFactory(), AppFactory()
    drafts.keep(submission, [good.pk, bad.pk], wish(is_for_everyone=True), admin)
    bad.status = "rejected"
    bad.save()
    (started,) = drafts.put_into_force(submission, admin)
    assert Distribution.objects.get(pk=started).app == good


def test_a_draft_of_changes_gives_its_audience_and_options_to_what_it_replaces(admin: User) -> None:
    old, new, device = UserGroupFactory(), UserGroupFactory(), DeviceFactory()
    row = DistributionFactory(priority=5, notified_at=timezone.now())
    row.groups.add(old)
    row.excluded_devices.add(device)
    submission = uuid.uuid4()
    drafts.keep(submission, [row.app_id], wish(groups=[new], when="on_demand", priority=5), admin, row)
    assert list(row.groups.all()) == [old]
    assert drafts.put_into_force(submission, admin) == [row.pk]
    row.refresh_from_db()
    assert (list(row.groups.all()), list(row.excluded_devices.all()), row.when) == ([new], [], "on_demand")
    assert row.notified_at is None  # those who are new are told
    assert Distribution.objects.count() == 1
    assert Entry.objects.get().details["changed"] == ["install", "user groups", "excluded devices"]
    assert row.app.reconciliation.is_open


def test_changes_to_what_was_stopped_meanwhile_are_not_taken_over(admin: User) -> None:
    row = DistributionFactory()
    submission = uuid.uuid4()
    drafts.keep(submission, [row.app_id], wish(is_for_everyone=True), admin, row)
    Distribution.objects.filter(pk=row.pk).update(state=DistributionState.STOPPED)
    assert drafts.put_into_force(submission, admin) == []
    row.refresh_from_db()
    assert not row.is_for_everyone


def test_drafts_are_forgotten_after_a_day_and_nothing_else(admin: User) -> None:
    long_ago = timezone.now() - timedelta(hours=25)
    DistributionFactory(draft=True, created_at=long_ago)
    kept = {DistributionFactory(draft=True).pk, DistributionFactory(created_at=long_ago).pk}
    drafts.forget_old()
    assert set(Distribution.objects.values_list("pk", flat=True)) == kept


def test_discarding_deletes_the_drafts_of_one_form_only(admin: User) -> None:
    gone, kept = drafts.gather([AppFactory().pk], admin), drafts.gather([AppFactory().pk], admin)
    drafts.discard(gone)
    assert drafts.of(gone) == []
    assert len(drafts.of(kept)) == 1
