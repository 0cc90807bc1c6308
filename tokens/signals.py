"""The one signal of the portal: something was learned from Apple."""

from __future__ import annotations

from dataclasses import dataclass

from django.dispatch import Signal

token_changed = Signal()
"""Sent by tokens' tasks with ``token`` (a ContentToken) and ``changes`` (a Changes), after the commit.

Sent robustly: a receiver that fails is logged and does not end the sync.
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one step of reading a token's location changed in the mirror."""

    phase: str
    added: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)
