"""The background work on imports."""

from __future__ import annotations

import structlog
from celery import shared_task

from vppportal.groups import importing
from vppportal.groups.models import Import
from vppportal.work import LeaseLost, nudge

log = structlog.get_logger(__name__)


@shared_task
def carry_out_import(import_id: int) -> None:
    """Compare or import one file. Up to 200,000 lines: a minute."""
    for job in Import.objects.filter(pk=import_id).select_related("requested_by").claim(1):
        try:
            importing.carry_out(job)
        except LeaseLost:
            log.info("import_taken_over", job=import_id)


@shared_task
def sweep() -> None:
    """Find imports that are due, whether or not anybody nudged."""
    for import_id in Import.objects.due().order_by("next_attempt_at").values_list("pk", flat=True)[:50]:
        nudge(carry_out_import, import_id)


@shared_task
def forget_old_imports() -> None:
    """Delete imports of more than 90 days ago."""
    importing.forget_old()
