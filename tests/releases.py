"""Apps of which a new version is out, and devices that have the old one, for tests of updates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from catalog.models import App, CatalogSettings, Command, Installation, UpdateState
from catalog.updates import updating
from tests.channel import answer, told
from tests.factories import AppFactory, InstallationFactory, ListingFactory, ManagedUserFactory, UserGroupFactory
from tokens.models import Listing, ListingVersion
from vppportal.groups.models import UserGroup
from vppportal.work import OPEN_STATES

OLD, NEW = 100, 200
BUNDLE_ID = "example.app"


def released(**fields: Any) -> App:
    """Return an app whose version 2.4.1 was seen three hours ago; `listing__...` fields are its listing's."""
    listing = {
        "name": "Fieldnote",
        "bundle_id": BUNDLE_ID,
        "version": "2.4.1",
        "external_version_id": NEW,
        "version_seen_at": timezone.now() - timedelta(hours=3),
    }
    given = {name.removeprefix("listing__"): fields.pop(name) for name in list(fields) if name.startswith("listing__")}
    entry: Listing = ListingFactory(**{**listing, **given})
    ListingVersion.objects.create(listing=entry, external_version_id=OLD, version="2.3.0")
    app: App = AppFactory(listing=entry, **fields)
    return app


def behind(app: App | None = None, **fields: Any) -> Installation:
    """Return a device that told a moment ago that it has version 2.3.0 of the app."""
    told_now = {"external_version_id": OLD, "version": "2.3.0", "confirmed_at": timezone.now()}
    row: Installation = InstallationFactory(app=app or released(), installed=True, **{**told_now, **fields})
    return row


def current(app: App, **fields: Any) -> Installation:
    """Return a device that has the newest version."""
    return behind(app, version="2.4.1", external_version_id=NEW, **fields)


def gave_up(app: App, **fields: Any) -> Installation:
    """Return a device on which updating failed for good."""
    failed = {"update_state": UpdateState.FAILED, "update_to": NEW, "update_tries": 3}
    return behind(app, **{**failed, "update_details": "The storage is full.", **fields})


def on_the_way(app: App, **fields: Any) -> Installation:
    """Return a device that is being updated."""
    return behind(app, update_state=UpdateState.UNDER_WAY, update_to=NEW, **fields)


def begun(app: App | None = None, **fields: Any) -> Command:
    """Return the command that updates an app on a device, as a pass stored it."""
    row = behind(app, **fields)
    updating.propagate()
    return update_of(row)


def update_of(row: Installation) -> Command:
    """Return the update that is open for an installation."""
    return Command.objects.get(installation=row, updates_to__isnull=False, state__in=OPEN_STATES)


def stored(row: Installation | Command) -> Installation:
    """Return an installation, or a command's, as it is stored now."""
    pk = row.pk if isinstance(row, Installation) else row.installation_id or 0
    return Installation.objects.select_related("app__listing", "device").get(pk=pk)


def lists(command: Command, status: str, version: int | None = None, *, at: Any = None) -> None:
    """Let the device of an update answer the list it is asked for."""
    asked = Command.objects.get(device=command.device_id, kind="ManagedApplicationList", state__in=OPEN_STATES)
    entry = {"Status": status} | ({"ExternalVersionIdentifier": version} if version else {})
    told(answer(asked, "Acknowledged", at=at, ManagedApplicationList={BUNDLE_ID: entry} if status else {}))


def portal(**settings: Any) -> None:
    """Set the settings of the App Catalog."""
    CatalogSettings.objects.update_or_create(pk=1, defaults=settings)


def piloted(app: App, number: int = 1) -> tuple[UserGroup, list[Installation]]:
    """Give an app a pilot of 24 hours; return its group and so many installations on its people's devices."""
    group: UserGroup = UserGroupFactory(name=f"IT {app.pk}-{UserGroup.objects.count()}")
    App.objects.filter(pk=app.pk).update(pilot_group=group, pilot_hours=24)
    app.refresh_from_db()
    return group, [behind(app, device__owner=ManagedUserFactory(groups=[group])) for _ in range(number)]
