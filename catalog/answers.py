"""What a device's answer to a command means: for the command, for the app on the device, and in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from catalog.models import CommandKind, CommandStatus, InstallState
from catalog.reasons import (
    CODES,
    IN_PROGRESS,
    INVITATIONS,
    OVER,
    REJECTIONS,
    UPDATE_OVER,
    Turn,
    in_words,
)
from vppportal.work import backoff

MOST_TRIES: Final = 3
SILENCE: Final = timedelta(minutes=2)
ABSENT_FOR: Final = timedelta(hours=6)
"""How long an app may be missing from a device's lists after the device took the command: a slow download."""
AT_WORK_FOR: Final = timedelta(days=14)
"""How long a device may say that it is at it, which may mean that it waits for its person."""

LISTED: Final = frozenset({InstallState.SENT, InstallState.INSTALLING, InstallState.REMOVING})
"""The states that a list of the device's managed apps decides on."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an answer means. `state` None: the installation stays as it is; `words` are for people."""

    status: CommandStatus
    words: str = ""
    state: InstallState | None = None
    may_help_again: bool = False
    is_final: bool = False
    """Nothing but a person can help: an update is not tried again either."""
    asks_list: bool = False
    takes_over: bool = False
    misses_license: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a list of managed apps means for one app. `state` None: it stays as it is."""

    state: InstallState | None = None
    words: str = ""
    is_named: bool = False
    asks_again: bool = False
    may_help_again: bool = False


def judge(kind: str, status: str, payload: Mapping[str, Any], *, took_over: bool = False) -> Meaning | None:
    """Return what a device's answer to a command means; None where it is no answer.

    `took_over` says that the command already asked to take an app over that the person had installed.
    """
    if status == "NotNow":
        return Meaning(CommandStatus.NOT_NOW, "The device asked to wait.")
    if status == "Acknowledged":
        return _acknowledged(kind, payload)
    if status == "CommandFormatError":
        words = f"The device did not understand the command{_numbers(payload)}."
        return Meaning(CommandStatus.FORMAT_ERROR, words, _failed(kind), is_final=True)
    return _refused(kind, payload, took_over) if status == "Error" else None


def judge_update(status: str, payload: Mapping[str, Any]) -> Meaning | None:
    """Return what a device's answer to the command that updates an app means; None where it is no answer.

    `state` FAILED: the update came to nothing, while the app is there as it was.
    """
    meaning = judge(CommandKind.INSTALL, status, payload, took_over=True)
    over = UPDATE_OVER.get(str(payload.get("State"))) if status == "Acknowledged" else None
    if meaning is None or over is None:
        return meaning
    turn, words = over
    return replace(meaning, words=words, is_final=turn == Turn.FINAL)


def retry_after(tries: int) -> timedelta | None:
    """Return the pause before the next try by itself, or None when this was the last."""
    return backoff(tries, first=30) if tries < MOST_TRIES else None


def _acknowledged(kind: str, payload: Mapping[str, Any]) -> Meaning:
    done = Meaning(CommandStatus.ACKNOWLEDGED, "The device has done it.")
    if kind == CommandKind.INSTALL:
        state = str(payload.get("State"))  # a device may say anything, a list even
        if state in OVER:
            return replace(done, words=OVER[state], state=InstallState.FAILED)
        words = IN_PROGRESS.get(state, "The device has taken the command.")
        return replace(done, words=words, state=InstallState.INSTALLING, asks_list=True)
    if kind == CommandKind.REMOVE:
        return replace(done, words="The device has taken the command.", asks_list=True)
    if kind == CommandKind.INVITE:
        result = payload.get("InvitationResult", "Acknowledged")
        words = INVITATIONS.get(str(result), "The device did not show the invitation.")
        return replace(done, words=words)
    return done


def _refused(kind: str, payload: Mapping[str, Any], took_over: bool) -> Meaning:
    turn, words = _why(payload)
    is_final = turn in (Turn.FINAL, Turn.NOT_MANAGED)
    refused = Meaning(CommandStatus.ERROR, words, _failed(kind), is_final=is_final)
    if kind == CommandKind.REMOVE:
        if turn == Turn.NOT_MANAGED:
            return replace(
                refused, words="The app is not on the device under our management.", state=InstallState.REMOVED
            )
        return replace(refused, may_help_again=turn != Turn.FINAL)
    if kind == CommandKind.INSTALL:
        if turn == Turn.QUEUED or (turn == Turn.THERE and took_over):
            return replace(refused, state=InstallState.INSTALLING, asks_list=True)
        if turn == Turn.THERE:
            return replace(refused, state=None, takes_over=True)
        misses_license = turn == Turn.NO_LICENSE
        return replace(refused, may_help_again=turn == Turn.AGAIN or misses_license, misses_license=misses_license)
    return replace(refused, asks_list=kind == CommandKind.MANAGED_LIST)


def _failed(kind: str) -> InstallState | None:
    return InstallState.FAILED if kind in (CommandKind.INSTALL, CommandKind.REMOVE) else None


def _why(payload: Mapping[str, Any]) -> tuple[Turn, str]:
    """Return what the device's reasons lead to, and the first of them that is known, in words."""
    rejection = REJECTIONS.get(str(payload.get("RejectionReason")))
    for domain, code, _ in _errors(payload):
        if code in CODES:
            turn, words = CODES[code]
            return turn, f"{words} ({domain} {code})."
    if rejection is not None:
        turn, words = rejection
        return turn, f"{words}{_numbers(payload)}."
    told = next((text for _, _, text in _errors(payload) if text), "")
    words = f"The device refused: {in_words(told)}" if told else "The device refused and did not say why"
    return Turn.OTHER, f"{words}{_numbers(payload)}."


