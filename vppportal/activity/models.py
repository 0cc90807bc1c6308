"""The append-only record of who did what to which object, when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils import timezone

Actor = AbstractBaseUser | AnonymousUser | None
ONE_GO: Final = timedelta(minutes=15)
"""What the portal itself does again and again within this time is one entry that counts up."""


class Entry(models.Model):
    """One thing that was done, written in the transaction of the deed itself; only `count` ever changes one."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField(
        max_length=150, help_text="Kept when the account is gone; “Portal” for the portal itself."
    )
    verb = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40)
    object_id = models.BigIntegerField(null=True)
    object_name = models.CharField(max_length=250)
    details = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = "activity entry"
        verbose_name_plural = "activity entries"
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["object_type", "object_id", "-at"], name="activity_of_object")]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.object_name}"


def record(actor: Actor, verb: str, about: models.Model, **details: Any) -> Entry:
    """Write down that `actor` (None: the portal itself) did `verb` to the object `about`.

    Only what is named in `details` is kept, so a secret can only get in by being named. Call it inside the transaction
    of the deed: either both are stored or neither.
    """
    entry = _entry(actor, verb, about, details)
    entry.save()
    return entry


def record_each(actor: Actor, verb: str, objects: Iterable[models.Model], **details: Any) -> None:
    """Write down the same deed about each of the objects."""
    Entry.objects.bulk_create([_entry(actor, verb, about, details) for about in objects])


def count(verb: str, about: models.Model, **counts: int) -> Entry:
    """Write down that the portal itself did `verb` so many times; an import of thousands in batches is one entry.

    Call it inside the transaction of the deed.
    """
    same = Entry.objects.filter(actor_name="Portal", verb=verb, object_type=about._meta.model_name, object_id=about.pk)
    entry = same.filter(at__gt=timezone.now() - ONE_GO).select_for_update().first()
    if entry is None:
        return record(None, verb, about, **counts)
    entry.details = {name: entry.details.get(name, 0) + number for name, number in counts.items()}
    entry.save(update_fields=["details"])
    return entry


def _entry(actor: Actor, verb: str, about: models.Model, details: dict[str, Any]) -> Entry:
    person = actor if actor is not None and actor.is_authenticated else None
    return Entry(
        actor_id=person.pk if person else None,
        actor_name=person.get_username() if person else "Portal",
        verb=verb,
        object_type=about._meta.model_name or "",
        object_id=about.pk,
        object_name=str(about)[:250],
        details=details,
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
    )
