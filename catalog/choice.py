"""Choose the license for a target: of which kind, from which token, or what it waits for. Pure."""

from __future__ import annotations

from dataclasses import replace

from catalog.facts import DEVICE, USER, WITHOUT, Facts, Key, Supply, Target, Verdict, Wish
from catalog.models import InstallState, LicenseKind, Reason
from vppportal.groups.models import EnrollmentType


class Licenses:
    """The licenses of an app while a plan is made: what it promises is taken for those who come later."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.free = {supply.asset_id: supply.free for supply in facts.supplies}
        self.promised: set[Key] = set(facts.assigning)
        self.superseded: set[Key] = set()
        """Held by people outside the token's groups whom another token admits: it returns, whatever stopping does."""
        self.left = {
            (supply.token_id, number): left
            for supply in facts.supplies
            for number, (_, left) in enumerate(supply.quotas)
        }

    def find(self, target: Target, wish: Wish, blank: Verdict, *, promises: bool = True) -> Verdict:
        """Return how the target is licensed: READY with or without a license, or what it waits for."""
        kind, hindrance = _kind(self.facts, target, wish)
        if hindrance:
            return replace(blank, reason=hindrance)
        admitting = [supply for supply in self.facts.supplies if supply.admits(target.person_id)]
        outside = [supply for supply in self.facts.supplies if not supply.admits(target.person_id)]
        found = self._find(admitting, outside, target, kind, replace(blank, license_kind=kind))
        if promises and admitting:
            self.superseded |= self.facts.held & {(one.asset_id, _holder(one, target, kind)[0]) for one in outside}
            if found.asks:
                self._promise(next(one for one in admitting if one.asset_id == found.asset_id), target, found.holder)
        return found

    def keep_one(self, target: Target, verdict: Verdict) -> Verdict:
        """Keep a license for a person who is waited for; return the verdict, in line where none is left to be kept."""
        usable = [one for one in self.facts.supplies if one.is_usable and one.admits(target.person_id)]
        for supply in usable:
            holder, _ = _holder(supply, target, USER)
            if self._has_one(supply, target) and not self._refusal(supply, target, holder):
                self._promise(supply, target, holder)
                return replace(verdict, token_id=supply.token_id)
        return self._in_line(usable, target, replace(verdict, token_id=None))

    def _find(
        self, admitting: list[Supply], outside: list[Supply], target: Target, kind: str, blank: Verdict
    ) -> Verdict:
        usable = [supply for supply in admitting if supply.is_usable]
        found = self._held(admitting, target, kind, blank)
        if found is None and admitting:
            found = self._held_outside(outside, target, kind, blank)
        found = found or self._new(usable, target, kind, blank)
        if found is not None:
            return found
        if usable:
            return self._in_line(usable, target, blank)
        if admitting:
            return replace(blank, state=InstallState.IN_LINE, reason=Reason.TOKEN_REFUSED)
        if self.facts.supplies and target.enrollment_type == EnrollmentType.USER:
            return replace(blank, reason=Reason.OUTSIDE_USER_ENROLLMENT)
        if self.facts.supplies:
            return replace(blank, state=InstallState.READY, reason=Reason.OUTSIDE, license_kind=WITHOUT)
        return replace(blank, reason=Reason.NOT_OWNED)

    def _held(self, supplies: list[Supply], target: Target, kind: str, blank: Verdict) -> Verdict | None:
        """Return the license the holder has, or is about to have: a second one is never taken."""
        keys = [(supply, _holder(supply, target, kind)[0]) for supply in supplies]
        for supply, holder in keys:
            if holder and (supply.asset_id, holder) in self.facts.revoking:
                return replace(blank, state=InstallState.LICENSING, reason=Reason.BUSY)
        for state, taken in (
            (InstallState.READY, self.facts.held),
            (InstallState.LICENSING, self.promised),
        ):
            for supply, holder in keys:
                if holder and (supply.asset_id, holder) in taken:
                    return _from(supply, holder, replace(blank, state=state))
        return None

    def _held_outside(self, supplies: list[Supply], target: Target, kind: str, blank: Verdict) -> Verdict | None:
        """Return that the license of a token that admits the person no more returns first; one that cannot is used."""
        found = self._held(supplies, target, kind, blank)
        if found is None or found.reason == Reason.BUSY:
            return found
        returns = any(supply.asset_id == found.asset_id and supply.gives_back for supply in supplies)
        if found.state == InstallState.READY and not returns:
            return found
        return replace(blank, state=InstallState.LICENSING, reason=Reason.SUPERSEDED)

    def _new(self, supplies: list[Supply], target: Target, kind: str, blank: Verdict) -> Verdict | None:
        """Return a license of the first token that has one for the target, and whose refusal is not recent."""
        refusal = None
        for supply in supplies:
            if kind == DEVICE and not supply.is_device_assignable:
                continue
            if not self._has_one(supply, target):
                continue
            holder, is_registered = _holder(supply, target, kind)
            refused = self._refusal(supply, target, holder)
            if refused:
                refusal = replace(blank, state=InstallState.FAILED, reason=Reason.REFUSED_BY_APPLE, details=refused)
                continue
            if not is_registered:
                is_invited = holder and target.person_id not in supply.by_account
                reason = Reason.INVITED if is_invited else Reason.NOT_REGISTERED
                return replace(blank, state=InstallState.UNREGISTERED, reason=reason, token_id=supply.token_id)
            return _from(supply, holder, replace(blank, state=InstallState.LICENSING, asks=True))
        return refusal

    def _refusal(self, supply: Supply, target: Target, holder: str) -> str:
        """Return why Apple does not want this holder; nothing where it was not asked lately, or is to be again."""
        if target.current and target.current.is_due:
            return ""
        if not holder:
            return supply.troubles.get(target.person_id or 0, "")
        return self.facts.refused.get((supply.asset_id, holder), "")

    def _has_one(self, supply: Supply, target: Target) -> bool:
        free = self.free[supply.asset_id]
        return (free is None or free > 0) and all(self.left[quota] > 0 for quota in _quotas(supply, target))

    def _promise(self, supply: Supply, target: Target, holder: str) -> None:
        free = self.free[supply.asset_id]
        self.free[supply.asset_id] = None if free is None else free - 1
        for quota in _quotas(supply, target):
            self.left[quota] -= 1
        self.promised.add((supply.asset_id, holder))

    def _in_line(self, usable: list[Supply], target: Target, blank: Verdict) -> Verdict:
        if blank.license_kind == DEVICE and not any(supply.is_device_assignable for supply in usable):
            return replace(blank, reason=Reason.NOT_DEVICE_ASSIGNABLE)
        is_quota = any(self.free[supply.asset_id] != 0 for supply in usable)
        reason = Reason.QUOTA if is_quota else Reason.NO_LICENSE_LEFT
        return replace(blank, state=InstallState.IN_LINE, reason=reason)


