"""What updating by hand would do, in sentences with numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from catalog.updates.facts import FAILED, PHRASES
from catalog.updates.rule import Verdict
from vppportal.wording import number

DEVICES: Final = ("device", "devices")
LATER: Final = (Verdict.NOT_APPROVED, Verdict.UNREACHABLE, Verdict.PAUSED, Verdict.OS_TOO_OLD)
"""What keeps an update from being sent even to who asks for it by hand; it follows once that is over."""
NEVER: Final = {
    Verdict.UNDER_WAY: ("device is being updated already", "devices are being updated already"),
    Verdict.END_USERS: (
        "device is left to its person: App Settings let the people decide on updates",
        "devices are left to their people: App Settings let the people decide on updates",
    ),
}


@dataclass(frozen=True, slots=True)
class ByHand:
    """How many of the devices that are behind an update by hand reaches at once, and what keeps the others."""

    reached: int
    later: int
    sentences: tuple[str, ...]

    @classmethod
    def of(cls, numbers: Mapping[Verdict, int]) -> Self:
        """Return what asking for an update does where rulings are distributed so."""
        later = sum(numbers.get(one, 0) for one in LATER)
        reached = sum(numbers.values()) - later - sum(numbers.get(one, 0) for one in NEVER)
        return cls(reached, later, tuple(_sentences(numbers, reached, later)))

    @property
    def is_possible(self) -> bool:
        """Does it do anything at all?"""
        return bool(self.reached or self.later)

    def title(self, what: str) -> str:
        """Return the question that the confirmation page asks; `what` is one app or several."""
        if self.reached:
            return f"Update {what} on {number(self.reached, *DEVICES)} now?"
        return f"Update {what} as soon as that is possible?" if self.later else f"Nothing to update for {what}"


def _sentences(numbers: Mapping[Verdict, int], reached: int, later: int) -> list[str]:
    sentences = []
    if reached:
        sentences.append(
            f"The newest version is sent to {number(reached, *DEVICES)} at once, without waiting for update windows"
            " or pilot groups, and whether or not updates are automatic or a roll-out was stopped."
        )
    if failed := sum(numbers.get(one, 0) for one in FAILED):
        sentences.append(f"On {failed:,} of these devices updating failed before; it is tried again.")
    if later:
        sentences.append(f"Not at once on {number(later, *DEVICES)}: {_told(numbers, LATER)}. There it follows later.")
    sentences += [f"{number(numbers[one], *words)}." for one, words in NEVER.items() if numbers.get(one)]
    return sentences or ["No device is behind the newest version, as far as devices have told."]


def _told(numbers: Mapping[Verdict, int], among: tuple[Verdict, ...]) -> str:
    return ", ".join(f"{numbers[one]:,} {PHRASES[one][numbers[one] > 1]}" for one in among if numbers.get(one))
