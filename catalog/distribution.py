"""Distribute apps, pause, resume and stop: what administrators wish. Carrying it out is reconciling.py's."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet

from catalog.models import Distribution, Installation
from catalog.plan import Verdict


def preview(distributions: Sequence[Distribution]) -> list[Verdict]:
    """Return what would happen to each target of these distributions if they were started now."""
    raise NotImplementedError


def start(submission: UUID, by: User) -> int:
    """Start the drafts of a form; return how many. A second click starts nothing more."""
    raise NotImplementedError


def pause(distribution: Distribution, by: User) -> None:
    """Send nothing more for it; what is on devices stays there with its licenses."""
    raise NotImplementedError


def resume(distribution: Distribution, by: User) -> None:
    """Go on with a paused distribution."""
    raise NotImplementedError


def stop(distribution: Distribution, by: User) -> None:
    """End a distribution: its targets lose their claim, and the policies of the app say what follows."""
    raise NotImplementedError


def stop_for(installations: QuerySet[Installation], by: User) -> int:
    """Stop for chosen devices only: they are excluded from the distributions that include them. Return how many."""
    raise NotImplementedError


def retry(installations: QuerySet[Installation], by: User) -> int:
    """Try failed installations again now; return how many."""
    raise NotImplementedError


def request(installations: QuerySet[Installation], by: User) -> int:
    """Install what is offered on demand; return how many."""
    raise NotImplementedError
