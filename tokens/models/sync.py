"""Syncs: the rows that bring a token's mirror level with Apple."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from tokens.models.token import ContentToken
from vppportal.work import OPEN_STATES, Work, WorkQuerySet


class SyncReason(models.TextChoices):
    """Why a sync was asked for."""

    UPLOAD = "upload", "Token added"
    RENEWAL = "renewal", "Token renewed"
    MANUAL = "manual", "Asked for"
    SCHEDULE = "schedule", "Timetable"
    NOTIFIED = "notified", "Apple told of changes"
    MISSED = "missed", "Devices did not find licenses"


class SyncPhase(models.TextChoices):
    """The steps of a sync, in their order."""

    CLAIM = "claim", "Claiming the location"
    ASSETS = "assets", "Reading licenses"
    LISTINGS = "listings", "Looking up apps"
    USERS = "users", "Reading users"
    ASSIGNMENTS = "assignments", "Reading assignments"
    FINISHED = "finished", "Finished"


class SyncRunQuerySet(WorkQuerySet["SyncRun"]):
    """Syncs as rows of work."""


class SyncRun(Work):
    """One sync of one token: the work, its progress bar and, afterwards, its record."""

    token = models.ForeignKey(ContentToken, models.CASCADE, related_name="sync_runs")
    reason = models.CharField(max_length=10, choices=SyncReason)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    phase = models.CharField(max_length=12, choices=SyncPhase, default=SyncPhase.CLAIM)
    phase_started_at = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    message = models.CharField(max_length=250, blank=True, default="")
    changes = models.JSONField(default=dict, help_text="How many rows each phase added, changed and removed.")

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["token"], condition=Q(state__in=OPEN_STATES), name="one_open_sync_of_a_token"
            ),
        ]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_syncs")]

    def __str__(self) -> str:
        return f"Sync {self.pk} of {self.token}"
