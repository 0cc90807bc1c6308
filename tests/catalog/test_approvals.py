"""Many apps are decided on at once, by a number of queries that does not depend on how many."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import approvals
from catalog.models import App, AppStatus
from tests.factories import AppFactory, UserFactory
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


def test_approving_all_leaves_rejected_apps_alone_and_records_each_app() -> None:
    waiting = AppFactory.create_batch(3, pending=True)
    AppFactory(rejected=True)
    assert approvals.approve_all(App.objects.all(), UserFactory()) == 3
    assert App.objects.filter(status=AppStatus.REJECTED).count() == 1
    assert {entry.object_id for entry in Entry.objects.all()} == {app.pk for app in waiting}


def test_approving_fifty_apps_takes_no_more_queries_than_three() -> None:
    by = UserFactory()
    counts = []
    for number in (3, 50):
        AppFactory.create_batch(number, pending=True)
        with CaptureQueriesContext(connection) as queries:
            approvals.approve_all(App.objects.all(), by)
        counts.append(len(queries))
    assert counts[0] == counts[1]
