"""The pages about changes asked of Apple: the list, and one change with what became of each holder."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from tokens.holders import know
from tokens.license_pages import kept_token
from tokens.models import Operation, TargetState
from tokens.operation_tables import OperationFilter, OperationTable, TargetFilter, TargetTable, operation_rows
from vppportal.lists import Empty, Listed

NO_CHANGES = Empty("Nothing was asked of Apple yet", "What the portal changes at this location appears here.", "send")
NO_TARGETS = Empty("Nobody is concerned", "This change names no device and no person.", "people")


@permission_required("tokens.view_contenttoken", raise_exception=True)
def operations(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List the changes asked of Apple at a token's location."""
    token = kept_token(pk)
    listed = Listed(
        request,
        OperationTable,
        OperationFilter,
        operation_rows(token),
        empty=NO_CHANGES,
        file_name="changes-at-apple",
        working="Apple is working on it." if token.operations.open().exists() else "",
    )
    return listed.page_or_part("tokens/operations.html", token=token)


@permission_required("tokens.view_contenttoken", raise_exception=True)
def operation(request: HttpRequest, pk: int, operation_pk: int) -> HttpResponseBase:
    """Show a change asked of Apple: how far it is, and what became of each holder."""
    token, row = kept_token(pk), _operation(pk, operation_pk)
    listed = Listed(
        request,
        TargetTable,
        TargetFilter,
        row.targets.all(),
        empty=NO_TARGETS,
        file_name=f"change-{row.pk}",
        working="Apple is working on it." if row.is_open else "",
        fetch=partial(know, token),
    )
    return listed.page_or_part("tokens/operation.html", token=token, **_progress(row))


@require_GET
@permission_required("tokens.view_contenttoken", raise_exception=True)
def operation_progress(request: HttpRequest, pk: int, operation_pk: int) -> HttpResponse:
    """Answer the page's question how far a change is."""
    token, row = kept_token(pk), _operation(pk, operation_pk)
    return render(request, "tokens/_operation.html", {"token": token, **_progress(row)})


def _operation(pk: int, operation_pk: int) -> Operation:
    return get_object_or_404(operation_rows(kept_token(pk)), pk=operation_pk)


def _progress(row: Operation) -> dict[str, Any]:
    counted = row.targets.order_by().values_list("state").annotate(number=Count("pk"))
    counts = dict(counted.values_list("state", "number"))
    total = sum(counts.values())
    return {
        "operation": row,
        "counts": [(state, counts[state]) for state in TargetState if counts.get(state)],
        "total": total,
        "settled": total - counts.get(TargetState.OPEN, 0),
    }
