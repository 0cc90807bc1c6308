"""Whatever the facts are, nothing is sent that the rules forbid, and windows open when they say they will."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Reason, RolloutDecision, UpdateMode, UpdateState, WindowKind
from catalog.updates import Pilot, Rules, Standing, Verdict, verdict
from catalog.updates.answers import find_update
from catalog.updates.windows import Window, is_open, next_opening

NAMES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca"]
zones = st.sampled_from([ZoneInfo(name) for name in NAMES])
moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
ids = st.integers(1, 4)
windows = st.builds(
    Window,
    st.just("Nights"),
    st.sampled_from([WindowKind.RECURRING, WindowKind.RECURRING, WindowKind.ONCE]),
    st.frozensets(st.integers(0, 6)),
    st.dates(date(2024, 1, 1), date(2028, 1, 1)),
    st.times().map(lambda time: time.replace(second=0, microsecond=0)),
    st.times().map(lambda time: time.replace(second=0, microsecond=0)),
)
pilots = st.builds(
    lambda done, failed, waiting: Pilot(done + failed + waiting, done, failed),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)
rules = st.builds(
    Rules,
    newest=st.none() | ids,
    version=st.sampled_from(["", "2.0"]),
    seen_at=st.none() | moments,
    minimum_os=st.sampled_from([(), (17,), (18, 1)]),
    platforms=st.frozensets(st.sampled_from(["iOS", "macOS", "tvOS"])),
    mode=st.sampled_from(UpdateMode),
    is_automatic=st.booleans(),
    is_approved=st.booleans(),
    is_deleted=st.booleans(),
    window=st.none() | windows,
    pilot_hours=st.none() | st.integers(0, 200),
    pilot_group=st.sampled_from(["", "IT"]),
    failure_percent=st.integers(0, 100),
    pilot=pilots,
    pilot_started_at=st.none() | moments,
    decision=st.sampled_from(RolloutDecision),
)
standings = st.builds(
    Standing,
    st.none() | ids,
    zones,
    platform=st.sampled_from(["iOS", "macOS", "tvOS"]),
    os_version=st.sampled_from([(), (16, 5), (18,), (18, 1), (26,)]),
    blocked=st.sampled_from([Reason.NONE, Reason.NONE, Reason.WIPED]),
    is_paused=st.booleans(),
    is_pilot=st.booleans(),
    asked_for=st.none() | ids,
    state=st.sampled_from(UpdateState),
    to=st.none() | ids,
    tries=st.integers(0, 3),
    retry_at=st.none() | moments,
    details=st.sampled_from(["", "It is full."]),
)


def is_asked_for(known: Rules, one: Standing) -> bool:
    """Did somebody ask by hand for what is the newest version now?"""
    return bool(known.newest and one.asked_for and one.asked_for >= known.newest)


@given(rules, standings, moments)
def test_nothing_is_sent_that_must_not_be(known: Rules, one: Standing, now: datetime) -> None:
    ruling = verdict(known, one, now)
    assert ruling.words.endswith(".")
    if ruling.verdict != Verdict.NOW:
        return
    assert known.newest is not None
    assert one.installed is not None
    assert one.installed < known.newest
    assert known.is_approved
    assert not known.is_deleted
    assert not one.blocked
    assert not one.is_paused
    assert known.mode != UpdateMode.END_USERS
    assert one.state != UpdateState.UNDER_WAY
    assert not one.os_version or one.os_version >= known.minimum_os
    if not is_asked_for(known, one):
        assert known.mode == UpdateMode.ADMINISTRATORS
        assert known.is_automatic
        assert known.decision != RolloutDecision.HALTED
        assert known.window is None or is_open(known.window, one.zone, now)


@given(rules, standings, moments)
def test_nobody_outside_the_pilot_goes_before_it_succeeded(known: Rules, one: Standing, now: datetime) -> None:
    is_held = known.pilot_hours is not None and known.decision != RolloutDecision.RELEASED
    if verdict(known, one, now).verdict != Verdict.NOW or is_asked_for(known, one) or one.is_pilot or not is_held:
        return
    assert known.pilot_group
    done, failed = known.pilot.done, known.pilot.failed
    assert done or not known.pilot.number
    assert not failed or failed * 100 < known.failure_percent * (done + failed)


@given(rules, standings, moments)
def test_a_try_that_failed_is_repeated_only_in_its_time(known: Rules, one: Standing, now: datetime) -> None:
    has_failed = one.state == UpdateState.FAILED and (known.newest or 0) <= (one.to or 0)
    if has_failed and verdict(known, one, now).verdict == Verdict.NOW:
        assert one.retry_at is not None
        assert one.retry_at <= now


@given(rules, standings, moments)
def test_a_time_that_is_told_has_not_passed(known: Rules, one: Standing, now: datetime) -> None:
    ruling = verdict(known, one, now)
    if ruling.at is not None:
        assert ruling.at >= now


@given(windows, zones, moments)
def test_a_window_is_open_when_it_says_that_it_opens_and_not_before(
    window: Window, zone: ZoneInfo, now: datetime
) -> None:
    opens = next_opening(window, zone, now)
    assert is_open(window, zone, now) == (opens == now)
    if opens is None:
        assert window.kind == WindowKind.ONCE or not window.weekdays
        return
    assert is_open(window, zone, opens)
    for part in range(1, 10):
        between = now + (opens - now) * part / 10
        assert between >= opens or not is_open(window, zone, between)


@given(windows, zones, moments)
def test_a_window_opens_by_the_clock_on_a_day_of_its_own(window: Window, zone: ZoneInfo, now: datetime) -> None:
    opens = next_opening(window, zone, now)
    if opens is None or opens == now:
        return
    local = opens.astimezone(zone)
    assert local.date() == window.date if window.kind == WindowKind.ONCE else local.weekday() in window.weekdays
    # Where clocks skip the time, it opens as soon as they show a later one.
    assert local.time() >= window.start


@given(
    st.text(max_size=20) | st.sampled_from(["Managed", "Updating", "Failed", "UpdateRejected", "Unknown"]),
    st.timedeltas(timedelta(), timedelta(days=60)),
    st.booleans(),
    st.booleans(),
)
def test_no_update_is_looked_at_for_ever(listed: str, age: timedelta, is_open: bool, is_overdue: bool) -> None:
    found = find_update(listed, age, is_open=is_open, is_overdue=is_overdue and is_open)
    assert not (found.asks_again and found.has_failed)
    assert bool(found.words) or not found.has_failed
    assert age <= timedelta(days=14) or found.has_failed
    assert found.asks_again or found.has_failed or is_open
