"""What devices answer, in words and consequences."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from catalog.answers import ABSENT_FOR, AT_WORK_FOR, MOST_TRIES, find, judge, retry_after
from catalog.models import CommandKind, CommandStatus, InstallState
from catalog.reasons import CODES, IN_PROGRESS, REJECTIONS
from tests.channel import refusal

INSTALL, REMOVE, LIST = CommandKind.INSTALL, CommandKind.REMOVE, CommandKind.MANAGED_LIST
FRESH, LONG = timedelta(seconds=30), ABSENT_FOR + timedelta(seconds=1)


def refused(kind: str, code: int, **more: Any) -> Any:
    return judge(kind, "Error", refusal(code), **more)


@pytest.mark.parametrize("kind", CommandKind)
def test_a_device_that_asks_to_wait_keeps_its_command(kind: str) -> None:
    meaning = judge(kind, "NotNow", {})
    assert meaning is not None
    assert (meaning.status, meaning.state, meaning.asks_list) == (CommandStatus.NOT_NOW, None, False)


@pytest.mark.parametrize("status", ["Idle", "", "Something"])
def test_what_is_no_answer_means_nothing(status: str) -> None:
    assert judge(INSTALL, status, {}) is None


def test_an_install_that_is_taken_is_looked_after() -> None:
    meaning = judge(INSTALL, "Acknowledged", {"State": "Prompting"})
    assert meaning is not None
    assert (meaning.status, meaning.state, meaning.asks_list) == (CommandStatus.ACKNOWLEDGED, "installing", True)
    assert meaning.words == "The device asks its person whether to install the app."


def test_an_install_that_ended_at_once_failed() -> None:
    meaning = judge(INSTALL, "Acknowledged", {"State": "UserRejected"})
    assert meaning is not None
    assert (meaning.state, meaning.words) == (InstallState.FAILED, "The person declined the app.")


@pytest.mark.parametrize("kind", [INSTALL, REMOVE])
def test_a_command_the_device_does_not_understand_failed_for_good(kind: str) -> None:
    meaning = judge(kind, "CommandFormatError", {})
    assert meaning is not None
    assert (meaning.status, meaning.state) == (CommandStatus.FORMAT_ERROR, InstallState.FAILED)
    assert not meaning.may_help_again


@pytest.mark.parametrize(("code", "domain"), [(9610, "ASDServerErrorDomain"), (12064, "MCMDMErrorDomain")])
def test_a_license_that_is_not_found_yet_may_be_found_later(code: int, domain: str) -> None:
    meaning = judge(INSTALL, "Error", refusal(code, domain=domain))
    assert meaning is not None
    assert meaning.state == InstallState.FAILED
    assert meaning.may_help_again
    assert meaning.words == f"The device did not find its license at Apple ({domain} {code})."


def test_a_code_deep_in_the_chain_is_found() -> None:
    chain = refusal(1, "odd")["ErrorChain"] + refusal(12064)["ErrorChain"]
    meaning = judge(INSTALL, "Error", {"ErrorChain": chain})
    assert meaning is not None
    assert meaning.may_help_again


@pytest.mark.parametrize("payload", [refusal(506, domain="ASDErrorDomain"), {"RejectionReason": "AppAlreadyQueued"}])
def test_a_device_that_is_at_it_already_has_not_failed(payload: dict[str, Any]) -> None:
    meaning = judge(INSTALL, "Error", payload)
    assert meaning is not None
    assert (meaning.state, meaning.asks_list) == (InstallState.INSTALLING, True)


@pytest.mark.parametrize("payload", [refusal(12025), {"RejectionReason": "AppAlreadyInstalled"}])
def test_what_the_person_installed_is_taken_over_once(payload: dict[str, Any]) -> None:
    first, second = judge(INSTALL, "Error", payload), judge(INSTALL, "Error", payload, took_over=True)
    assert first is not None
    assert second is not None
    assert (first.takes_over, first.state) == (True, None)
    assert (second.takes_over, second.state, second.asks_list) == (False, InstallState.INSTALLING, True)


@pytest.mark.parametrize("code", [12029, 12038])
def test_what_is_not_managed_is_removed_as_far_as_we_are_concerned(code: int) -> None:
    assert refused(REMOVE, code).state == InstallState.REMOVED
    assert refused(INSTALL, code).state == InstallState.FAILED


def test_an_app_of_the_system_is_not_tried_to_be_removed_again() -> None:
    assert not refused(REMOVE, 12065).may_help_again
    assert refused(REMOVE, 4711).may_help_again


def test_a_removal_that_is_taken_is_looked_after() -> None:
    meaning = judge(REMOVE, "Acknowledged", {})
    assert meaning is not None
    assert (meaning.state, meaning.asks_list) == (None, True)


def test_a_list_that_is_refused_moves_nothing_by_itself() -> None:
    assert refused(LIST, 12021).state is None


@pytest.mark.parametrize("code", CODES)
def test_every_known_number_stands_in_brackets_behind_words(code: int) -> None:
    words = refused(INSTALL, code).words
    assert re.fullmatch(rf"[A-Z][a-zA-Z ',-]{{10,}} \(MCMDMErrorDomain {code}\)\.", words), words


@pytest.mark.parametrize("reason", REJECTIONS)
def test_every_known_reason_has_words(reason: str) -> None:
    meaning = judge(INSTALL, "Error", {"RejectionReason": reason})
    assert meaning is not None
    assert reason not in meaning.words


def test_an_unknown_number_is_told_in_the_devices_own_words() -> None:
    meaning = judge(INSTALL, "Error", refusal(4711, "The moon is\nin the wrong house."))
    assert meaning is not None
    assert meaning.words == "The device refused: The moon is in the wrong house (MCMDMErrorDomain 4711)."
    assert not meaning.may_help_again
    silent = judge(INSTALL, "Error", {})
    assert silent is not None
    assert silent.words == "The device refused and did not say why."


@pytest.mark.parametrize(
    "chain",
    [None, "x", [None], [{}], [{"ErrorCode": "12064"}], [{"ErrorCode": True}], [{"ErrorCode": 10**30}], [[]] * 1000],
)
def test_an_odd_chain_of_errors_is_one_without_reasons(chain: Any) -> None:
    meaning = judge(INSTALL, "Error", {"ErrorChain": chain, "RejectionReason": ["Other"]})
    assert meaning is not None
    assert meaning.state == InstallState.FAILED


def test_invitations_that_are_not_shown_say_so() -> None:
    shown = judge(CommandKind.INVITE, "Acknowledged", {"InvitationResult": "Acknowledged"})
    refused_ = judge(CommandKind.INVITE, "Acknowledged", {"InvitationResult": "InvalidProgramID"})
    assert shown is not None
    assert refused_ is not None
    assert (shown.words, refused_.words) == (
        "The device showed the invitation.",
        "The device does not know Apple's program.",
    )


def test_trying_again_ends_and_takes_longer_each_time() -> None:
    pauses = [retry_after(tries) for tries in range(1, MOST_TRIES)]
    assert len(pauses) == 2
    assert pauses == sorted(pauses, key=lambda pause: pause or timedelta())
    assert retry_after(MOST_TRIES) is None


# What a list of managed apps means.


@pytest.mark.parametrize("state", [InstallState.SENT, InstallState.INSTALLING])
def test_what_is_managed_is_installed(state: InstallState) -> None:
    finding = find(state, "Managed", FRESH)
    assert (finding.state, finding.is_named) == (InstallState.INSTALLED, True)


@pytest.mark.parametrize("listed", ["", "ManagedButUninstalled", "Unknown"])
def test_what_is_not_there_yet_is_asked_for_again_for_a_while(listed: str) -> None:
    assert find(InstallState.INSTALLING, listed, FRESH).asks_again
    late = find(InstallState.INSTALLING, listed, LONG)
    assert (late.state, late.asks_again) == (InstallState.FAILED, False)


@pytest.mark.parametrize("listed", IN_PROGRESS)
def test_a_device_at_work_is_given_time(listed: str) -> None:
    finding = find(InstallState.SENT, listed, LONG)
    assert (finding.state, finding.asks_again, finding.words) == (
        InstallState.INSTALLING,
        True,
        IN_PROGRESS[listed],
    )
    assert find(InstallState.INSTALLING, listed, AT_WORK_FOR + FRESH).state == InstallState.FAILED


@pytest.mark.parametrize("listed", ["Failed", "UserRejected", "ManagementRejected"])
def test_what_ended_badly_is_not_tried_again_by_itself(listed: str) -> None:
    finding = find(InstallState.INSTALLING, listed, FRESH)
    assert (finding.state, finding.may_help_again) == (InstallState.FAILED, False)
    assert finding.words


def test_an_app_the_person_was_quicker_to_install_is_taken_over_the_next_time() -> None:
    finding = find(InstallState.INSTALLING, "UserInstalledApp", FRESH)
    assert (finding.state, finding.may_help_again) == (InstallState.FAILED, True)


def test_a_declined_update_leaves_the_app_installed() -> None:
    finding = find(InstallState.INSTALLING, "UpdateRejected", FRESH)
    assert (finding.state, finding.words) == (InstallState.INSTALLED, "The person declined the update.")


@pytest.mark.parametrize("listed", ["", "ManagedButUninstalled", "UserInstalledApp", "Failed"])
def test_what_is_to_go_and_is_not_managed_is_gone(listed: str) -> None:
    assert find(InstallState.REMOVING, listed, FRESH).state == InstallState.REMOVED


def test_what_is_to_go_and_stays_is_asked_for_again_for_a_while() -> None:
    assert find(InstallState.REMOVING, "Managed", FRESH).asks_again
    late = find(InstallState.REMOVING, "Managed", LONG)
    assert (late.state, late.may_help_again) == (InstallState.FAILED, True)


def test_what_somebody_removed_from_a_device_is_not_installed_any_more() -> None:
    assert find(InstallState.INSTALLED, "Managed", LONG).state is None
    assert find(InstallState.INSTALLED, "Updating", LONG).state is None
    assert find(InstallState.INSTALLED, "", FRESH).state == InstallState.FAILED


def test_a_command_the_device_came_past_is_taken_for_lost_only_when_it_was_silent() -> None:
    finding = find(InstallState.SENT, "", FRESH, is_overdue=True)
    assert (finding.state, finding.may_help_again) == (InstallState.FAILED, True)
    assert "answer to the command was lost" in finding.words
    assert find(InstallState.INSTALLING, "", FRESH, is_overdue=True).asks_again


@pytest.mark.parametrize("state", ["skipped", "in_line", "offered", "ready", "removed", "left"])
def test_a_list_decides_nothing_that_is_not_under_way(state: str) -> None:
    assert find(InstallState(state), "Managed", LONG).state is None
    assert find(InstallState(state), "", LONG).state is None
