"""When a pilot began, and what stopping a roll-out, releasing it and letting it go on do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.models import App, Command, CommandStatus, Installation, Rollout, UpdateState
from catalog.updates import rollouts, updating, wishes
from tests.channel import answer, refusal, told
from tests.factories import ManagedUserFactory, UserFactory
from tests.releases import NEW, behind, current, gave_up, piloted, released, stored, update_of
from vppportal.activity.models import Entry
from vppportal.work import WorkState

pytestmark = pytest.mark.django_db


def started(app: App) -> object:
    """Return when the pilot of the newest version began."""
    return app.rollouts.get(external_version_id=NEW).pilot_started_at


def test_a_pilot_begins_with_the_first_of_its_devices_that_is_sent_the_version() -> None:
    app = released(listing__version_seen_at=timezone.now() - timedelta(days=60))
    _, (first, second) = piloted(app, 2)
    Installation.objects.filter(pk=second.pk).update(update_state=UpdateState.FAILED, update_to=NEW - 1)
    behind(app)
    rollouts.note_pilots()
    assert not Rollout.objects.exists()
    assert updating.propagate() == 2
    begun = started(app)
    assert begun is not None
    updating.propagate()
    assert started(app) == begun
    told(answer(update_of(first), "Error", **refusal(12031)))
    assert started(app) == begun


def test_a_pilot_that_got_the_version_without_the_portal_begins_then() -> None:
    app = released(update_automatically=False)
    group, _ = piloted(app, 0)
    current(app, device__owner=ManagedUserFactory(groups=[group]))
    rollouts.note_pilots()
    assert started(app) is not None


def test_an_app_without_a_pilot_notes_none() -> None:
    behind()
    updating.propagate()
    assert not Rollout.objects.exists()


def test_a_pilot_chosen_long_after_a_version_came_out_has_its_whole_time() -> None:
    app = released()
    behind(app)
    updating.propagate()
    _, pilots = piloted(app, 3)
    others = [behind(app), behind(app)]
    assert updating.propagate() == 3
    Installation.objects.filter(pk=pilots[0].pk).update(external_version_id=NEW, update_state="", update_to=None)
    assert updating.propagate() == 0
    Rollout.objects.update(pilot_started_at=timezone.now() - timedelta(hours=24))
    assert updating.propagate() == len(others)


def test_another_pilot_group_begins_anew() -> None:
    app = released()
    piloted(app)
    updating.propagate()
    piloted(app, 0)
    wishes.store(app, ["pilot_group"], None)
    assert started(app) is None
    app.pilot_hours = 48
    wishes.store(app, ["pilot_hours"], None)
    assert not Rollout.objects.exclude(pilot_started_at=None).exists()


def test_more_hours_do_not_let_a_pilot_begin_anew() -> None:
    app = released()
    piloted(app)
    updating.propagate()
    begun = started(app)
    wishes.store(app, ["pilot_hours"], None)
    assert started(app) == begun


def test_a_roll_out_that_is_stopped_sends_nothing_more() -> None:
    app = released()
    assert rollouts.halt(app, UserFactory())
    assert not rollouts.halt(app, UserFactory())
    behind(app)
    assert updating.propagate() == 0
    assert rollouts.release(app, UserFactory(username="ada"))
    assert not rollouts.release(app, UserFactory())
    assert updating.propagate() == 1
    assert Rollout.objects.get().decided_by is not None
    assert list(Entry.objects.order_by("pk").values_list("verb", flat=True)) == [
        "stopped the roll-out of",
        "released the roll-out of",
    ]


def test_an_app_whose_version_is_not_known_has_no_roll_out() -> None:
    app = released(listing__external_version_id=None)
    assert not rollouts.halt(app, None)
    assert not rollouts.release(app, None)


def test_what_was_not_sent_yet_is_called_back() -> None:
    app = released()
    unsent, out, going, wanted = behind(app), behind(app), behind(app), behind(app, update_asked_for=NEW)
    updating.propagate()
    Command.objects.filter(installation=out).update(status=CommandStatus.SENT)
    Command.objects.filter(installation=going).update(state=WorkState.RUNNING)
    rollouts.halt(app, None)
    for row in (unsent, wanted):
        assert Command.objects.get(installation=row).status == CommandStatus.CANCELLED
    assert stored(wanted).update_asked_for is None
    assert (stored(unsent).update_state, stored(unsent).update_tries) == (UpdateState.NONE, 0)
    assert all(update_of(row) for row in (out, going))
    assert updating.propagate() == 0


def test_a_roll_out_that_was_stopped_goes_on_with_its_pilot() -> None:
    app = released()
    piloted(app)
    assert not rollouts.resume(app, None)
    updating.propagate()
    assert started(app) is not None
    rollouts.halt(app, None)
    assert rollouts.resume(app, UserFactory(username="ada"))
    rollout = app.rollouts.get()
    assert (rollout.decision, rollout.decided_at, rollout.decided_by) == ("", None, None)
    assert rollout.pilot_started_at is None
    assert not rollouts.resume(app, None)
    assert Entry.objects.filter(verb="resumed the roll-out of").count() == 1


def test_a_pilot_that_gave_up_is_tried_again_when_it_goes_on() -> None:
    app = released()
    group, (well,) = piloted(app)
    failed = gave_up(app, device__owner=ManagedUserFactory(groups=[group]))
    other, outside = behind(app), gave_up(app)
    rollouts.halt(app, None)
    assert rollouts.resume(app, None)
    assert (stored(failed).update_state, stored(failed).update_tries) == (UpdateState.NONE, 0)
    assert stored(outside).update_tries == 3
    assert updating.propagate() == 2
    assert {update_of(well).device_id, update_of(failed).device_id} == {well.device_id, failed.device_id}
    assert stored(other).update_state == UpdateState.NONE


def test_what_is_under_way_when_its_pilot_begins_anew_goes_on() -> None:
    app = released()
    _, (row,) = piloted(app)
    updating.propagate()
    Installation.objects.update(update_tries=1)
    Command.objects.update(status=CommandStatus.SENT)
    rollouts.halt(app, None)
    rollouts.resume(app, None)
    assert (stored(row).update_state, stored(row).update_to, stored(row).update_tries) == ("under_way", NEW, 0)
