"""Import a CSV file: keep it, say what it would change, and bring it in when somebody says so.

Comparing and importing are the same walk over the file, without and with writing. Each batch is stored with the
number of lines done, so a worker that takes over goes on where the last one got to.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from vppportal.activity.models import record
from vppportal.groups.cells import KINDS, Kind, Line, Problem, understand
from vppportal.groups.csvfile import Source, examine
from vppportal.groups.merging import BATCH, Judged, Merger
from vppportal.groups.models import Import, ImportedRow, ImportFile, ImportKind, ImportPhase, RowOutcome
from vppportal.work import OPEN_STATES, WorkState

SHOWN: Final = 200
"""So many rows of each outcome are kept to be looked at, and all that are not taken."""
KEPT: Final = timedelta(days=90)
NAMED_GROUPS: Final = 30
NO_COUNTS: Final[dict[str, Any]] = {
    "done": 0, "new": 0, "changed": 0, "same": 0, "bad": 0, "changes": {}, "new_groups": {},
}  # fmt: skip
By = AbstractBaseUser | AnonymousUser | None


def ask(
    kind: ImportKind, content: bytes, file_name: str, *, by: By, replaces_groups: bool = False, **fields: Any
) -> Import:
    """Keep a file to be compared; raise Unreadable with a sentence where nothing can be taken from it."""
    spec = KINDS[kind]
    source = examine(content, spec.columns, spec.key)
    with transaction.atomic():
        job = Import.objects.create(
            kind=kind,
            file_name=_fit(file_name)[:250],
            requested_by_id=by.pk if by else None,
            replaces_groups=replaces_groups,
            makes_groups=by is None or by.has_perm("groups.add_usergroup"),  # type: ignore[union-attr]
            encoding=source.encoding,
            separator=source.separator,
            header=[_fit(heading) for heading in source.header],
            ignored=[_fit(heading)[:60] for heading in source.ignored],
            total=source.count(),
            **fields,
        )
        ImportFile.objects.create(job=job, content=zlib.compress(content))
    return job


def load(kind: ImportKind, file: Path | bytes, by: By = None) -> Import:
    """Import a file here and now, without a preview; raise Unreadable where nothing can be taken from it."""
    content, name = (file, f"{kind}.csv") if isinstance(file, bytes) else (file.read_bytes(), file.name)
    held: dict[str, Any] = {"state": WorkState.RUNNING, "epoch": 1, "lease_until": timezone.now() + Import.lease}
    job = ask(kind, content, name, by=by, phase=ImportPhase.STORING, **held)
    carry_out(job)
    return job


def start(job: Import, by: By) -> bool:
    """Ask for what the preview shows; return False where somebody else has decided already."""
    waiting = Import.objects.filter(pk=job.pk, phase=ImportPhase.REVIEW, state=WorkState.DONE)
    now = timezone.now()
    asked = {"requested_by_id": by.pk if by else None, "finished_at": None, "next_attempt_at": now, "attempt": 0}
    return bool(waiting.update(phase=ImportPhase.STORING, state=WorkState.WAITING, deaths=0, **asked, **NO_COUNTS))


def discard(job: Import) -> bool:
    """Forget a file that is not to be imported; return False where somebody else has decided already."""
    with transaction.atomic():
        undecided = Import.objects.filter(pk=job.pk, phase__in=[ImportPhase.COMPARING, ImportPhase.REVIEW])
        found = undecided.exclude(state__in=OPEN_STATES).select_for_update().first()
        if found:
            found.delete()
    return found is not None


def forget_old() -> None:
    """Delete imports of more than 90 days ago, with their rows."""
    Import.objects.exclude(state__in=OPEN_STATES).filter(created_at__lt=timezone.now() - KEPT).delete()


def carry_out(job: Import) -> None:
    """Compare or import the file of a claimed job; raises LeaseLost when another worker has taken it."""
    now = timezone.now()
    if job.is_poison:
        job.fail("This ended without an answer several times and is not tried again.", finished_at=now)
        return
    is_storing = job.phase == ImportPhase.STORING
    if not is_storing or not job.done:
        with transaction.atomic():
            job.renew(**NO_COUNTS, started_at=job.started_at or now)
            job.rows.all().delete()
    job.renew(phase_started_at=now)
    _walk(job, writes=is_storing)
    if is_storing:
        _finish(job)
    else:
        job.finish(phase=ImportPhase.REVIEW, finished_at=timezone.now())


def _walk(job: Import, *, writes: bool) -> None:
    kind = KINDS[ImportKind(job.kind)]
    source = examine(zlib.decompress(job.file.content), kind.columns, kind.key)
    merger = Merger(kind, writes=writes, replaces_groups=job.replaces_groups, makes_groups=job.makes_groups)
    lines = _lines(kind, source)
    for _ in islice(lines, job.done):
        pass
    while batch := list(islice(lines, BATCH)):
        with transaction.atomic():
            _note(job, merger, merger.merge(batch))


def _lines(kind: Kind, source: Source) -> Iterator[Line]:
    """Yield what each line says; of lines with one key the first good one counts."""
    places = kind.reader(source)
    first: dict[str, int] = {}
    for one in source.records():
        line = understand(kind, places, one, len(source.header))
        if not line.problems:
            before = first.setdefault(line.fold, one.line)
            if before != one.line:
                line.problems.append(Problem(kind.key.label, line.key, f"This is in line {before:,} already."))
        yield line


def _note(job: Import, merger: Merger, judged: list[Judged]) -> None:
    """Store how far the job is and the rows to be shown; this is also the fence: a job that was lost writes nothing."""
    counts = {outcome: getattr(job, outcome) for outcome in RowOutcome.values}
    changes = Counter(job.changes)
    kept = []
    for one in judged:
        counts[one.outcome] += 1
        if one.outcome == RowOutcome.CHANGED:
            changes.update(column for column, _, _ in one.changes)
        if one.outcome == RowOutcome.BAD or counts[one.outcome] <= SHOWN:
            kept.append(_kept(job, one))
    ImportedRow.objects.bulk_create(kept)
    job.renew(done=job.done + len(judged), changes=changes, new_groups=_new_groups(job, merger), **counts)


def _kept(job: Import, judged: Judged) -> ImportedRow:
    line = judged.line
    is_bad = judged.outcome == RowOutcome.BAD
    return ImportedRow(
        job=job,
        line=line.record.line,
        outcome=judged.outcome,
        key=line.key,
        cells=[_storable(cell) for cell in line.record.cells] if is_bad else [],
        changes=judged.changes,
        errors=[(problem.column, _storable(problem.value), problem.sentence) for problem in line.problems],
    )


def _new_groups(job: Import, merger: Merger) -> dict[str, Any]:
    """Add the groups that were made since the last note to those noted."""
    made = list(merger.made.values())
    merger.made.clear()
    noted = job.new_groups or {"count": 0, "names": []}
    names = [*noted["names"], *made][:NAMED_GROUPS]
    return {"count": noted["count"] + len(made), "names": names}


def _finish(job: Import) -> None:
    counts = {outcome: getattr(job, outcome) for outcome in RowOutcome.values}
    with transaction.atomic():
        job.finish(phase=ImportPhase.FINISHED, finished_at=timezone.now())
        ImportFile.objects.filter(job=job).delete()
        record(job.requested_by, f"imported {KINDS[ImportKind(job.kind)].many} from", job, **counts)


def _fit(text: str) -> str:
    """Return a name with what can be stored and shown of it."""
    return "".join(filter(str.isprintable, text))


def _storable(text: str) -> str:
    """Return a cell as it stands, but for NUL, which PostgreSQL stores in no way."""
    return text.replace("\0", "\ufffd")