def _numbers(payload: Mapping[str, Any]) -> str:
    """Return the device's error numbers in brackets, for whoever looks them up; empty where there are none."""
    told = [f"{domain} {code}" for domain, code, _ in _errors(payload)]
    return f" ({', '.join(told[:3])})" if told else ""


def _errors(payload: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    chain = payload.get("ErrorChain")
    for error in chain[:10] if isinstance(chain, list) else ():
        if not isinstance(error, Mapping):
            continue
        code, domain = error.get("ErrorCode"), error.get("ErrorDomain")
        text = error.get("USEnglishDescription") or error.get("LocalizedDescription")
        if isinstance(code, int) and abs(code) < 10**9:
            yield (
                domain[:60] if isinstance(domain, str) else "error",
                code,
                text[:300] if isinstance(text, str) else "",
            )


def find(
    state: InstallState, listed: str, age: timedelta, *, is_overdue: bool = False, is_leaving: bool = False
) -> Finding:
    """Return what a list of managed apps means for an app that was asked about.

    `listed` is what the list says of the app, empty where it does not name it; `age` is how long the app is in its
    state. `is_overdue` says that the command was in the queue long before the list: the device has come past it.
    `is_leaving` says that what failed was to take the app away.
    """
    match state:
        case InstallState.SENT | InstallState.INSTALLING:
            return _found_on_its_way(state, listed, age, is_overdue)
        case InstallState.REMOVING:
            return _found_on_its_way_out(listed, age)
        case InstallState.INSTALLED if listed == "Managed":
            return Finding(is_named=True)
        case InstallState.INSTALLED if listed in ("", "ManagedButUninstalled"):
            return Finding(InstallState.FAILED, "Somebody removed the app from the device.")
        case InstallState.FAILED if is_leaving:
            return Finding(is_named=True) if _is_there(listed) else Finding(InstallState.REMOVED)
        case InstallState.FAILED if listed == "Managed":
            return Finding(InstallState.INSTALLED, is_named=True)
    return Finding()


def _found_on_its_way(state: InstallState, listed: str, age: timedelta, is_overdue: bool) -> Finding:
    if listed in ("Managed", "UpdateRejected"):
        return Finding(InstallState.INSTALLED, OVER.get(listed, ""), is_named=True)
    if listed in OVER:
        # The next command takes it over.
        return Finding(InstallState.FAILED, OVER[listed], may_help_again=listed == "UserInstalledApp")
    if listed in IN_PROGRESS:
        if age > AT_WORK_FOR:
            words = f"The device has not got further for {AT_WORK_FOR.days} days: {IN_PROGRESS[listed]}"
            return Finding(InstallState.FAILED, words)
        return Finding(InstallState.INSTALLING, IN_PROGRESS[listed], asks_again=True)
    if state == InstallState.SENT and is_overdue:
        words = "The device does not have the app, and its answer to the command was lost."
        return Finding(InstallState.FAILED, words, may_help_again=True)
    if age > ABSENT_FOR:
        return Finding(InstallState.FAILED, "The device took the command, but does not have the app.")
    return Finding(asks_again=True)


def _found_on_its_way_out(listed: str, age: timedelta) -> Finding:
    if not _is_there(listed):
        return Finding(InstallState.REMOVED)
    if age > ABSENT_FOR:
        return Finding(InstallState.FAILED, "The device still has the app.", is_named=True, may_help_again=True)
    return Finding(is_named=True, asks_again=True)


def _is_there(listed: str) -> bool:
    return listed == "Managed" or listed in IN_PROGRESS