def _from(supply: Supply, holder: str, verdict: Verdict) -> Verdict:
    return replace(verdict, asset_id=supply.asset_id, token_id=supply.token_id, holder=holder)


def _quotas(supply: Supply, target: Target) -> list[tuple[int, int]]:
    """Return which quotas of a supply's token count this target's license; all of its assets of the app share them."""
    return [
        (supply.token_id, number) for number, (members, _) in enumerate(supply.quotas) if target.person_id in members
    ]


def _holder(supply: Supply, target: Target, kind: str) -> tuple[str, bool]:
    """Return who would hold the license, and whether Apple accepts that holder now."""
    if kind == DEVICE:
        return target.serial_number, True
    return supply.client_users.get(target.person_id or 0, ("", False))


def _kind(facts: Facts, target: Target, wish: Wish) -> tuple[str, Reason]:
    """Return what is to hold the license, or why nothing can."""
    kind = wish.license_kind
    if kind == LicenseKind.AUTOMATIC:
        kind = _kind_by_enrollment(facts, target)
    if kind == LicenseKind.DEVICE:
        if target.enrollment_type == EnrollmentType.USER:
            return "", Reason.USER_ENROLLMENT
        return (DEVICE, Reason.NONE) if target.serial_number else ("", Reason.NO_SERIAL)
    if target.person_id is None:
        return "", Reason.SHARED_DEVICE
    return (USER, Reason.NONE) if target.has_account else ("", Reason.NO_APPLE_ACCOUNT)


def _kind_by_enrollment(facts: Facts, target: Target) -> str:
    """Return the kind that needs least of the person: the device's, wherever device and app allow it."""
    for_people_only = bool(facts.supplies) and not any(supply.is_device_assignable for supply in facts.supplies)
    if target.enrollment_type == EnrollmentType.USER or (for_people_only and target.person_id):
        return LicenseKind.USER
    return LicenseKind.DEVICE
