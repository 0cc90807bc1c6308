"""Decide for an installed app whether it is updated now, and if not, why. Pure: facts in, a ruling in words out.

The pages that say why a device waits and the worker that sends the updates use this same code.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import models

from catalog.models import Reason, RolloutDecision, UpdateMode, UpdateState
from catalog.updates.windows import Window, is_open, next_opening
from vppportal.groups.models import Platform

THIS_WEEK: Final = timedelta(days=6)
A_WEEK: Final = timedelta(days=7)


class Verdict(models.TextChoices):
    """What is to be done about the version of an app on a device."""

    CURRENT = "current", "Up to date"
    UNKNOWN = "unknown", "Version not known"
    NOT_COMPARABLE = "not_comparable", "Version cannot be compared"
    UNDER_WAY = "under_way", "Being updated"
    NOT_APPROVED = "not_approved", "Not approved"
    UNREACHABLE = "unreachable", "Device cannot be reached"
    PAUSED = "paused", "Distribution paused"
    OS_TOO_OLD = "os_too_old", "Operating system too old"
    END_USERS = "end_users", "Left to the person"
    RETRY = "retry", "Failed, is tried again"
    GAVE_UP = "gave_up", "Update failed"
    OFF = "off", "Updates are off"
    APP_OFF = "app_off", "Updates of this app are off"
    HALTED = "halted", "Roll-out stopped"
    PILOT = "pilot", "Waits for the pilot"
    PILOT_STOPPED = "pilot_stopped", "Stopped by the pilot"
    WINDOW = "window", "Waits for its window"
    NOW = "now", "Is updated now"


@dataclass(frozen=True, slots=True)
class Pilot:
    """The devices that update first: how many have the app, how many the version, on how many it failed."""

    number: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for an app: its newest version, and who may have it when. `pilot_hours` None: all at once."""

    newest: int | None
    version: str = ""
    seen_at: datetime | None = None
    minimum_os: tuple[int, ...] = ()
    platforms: frozenset[str] = frozenset()
    mode: str = UpdateMode.ADMINISTRATORS
    is_automatic: bool = True
    is_approved: bool = True
    is_deleted: bool = False
    window: Window | None = None
    pilot_hours: int | None = None
    pilot_group: str = ""
    failure_percent: int = 10
    pilot: Pilot = Pilot()
    pilot_started_at: datetime | None = None
    decision: str = RolloutDecision.NONE

    @property
    def named(self) -> str:
        """The newest version, in words."""
        return f"version {self.version}" if self.version else "the newest version"


@dataclass(frozen=True, slots=True)
class Standing:
    """An installed app on a device, and how far its last update is."""

    installed: int | None
    zone: ZoneInfo
    platform: str = Platform.IOS
    os_version: tuple[int, ...] = ()
    blocked: Reason = Reason.NONE
    is_paused: bool = False
    is_pilot: bool = False
    asked_for: int | None = None
    state: str = UpdateState.NONE
    to: int | None = None
    tries: int = 0
    retry_at: datetime | None = None
    details: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done about one installation, when that changes as far as it is known, and why, in sentences."""

    verdict: Verdict
    at: datetime | None = None
    words: str = ""


def verdict(rules: Rules, one: Standing, now: datetime) -> Ruling:
    """Return whether an installed app is updated now, and if not, why; what comes first in the order below decides."""
    return (
        _by_version(rules, one)
        or _by_app_and_device(rules, one)
        or _by_tries(rules, one, now)
        or (None if _is_asked_for(rules, one) else _by_rules(rules, one, now))
        or Ruling(Verdict.NOW, now, f"Is updated to {rules.named} now.")
    )


def _is_asked_for(rules: Rules, one: Standing) -> bool:
    """Did somebody ask for this very version by hand? What came out since then was not meant."""
    return one.asked_for is not None and rules.newest is not None and one.asked_for >= rules.newest


def is_comparable(platforms: Collection[str], platform: str) -> bool:
    """Does the store tell the version that a device of this platform gets?

    Of an app for several platforms it tells the one for iOS; the builds for the others have numbers of their own.
    """
    return len(platforms) < 2 or platform not in platforms or platform == Platform.IOS


def _by_version(rules: Rules, one: Standing) -> Ruling | None:
    if rules.newest is None:
        return Ruling(Verdict.UNKNOWN, words="The App Store has not told a version so far.")
    if not is_comparable(rules.platforms, one.platform):
        words = f"The App Store tells only the version for other devices: the one for {one.platform} is not known."
        return Ruling(Verdict.NOT_COMPARABLE, words=words)
    if one.installed is None:
        return Ruling(Verdict.UNKNOWN, words="The device has not told which version it has.")
    if one.installed >= rules.newest:
        return Ruling(Verdict.CURRENT, words="Up to date.")
    if one.state == UpdateState.UNDER_WAY:
        return Ruling(Verdict.UNDER_WAY, words=_joined(f"Is being updated to {rules.named}.", one.details))
    return None


def _by_app_and_device(rules: Rules, one: Standing) -> Ruling | None:
    if rules.is_deleted:
        return Ruling(Verdict.NOT_APPROVED, words="The app is deleted from the App Catalog.")
    if not rules.is_approved:
        return Ruling(Verdict.NOT_APPROVED, words="The app is not approved: nothing is sent until it is.")
    if one.blocked:
        return Ruling(Verdict.UNREACHABLE, words=f"{one.blocked.label}.")
    if one.is_paused:
        return Ruling(Verdict.PAUSED, words="The distribution is paused: updates wait until it goes on.")
    # The store tells it for the platforms of the app; on a Mac an app for iOS asks for another one.
    is_meant = not rules.platforms or one.platform in rules.platforms
    if is_meant and one.os_version and one.os_version < rules.minimum_os:
        needed, there = _dotted(rules.minimum_os), _dotted(one.os_version)
        words = f"Needs OS version {needed} for {rules.named}; the device has {there}."
        return Ruling(Verdict.OS_TOO_OLD, words=words)
    if rules.mode == UpdateMode.END_USERS:
        return Ruling(Verdict.END_USERS, words="The people decide on updates: the device's own setting rules.")
    return None


def _by_tries(rules: Rules, one: Standing, now: datetime) -> Ruling | None:
    """Return what follows from tries that failed. Those of an older version than the newest do not count."""
    if one.state != UpdateState.FAILED or (rules.newest or 0) > (one.to or 0):
        return None
    if one.retry_at is None:
        times = f"Failed {one.tries} times." if one.tries > 1 else "Failed."
        return Ruling(Verdict.GAVE_UP, words=_joined(times, one.details, "It is not tried again by itself."))
    if now < one.retry_at:
        again = f"It is tried again {_moment(one.retry_at, one.zone, now)}."
        return Ruling(Verdict.RETRY, one.retry_at, _joined("Failed.", one.details, again))
    return None


def _by_rules(rules: Rules, one: Standing, now: datetime) -> Ruling | None:
    """Return what the administrators' rules keep from being updated; who asks for an update by hand is above them."""
    if rules.mode == UpdateMode.OFF:
        return Ruling(Verdict.OFF, words="Automatic updates are off: it is updated only by hand.")
    if not rules.is_automatic:
        return Ruling(Verdict.APP_OFF, words="This app is not updated automatically: only by hand.")
    if rules.decision == RolloutDecision.HALTED:
        return Ruling(Verdict.HALTED, words=f"The roll-out of {rules.named} is stopped.")
    held = None if one.is_pilot else held_by_pilot(rules, one.zone, now)
    return held or _by_window(rules, one, now)


