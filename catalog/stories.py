"""What all events of one enrollment tell together of its device. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from catalog.mdm import Report, Topic, Unreadable
from vppportal.groups.models import EnrollmentType, Platform

FACTS: Final = ("serial_number", "name", "platform", "model", "os_version")
TYPES: Final[dict[str, EnrollmentType]] = {
    "User Enrollment (Device)": EnrollmentType.USER,
    "Shared iPad": EnrollmentType.SHARED,
}
PLATFORMS: Final = (
    (re.compile(r"iPhone|iPad|iPod"), Platform.IOS),
    (re.compile(r"Mac|iMac|VirtualMac"), Platform.MACOS),
    (re.compile(r"AppleTV|Apple TV"), Platform.TVOS),
    (re.compile(r"RealityDevice|Apple Vision"), Platform.VISIONOS),
    (re.compile(r"Watch|Apple Watch"), Platform.WATCHOS),
)
"""How the identifiers and names of Apple's models begin."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that the kept events tell of one enrollment."""

    enrollment_id: str
    began_at: datetime
    seen_at: datetime
    alive_at: datetime | None = None
    left_at: datetime | None = None
    has_authenticated: bool = False
    is_only_an_end: bool = False
    enrollment_type: EnrollmentType = EnrollmentType.DEVICE
    owner: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, enrollment_id: str, reports: Sequence[Report], seen_at: datetime, alive_at: datetime | None) -> Self:
        """Return the story of an enrollment from its check-ins, the oldest first."""
        latest = {report.topic: report for report in reports}
        began = latest.get(Topic.AUTHENTICATE)
        left = latest.get(Topic.CHECK_OUT)
        first = next((report for report in reports if report.topic != Topic.CHECK_OUT), None)
        return cls(
            enrollment_id,
            began_at=(began or first or reports[0]).happened_at,
            seen_at=seen_at,
            alive_at=alive_at,
            left_at=left.happened_at if left else None,
            has_authenticated=began is not None,
            is_only_an_end=first is None,
            enrollment_type=TYPES.get((began or reports[-1]).enrollment_type, EnrollmentType.DEVICE),
            owner=next((report.owner for report in reversed(reports) if report.owner), ""),
            facts=_authenticated(began) if began else {},
        )

    @property
    def serial_number(self) -> str:
        """The serial number; a device in user enrollment tells none."""
        return self.facts.get("serial_number", "")

    @property
    def heard_at(self) -> datetime:
        """When the device last showed that it is enrolled."""
        return max(self.began_at, self.alive_at or self.began_at)

    @property
    def ended_at(self) -> datetime | None:
        """When the device left, unless it has been heard of since."""
        return self.left_at if self.left_at and (self.left_at > self.heard_at or self.is_only_an_end) else None


def _authenticated(report: Report) -> dict[str, str]:
    """Return what a device told of itself when it authenticated."""
    try:
        return facts(report.payload())
    except Unreadable:
        return {}


def facts(told: Mapping[str, Any]) -> dict[str, str]:
    """Return what a device tells of itself, as far as it fits; the rest is left as it is known."""
    serial = _text(told, "SerialNumber", 32).upper()
    models = [_text(told, name, 80) for name in ("ModelName", "ProductName", "Model")]
    found = {
        "serial_number": serial if re.fullmatch(r"[0-9A-Z-]+", serial) else "",
        "name": _text(told, "DeviceName", 120),
        "platform": next((platform for model in models[1:] + models[:1] if (platform := _platform(model))), ""),
        "model": next(filter(None, models), ""),
        "os_version": _text(told, "OSVersion", 20),
    }
    return {name: value for name, value in found.items() if value}


def _text(told: Mapping[str, Any], name: str, longest: int) -> str:
    value = told.get(name)
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= longest else ""


def _platform(model: str) -> str:
    return next((str(platform) for pattern, platform in PLATFORMS if pattern.match(model)), "")
