"""The pages that take a CSV file, show what it would change, bring it in, and list past imports."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from vppportal.groups import importing, tasks
from vppportal.groups.cells import KINDS
from vppportal.groups.csvfile import ENCODINGS, LARGEST, NOTHING, SEPARATORS, Unreadable
from vppportal.groups.forms import ImportForm
from vppportal.groups.import_tables import ImportFilter, ImportTable, RowFilter, RowTable
from vppportal.groups.models import Import, ImportKind, RowOutcome
from vppportal.lists import FORMULA_STARTS, Empty, Listed
from vppportal.uploads import takes_uploads
from vppportal.wording import number
from vppportal.work import WorkState, nudge

LONGEST_BODY = LARGEST + 16 * 1024 * 1024
"""A file somewhat too large still gets its sentence."""


def upload(kind: ImportKind) -> Callable[..., HttpResponse]:
    """Return the page that takes a file of this kind."""
    spec = KINDS[kind]

    @takes_uploads(LONGEST_BODY, *spec.permissions)
    @permission_required(spec.permissions, raise_exception=True)
    def page(request: HttpRequest) -> HttpResponse:
        is_sent = request.method == "POST"
        form = ImportForm(kind, request.POST, request.FILES) if is_sent else ImportForm(kind)
        if is_sent and form.is_valid():
            job = _asked(kind, form, by=cast(User, request.user))
            if job is not None:
                nudge(tasks.carry_out_import, job.pk)
                return redirect(job)
        context = {"form": form, "kind": kind, "spec": spec}
        return render(request, "groups/import_upload.html", context, status=422 if is_sent else 200)

    return page


def _asked(kind: ImportKind, form: ImportForm, *, by: User) -> Import | None:
    """Keep the file; None where nothing can be taken from it, which the form then says."""
    file = form.cleaned_data["file"]
    replaces = form.cleaned_data.get("replaces_groups", False)
    try:
        return importing.ask(kind, file.read(), file.name, by=by, replaces_groups=replaces)
    except Unreadable as unreadable:
        form.add_error("file", str(unreadable))
        return None


def imports(request: HttpRequest) -> HttpResponseBase:
    """List the imports of the kinds the viewer may import."""
    kinds = [kind for kind, spec in KINDS.items() if request.user.has_perms(spec.permissions)]
    if not kinds:
        raise PermissionDenied
    rows = Import.objects.filter(kind__in=kinds).select_related("requested_by")
    listed = Listed(
        request,
        ImportTable,
        ImportFilter,
        rows,
        empty=Empty("Nothing was imported yet", "Open a list and choose “Import”.", icon="upload"),
        file_name="imports",
        working="A file is being read." if rows.open().exists() else "",
    )
    return listed.page_or_part(title="Imports")


def imported(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show how far an import is, what it would change, or what it changed."""
    job = _import(request, pk)
    if request.GET.get("export") == "not-taken":
        return _not_taken(job)
    context: dict[str, Any] = {
        "job": job,
        "spec": KINDS[ImportKind(job.kind)],
        "encoding": ENCODINGS[job.encoding],
        "separator": SEPARATORS[job.separator],
    }
    if not job.is_open:
        empty = Empty("No line", "The file has a first line and nothing below it.", icon="file-earmark")
        listed = Listed(request, RowTable, RowFilter, job.rows.all(), empty=empty, file_name=f"import-{job.pk}")
        part = listed.answer()
        if part is not None:
            return part
        listed.table.columns["key"].column.verbose_name = KINDS[ImportKind(job.kind)].key.label
        title, sentences = _verdict(job)
        context |= {
            "list": listed,
            "verdict": title,
            "sentences": sentences,
            "outcomes": [(outcome, getattr(job, outcome.value)) for outcome in RowOutcome],
            "shown": importing.SHOWN,
        }
    is_part = request.headers.get("HX-Target") == "import"
    return render(request, "groups/_import.html" if is_part else "groups/import.html", context)


@require_POST
def import_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Bring in what the preview shows."""
    job = _import(request, pk)
    if importing.start(job, request.user):
        nudge(tasks.carry_out_import, job.pk)
    else:
        messages.info(request, "This was decided already.")
    return redirect(job)


@require_POST
def import_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a file without importing it."""
    job = _import(request, pk)
    if not importing.discard(job):
        messages.info(request, "This was decided already.")
        return redirect(job)
    messages.success(request, f"“{job}” was not imported and is forgotten.")
    return redirect(job.kind)


def _not_taken(job: Import) -> StreamingHttpResponse:
    """Return the lines that are not taken as they stand in the file, each with the reasons in a column of its own."""
    return StreamingHttpResponse(
        _bad_lines(job),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="not-taken-{job.kind}-{job.pk}.csv"'},
    )


def _bad_lines(job: Import) -> Iterator[str]:
    writer = csv.writer(_Line())
    width = len(job.header)
    yield "\ufeff" + writer.writerow([*map(_harmless, job.header), "error"])
    for row in job.rows.filter(outcome=RowOutcome.BAD).iterator(chunk_size=500):
        cells = [*map(_harmless, row.cells), *[""] * (width - len(row.cells))]
        reasons = " ".join(f"{column}: {sentence}" if column else sentence for column, _, sentence in row.errors)
        yield writer.writerow([*cells[:width], f"Line {row.line}. {reasons}", *cells[width:]])


class _Line:
    """Hands a written CSV line back instead of storing it."""

    def write(self, line: str) -> str:
        return line


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula and that means to us what it meant before."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) and cell != NOTHING else cell


def _verdict(job: Import) -> tuple[str, list[str]]:
    """Return what an import would change or has changed: a title and sentences."""
    spec = KINDS[ImportKind(job.kind)]
    if job.state == WorkState.FAILED:
        return "The import failed", [job.last_error]
    if not job.would_change:
        why = "Everything in it is so already." if job.same else "There is no line in it that could be taken."
        return "Nothing changed" if job.is_finished else "Importing this file would change nothing", [why]
    be = "" if job.is_finished else "will be "
    sentences = []
    if job.new:
        sentences.append(f"{number(job.new, spec.one, spec.many)} {be}added.")
    if job.changed:
        columns = ", ".join(f"{column} ({count:,})" for column, count in job.changes.items())
        sentences.append(f"{number(job.changed, spec.one, spec.many)} {be}changed: {columns}.")
    sentences += _groups(job, be)
    if job.bad:
        sentences.append(f"{number(job.bad, 'line', 'lines')} of the file cannot be taken, for the reasons below.")
    return "Imported" if job.is_finished else "What importing this file would change", sentences


def _groups(job: Import, be: str) -> list[str]:
    """Return the sentence about user groups that are made on the way, if any."""
    count, names = job.new_groups.get("count", 0), job.new_groups.get("names", [])
    if not count:
        return []
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return [f"{number(count, 'user group', 'user groups')} {be}made: {', '.join(names)}{more}."]


def _import(request: HttpRequest, pk: int) -> Import:
    job = get_object_or_404(Import.objects.select_related("requested_by"), pk=pk)
    if not request.user.has_perms(KINDS[ImportKind(job.kind)].permissions):
        raise PermissionDenied
    return job
