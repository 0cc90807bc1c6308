"""The pages about what is distributed: the list, one distribution with its progress, pause, resume and stop."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from catalog import consequences, letters, removal, tasks
from catalog import distribution as verbs
from catalog.audience import AUDIENCE, in_words
from catalog.distribution_tables import DistributionFilter, DistributionTable, distribution_rows, put_numbers_on
from catalog.models import IN_FORCE, Distribution, DistributionState
from catalog.progress import how_far, is_being_planned
from vppportal.activity.models import Entry
from vppportal.chosen import ChosenForm
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number
from vppportal.work import nudge

DISTRIBUTES = "catalog.distribute_app"
HISTORY_SHOWN = 20
NAMED_APPS = 5
NOTHING_YET = Empty(
    "Nothing is distributed yet",
    "Open an app of the catalog and press “Distribute”, or tick several apps in the list. A preview says what would"
    " happen before anything is sent.",
    icon="send",
)


@permission_required("catalog.view_app", raise_exception=True)
def distributions(request: HttpRequest) -> HttpResponseBase:
    """List the distributions, the newest first."""
    stop = Bulk(reverse("distributions-stop"), "Stop", "stop-circle")
    listed = Listed(
        request,
        DistributionTable,
        DistributionFilter,
        distribution_rows(),
        empty=NOTHING_YET,
        file_name="distributions",
        bulk=[stop] if request.user.has_perm(DISTRIBUTES) else (),
        fetch=put_numbers_on,
    )
    return listed.page_or_part(title="Distributions", actions="catalog/_catalog_link.html")


@permission_required("catalog.view_app", raise_exception=True)
def distribution(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a distribution: whom it is for, how far it is, and what was done about it."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    history = Entry.objects.filter(
        object_type="app",
        object_id=row.app_id,
        verb__contains="distribut",
        at__gte=row.started_at or row.created_at,
        at__lte=row.stopped_at or timezone.now(),
    )
    names = {name: list(getattr(row, name).all()[:HISTORY_SHOWN]) for name in AUDIENCE}
    context = {
        "audience": in_words(row),
        "parts": [(_label(name), rows) for name, rows in names.items() if rows],
        "history": history[:HISTORY_SHOWN],
        **_summary(row),
    }
    return render(request, "catalog/distribution.html", context)


@require_GET
@permission_required("catalog.view_app", raise_exception=True)
def distribution_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the page's question how far the distribution is."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    return render(request, "catalog/_distribution_summary.html", _summary(row))


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Send nothing more for a distribution until it is resumed."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    if verbs.pause(row, cast(User, request.user)):
        messages.success(request, "Paused: nothing more is sent. What is installed stays, with its licenses.")
    else:
        messages.info(request, "It was not active any more.")
    return redirect(row)


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with a paused distribution."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    if verbs.resume(row, cast(User, request.user)):
        messages.success(request, "Resumed.")
    else:
        messages.info(request, "It was not paused any more.")
    return redirect(row)


@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a distribution, after saying what that does."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    if row.state == DistributionState.STOPPED:
        messages.info(request, "It was stopped already.")
        return redirect(row)
    if request.method == "POST":
        verbs.stop(row, cast(User, request.user))
        messages.success(request, f"“{row.app}” is not distributed to {in_words(row)} any more.")
        return redirect(row)
    sentences = [f"“{row.app}” is not distributed to {in_words(row)} any more."]
    return _confirm(request, f"Stop distributing “{row.app}”?", sentences, [row], row.get_absolute_url())


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distributions_stop(request: HttpRequest) -> HttpResponse:
    """Stop the selected distributions, after saying what that does."""
    chosen = selected(request, DistributionFilter, distribution_rows())
    rows = list(chosen.filter(state__in=IN_FORCE))
    if not rows:
        messages.info(request, "None of these is distributed any more.")
        return redirect("distributions")
    if "confirmed" in request.POST:
        stopped = sum(verbs.stop(row, cast(User, request.user)) for row in rows)
        messages.success(request, f"{number(stopped, 'distribution is', 'distributions are')} stopped.")
        return redirect("distributions")
    names = list(dict.fromkeys(f"“{row.app}”" for row in rows))
    more = f" and {len(names) - NAMED_APPS:,} more" if len(names) > NAMED_APPS else ""
    sentences = [f"No longer distributed: {', '.join(names[:NAMED_APPS])}{more}."]
    title = f"Stop {number(len(rows), 'distribution', 'distributions')}?"
    return _confirm(request, title, sentences, rows, reverse("distributions"), ChosenForm(request.POST))


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_letters(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the letters again that could not be sent."""
    row = get_object_or_404(distribution_rows(), pk=pk)
    tried = letters.retry(row, cast(User, request.user))
    nudge(tasks.send_letters)
    messages.info(request, f"{number(tried, 'e-mail is', 'e-mails are')} sent again." if tried else "None failed.")
    return redirect(row)


def _confirm(
    request: HttpRequest, title: str, sentences: list[str], ending: list[Distribution], back: str, form: Any = None
) -> HttpResponse:
    context = {
        "title": title,
        "sentences": [*sentences, *consequences.of_ending(ending).sentences()],
        "form": form,
        "verb": "Stop",
        "back": back,
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def _summary(row: Distribution) -> dict[str, Any]:
    """Return what the refreshing part of the page shows."""
    progress = how_far(row.installations.all())
    told = letters.told(row)
    is_active = row.state == DistributionState.ACTIVE
    way_back = removal.way_back(row.app) if row.state == DistributionState.STOPPED else None
    is_telling = bool(told["open"]) or (is_active and row.notify_by_email and row.notified_at is None)
    return {
        "distribution": row,
        "app": row.app,
        **progress,
        "told": told,
        "way_back": way_back,
        "is_under_way": progress["is_under_way"]
        or is_telling
        or is_being_planned([row.app_id])
        or (way_back is not None and way_back.is_under_way),
    }


def _label(name: str) -> str:
    label = str(Distribution._meta.get_field(name).verbose_name).capitalize()  # type: ignore[union-attr]  # plain field
    return label if not name.startswith("excluded") else f"Not these {name.removeprefix('excluded_')}"
