"""Imports: the rows that bring a CSV file of groups, people or devices in, and what became of its lines."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from vppportal.work import OPEN_STATES, Work, WorkQuerySet, WorkState


class ImportKind(models.TextChoices):
    """What a file lists."""

    GROUPS = "groups", "User groups"
    PEOPLE = "people", "People"
    DEVICES = "devices", "Devices"


class ImportPhase(models.TextChoices):
    """The steps of an import, in their order; somebody decides after the first."""

    COMPARING = "comparing", "Comparing with what is there"
    REVIEW = "review", "Waits for your decision"
    STORING = "storing", "Importing"
    FINISHED = "finished", "Imported"


class ImportQuerySet(WorkQuerySet["Import"]):
    """Imports as rows of work."""


class Import(Work):
    """One file on its way in: the work, its progress bar, its preview and, afterwards, its record.

    The counts are those of the phase: what would happen, then what happened.
    """

    kind = models.CharField(max_length=8, choices=ImportKind)
    file_name = models.CharField(max_length=250)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    replaces_groups = models.BooleanField(default=False)
    makes_groups = models.BooleanField(default=False, help_text="May whoever asked for it add user groups?")
    encoding = models.CharField(max_length=20)
    separator = models.CharField(max_length=10)
    header = models.JSONField(default=list, help_text="The first line's cells.")
    ignored = models.JSONField(default=list, help_text="Columns that say nothing to us.")

    phase = models.CharField(max_length=10, choices=ImportPhase, default=ImportPhase.COMPARING)
    phase_started_at = models.DateTimeField(null=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField()
    new = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    same = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    changes = models.JSONField(default=dict, help_text="How many rows change each column.")
    new_groups = models.JSONField(default=dict, help_text="How many user groups are made, and the names of the first.")

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state__in=OPEN_STATES), name="open_imports")]

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("import", args=[self.pk])

    @property
    def status(self) -> str:
        """Where it stands, for people: failed, under way, waiting for a decision, or done."""
        if self.state == WorkState.FAILED:
            return "failed"
        if self.is_open:
            return "running"
        return "review" if self.phase == ImportPhase.REVIEW else "done"

    def get_status_display(self) -> str:
        """Return the words for where it stands."""
        return "Failed" if self.state == WorkState.FAILED else self.get_phase_display()

    @property
    def is_in_review(self) -> bool:
        """Does it wait for somebody to look at the preview?"""
        return self.phase == ImportPhase.REVIEW and self.state == WorkState.DONE

    @property
    def is_finished(self) -> bool:
        """Did the file go in?"""
        return self.phase == ImportPhase.FINISHED

    @property
    def would_change(self) -> int:
        """How many rows are new or changed."""
        return self.new + self.changed


class ImportFile(models.Model):
    """The compressed content of a file; it goes when the import is over."""

    job = models.OneToOneField(Import, models.CASCADE, primary_key=True, related_name="file")
    content = models.BinaryField()

    def __str__(self) -> str:
        return f"File of {self.job}"


class RowOutcome(models.TextChoices):
    """What becomes of a line of a file."""

    NEW = "new", "New"
    CHANGED = "changed", "Changed"
    SAME = "same", "The same"
    BAD = "bad", "Not taken"


class ImportedRow(models.Model):
    """A line of a file that is kept to be shown: every one that is not taken, the first ones of the others."""

    job = models.ForeignKey(Import, models.CASCADE, related_name="rows")
    line = models.PositiveIntegerField()
    outcome = models.CharField(max_length=8, choices=RowOutcome)
    key = models.CharField(max_length=254, blank=True)
    cells = models.JSONField(default=list, help_text="As they stand in the file; kept for lines that are not taken.")
    changes = models.JSONField(default=list, help_text="Column, value before, value after.")
    errors = models.JSONField(default=list, help_text="Column, value, sentence.")

    class Meta:
        ordering = ["line"]
        constraints = [models.UniqueConstraint(fields=["job", "line"], name="one_row_of_a_line")]
        indexes = [models.Index(fields=["job", "outcome", "line"], name="rows_of_an_outcome")]

    def __str__(self) -> str:
        return f"Line {self.line}"
