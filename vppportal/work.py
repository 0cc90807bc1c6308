"""The one way rows are worked on: a row says what is to be done, who claims it does it, only the holder may write.

The database owns the work. A broker message is a nudge: it may be lost, doubled or late. A worker claims rows (with row
locks on PostgreSQL, in an IMMEDIATE transaction on SQLite), gets a lease and the next epoch, and every later write
carries that epoch in its WHERE. A worker paused past its lease therefore writes nothing: `LeaseLost` ends it.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

import structlog
from celery import Task, current_app
from django.db import models, transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Somebody else holds this row now: stop without writing."""


class WorkState(models.TextChoices):
    """Where a row of work stands."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


OPEN_STATES = (WorkState.WAITING, WorkState.RUNNING)


class Work(models.Model):
    """A row that somebody has to work on; mixed into the models that are such rows."""

    lease: ClassVar[timedelta] = timedelta(seconds=90)
    max_deaths: ClassVar[int] = 5

    state = models.CharField(max_length=8, choices=WorkState, default=WorkState.WAITING, editable=False)
    epoch = models.PositiveIntegerField(default=0, editable=False)
    attempt = models.PositiveIntegerField(default=0, editable=False)
    deaths = models.PositiveIntegerField(
        default=0, editable=False, help_text="Workers in a row that took it and never answered."
    )
    next_attempt_at = models.DateTimeField(default=timezone.now, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)

    class Meta:
        abstract = True

    @property
    def is_poison(self) -> bool:
        """Did this row take so many workers down that it must not be tried again?"""
        return self.deaths >= self.max_deaths

    @property
    def is_open(self) -> bool:
        """Is there still something to do?"""
        return self.state in OPEN_STATES

    @property
    def is_put_off(self) -> bool:
        """Does it wait for a time to come?"""
        return self.state == WorkState.WAITING and self.next_attempt_at > timezone.now()

    def renew(self, **fields: Any) -> None:
        """Prolong the lease, and store `fields` (progress) with it; raises LeaseLost.

        Inside a transaction this is also the fence: on PostgreSQL the row stays locked until the commit, so what is
        written beside it is written by the holder or not at all.
        """
        self._write(lease_until=timezone.now() + self.lease, **fields)

    def finish(self, **fields: Any) -> None:
        """The work is done; raises LeaseLost."""
        self._write(state=WorkState.DONE, lease_until=None, last_error="", **fields)

    def fail(self, error: str, **fields: Any) -> None:
        """The work cannot be done and is not tried again by itself; raises LeaseLost."""
        self._write(state=WorkState.FAILED, lease_until=None, last_error=error, **fields)

    def postpone(self, error: str, delay: timedelta, **fields: Any) -> None:
        """Let go of the row and let it become due again after `delay`; raises LeaseLost."""
        self._write(
            state=WorkState.WAITING,
            lease_until=None,
            deaths=0,
            last_error=error,
            next_attempt_at=timezone.now() + delay,
            **fields,
        )

    def _write(self, **fields: Any) -> None:
        held = type(self)._default_manager.filter(pk=self.pk, epoch=self.epoch, state=WorkState.RUNNING)
        if not held.update(**fields):
            raise LeaseLost(f"{self._meta.label} {self.pk} is no longer held in epoch {self.epoch}")
        for name, value in fields.items():
            setattr(self, name, value)


M = TypeVar("M", bound=Work)


class WorkQuerySet(models.QuerySet[M]):
    """Questions about rows of work, and the claim."""

    def open(self) -> Self:
        """Rows that are neither done nor failed."""
        return self.filter(state__in=OPEN_STATES)

    def due(self) -> Self:
        """Open rows whose time has come and which nobody holds."""
        now = timezone.now()
        return self.open().filter(next_attempt_at__lte=now).filter(Q(lease_until=None) | Q(lease_until__lt=now))

    def still_held(self, rows: Collection[M]) -> list[M]:
        """Return those of the claimed `rows` that nobody else has taken meanwhile; they stay so until the commit.

        The fence for writing many rows at once: call it in the transaction that writes them.
        """
        running = self.filter(pk__in=[row.pk for row in rows], state=WorkState.RUNNING).order_by("pk")
        epochs = dict(running.select_for_update(of=("self",)).values_list("pk", "epoch"))
        return [row for row in rows if epochs.get(row.pk) == row.epoch]

    def claim(self, limit: int) -> list[M]:
        """Take up to `limit` due rows, the longest waiting first; each row goes to one caller only."""
        with transaction.atomic():
            rows = list(
                self.due().order_by("next_attempt_at", "pk").select_for_update(skip_locked=True, of=("self",))[:limit]
            )
            until = timezone.now() + self.model.lease
            self.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(
                deaths=F("deaths") + Case(When(state=WorkState.RUNNING, then=1), default=0),
                state=WorkState.RUNNING,
                epoch=F("epoch") + 1,
                attempt=F("attempt") + 1,
                lease_until=until,
            )
            for row in rows:
                row.deaths += row.state == WorkState.RUNNING
                row.state, row.epoch, row.attempt, row.lease_until = (
                    WorkState.RUNNING,
                    row.epoch + 1,
                    row.attempt + 1,
                    until,
                )
        return rows


def nudge(task: Task[Any, Any] | str, *args: int, after: timedelta = timedelta()) -> None:
    """Ask a worker to look once the transaction is committed, and `after` (less than a minute) has passed.

    A broker that cannot be reached costs time, not work: the sweeper finds the same row by itself. A task may be given
    by its name where its module cannot be imported, because it stands above.
    """
    transaction.on_commit(lambda: _send(task, args, after.total_seconds()))


def _send(task: Task[Any, Any] | str, args: tuple[int, ...], seconds: float) -> None:
    timing: dict[str, Any] = {"countdown": seconds} if seconds > 0 else {}
    name = task if isinstance(task, str) else task.name
    try:
        if isinstance(task, str):
            current_app.send_task(task, args, **timing)
        else:
            task.apply_async(args, **timing)
    except OperationalError as error:
        log.warning("broker_unreachable", task=name, error=type(error).__name__)


def backoff(attempt: int, *, first: float = 15, longest: float = 3600) -> timedelta:
    """Return the growing pause before the next try: 15 s, 30 s, 1 min ... up to an hour, and up to a fifth more.

    Without that fifth, all who failed together would come back together.
    """
    pause = min(longest, first * 2 ** min(max(attempt - 1, 0), 20))
    return timedelta(seconds=pause * random.uniform(1, 1.2))  # noqa: S311  (spreads load, guards nothing)
