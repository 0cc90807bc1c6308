"""The App Settings: who decides on new apps, and who on updates."""

from __future__ import annotations

from django.db import transaction

from catalog.models import CatalogSettings
from tokens.queue import PROPAGATE
from vppportal.activity.models import Actor, record
from vppportal.work import nudge


def store(settings: CatalogSettings, by: Actor) -> None:
    """Store what holds for the apps that are added from now on, and for updates at once."""
    with transaction.atomic():
        settings.save()
        record(
            by,
            "changed",
            settings,
            approval=settings.approval,
            updates=settings.update_mode,
            time_zone=settings.time_zone,
        )
        nudge(PROPAGATE)
