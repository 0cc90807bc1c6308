"""Whatever the facts are, a plan promises no license twice, to nobody outside, and takes none away that is needed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from catalog.facts import Current, Facts, Supply, Target, Wish
from catalog.models import InstallState, LicenseKind, Reason, When
from catalog.plan import plan

ASSETS = st.integers(1, 3)
PEOPLE = st.integers(1, 5)
SERIALS = [f"S{number}" for number in range(1, 9)]
ACCOUNTS = [f"person-{number}" for number in range(1, 6)]
KEYS = st.frozensets(st.tuples(ASSETS, st.sampled_from(SERIALS + ACCOUNTS)), max_size=8)

wishes = st.builds(
    Wish,
    st.integers(1, 4),
    license_kind=st.sampled_from(LicenseKind.values),
    when=st.sampled_from(When.values),
    priority=st.integers(1, 3),
    is_paused=st.booleans(),
)
currents = st.builds(
    Current,
    st.sampled_from(InstallState),
    asset_id=st.none() | ASSETS,
    holder=st.sampled_from(["", *SERIALS, *ACCOUNTS]),
    license_kind=st.sampled_from(["", "device", "user", "none"]),
    is_due=st.booleans(),
    is_requested=st.booleans(),
    was_there=st.booleans(),
)


@st.composite
def targets(draw: st.DrawFn) -> tuple[Target, ...]:
    numbers = draw(st.lists(st.integers(1, 8), unique=True, max_size=8))
    return tuple(
        Target(
            number,
            draw(st.none() | PEOPLE),
            draw(st.none() | wishes),
            serial_number=draw(st.sampled_from(["", f"S{number}"])),
            platform=draw(st.sampled_from(["iOS", "macOS"])),
            enrollment_type=draw(st.sampled_from(["device", "user", "shared"])),
            blocked=draw(
                st.sampled_from([Reason.NONE, Reason.NONE, Reason.WIPED, Reason.RETIRED, Reason.NOT_ENROLLED])
            ),
            is_enrolled=draw(st.booleans()),
            has_account=draw(st.booleans()),
            current=draw(st.none() | currents),
        )
        for number in numbers
    )


@st.composite
def supplies(draw: st.DrawFn) -> tuple[Supply, ...]:
    return tuple(
        Supply(
            asset_id,
            asset_id,
            free=draw(st.none() | st.integers(0, 4)),
            is_usable=draw(st.booleans()),
            is_device_assignable=draw(st.booleans()),
            is_revocable=draw(st.booleans()),
            admitted=draw(st.none() | st.frozensets(PEOPLE)),
            client_users={person: (f"person-{person}", draw(st.booleans())) for person in draw(st.frozensets(PEOPLE))},
            quotas=tuple(draw(st.lists(st.tuples(st.frozensets(PEOPLE), st.integers(0, 3)), max_size=2))),
        )
        for asset_id in draw(st.lists(ASSETS, unique=True))
    )


facts = st.builds(
    Facts,
    app_id=st.just(1),
    targets=targets(),
    supplies=supplies(),
    held=KEYS,
    assigning=KEYS,
    revoking=KEYS,
    is_approved=st.booleans(),
    is_deleted=st.booleans(),
    remove_on_stop=st.booleans(),
    remove_on_mdm_removal=st.booleans(),
    remove_on_selective_wipe=st.booleans(),
    revoke_on_stop=st.booleans(),
)


@given(facts)
def test_every_target_gets_exactly_one_verdict(known: Facts) -> None:
    verdicts = plan(known).verdicts
    assert sorted(verdict.device_id or 0 for verdict in verdicts) == sorted(one.device_id or 0 for one in known.targets)


@given(facts)
def test_no_more_licenses_are_promised_than_are_free(known: Facts) -> None:
    made = plan(known)
    for supply in known.supplies:
        asked = {verdict.holder for verdict in made.assign.get(supply.asset_id, [])}
        assert supply.free is None or len(asked) <= supply.free
        people = {one.device_id: one.person_id for one in known.targets}
        for members, left in supply.quotas:
            takers = Counter(
                verdict.holder
                for verdict in made.assign.get(supply.asset_id, [])
                if people[verdict.device_id] in members
            )
            assert len(takers) <= left


@given(facts)
def test_nobody_outside_a_tokens_groups_is_promised_its_license(known: Facts) -> None:
    made = plan(known)
    by_asset = {supply.asset_id: supply for supply in known.supplies}
    for asset_id, verdicts in made.assign.items():
        supply = by_asset[asset_id]
        assert supply.is_usable
        assert all(supply.admitted is None or verdict.person_id in supply.admitted for verdict in verdicts)


@given(facts)
def test_no_holder_is_promised_a_license_it_has_or_two_at_once(known: Facts) -> None:
    made = plan(known)
    asked = {(asset_id, verdict.holder) for asset_id, verdicts in made.assign.items() for verdict in verdicts}
    assert not asked & (known.held | known.assigning)
    assert all(number == 1 for number in Counter(holder for _, holder in asked if holder.startswith("S")).values())


@given(facts)
def test_what_is_foreseen_changes_only_what_is_said_of_those_who_are_waited_for(known: Facts) -> None:
    made, seen = plan(known), plan(known, foresees=True)
    assert (made.assign, made.register, made.give_back) == (seen.assign, seen.register, seen.give_back)
    for before, after in zip(made.verdicts, seen.verdicts, strict=True):
        assert before == after or (before.state, after.lets_go) == (InstallState.UNREGISTERED, before.lets_go)


@given(facts)
def test_nobody_who_holds_a_license_of_one_token_is_promised_one_of_another(known: Facts) -> None:
    by_asset = {supply.asset_id: supply for supply in known.supplies}
    there = {
        holder
        for asset_id, holder in known.held | known.assigning
        if asset_id in by_asset and (holder in SERIALS or (holder, True) in by_asset[asset_id].client_users.values())
    }
    assert not there & {verdict.holder for verdicts in plan(known).assign.values() for verdict in verdicts}


@given(facts)
def test_no_license_is_taken_back_that_something_needs(known: Facts) -> None:
    made = plan(known)
    returning = {(asset_id, holder) for asset_id, holders in made.give_back.items() for holder in holders}
    needed = {(verdict.asset_id, verdict.holder) for verdict in made.verdicts if not verdict.lets_go}
    assert not returning & needed
    assert returning <= known.held - known.revoking


@given(facts)
def test_an_app_is_sent_with_a_license_only_when_apple_has_confirmed_it(known: Facts) -> None:
    for verdict in plan(known).verdicts:
        if verdict.sends == "install" and verdict.license_kind != "none":
            assert (verdict.asset_id, verdict.holder) in known.held


@given(facts)
def test_a_plan_carried_out_changes_nothing_when_made_again(known: Facts) -> None:
    first = plan(known)
    second = plan(known)
    assert (first.verdicts, first.assign, first.give_back) == (second.verdicts, second.assign, second.give_back)
