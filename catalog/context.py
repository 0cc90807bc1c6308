"""What every page may say of the catalog."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from django.contrib.auth.models import User
from django.http import HttpRequest

from catalog.approval.approvers import APPROVES, waiting_for


def approvals(request: HttpRequest) -> dict[str, Any]:
    """Return how many apps wait for the viewer: one query for a page that says it, none for others."""
    user = request.user if hasattr(request, "user") else None
    if user is None or not user.has_perm(APPROVES):
        return {"waiting_for_me": 0}
    return {"waiting_for_me": cache(lambda: waiting_for(cast(User, user)).count())}
