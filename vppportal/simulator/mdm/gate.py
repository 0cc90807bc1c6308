"""Whether the MDM server can be reached at all."""

from __future__ import annotations

from collections.abc import Callable

MODES = ("refused", "503")


class Gate:
    """Open as a rule; shut on order, so that connections are refused or answered with a 503."""

    def __init__(self) -> None:
        self.mode = ""
        # Set by whoever listens: ends the listening, and begins it again.
        self.close_port: Callable[[], None] = lambda: None
        self.open_port: Callable[[], None] = lambda: None

    @property
    def is_shut(self) -> bool:
        """Whether nobody gets through, devices included."""
        return bool(self.mode)

    def shut(self, mode: str) -> None:
        """Let nobody through."""
        if mode not in MODES:
            raise ValueError(f"the modes are {', '.join(MODES)}")
        self.open()
        self.mode = mode
        if mode == "refused":
            self.close_port()

    def open(self) -> None:
        """Let everybody through again."""
        was, self.mode = self.mode, ""
        if was == "refused":
            self.open_port()