def held_by_pilot(rules: Rules, zone: ZoneInfo, now: datetime) -> Ruling | None:
    """Return what keeps the devices outside the pilot group waiting; None where nothing does.

    Failures that no later success can make up for stop the roll-out at once, without waiting for its time.
    """
    if rules.pilot_hours is None or rules.decision == RolloutDecision.RELEASED:
        return None
    pilot, group = rules.pilot, f"the pilot group “{rules.pilot_group}”"
    if not rules.pilot_group:
        words = "The pilot group was deleted: choose another one, or let the roll-out go on for everybody."
        return Ruling(Verdict.PILOT, words=words)
    starts = rules.pilot_started_at if pilot.number else rules.seen_at
    ends = starts + timedelta(hours=rules.pilot_hours) if starts else None
    is_over = ends is not None and now >= ends
    if _is_too_much(pilot, rules.failure_percent, of=pilot.done + pilot.failed if is_over else pilot.number):
        words = f"Stopped, because {pilot.failed:,} of {pilot.number:,} devices of {group} failed."
        return Ruling(Verdict.PILOT_STOPPED, words=words)
    if ends is None:
        return Ruling(Verdict.PILOT, words=f"Waits for {group}, in which nobody was updated so far.")
    if not is_over:
        told = f"Waits for {group} until {_moment(ends, zone, now)}."
        return Ruling(Verdict.PILOT, ends, _joined(told, _so_far(pilot)))
    if pilot.number and not pilot.done:
        return Ruling(Verdict.PILOT, words=f"Waits for {group}, of which no device has {rules.named} yet.")
    return None


def is_stalled(rules: Rules, now: datetime) -> bool:
    """Do the others wait for a pilot that makes no headway: its time is over, and nothing tells when it will?

    A pilot that nobody was sent so far has its time from when the version was seen, and a week more for its window.
    """
    held = held_by_pilot(rules, ZoneInfo("UTC"), now)
    since = rules.pilot_started_at or rules.seen_at
    if held is None or held.verdict != Verdict.PILOT or held.at is not None or not rules.pilot_group or since is None:
        return False
    is_waited_for = rules.window is not None and rules.pilot_started_at is None
    return now >= since + timedelta(hours=rules.pilot_hours or 0) + (A_WEEK if is_waited_for else timedelta())


def _is_too_much(pilot: Pilot, percent: int, *, of: int) -> bool:
    return pilot.failed > 0 and pilot.failed * 100 >= percent * of


def _so_far(pilot: Pilot) -> str:
    if pilot.number == 1:
        told = f"Its only device {'has the version' if pilot.done else 'does not have the version yet'}"
    else:
        told = f"{pilot.done:,} of its {pilot.number:,} devices have the version"
    return (told + (f", {pilot.failed:,} failed." if pilot.failed else ".")) if pilot.number else ""


def _by_window(rules: Rules, one: Standing, now: datetime) -> Ruling | None:
    if rules.window is None or is_open(rules.window, one.zone, now):
        return None
    opens = next_opening(rules.window, one.zone, now)
    if opens is None:
        words = f"The window “{rules.window.name}” is over and does not open again: choose another one."
        return Ruling(Verdict.WINDOW, words=words)
    words = f"Waits for the window “{rules.window.name}”, which opens {_moment(opens, one.zone, now)}."
    return Ruling(Verdict.WINDOW, opens, words)


def _moment(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Return a time to come as clocks in the zone will show it; the date is told where the weekday is not enough."""
    local = at.astimezone(zone)
    day = f"{local:%a}" if at - now < THIS_WEEK else f"{local:%a, %b} {local.day}"
    return f"{day} {local:%H:%M} ({zone.key})"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
