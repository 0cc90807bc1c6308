"""Workers that send updates, settle answers and plan, and people who stop a roll-out, write at the same time."""

from __future__ import annotations

from functools import partial

import pytest

from catalog import events, tasks
from catalog.models import Command, Installation, Reconciliation, UpdateState
from catalog.updates import rollouts, updating
from tests.channel import answer, refusal
from tests.factories import InstallationFactory
from tests.faults.test_at_once import at_once
from tests.releases import NEW, OLD, behind, released

pytestmark = pytest.mark.django_db(transaction=True)


def test_passes_at_the_same_time_send_each_update_once() -> None:
    apps = [released() for _ in range(3)]
    rows = [behind(app) for app in apps for _ in range(20)]
    sent = at_once(*[updating.propagate] * 4)
    assert sum(int(str(number)) for number in sent) == len(rows)
    assert Command.objects.filter(updates_to=NEW).count() == len(rows)


def apply_all() -> None:
    while events.apply_due():
        pass


def test_answers_are_counted_once_while_passes_look_at_the_same_devices() -> None:
    app = released()
    rows = [behind(app) for _ in range(30)]
    updating.propagate()
    for command in Command.objects.filter(updates_to=NEW).select_related("device"):
        events.store(answer(command, "Error", **refusal(9610)))
    at_once(apply_all, apply_all, updating.propagate, updating.propagate)
    apply_all()
    assert {row.update_tries for row in Installation.objects.all()} == {1}
    assert Installation.objects.filter(update_state=UpdateState.FAILED).count() == len(rows)
    assert Command.objects.filter(updates_to=NEW).count() == len(rows)


def test_a_roll_out_stopped_during_a_pass_leaves_nothing_to_be_sent() -> None:
    app = released()
    rows = [behind(app) for _ in range(60)]
    at_once(updating.propagate, partial(rollouts.halt, app, None), partial(rollouts.halt, app, None))
    updating.propagate()
    assert not Command.objects.open().filter(updates_to=NEW).exists()
    assert not Installation.objects.filter(update_state=UpdateState.UNDER_WAY).exists()
    assert Installation.objects.count() == len(rows)


def test_asking_by_hand_twice_during_a_pass_is_asking_once() -> None:
    app = released()
    rows = [behind(app) for _ in range(20)]
    ask = partial(updating.update_now, Installation.objects.filter(app=app), None)
    at_once(updating.propagate, ask, ask)
    updating.propagate()
    assert Command.objects.filter(updates_to=NEW).count() == len(rows)


def test_plans_and_passes_do_not_stop_each_other() -> None:
    apps = [released() for _ in range(3)]
    for app in apps:
        for _ in range(15):
            behind(app)
            InstallationFactory(app=app, external_version_id=OLD)
    Reconciliation.objects.bulk_create([Reconciliation(app=app) for app in apps])
    at_once(updating.propagate, tasks.reconcile_due, tasks.reconcile_due)
    updating.propagate()
    assert not Installation.objects.filter(update_state=UpdateState.UNDER_WAY).exclude(state="installed").exists()
