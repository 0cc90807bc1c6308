"""What administrators decide about updates: windows and the rules of each app. What follows is looked at at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from catalog.models import App, UpdateWindow
from catalog.updates import rollouts
from catalog.updates.window_words import in_words
from tokens import listings
from tokens.many import Keys
from tokens.queue import PROPAGATE
from vppportal.activity.models import Actor, record, record_each
from vppportal.work import nudge


def keep_window(form: forms.ModelForm[Any], by: Actor) -> UpdateWindow | None:
    """Store the window a valid form holds.

    Return None where somebody stored one of the same name a moment ago; the form then says so.
    """
    verb = "added the update window" if form.instance._state.adding else "changed the update window"
    try:
        with transaction.atomic():
            window: UpdateWindow = form.save()
            record(by, verb, window, opens=in_words(window))
            nudge(PROPAGATE)
    except IntegrityError:
        form.full_clean()
        return None
    return window


def remove_window(window: UpdateWindow, by: Actor) -> bool:
    """Delete a window that no app uses; return False where one does. Apps that are being deleted do without it."""
    try:
        with transaction.atomic():
            window.apps.exclude(deleted_at=None).update(update_window=None)
            record(by, "deleted the update window", window)
            window.delete()
    except (ProtectedError, IntegrityError):
        return False
    return True


def check(app: App, by: Actor) -> bool:
    """Have the App Store asked about an app now; return False where that is being done at this moment."""
    with transaction.atomic():
        asked = listings.check_now([app.adam_id])
        if asked:
            record(by, "asked the App Store about", app)
    return bool(asked)


def store(app: App, changed: list[str], by: Actor) -> None:
    """Store the changed rules of an app."""
    if not changed:
        return
    with transaction.atomic():
        app.save(update_fields=changed)
        if "pilot_group" in changed:
            rollouts.begin_pilot_anew(app)
        record(by, "changed the update rules of", app, fields=changed)
        nudge(PROPAGATE)


def store_for(apps: QuerySet[App], rules: dict[str, Any], by: Actor) -> int:
    """Give many apps the same rules; return how many are kept."""
    with transaction.atomic():
        rows = list(apps.select_related("listing").order_by("pk").select_for_update(of=("self",), no_key=True))
        App.objects.filter(pk__in=Keys(app.pk for app in rows)).update(**rules)
        record_each(by, "changed the update rules of", rows, fields=sorted(rules))
        nudge(PROPAGATE)
    return len(rows)
