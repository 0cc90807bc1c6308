"""What answers and lists of devices mean for an app that is being updated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.answers import AT_WORK_FOR, judge_update
from catalog.models import CommandStatus, InstallState
from catalog.reasons import IN_PROGRESS, OVER, UPDATE_OVER
from catalog.updates.answers import ANSWER_LOST, NO_CHANGE, WITHOUT_EFFECT_AFTER, UpdateFinding, find_update
from tests.channel import refusal

FRESH, LONG = timedelta(seconds=30), AT_WORK_FOR + timedelta(seconds=1)


def found(listed: str, age: timedelta = FRESH, *, is_open: bool = False, is_overdue: bool = False) -> UpdateFinding:
    return find_update(listed, age, is_open=is_open, is_overdue=is_overdue)


@pytest.mark.parametrize("listed", IN_PROGRESS)
def test_a_device_at_work_is_given_time(listed: str) -> None:
    assert found(listed, timedelta(days=3)) == UpdateFinding(IN_PROGRESS[listed], asks_again=True)
    late = found(listed, LONG)
    assert (late.has_failed, late.may_help_again) == (True, True)
    assert IN_PROGRESS[listed] in late.words


@pytest.mark.parametrize("listed", ["UpdateRejected", "UserRejected", "ManagementRejected"])
def test_what_the_person_declined_is_not_tried_again(listed: str) -> None:
    finding = found(listed)
    assert (finding.has_failed, finding.may_help_again) == (True, False)
    assert finding.words


def test_an_update_that_failed_on_the_device_is_tried_again() -> None:
    finding = found("Failed")
    assert (finding.has_failed, finding.may_help_again) == (True, True)
    assert "storage is full" in finding.words


def test_every_state_in_which_an_installation_ends_has_words_for_updates() -> None:
    assert UPDATE_OVER.keys() == OVER.keys()


def test_a_version_that_never_changes_is_a_try_without_effect() -> None:
    assert found("Managed", WITHOUT_EFFECT_AFTER - FRESH).asks_again
    finding = found("Managed", WITHOUT_EFFECT_AFTER)
    assert (finding.has_failed, finding.may_help_again, finding.words) == (True, True, NO_CHANGE)


def test_a_device_that_has_not_answered_is_not_asked_over_and_over() -> None:
    waiting = found("Managed", timedelta(hours=5), is_open=True)
    assert waiting == UpdateFinding()


def test_a_device_that_came_past_the_command_has_lost_its_answer() -> None:
    finding = found("Managed", is_open=True, is_overdue=True)
    assert (finding.has_failed, finding.may_help_again, finding.words) == (True, True, ANSWER_LOST)
    assert found("Updating", is_open=True, is_overdue=True).asks_again


@pytest.mark.parametrize("listed", ["Unknown", "Something new"])
def test_what_nobody_understands_is_asked_again_and_not_for_ever(listed: str) -> None:
    assert found(listed, timedelta(days=3)).asks_again
    assert found(listed, LONG).has_failed


def test_an_update_that_is_taken_is_looked_after() -> None:
    meaning = judge_update("Acknowledged", {"State": "Queued"})
    assert meaning is not None
    assert (meaning.status, meaning.state, meaning.asks_list) == (CommandStatus.ACKNOWLEDGED, "installing", True)


def test_an_update_that_ended_at_once_says_so_in_its_own_words() -> None:
    meaning = judge_update("Acknowledged", {"State": "Failed"})
    assert meaning is not None
    assert (meaning.state, meaning.is_final) == (InstallState.FAILED, False)
    assert meaning.words.startswith("The update failed on the device")


@pytest.mark.parametrize(
    ("code", "is_final"), [(12063, True), (12038, True), (12040, True), (9610, False), (4711, False)]
)
def test_refusals_that_only_a_person_can_help_with_are_final(code: int, is_final: bool) -> None:
    meaning = judge_update("Error", refusal(code))
    assert meaning is not None
    assert (meaning.state, meaning.is_final) == (InstallState.FAILED, is_final)


def test_a_device_that_is_at_it_already_has_not_failed() -> None:
    for code in (506, 12025):
        meaning = judge_update("Error", refusal(code))
        assert meaning is not None
        assert (meaning.state, meaning.asks_list, meaning.takes_over) == (InstallState.INSTALLING, True, False)


def test_a_command_that_is_not_understood_is_not_sent_again() -> None:
    meaning = judge_update("CommandFormatError", {})
    assert meaning is not None
    assert (meaning.state, meaning.is_final) == (InstallState.FAILED, True)
