"""Why an installed app is updated now, or is not: what comes first decides, and says so in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from catalog.models import Reason, RolloutDecision, UpdateMode, UpdateState, WindowKind
from catalog.updates import Pilot, Rules, Ruling, Standing, Verdict, is_comparable, verdict
from catalog.updates.rule import is_stalled
from catalog.updates.windows import Window

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")
RULES = Rules(newest=20, version="2.4.1", seen_at=NOW - timedelta(hours=1), platforms=frozenset({"iOS"}))
BEHIND = Standing(10, BERLIN)
NIGHTS = Window("Nights", WindowKind.RECURRING, frozenset(range(7)), None, time(22), time(5))
FAILED: dict[str, Any] = {"state": UpdateState.FAILED, "to": 20, "tries": 1, "details": "It is full."}


def decide(rules: dict[str, Any] | None = None, **one: Any) -> Ruling:
    """Return the ruling on a device that is behind, under some rules."""
    return verdict(replace(RULES, **rules or {}), replace(BEHIND, **one), NOW)


def told(rules: dict[str, Any] | None = None, **one: Any) -> tuple[str, str]:
    ruling = decide(rules, **one)
    return ruling.verdict, ruling.words


def test_a_device_that_is_behind_is_updated_now() -> None:
    assert decide() == Ruling(Verdict.NOW, NOW, "Is updated to version 2.4.1 now.")


@pytest.mark.parametrize("installed", [20, 21])
def test_a_device_on_the_newest_version_or_a_newer_one_is_up_to_date(installed: int) -> None:
    assert told(installed=installed, state=UpdateState.UNDER_WAY) == (Verdict.CURRENT, "Up to date.")


def test_what_is_not_known_is_not_updated() -> None:
    assert told(installed=None) == (Verdict.UNKNOWN, "The device has not told which version it has.")
    assert told({"newest": None}) == (Verdict.UNKNOWN, "The App Store has not told a version so far.")


@pytest.mark.parametrize(
    ("platforms", "platform", "expected"),
    [
        ("iOS", "iOS", True),
        ("macOS", "macOS", True),
        ("iOS macOS", "iOS", True),
        ("iOS macOS", "macOS", False),
        ("iOS tvOS", "tvOS", False),
        ("macOS tvOS", "macOS", False),
        ("iOS", "macOS", True),
        ("iOS visionOS", "macOS", True),
        ("", "macOS", True),
    ],
)
def test_of_an_app_for_several_platforms_only_the_version_for_ios_is_known(
    platforms: str, platform: str, expected: bool
) -> None:
    assert is_comparable(frozenset(platforms.split()), platform) == expected
    ruling = decide({"platforms": frozenset(platforms.split())}, platform=platform)
    assert (ruling.verdict != Verdict.NOT_COMPARABLE) == expected


def test_an_update_under_way_says_how_far_it_is() -> None:
    words = "Is being updated to version 2.4.1. The device asked to wait."
    assert told(state=UpdateState.UNDER_WAY, details="The device asked to wait.") == (Verdict.UNDER_WAY, words)


def test_an_app_that_is_not_approved_or_deleted_is_not_updated() -> None:
    assert decide({"is_approved": False}).verdict == Verdict.NOT_APPROVED
    assert told({"is_deleted": True}) == (Verdict.NOT_APPROVED, "The app is deleted from the App Catalog.")


@pytest.mark.parametrize("reason", [Reason.NOT_ENROLLED, Reason.WIPED, Reason.RETIRED])
def test_a_device_that_cannot_be_reached_says_why(reason: Reason) -> None:
    assert told(blocked=reason) == (Verdict.UNREACHABLE, f"{reason.label}.")


def test_a_paused_distribution_holds_updates_too() -> None:
    assert decide(is_paused=True).verdict == Verdict.PAUSED


def test_an_operating_system_that_is_too_old_is_named() -> None:
    words = "Needs OS version 17.2 for version 2.4.1; the device has 16.7.1."
    assert told({"minimum_os": (17, 2)}, os_version=(16, 7, 1)) == (Verdict.OS_TOO_OLD, words)
    assert decide({"minimum_os": (17, 2)}, os_version=(17, 2)).verdict == Verdict.NOW
    assert decide({"minimum_os": (17, 2)}, os_version=()).verdict == Verdict.NOW


def test_a_mac_that_runs_an_app_for_ios_is_not_measured_by_the_version_of_ios() -> None:
    rules = {"minimum_os": (17, 2), "platforms": frozenset({"iOS"})}
    assert decide(rules, platform="macOS", os_version=(15, 1)).verdict == Verdict.NOW


def test_where_the_people_decide_nothing_is_sent_not_even_by_hand() -> None:
    assert decide({"mode": UpdateMode.END_USERS}, asked_for=20).verdict == Verdict.END_USERS


def test_a_failed_try_is_repeated_when_its_time_has_come() -> None:
    later = NOW + timedelta(minutes=15)
    words = "Failed. It is full. It is tried again Wed 13:15 (Europe/Berlin)."
    assert decide(**FAILED, retry_at=later) == Ruling(Verdict.RETRY, later, words)
    assert decide(**FAILED, retry_at=NOW).verdict == Verdict.NOW


def test_what_was_given_up_waits_for_a_newer_version() -> None:
    words = "Failed 3 times. It is full. It is not tried again by itself."
    assert told(**{**FAILED, "tries": 3}) == (Verdict.GAVE_UP, words)
    assert decide({"newest": 21}, **FAILED).verdict == Verdict.NOW


def test_a_store_that_goes_back_to_an_older_version_starts_no_new_tries() -> None:
    assert decide({"newest": 15}, **FAILED).verdict == Verdict.GAVE_UP


def test_who_asks_for_an_update_is_above_windows_pilots_and_switches() -> None:
    stopped = {
        "mode": UpdateMode.OFF,
        "is_automatic": False,
        "decision": RolloutDecision.HALTED,
        "pilot_hours": 5,
        "window": NIGHTS,
    }
    assert decide(stopped, asked_for=20).verdict == Verdict.NOW
    assert decide(stopped, asked_for=20, is_paused=True).verdict == Verdict.PAUSED


def test_switches_keep_updates_back() -> None:
    assert decide({"mode": UpdateMode.OFF}).verdict == Verdict.OFF
    assert decide({"is_automatic": False}).verdict == Verdict.APP_OFF
    assert decide({"decision": RolloutDecision.HALTED}, is_pilot=True).verdict == Verdict.HALTED


def test_a_window_says_when_it_opens() -> None:
    ruling = decide({"window": NIGHTS})
    words = "Waits for the window “Nights”, which opens Wed 22:00 (Europe/Berlin)."
    assert ruling == Ruling(Verdict.WINDOW, datetime(2026, 3, 4, 21, tzinfo=UTC), words)
    assert decide({"window": NIGHTS}, zone=ZoneInfo("Asia/Tokyo")).at == datetime(2026, 3, 4, 13, tzinfo=UTC)
    assert decide({"window": NIGHTS}, zone=ZoneInfo("Pacific/Auckland")).verdict == Verdict.NOW


def test_a_window_that_opens_in_weeks_says_the_date() -> None:
    fair = Window("Fair", WindowKind.ONCE, frozenset(), (NOW + timedelta(days=30)).date(), time(22), time(5))
    assert "which opens Fri, Apr 3 22:00 (Europe/Berlin)." in decide({"window": fair}).words


def test_a_window_that_is_over_says_so() -> None:
    past = Window("Fair", WindowKind.ONCE, frozenset(), (NOW - timedelta(days=9)).date(), time(22), time(5))
    words = "The window “Fair” is over and does not open again: choose another one."
    assert told({"window": past}) == (Verdict.WINDOW, words)


STAGED: dict[str, Any] = {"pilot_hours": 24, "pilot_group": "IT", "pilot_started_at": NOW - timedelta(hours=25)}
GOOD, BAD = Pilot(10, done=8, failed=0), Pilot(10, done=8, failed=2)


def test_pilot_devices_go_first_in_their_window() -> None:
    assert decide(STAGED, is_pilot=True).verdict == Verdict.NOW
    assert decide({**STAGED, "window": NIGHTS}, is_pilot=True).verdict == Verdict.WINDOW


def test_the_others_follow_after_its_time() -> None:
    assert decide({**STAGED, "pilot": GOOD}).verdict == Verdict.NOW
    ruling = decide({**STAGED, "pilot": GOOD, "pilot_started_at": NOW})
    words = "Waits for the pilot group “IT” until Thu 13:00 (Europe/Berlin). 8 of its 10 devices have the version."
    assert ruling == Ruling(Verdict.PILOT, NOW + timedelta(hours=24), words)


@pytest.mark.parametrize(
    ("pilot", "words"),
    [
        (Pilot(10, done=8, failed=1), "8 of its 10 devices have the version, 1 failed."),
        (Pilot(1), "Its only device does not have the version yet."),
        (Pilot(1, done=1), "Its only device has the version."),
    ],
)
def test_how_far_a_pilot_is_reads_well_for_one_device_and_for_many(pilot: Pilot, words: str) -> None:
    assert decide({**STAGED, "pilot": pilot, "pilot_started_at": NOW, "failure_percent": 50}).words.endswith(
        f". {words}"
    )


def test_nobody_follows_a_pilot_without_a_single_success() -> None:
    assert decide({**STAGED, "pilot": Pilot(10)}).verdict == Verdict.PILOT
    assert decide({**STAGED, "pilot_started_at": None, "pilot": Pilot(10)}).verdict == Verdict.PILOT


@pytest.mark.parametrize(
    ("failed", "percent", "expected"),
    [
        (1, 10, Verdict.PILOT_STOPPED),
        (1, 11, Verdict.NOW),
        (0, 0, Verdict.NOW),
        (1, 0, Verdict.PILOT_STOPPED),
        (5, 100, Verdict.NOW),
    ],
)
def test_a_pilot_that_fails_too_often_stops_the_roll_out(failed: int, percent: int, expected: Verdict) -> None:
    pilot = Pilot(20, done=9 if failed == 1 else 5, failed=failed)
    assert decide({**STAGED, "failure_percent": percent, "pilot": pilot}).verdict == expected


def test_failures_that_no_success_can_make_up_for_stop_it_before_its_time() -> None:
    rules = {**STAGED, "pilot_started_at": NOW, "pilot": Pilot(10, done=0, failed=1)}
    words = "Stopped, because 1 of 10 devices of the pilot group “IT” failed."
    assert told({**rules, "failure_percent": 10}) == (Verdict.PILOT_STOPPED, words)
    assert decide({**rules, "failure_percent": 11}).verdict == Verdict.PILOT


def test_the_time_of_the_others_begins_with_the_first_pilot_device_however_old_the_version_is() -> None:
    rules = {**STAGED, "pilot_started_at": None, "pilot": GOOD, "seen_at": NOW - timedelta(days=60)}
    assert decide(rules).verdict == Verdict.PILOT
    assert decide({**rules, "pilot_started_at": NOW}).at == NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"pilot": Pilot(10)}, True),
        ({"pilot": Pilot(10), "pilot_started_at": NOW - timedelta(hours=23)}, False),
        ({"pilot": Pilot(10, done=1)}, False),
        ({"pilot": Pilot(10, failed=1)}, False),
        ({"pilot": Pilot(10), "decision": RolloutDecision.RELEASED}, False),
        ({"pilot": Pilot(10), "pilot_group": ""}, False),
        ({"pilot": Pilot(10), "pilot_started_at": None}, False),
        ({"pilot": Pilot(10), "pilot_started_at": None, "seen_at": NOW - timedelta(hours=24)}, True),
        ({"pilot": Pilot(10), "pilot_started_at": None, "seen_at": NOW - timedelta(days=7), "window": NIGHTS}, False),
        ({"pilot": Pilot(10), "pilot_started_at": None, "seen_at": NOW - timedelta(days=8), "window": NIGHTS}, True),
        ({"pilot_hours": None}, False),
    ],
)
def test_a_pilot_without_a_success_after_its_time_makes_no_headway(rules: dict[str, Any], expected: bool) -> None:
    assert is_stalled(replace(RULES, **{**STAGED, **rules}), NOW) is expected


@pytest.mark.parametrize(("asked_for", "expected"), [(20, Verdict.NOW), (21, Verdict.NOW), (19, Verdict.HALTED)])
def test_what_was_asked_for_by_hand_does_not_let_a_later_version_through(asked_for: int, expected: Verdict) -> None:
    assert decide({"decision": RolloutDecision.HALTED}, asked_for=asked_for).verdict == expected


def test_without_a_pilot_device_that_has_the_app_the_time_counts_from_the_version() -> None:
    rules = {**STAGED, "pilot": Pilot()}
    assert decide(rules).at == NOW + timedelta(hours=23)
    assert decide({**rules, "seen_at": NOW - timedelta(hours=24)}).verdict == Verdict.NOW


def test_a_pilot_group_that_was_deleted_has_to_be_chosen_anew() -> None:
    verdict_, words = told({**STAGED, "pilot_group": "", "pilot": GOOD})
    assert verdict_ == Verdict.PILOT
    assert "choose another one" in words


def test_a_release_takes_the_place_of_the_pilot() -> None:
    assert decide({**STAGED, "pilot": BAD, "decision": RolloutDecision.RELEASED}).verdict == Verdict.NOW


def test_a_pilot_of_no_hours_lets_the_others_follow_its_first_success() -> None:
    rules = {**STAGED, "pilot_hours": 0, "pilot_started_at": NOW}
    assert decide({**rules, "pilot": Pilot(10)}).verdict == Verdict.PILOT
    assert decide({**rules, "pilot": Pilot(10, done=1)}).verdict == Verdict.NOW
