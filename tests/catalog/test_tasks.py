"""The catalog's tasks are thin: they add what a token brought, and the sweeper finds what nobody was told about."""

from __future__ import annotations

import pytest

from catalog import tasks
from catalog.models import Addition, App
from tests.catalog.stock import owner, store_has
from tests.deliveries import taken
from tests.factories import ContentTokenFactory
from tokens.models import ContentToken
from tokens.signals import Changes, token_changed

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_token_that_changed_has_its_apps_added() -> None:
    token = owner("1")
    store_has("1")
    token_changed.send(ContentToken, token=token, changes=Changes("assets", added=1))
    assert App.objects.count() == 1


@pytest.mark.parametrize("times", [1, 2])
def test_apps_are_added_once_however_often_the_task_runs(times: int) -> None:
    token = owner("1")
    store_has("1")
    for _ in range(times):
        tasks.add_apps(token.pk)
    assert App.objects.count() == Addition.objects.count() == 1


@pytest.mark.parametrize("is_there", [True, False])
def test_a_token_that_is_gone_brings_nothing(is_there: bool) -> None:
    tasks.add_apps(owner("1", deleted=True).pk if is_there else 4711)
    assert not Addition.objects.exists()


def test_the_sweeper_asks_for_tokens_with_work_only() -> None:
    token, settled = owner("1"), owner("2")
    store_has("2")
    tasks.add_apps(settled.pk)
    ContentTokenFactory()
    tasks.sweep()
    assert list(taken()) == [("catalog.tasks.add_apps", (token.pk,))]


def test_the_sweeper_asks_nobody_when_all_is_settled(django_assert_max_num_queries) -> None:
    for number in range(10):
        token = owner(str(number))
        store_has(str(number))
        tasks.add_apps(token.pk)
    # One for each kind of work there may be, however many tokens there are.
    with django_assert_max_num_queries(6):
        tasks.sweep()
    assert list(taken()) == []
