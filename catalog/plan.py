"""Decide for every target of an app what happens to it, and why. Pure: facts in, verdicts out, nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.models import InstallState, Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to one target: a device, or a person without one (`device_id` None)."""

    app_id: int
    device_id: int | None
    person_id: int | None
    state: InstallState
    reason: Reason = Reason.NONE
    license_kind: str = ""
    asset_id: int | None = None
    token_id: int | None = None
    holder: str = ""
    distribution_id: int | None = None
