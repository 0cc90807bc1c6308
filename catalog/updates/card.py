"""What an app's page shows of its updates, and refreshes while something is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from catalog.models import App, CatalogSettings, RolloutDecision, UpdateMode
from catalog.updates.facts import summary
from catalog.updates.forms import DOES_NOT_COUNT
from catalog.updates.gathering import gather
from catalog.updates.rule import Verdict, held_by_pilot
from catalog.updates.window_words import in_words
from tokens.models import Listing

VERSIONS_SHOWN: Final = 20
LONGEST_WAIT: Final = timedelta(minutes=10)
MOVING: Final = frozenset({Verdict.UNDER_WAY, Verdict.NOW})
PILOT: Final = frozenset({Verdict.PILOT, Verdict.PILOT_STOPPED})
HELD: Final = PILOT | {Verdict.HALTED}
STOPPABLE: Final = PILOT | MOVING | {Verdict.WINDOW, Verdict.RETRY}


def card(app: App) -> dict[str, Any]:
    """Return what the card shows; a constant number of queries."""
    told = summary(app)
    mode = CatalogSettings.load().update_mode
    decided = {verdict for verdict, _words, _number in told.by_verdict}
    is_halted = told.rollout is not None and told.rollout.decision == RolloutDecision.HALTED
    is_being_checked = _is_due(app.listing)
    return {
        "app": app,
        "listing": app.listing,
        "updates": told,
        "behind": sum(number for *_, number in told.by_verdict),
        "is_being_checked": is_being_checked,
        "is_moving": is_being_checked or bool(decided & MOVING),
        "is_halted": is_halted,
        "may_halt": mode == UpdateMode.ADMINISTRATORS and not is_halted and bool(decided & STOPPABLE),
        "may_release": is_halted or bool(decided & HELD),
        "why_not": DOES_NOT_COUNT.get(UpdateMode(mode), ""),
        "pilot_words": _pilot_words(app) if decided & PILOT else "",
        "window_words": in_words(app.update_window) if app.update_window else "",
        "versions": app.listing.versions.all()[:VERSIONS_SHOWN],
    }


def _pilot_words(app: App) -> str:
    """Return how far the pilot is, and until when the other devices wait for it."""
    facts = gather([app.pk], owners=())
    held = held_by_pilot(facts.rules[app.pk], facts.zone, timezone.now())
    return held.words if held else ""


def _is_due(listing: Listing) -> bool:
    """Is the App Store about to be asked? A listing that is due for long is one that no usable token can look up."""
    now = timezone.now()
    return listing.is_open and now - LONGEST_WAIT < listing.next_attempt_at <= now
