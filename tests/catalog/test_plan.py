"""What is decided for each target, and which licenses that takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.facts import Current, Facts, Supply, Target, Verdict, Wish
from catalog.models import InstallState, LicenseKind, Reason, When
from catalog.plan import Plan, plan

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WISH = Wish(1)
SUPPLY = Supply(asset_id=1, token_id=1, free=10)


def device(number: int = 1, **facts: Any) -> Target:
    return Target(number, number, **{"wish": WISH, "serial_number": f"S{number}", **facts})


def facts(*targets: Target, supplies: tuple[Supply, ...] = (SUPPLY,), **rules: Any) -> Facts:
    return Facts(app_id=1, targets=targets, supplies=supplies, **rules)


def only(made: Plan) -> Verdict:
    (verdict,) = made.verdicts
    return verdict


def current(state: InstallState, **known: Any) -> Current:
    return Current(state, **{"asset_id": 1, "holder": "S1", "license_kind": "device", **known})


HELD = frozenset({(1, "S1")})


def test_a_new_target_gets_a_device_license() -> None:
    made = plan(facts(device()))
    assert (only(made).state, only(made).license_kind, only(made).holder) == (InstallState.LICENSING, "device", "S1")
    assert list(made.assign) == [1]


def test_a_target_with_a_confirmed_license_is_sent_the_app() -> None:
    verdict = only(plan(facts(device(), held=HELD)))
    assert (verdict.sends, verdict.asset_id) == ("install", 1)


def test_a_license_under_way_is_not_asked_for_again() -> None:
    made = plan(facts(device(), assigning=HELD))
    assert only(made).state == InstallState.LICENSING
    assert not made.assign


def test_a_license_that_is_just_being_taken_back_is_waited_for() -> None:
    assert only(plan(facts(device(), held=HELD, revoking=HELD))).reason == Reason.BUSY


def test_where_licenses_run_out_the_rest_waits_in_line() -> None:
    made = plan(facts(device(1), device(2), device(3), supplies=(replace(SUPPLY, free=2),)))
    assert [verdict.state for verdict in made.verdicts] == [
        InstallState.LICENSING,
        InstallState.LICENSING,
        InstallState.IN_LINE,
    ]
    assert made.verdicts[-1].reason == Reason.NO_LICENSE_LEFT


def test_the_line_is_ordered_by_priority_and_then_by_time() -> None:
    early, late = (Current(InstallState.IN_LINE, queued_at=NOW - timedelta(hours=hours)) for hours in (2, 1))
    urgent = Wish(2, priority=10)
    targets = (device(1), device(2, current=late), device(3, current=early), device(4, wish=urgent))
    made = plan(facts(*targets, supplies=(replace(SUPPLY, free=2),)))
    assert {verdict.device_id for verdict in made.assign[1]} == {4, 3}


def test_an_unlimited_asset_never_runs_out() -> None:
    made = plan(facts(*(device(number) for number in range(1, 50)), supplies=(replace(SUPPLY, free=None),)))
    assert len(made.assign[1]) == 49


def test_those_outside_the_tokens_groups_get_the_app_without_a_license() -> None:
    supply = replace(SUPPLY, admitted=frozenset({1}))
    made = plan(facts(device(1), device(2), supplies=(supply,)))
    outsider = made.verdicts[1]
    assert (outsider.sends, outsider.license_kind, outsider.reason) == ("install", "none", Reason.OUTSIDE)
    assert [verdict.device_id for verdict in made.assign[1]] == [1]


def test_a_device_of_nobody_is_outside_a_restricted_token() -> None:
    shared = replace(device(1), person_id=None)
    assert only(plan(facts(shared, supplies=(replace(SUPPLY, admitted=frozenset({1})),)))).reason == Reason.OUTSIDE


def test_who_is_outside_and_in_user_enrollment_is_skipped_as_nothing_installs_there_without_a_license() -> None:
    supply = replace(SUPPLY, admitted=frozenset({2}))
    verdict = only(plan(facts(device(enrollment_type="user"), supplies=(supply,))))
    assert (verdict.state, verdict.reason) == (InstallState.SKIPPED, Reason.OUTSIDE_USER_ENROLLMENT)
    there = current(InstallState.INSTALLED, asset_id=None, holder="")
    made = plan(facts(device(enrollment_type="user", current=there), supplies=(supply,)))
    assert (only(made).state, only(made).sends) == (InstallState.INSTALLED, "")


def test_tokens_are_used_in_their_order_and_the_next_one_when_the_first_is_empty() -> None:
    supplies = (replace(SUPPLY, free=1), Supply(2, 2, free=5))
    made = plan(facts(device(1), device(2), supplies=supplies))
    assert [verdict.asset_id for verdict in made.verdicts] == [1, 2]


def test_a_holder_keeps_the_license_it_has_although_another_token_is_preferred() -> None:
    supplies = (SUPPLY, Supply(2, 2, free=5))
    made = plan(facts(device(1), supplies=supplies, held=frozenset({(2, "S1")})))
    assert (only(made).asset_id, made.assign) == (2, {})


def test_a_license_from_a_refused_token_is_not_taken_a_second_time_elsewhere() -> None:
    supplies = (replace(SUPPLY, is_usable=False), Supply(2, 2, free=5))
    made = plan(facts(device(1), supplies=supplies, held=HELD))
    assert (only(made).asset_id, made.assign) == (1, {})


class TestLeavingTheGroupsOfAToken:
    """Person 1 left the groups of token 1, whose license the device or the person still holds; token 2 admits all."""

    LEFT = replace(SUPPLY, admitted=frozenset({99}), client_users={1: ("person-at-one", True)})
    OTHER = Supply(2, 2, free=5, client_users={1: ("person-at-two", True)})
    INSTALLED = current(InstallState.INSTALLED, was_there=True)

    @pytest.mark.parametrize("installed", [INSTALLED, current(InstallState.INSTALLED, asset_id=None, holder="")])
    @pytest.mark.parametrize("revoke_on_stop", [True, False])
    def test_the_license_returns_before_another_tokens_is_asked_for(
        self, installed: Current, revoke_on_stop: bool
    ) -> None:
        rules: dict[str, Any] = {"supplies": (self.LEFT, self.OTHER), "revoke_on_stop": revoke_on_stop}
        one = device(current=installed)
        first = plan(facts(one, held=HELD, **rules))
        assert (only(first).reason, first.assign, first.give_back) == (Reason.SUPERSEDED, {}, {1: {"S1"}})
        under_way = plan(facts(one, held=HELD, revoking=HELD, **rules))
        assert (only(under_way).reason, under_way.assign, under_way.give_back) == (Reason.BUSY, {}, {})
        assert list(plan(facts(one, **rules)).assign) == [2]

    def test_so_does_a_persons(self) -> None:
        wish = Wish(1, LicenseKind.USER)
        held = frozenset({(1, "person-at-one")})
        made = plan(facts(device(wish=wish), supplies=(self.LEFT, self.OTHER), held=held))
        assert (only(made).state, made.assign, made.give_back) == (InstallState.LICENSING, {}, {1: {"person-at-one"}})

    def test_one_that_is_on_its_way_is_waited_for(self) -> None:
        made = plan(facts(device(), supplies=(self.LEFT, self.OTHER), assigning=HELD))
        assert (only(made).reason, made.assign, made.give_back) == (Reason.SUPERSEDED, {}, {})

    @pytest.mark.parametrize("facts_of_it", [{"is_revocable": False}, {"is_usable": False}])
    def test_what_cannot_return_now_is_used_on(self, facts_of_it: dict[str, Any]) -> None:
        made = plan(facts(device(), supplies=(replace(self.LEFT, **facts_of_it), self.OTHER), held=HELD))
        assert (only(made).sends, only(made).asset_id, made.assign, made.give_back) == ("install", 1, {}, {})

    def test_of_two_there_already_the_one_that_is_admitted_stays(self) -> None:
        both = frozenset({(1, "S1"), (2, "S1")})
        made = plan(facts(device(), supplies=(self.LEFT, self.OTHER), held=both))
        assert (only(made).sends, only(made).asset_id, made.give_back) == ("install", 2, {1: {"S1"}})

    @pytest.mark.parametrize(("revoke_on_stop", "given_back"), [(True, {1: {"S1"}}), (False, {})])
    def test_where_no_token_admits_the_person_the_policy_decides(
        self, revoke_on_stop: bool, given_back: dict[int, set[str]]
    ) -> None:
        rules: dict[str, Any] = {"supplies": (self.LEFT,), "held": HELD, "revoke_on_stop": revoke_on_stop}
        made = plan(facts(device(current=self.INSTALLED), **rules))
        assert (only(made).reason, made.give_back) == (Reason.OUTSIDE, given_back)


def test_while_apple_refuses_the_only_token_the_target_waits() -> None:
    assert only(plan(facts(device(), supplies=(replace(SUPPLY, is_usable=False),)))).reason == Reason.TOKEN_REFUSED


def test_an_app_no_token_owns_is_not_sent() -> None:
    assert only(plan(facts(device(), supplies=()))).reason == Reason.NOT_OWNED


def test_a_quota_limits_the_members_of_its_group_only() -> None:
    supply = replace(SUPPLY, quotas=((frozenset({1, 2}), 1),))
    made = plan(facts(device(1), device(2), device(3), supplies=(supply,)))
    assert [verdict.reason for verdict in made.verdicts] == [Reason.NONE, Reason.QUOTA, Reason.NONE]


def test_a_quota_is_shared_by_all_assets_of_its_token() -> None:
    standard = replace(SUPPLY, free=1, quotas=((frozenset({1, 2, 3}), 2),))
    made = plan(facts(device(1), device(2), device(3), supplies=(standard, replace(standard, asset_id=2))))
    assert [(verdict.asset_id, verdict.reason) for verdict in made.verdicts] == [
        (1, Reason.NONE),
        (2, Reason.NONE),
        (None, Reason.NO_LICENSE_LEFT),
    ]
    plenty = replace(standard, free=9)
    made = plan(facts(device(1), device(2), device(3), supplies=(plenty, replace(plenty, asset_id=2))))
    assert [verdict.reason for verdict in made.verdicts] == [Reason.NONE, Reason.NONE, Reason.QUOTA]


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (replace(device(), device_id=None), Reason.NO_DEVICE),
        (device(platform="macOS"), Reason.PLATFORM),
        (device(os_version=(16, 4)), Reason.OS_TOO_OLD),
        (device(serial_number=""), Reason.NO_SERIAL),
        (device(blocked=Reason.NOT_ENROLLED, is_enrolled=False), Reason.NOT_ENROLLED),
        (device(blocked=Reason.PERSON_LEFT), Reason.PERSON_LEFT),
        (device(enrollment_type="user", wish=Wish(1, LicenseKind.DEVICE)), Reason.USER_ENROLLMENT),
        (replace(device(wish=Wish(1, LicenseKind.USER)), person_id=None), Reason.SHARED_DEVICE),
        (device(wish=Wish(1, LicenseKind.USER), has_account=False), Reason.NO_APPLE_ACCOUNT),
        (device(wish=Wish(1, is_paused=True)), Reason.PAUSED),
    ],
)
def test_a_target_that_cannot_have_the_app_is_skipped_and_told_why(target: Target, reason: Reason) -> None:
    made = plan(facts(target, platforms=frozenset({"iOS"}), minimum_os=(17,)))
    assert (only(made).state, only(made).reason) == (InstallState.SKIPPED, reason)
    assert not made.assign


def test_a_mac_is_not_measured_by_the_version_of_ios_that_an_app_for_both_needs() -> None:
    mac, both = device(platform="macOS", os_version=(15,)), frozenset({"iOS", "macOS"})
    assert only(plan(facts(mac, platforms=both, minimum_os=(17,)))).asks
    assert only(plan(facts(mac, platforms=both - {"iOS"}, minimum_os=(17,)))).reason == Reason.OS_TOO_OLD


def test_an_app_that_is_not_approved_goes_nowhere() -> None:
    assert only(plan(facts(device(), is_approved=False))).reason == Reason.NOT_APPROVED


def test_a_device_in_user_enrollment_uses_its_owners_license() -> None:
    supply = replace(SUPPLY, client_users={1: ("person-one", True)})
    verdict = only(plan(facts(device(enrollment_type="user"), supplies=(supply,))))
    assert (verdict.license_kind, verdict.holder) == ("user", "person-one")


def test_a_person_apple_does_not_know_is_registered_first() -> None:
    made = plan(facts(device(wish=Wish(1, LicenseKind.USER))))
    assert (only(made).reason, made.register) == (Reason.NOT_REGISTERED, {1: {1}})


def test_an_invited_person_is_waited_for_and_costs_no_license() -> None:
    supply = replace(SUPPLY, client_users={1: ("person-one", False)})
    made = plan(facts(device(wish=Wish(1, LicenseKind.USER)), supplies=(supply,)))
    assert (only(made).reason, made.register, made.assign) == (Reason.INVITED, {}, {})


def test_it_is_foreseen_who_finds_no_license_left_once_the_person_is_there() -> None:
    supply = replace(SUPPLY, free=3, client_users={1: ("person-one", True)})
    wish = Wish(1, LicenseKind.USER)
    waited_for = [replace(device(number, wish=wish), person_id=person) for number, person in ((2, 7), (3, 7), (4, 8))]
    known = facts(*waited_for, device(5), replace(device(6, wish=wish), person_id=9), supplies=(supply,))
    seen, done = plan(known, foresees=True), plan(known)
    there = InstallState.UNREGISTERED
    assert [verdict.state for verdict in done.verdicts] == [there, there, there, InstallState.LICENSING, there]
    expected = [there, there, there, InstallState.LICENSING, InstallState.IN_LINE]
    assert [verdict.state for verdict in seen.verdicts] == expected
    assert (seen.verdicts[-1].reason, seen.verdicts[-1].token_id) == (Reason.NO_LICENSE_LEFT, None)
    assert (seen.assign, seen.register) == (done.assign, done.register)


def test_it_is_foreseen_that_the_next_token_serves_those_whom_the_first_cannot() -> None:
    wish = Wish(1, LicenseKind.USER)
    supplies = (replace(SUPPLY, free=1), Supply(2, 2, free=1))
    made = plan(facts(*(device(number, wish=wish) for number in (1, 2)), supplies=supplies), foresees=True)
    assert [(verdict.state, verdict.token_id) for verdict in made.verdicts] == [
        (InstallState.UNREGISTERED, 1),
        (InstallState.UNREGISTERED, 2),
    ]


def test_who_was_invited_and_has_an_account_by_now_is_to_be_registered_by_it() -> None:
    supply = replace(SUPPLY, client_users={1: ("person-one", False)}, by_account=frozenset({1}))
    made = plan(facts(device(wish=Wish(1, LicenseKind.USER)), supplies=(supply,)))
    assert (only(made).reason, made.register, made.assign) == (Reason.NOT_REGISTERED, {1: {1}}, {})


def test_two_devices_of_one_person_share_a_user_license() -> None:
    supply = replace(SUPPLY, free=1, client_users={7: ("person-seven", True)})
    wish = Wish(1, LicenseKind.USER)
    targets = (replace(device(1, wish=wish), person_id=7), replace(device(2, wish=wish), person_id=7))
    made = plan(facts(*targets, supplies=(supply,)))
    assert [verdict.state for verdict in made.verdicts] == [InstallState.LICENSING] * 2
    assert len(made.assign[1]) == 1


def test_an_app_apple_gives_to_people_only_is_licensed_to_the_person() -> None:
    supply = replace(SUPPLY, is_device_assignable=False, client_users={1: ("person-one", True)})
    assert only(plan(facts(device(), supplies=(supply,)))).license_kind == "user"


def test_a_holder_apple_refused_is_not_asked_for_again_until_somebody_retries() -> None:
    refused = {(1, "S1"): "Apple does not know this device."}
    made = plan(facts(device(), refused=refused))
    assert (only(made).state, only(made).details) == (InstallState.FAILED, "Apple does not know this device.")
    again = current(InstallState.FAILED, asset_id=None, holder="", is_due=True)
    assert plan(facts(device(current=again), refused=refused)).assign


def test_a_person_apple_did_not_register_is_told_why() -> None:
    supply = replace(SUPPLY, troubles={1: "The account belongs to another organization."})
    made = plan(facts(device(wish=Wish(1, LicenseKind.USER)), supplies=(supply,)))
    assert (only(made).state, only(made).details) == (
        InstallState.FAILED,
        "The account belongs to another organization.",
    )
    assert not made.register


def test_on_demand_nothing_happens_before_somebody_asks() -> None:
    wish = Wish(1, when=When.ON_DEMAND)
    made = plan(facts(device(wish=wish)))
    assert (only(made).state, made.assign) == (InstallState.OFFERED, {})
    asked = Current(InstallState.OFFERED, is_requested=True)
    assert plan(facts(device(wish=wish, current=asked))).assign


@pytest.mark.parametrize(
    ("target", "supplies", "reason"),
    [
        (device(enrollment_type="user", wish=Wish(1, LicenseKind.DEVICE)), (SUPPLY,), Reason.USER_ENROLLMENT),
        (device(wish=Wish(1, LicenseKind.USER), has_account=False), (SUPPLY,), Reason.NO_APPLE_ACCOUNT),
        (
            device(wish=Wish(1, LicenseKind.DEVICE)),
            (replace(SUPPLY, is_device_assignable=False),),
            Reason.NOT_DEVICE_ASSIGNABLE,
        ),
        (device(), (), Reason.NOT_OWNED),
    ],
)
def test_on_demand_nobody_is_offered_what_would_be_skipped(
    target: Target, supplies: tuple[Supply, ...], reason: Reason
) -> None:
    assert target.wish
    on_demand = replace(target, wish=replace(target.wish, when=When.ON_DEMAND))
    verdicts = [only(plan(facts(one, supplies=supplies))) for one in (target, on_demand)]
    assert [(verdict.state, verdict.reason) for verdict in verdicts] == [(InstallState.SKIPPED, reason)] * 2


def test_what_is_offered_on_demand_takes_no_license_from_others() -> None:
    offered = device(1, wish=Wish(1, when=When.ON_DEMAND))
    made = plan(facts(offered, device(2), supplies=(replace(SUPPLY, free=1),)))
    assert [verdict.state for verdict in made.verdicts] == [InstallState.OFFERED, InstallState.LICENSING]


@pytest.mark.parametrize("state", [InstallState.READY, InstallState.SENT, InstallState.INSTALLING])
def test_what_is_on_its_way_is_not_sent_twice(state: InstallState) -> None:
    verdict = only(plan(facts(device(current=current(state)), held=HELD)))
    assert (verdict.state, verdict.sends) == (state, "")


def test_a_failure_is_tried_again_when_its_time_has_come_and_not_before() -> None:
    waiting, due = current(InstallState.FAILED), current(InstallState.FAILED, is_due=True)
    assert only(plan(facts(device(current=waiting), held=HELD))).sends == ""
    assert only(plan(facts(device(current=due), held=HELD))).sends == "install"


def test_an_installed_app_that_lost_its_license_is_given_one_again() -> None:
    made = plan(facts(device(current=current(InstallState.INSTALLED))))
    assert only(made).state == InstallState.INSTALLED
    assert made.assign


class TestWayBack:
    INSTALLED = current(InstallState.INSTALLED, was_there=True)

    def test_who_is_not_meant_any_more_loses_the_app(self) -> None:
        made = plan(facts(device(wish=None, current=self.INSTALLED), held=HELD))
        assert (only(made).state, only(made).sends) == (InstallState.REMOVING, "remove")

    def test_a_removal_that_failed_is_tried_again_when_its_time_has_come_and_not_before(self) -> None:
        failed = current(InstallState.FAILED, was_there=True, is_leaving=True)
        waits = plan(facts(device(wish=None, current=failed), held=HELD))
        assert (only(waits).state, only(waits).sends, waits.give_back) == (InstallState.FAILED, "", {})
        due = plan(facts(device(wish=None, current=replace(failed, is_due=True)), held=HELD))
        assert only(due).sends == "remove"

    def test_an_app_that_no_list_has_named_and_that_failed_to_be_taken_away_may_still_be_there(self) -> None:
        failed = current(InstallState.FAILED, is_leaving=True)
        waits = plan(facts(device(wish=None, current=failed), held=HELD))
        assert (only(waits).state, only(waits).sends, waits.give_back) == (InstallState.FAILED, "", {})
        due = plan(facts(device(wish=None, current=replace(failed, is_due=True)), held=HELD))
        assert only(due).sends == "remove"

    def test_the_license_returns_only_after_the_app_is_gone(self) -> None:
        removing = current(InstallState.REMOVING, was_there=True)
        removed = current(InstallState.REMOVED, was_there=True)
        assert plan(facts(device(wish=None, current=removing), held=HELD)).give_back == {}
        assert plan(facts(device(wish=None, current=removed), held=HELD)).give_back == {1: {"S1"}}

    def test_a_license_that_is_returning_is_not_asked_back_twice(self) -> None:
        removed = current(InstallState.REMOVED, was_there=True)
        assert plan(facts(device(wish=None, current=removed), held=HELD, revoking=HELD)).give_back == {}

    def test_where_the_policy_leaves_the_app_the_license_returns_at_once(self) -> None:
        made = plan(facts(device(wish=None, current=self.INSTALLED), held=HELD, remove_on_stop=False))
        assert (only(made).state, only(made).reason) == (InstallState.LEFT, Reason.STAYS)
        assert made.give_back == {1: {"S1"}}

    def test_where_the_policy_keeps_the_license_it_stays(self) -> None:
        removed = current(InstallState.REMOVED, was_there=True)
        made = plan(facts(device(wish=None, current=removed), held=HELD, revoke_on_stop=False))
        assert (made.give_back, only(made).asset_id) == ({}, 1)

    def test_a_device_that_left_management_gives_its_license_back_at_once(self) -> None:
        gone = device(blocked=Reason.NOT_ENROLLED, is_enrolled=False, current=self.INSTALLED)
        made = plan(facts(gone, held=HELD))
        assert (only(made).state, only(made).sends, made.give_back) == (InstallState.REMOVED, "", {1: {"S1"}})

    def test_an_app_that_is_to_stay_without_mdm_control_is_no_longer_managed_there(self) -> None:
        gone = device(blocked=Reason.NOT_ENROLLED, is_enrolled=False, current=self.INSTALLED)
        made = plan(facts(gone, held=HELD, remove_on_mdm_removal=False))
        assert (only(made).state, only(made).reason) == (InstallState.LEFT, Reason.STAYS)
        assert made.give_back == {1: {"S1"}}
        left = replace(gone, current=current(InstallState.LEFT, was_there=True))
        assert only(plan(facts(left, remove_on_mdm_removal=False))).state == InstallState.LEFT

    def test_an_install_that_never_went_out_gives_its_license_back(self) -> None:
        made = plan(facts(device(wish=None, current=current(InstallState.LICENSING)), held=HELD))
        assert made.give_back == {1: {"S1"}}
        assert not only(made).is_over

    def test_what_never_had_anything_leaves_nothing_behind(self) -> None:
        waiting = Current(InstallState.IN_LINE)
        assert only(plan(facts(device(wish=None, current=waiting)))).is_over

    def test_a_wiped_device_loses_apps_as_their_wipe_policy_says(self) -> None:
        wiped = device(blocked=Reason.WIPED, current=self.INSTALLED)
        assert only(plan(facts(wiped, held=HELD))).sends == "remove"
        kept = only(plan(facts(wiped, held=HELD, remove_on_selective_wipe=False)))
        assert kept.state == InstallState.LEFT

    def test_a_retired_device_loses_app_and_license_whatever_the_policies_say(self) -> None:
        rules: dict[str, Any] = {"remove_on_stop": False, "revoke_on_stop": False}
        retired = device(blocked=Reason.RETIRED, current=self.INSTALLED)
        assert only(plan(facts(retired, held=HELD, **rules))).sends == "remove"
        removed = device(blocked=Reason.RETIRED, current=current(InstallState.REMOVED))
        assert plan(facts(removed, held=HELD, **rules)).give_back == {1: {"S1"}}

    def test_an_irrevocable_license_says_so_and_is_not_asked_back(self) -> None:
        supply = replace(SUPPLY, is_revocable=False)
        removed = device(wish=None, current=current(InstallState.REMOVED))
        made = plan(facts(removed, held=HELD, supplies=(supply,)))
        assert (only(made).reason, made.give_back) == (Reason.NOT_RECLAIMABLE, {})

    def test_a_user_license_stays_while_another_device_of_the_person_needs_it(self) -> None:
        supply = replace(SUPPLY, client_users={7: ("person-seven", True)})
        held = frozenset({(1, "person-seven")})
        of_person = {"holder": "person-seven", "license_kind": "user"}
        wish = Wish(1, LicenseKind.USER)
        stays = replace(device(1, wish=wish, current=current(InstallState.INSTALLED, **of_person)), person_id=7)
        goes = replace(device(2, wish=None, current=current(InstallState.REMOVED, **of_person)), person_id=7)
        assert plan(facts(stays, goes, supplies=(supply,), held=held)).give_back == {}
        assert plan(facts(goes, supplies=(supply,), held=held)).give_back == {1: {"person-seven"}}

    def test_an_app_that_is_deleted_leaves_everybody(self) -> None:
        assert only(plan(facts(device(current=self.INSTALLED), held=HELD, is_deleted=True))).sends == "remove"

    def test_who_left_the_tokens_groups_keeps_the_app_and_returns_the_license(self) -> None:
        supply = replace(SUPPLY, admitted=frozenset({99}))
        made = plan(facts(device(current=self.INSTALLED), held=HELD, supplies=(supply,)))
        assert (only(made).state, only(made).reason) == (InstallState.INSTALLED, Reason.OUTSIDE)
        assert made.give_back == {1: {"S1"}}

    def test_pausing_takes_nothing_away(self) -> None:
        paused = Wish(1, is_paused=True)
        made = plan(facts(device(wish=paused, current=self.INSTALLED), held=HELD))
        assert (only(made).state, made.give_back) == (InstallState.INSTALLED, {})
        ready = plan(facts(device(wish=paused, current=current(InstallState.READY)), held=HELD))
        assert (only(ready).state, only(ready).reason, ready.give_back) == (
            InstallState.SKIPPED,
            Reason.PAUSED,
            {},
        )
        licensed = plan(facts(device(wish=paused, current=current(InstallState.LICENSING)), held=HELD))
        assert (only(licensed).reason, licensed.give_back) == (Reason.PAUSED, {})


@pytest.mark.parametrize(
    ("wish", "rules"),
    [(WISH, {"is_approved": False}), (replace(WISH, when=When.ON_DEMAND), {})],
)
def test_a_license_under_way_that_is_not_needed_any_more_returns_when_it_is_there(
    wish: Wish, rules: dict[str, Any]
) -> None:
    asked = device(wish=wish, current=current(InstallState.LICENSING))
    meanwhile = plan(facts(asked, assigning=HELD, **rules))
    assert (only(meanwhile).asset_id, only(meanwhile).holder, meanwhile.give_back) == (1, "S1", {})
    then = device(wish=wish, current=current(only(meanwhile).state))
    assert plan(facts(then, held=HELD, **rules)).give_back == {1: {"S1"}}
    assert only(plan(facts(then, **rules))).asset_id is None
