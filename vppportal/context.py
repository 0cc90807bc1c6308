"""What every template may use beside its own context."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return whether a simulator stands in for Apple, which every page then says."""
    return {"is_simulated": settings.SIMULATED}
