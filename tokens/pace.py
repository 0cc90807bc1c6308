"""How fast one location may be asked: a rate shared by all processes, and a pause when Apple asks for one."""

from __future__ import annotations

from typing import Protocol


class OnHold(Exception):
    """The location must not be asked for another `seconds`, which is too long to sleep in a worker."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"on hold for another {seconds:.0f} s")
        self.seconds = seconds


class Pace(Protocol):
    """Anything that can make callers take turns."""

    def wait(self, key: str, per_second: float) -> None:
        """Return when it is the caller's turn; raise `OnHold` when that takes longer than a few seconds."""

    def hold(self, key: str, seconds: float) -> None:
        """Let nobody ask before that many seconds have passed."""


class NoPace:
    """No rate at all, for tests and benchmarks."""

    def wait(self, key: str, per_second: float) -> None:
        """Return at once."""

    def hold(self, key: str, seconds: float) -> None:
        """Forget it."""
