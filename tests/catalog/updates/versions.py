"""Apps with a newest version, and devices that have it or an older one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from catalog.models import App, Installation, UpdateState
from tests.factories import AppFactory, InstallationFactory

OLD, NEW = 100, 200


def released(**facts: Any) -> App:
    """Return an app whose version 2.4.1 was seen three hours ago."""
    listing = {
        "listing__name": "Fieldnote",
        "listing__version": "2.4.1",
        "listing__external_version_id": NEW,
        "listing__version_seen_at": timezone.now() - timedelta(hours=3),
    }
    app: App = AppFactory(**{**listing, **facts})
    return app


def behind(app: App, **facts: Any) -> Installation:
    """Return a device that has version 2.3.0 of the app."""
    row: Installation = InstallationFactory(
        app=app, installed=True, **{"version": "2.3.0", "external_version_id": OLD, **facts}
    )
    return row


def current(app: App, **facts: Any) -> Installation:
    """Return a device that has the newest version."""
    return behind(app, version="2.4.1", external_version_id=NEW, **facts)


def gave_up(app: App, **facts: Any) -> Installation:
    """Return a device on which updating failed for good."""
    failed = {"update_state": UpdateState.FAILED, "update_to": NEW, "update_tries": 3}
    return behind(app, **{**failed, "update_details": "The storage is full.", **facts})


def on_the_way(app: App, **facts: Any) -> Installation:
    """Return a device that is being updated."""
    return behind(app, update_state=UpdateState.UNDER_WAY, update_to=NEW, **facts)
