"""Installed apps that are kept current: the rule, update windows, the pass that sends updates, and the pages.

The rule itself is this package's face: facts in, `verdict()` says what is done about an installation, and why.
"""

from __future__ import annotations

from catalog.updates.rule import Pilot, Rules, Ruling, Standing, Verdict, held_by_pilot, is_comparable, verdict

__all__ = ["Pilot", "Rules", "Ruling", "Standing", "Verdict", "held_by_pilot", "is_comparable", "verdict"]
