"""Decide for every target of an app what happens to it, and why. Pure: facts in, verdicts out, nothing is stored.

The page that shows a distribution before it is saved and the worker that carries it out use this same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from catalog.choice import Licenses
from catalog.facts import Current, Facts, Key, Target, Verdict, Wish
from catalog.models import ON_THE_WAY, InstallState, Reason, When
from vppportal.groups.models import Platform

__all__ = ["Plan", "Verdict", "plan"]

PERHAPS_THERE: Final = (
    InstallState.SENT,
    InstallState.INSTALLING,
    InstallState.INSTALLED,
    InstallState.REMOVING,
)


@dataclass(slots=True)
class Plan:
    """The verdicts on all targets, and what they ask of Apple."""

    verdicts: list[Verdict] = field(default_factory=list)
    assign: dict[int, list[Verdict]] = field(default_factory=dict)
    register: dict[int, set[int]] = field(default_factory=dict)
    give_back: dict[int, set[str]] = field(default_factory=dict)


def plan(facts: Facts, *, foresees: bool = False) -> Plan:
    """Return what happens to every target: those first in line first, each by the licenses its predecessors leave.

    Who is waited for takes no license from those who can have one now. A plan that `foresees` tells which of them will
    find none once they are there.
    """
    made = Plan()
    licenses = Licenses(facts)
    targets = sorted(facts.targets, key=_place_in_line)
    for target in targets:
        verdict = _verdict(facts, licenses, target)
        made.verdicts.append(verdict)
        if verdict.asks and verdict.asset_id is not None:
            made.assign.setdefault(verdict.asset_id, []).append(verdict)
        if verdict.reason == Reason.NOT_REGISTERED and verdict.token_id and verdict.person_id:
            made.register.setdefault(verdict.token_id, set()).add(verdict.person_id)
    if foresees:
        _foresee(licenses, targets, made)
    _give_back(facts, made, licenses.superseded)
    return made


def _foresee(licenses: Licenses, targets: list[Target], made: Plan) -> None:
    """Give the people who are waited for what the others leave, one license each; the rest of them stands in line."""
    kept: dict[int | None, Verdict] = {}
    for place, (target, verdict) in enumerate(zip(targets, made.verdicts, strict=True)):
        if verdict.state == InstallState.UNREGISTERED:
            one = kept.get(target.person_id) or licenses.keep_one(target, verdict)
            kept[target.person_id] = one
            made.verdicts[place] = replace(verdict, state=one.state, reason=one.reason, token_id=one.token_id)


def _place_in_line(target: Target) -> tuple[int, float, int, int]:
    """Those who wait longest come first among equals; who is new comes last."""
    wish, current = target.wish, target.current
    queued = current.queued_at.timestamp() if current and current.queued_at else float("inf")
    return (wish.priority if wish else 0, queued, target.device_id or 0, target.person_id or 0)


def _verdict(facts: Facts, licenses: Licenses, target: Target) -> Verdict:
    wish = target.wish
    blank = Verdict(facts.app_id, target.device_id, target.person_id, InstallState.SKIPPED)
    if wish is not None:
        blank = replace(blank, distribution_id=wish.id, priority=wish.priority)
    if wish is None or target.blocked or facts.is_deleted:
        return _way_back(facts, target, blank)
    if target.current and target.current.state == InstallState.REMOVING:
        return _as_it_is(target.current, replace(blank, reason=Reason.BUSY))
    return _way_there(facts, licenses, target, wish, blank)


def _way_there(facts: Facts, licenses: Licenses, target: Target, wish: Wish, blank: Verdict) -> Verdict:
    """Return the next step towards having the app, or why there is none."""
    state = target.current.state if target.current else None
    # What is paused before it was handed over is called back.
    is_called_back = wish.is_paused and state == InstallState.READY
    is_there = state == InstallState.INSTALLED or (state in ON_THE_WAY and not is_called_back)
    hindrance = _hindrance(facts, target, wish)
    if hindrance and not is_there:
        kept = _unused(facts, target, blank)
        if target.current and hindrance == Reason.PAUSED:
            kept = _as_it_is(target.current, blank)
        return replace(kept, state=InstallState.SKIPPED, reason=hindrance)
    if wish.when == When.ON_DEMAND and not is_there and not (target.current and target.current.is_requested):
        # Whom a license could never reach is not offered the app: it would be skipped as soon as somebody asks.
        looked = licenses.find(target, wish, blank, promises=False)
        if looked.state == InstallState.SKIPPED:
            return replace(_unused(facts, target, blank), state=InstallState.SKIPPED, reason=looked.reason)
        return replace(_unused(facts, target, blank), state=InstallState.OFFERED)
    licensed = licenses.find(target, wish, blank)
    if target.current and is_there:
        return replace(licensed, state=target.current.state)
    if licensed.state != InstallState.READY:
        return licensed
    if target.current and state == InstallState.FAILED and not target.current.is_due:
        return replace(licensed, state=InstallState.FAILED)
    return replace(licensed, sends="install")


def _as_it_is(current: Current, verdict: Verdict) -> Verdict:
    """Return the verdict with the state and the license that are there already."""
    return replace(
        verdict,
        state=current.state,
        asset_id=current.asset_id,
        holder=current.holder,
        license_kind=current.license_kind,
    )


def _unused(facts: Facts, target: Target, verdict: Verdict) -> Verdict:
    """Return the verdict with the license that nobody needs here now: once forgotten, it would never return."""
    current = target.current
    if current is None or (current.asset_id or 0, current.holder) not in facts.held | facts.assigning:
        return verdict
    return replace(_as_it_is(current, verdict), lets_go=True)


def _hindrance(facts: Facts, target: Target, wish: Wish) -> Reason:
    """Return what keeps the app from this target, whatever licenses there are."""
    if not facts.is_approved:
        return Reason.NOT_APPROVED
    if target.device_id is None:
        return Reason.NO_DEVICE
    if facts.platforms and target.platform not in facts.platforms:
        return Reason.PLATFORM
    # Of an app for several platforms the store tells the oldest version of iOS: it says nothing of a Mac.
    is_measured = target.platform == Platform.IOS or not facts.platforms - {target.platform}
    if is_measured and target.os_version and target.os_version < facts.minimum_os:
        return Reason.OS_TOO_OLD
    return Reason.PAUSED if wish.is_paused else Reason.NONE


def _way_back(facts: Facts, target: Target, blank: Verdict) -> Verdict:
    """Return the next step of taking the app away from a target that has no claim to it any more, or never had."""
    reason = target.blocked or Reason.NOT_WANTED
    current = target.current
    if current is None:
        return replace(blank, reason=reason)
    kept = replace(_as_it_is(current, blank), reason=reason)
    key = (current.asset_id or 0, current.holder)
    if key not in facts.held and key not in facts.assigning:
        kept = replace(kept, asset_id=None, holder="", license_kind="")
    stays = replace(kept, state=InstallState.LEFT, reason=Reason.STAYS, lets_go=True)
    if current.state == InstallState.LEFT:
        return stays
    if current.state == InstallState.REMOVED:
        return _gone(facts, kept)
    if not _may_be_there(current):
        never = replace(kept, state=InstallState.SKIPPED, lets_go=True)
        return never if target.wish else _gone(facts, replace(kept, is_over=kept.asset_id is None))
    if not target.is_enrolled:
        return _gone(facts, kept) if facts.remove_on_mdm_removal else stays
    if current.state == InstallState.REMOVING or (_failed_to_leave(current) and not current.is_due):
        return kept
    removes = facts.remove_on_selective_wipe if target.blocked == Reason.WIPED else facts.remove_on_stop
    if removes or target.blocked == Reason.RETIRED:
        return replace(kept, state=InstallState.REMOVING, sends="remove")
    return stays


def _gone(facts: Facts, kept: Verdict) -> Verdict:
    """Return that the app is not on the device any more, and whether its license can return."""
    irrevocable = {supply.asset_id for supply in facts.supplies if not supply.is_revocable}
    reason = Reason.NOT_RECLAIMABLE if kept.asset_id in irrevocable else kept.reason
    return replace(kept, state=InstallState.REMOVED, reason=reason, lets_go=True)


def _failed_to_leave(current: Current) -> bool:
    """Did taking it away fail?"""
    return current.state == InstallState.FAILED and current.is_leaving


def _may_be_there(current: Current) -> bool:
    """May the app be on the device? One that failed now may have been there before, or failed to be taken away."""
    return current.state in PERHAPS_THERE or current.was_there or _failed_to_leave(current)


def _give_back(facts: Facts, made: Plan, superseded: set[Key]) -> None:
    """Find the licenses that served an installation and serve none any more, and those that may serve it no more."""
    in_use = {(verdict.asset_id, verdict.holder) for verdict in made.verdicts if not verdict.lets_go}
    served = {
        (target.current.asset_id, target.current.holder)
        for target in facts.targets
        if target.current and target.current.asset_id is not None and _returns(facts, target)
    }
    revocable = {supply.asset_id for supply in facts.supplies if supply.gives_back}
    for asset_id, holder in ((served & facts.held) | superseded) - in_use - facts.revoking:
        if asset_id in revocable:
            made.give_back.setdefault(asset_id, set()).add(holder)


def _returns(facts: Facts, target: Target) -> bool:
    """Does the license of this target return when it is not needed there any more?"""
    return facts.revoke_on_stop or target.blocked == Reason.RETIRED
