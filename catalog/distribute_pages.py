"""The way to a distribution: the form for one app or many, the preview of what would happen, and the start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from catalog import distribution, drafts, tasks
from catalog.audience import everyone, in_words, reach
from catalog.distribute_forms import DistributeForm
from catalog.facts import Verdict
from catalog.models import App, AppStatus, Distribution
from catalog.preview import Targets, remember, remembered
from catalog.preview_tables import TargetFilter, TargetTable
from catalog.rows import app_rows
from catalog.tables import AppFilter
from vppportal.lists import Empty, Listed, selected
from vppportal.work import nudge

DISTRIBUTES = "catalog.distribute_app"
MOST_APPS = 50
"""So many apps are previewed in one go: each is planned for all its targets while somebody waits for the page."""
MOST_AT_ONCE = 20_000
"""Targets of all apps together; beyond, the preview shows one app at a time."""
NOBODY = Empty("Nobody is meant", "No device and no person is in this audience at the moment.", icon="people")
GONE = "This form was put into force already, or a day has passed since: nothing of it is left to preview."


@permission_required(DISTRIBUTES, raise_exception=True)
def app_distribute(request: HttpRequest, pk: int) -> HttpResponse:
    """Distribute an app."""
    app = get_object_or_404(App.objects.kept().select_related("listing"), pk=pk)
    kept = [row for row in _kept(request) if row.app_id == app.pk]
    return _form(request, [app], kept[0] if kept else None, back=app.get_absolute_url())


@permission_required(DISTRIBUTES, raise_exception=True)
def apps_distribute(request: HttpRequest) -> HttpResponse:
    """Distribute many apps: a list sends its selection, which is kept as drafts, and the form follows."""
    if request.method == "POST" and "submission" not in request.POST:
        return _take_selection(request)
    kept = _kept(request)
    return _form(request, [row.app for row in kept], kept[0] if kept else None, back=reverse("catalog"))


@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the audience or the options of a distribution; a preview comes before it takes effect."""
    in_force = Distribution.objects.in_force().select_related("app__listing")
    row = get_object_or_404(in_force, pk=pk)
    kept = [draft for draft in _kept(request) if draft.replaces_id == row.pk]
    return _form(request, [row.app], kept[0] if kept else None, back=row.get_absolute_url(), replaces=row)


@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_preview(request: HttpRequest, submission: UUID) -> HttpResponseBase:
    """Say what would happen to each target if these drafts were put into force now."""
    rows = drafts.of(submission)
    if not rows:
        return _what_became_of(request, submission)
    first, shown = rows[0], _shown(request, rows)
    made_at, verdicts = _verdicts(request, shown)
    targets = Targets(verdicts, [row.app for row in shown])
    listed = Listed(
        request,
        TargetTable,
        TargetFilter,
        targets.rows,
        empty=NOBODY,
        file_name="preview",
        fetch=targets.fetch,
        hides=() if len(shown) > 1 else ("app",),
    )
    return listed.page_or_part(
        "catalog/distribute_preview.html",
        draft=first,
        apps=[row.app for row in rows],
        audience=in_words(first),
        sentences=targets.sentences(),
        by_app=targets.by_app() if len(shown) > 1 else [],
        shown=shown,
        made_at=made_at,
        submission=submission,
        back=f"{_form_address(rows)}?submission={submission}",
    )


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_start(request: HttpRequest, submission: UUID) -> HttpResponse:
    """Put the drafts of a form into force."""
    rows = drafts.of(submission)
    started = drafts.put_into_force(submission, cast(User, request.user))
    if not started:
        return _what_became_of(request, submission)
    for pk in started:
        nudge(tasks.write_letters, pk)
    if rows[0].replaces_id:
        messages.success(request, f"The distribution of “{rows[0].app}” is changed.")
    else:
        _say_what_started(request, rows, len(started))
    return redirect("distribution", started[0]) if len(started) == 1 else redirect("distributions")


@require_POST
@permission_required(DISTRIBUTES, raise_exception=True)
def distribution_discard(request: HttpRequest, submission: UUID) -> HttpResponse:
    """Throw the drafts of a form away."""
    rows = drafts.of(submission)
    drafts.discard(submission)
    messages.info(request, "Discarded: nothing was sent to anybody.")
    if len(rows) != 1:
        return redirect("catalog")
    return redirect(rows[0].replaces or rows[0].app)


def _shown(request: HttpRequest, rows: list[Distribution]) -> list[Distribution]:
    """Return the drafts to preview together: all, or one of them where all would keep the viewer waiting."""
    if len(rows) * reach(rows[0]) <= MOST_AT_ONCE:
        return rows
    wanted = request.GET.get("app", "")
    return [row for row in rows if str(row.app_id) == wanted] or rows[:1]


def _verdicts(request: HttpRequest, rows: list[Distribution]) -> tuple[datetime, list[Verdict]]:
    """Return the verdicts and when they were made: anew with the page, kept for its list's other pages and filters."""
    draft = rows[0]
    key = f"preview:{draft.submission}:{draft.created_at.timestamp()}:{draft.app_id if len(rows) == 1 else 'all'}"
    kept = remembered(key) if request.GET else None
    if kept:
        return kept
    verdicts = distribution.preview(rows, replaces=[row.replaces_id for row in rows if row.replaces_id])
    remember(key, verdicts)
    return timezone.now(), verdicts


def _form(
    request: HttpRequest,
    apps: Sequence[App],
    draft: Distribution | None,
    back: str,
    replaces: Distribution | None = None,
) -> HttpResponse:
    """Show the form, or keep what it says as drafts and go on to the preview."""
    data = request.POST if request.method == "POST" else None
    wanted = draft.submission if draft else None
    form = DistributeForm(data, instance=draft or replaces or Distribution(), submission=wanted)
    refused = _refused(apps)
    if data is not None and not refused and not form.is_searching and form.is_valid():
        submission = form.cleaned_data["submission"]
        keys = [app.pk for app in apps]
        if drafts.keep(submission, keys, form.cleaned_data, cast(User, request.user), replaces):
            return redirect("distribution-preview", submission)
        return _what_became_of(request, submission)
    context = {
        "form": form,
        "apps": apps,
        "refused": refused,
        "everyone": everyone(),
        "back": back,
        "replaces": replaces,
    }
    status = 422 if data is not None else 200
    return render(request, "catalog/distribute.html", context, status=status)


def _take_selection(request: HttpRequest) -> HttpResponse:
    """Keep the apps ticked in a list as drafts; those that cannot be distributed are left out, and that is said."""
    chosen: QuerySet[App] = selected(request, AppFilter, app_rows())
    states = dict(chosen.order_by().values_list("pk", "status"))
    keys = [pk for pk, status in states.items() if status == AppStatus.AVAILABLE]
    if left_out := len(states) - len(keys):
        messages.warning(request, f"{_apps(left_out, 'is', 'are')} left out: not approved.")
    if len(keys) > MOST_APPS:
        messages.error(request, f"Choose at most {MOST_APPS} apps at a time; these are {len(keys):,}.")
        return redirect("catalog")
    if not keys:
        messages.error(request, "Choose at least one app that is approved.")
        return redirect("catalog")
    submission = drafts.gather(keys, cast(User, request.user))
    return redirect(f"{reverse('apps-distribute')}?submission={submission}")


def _refused(apps: Sequence[App]) -> str:
    """Return why these apps cannot be distributed; empty when they can."""
    if not apps:
        return "No apps are chosen. Tick the apps in the App Catalog and press “Distribute” there."
    waiting = [f"“{app}”" for app in apps if app.status != AppStatus.AVAILABLE]
    if not waiting:
        return ""
    return f"{', '.join(waiting[:5])} cannot be distributed before somebody has approved it."


def _what_became_of(request: HttpRequest, submission: UUID) -> HttpResponse:
    """Lead on from a form that is no draft any more: to what it started, or to the list."""
    started = Distribution.objects.filter(submission=submission).first()
    messages.info(request, "This form was put into force already." if started else GONE)
    return redirect(started) if started else redirect("distributions")


def _form_address(rows: Sequence[Distribution]) -> str:
    first = rows[0]
    if first.replaces_id:
        return reverse("distribution-edit", args=[first.replaces_id])
    return reverse("app-distribute", args=[first.app_id]) if len(rows) == 1 else reverse("apps-distribute")


def _kept(request: HttpRequest) -> list[Distribution]:
    """Return the drafts of the form the request names."""
    try:
        return drafts.of(UUID((request.POST or request.GET).get("submission", "")))
    except ValueError:
        return []


def _say_what_started(request: HttpRequest, rows: Sequence[Distribution], started: int) -> None:
    what = f"“{rows[0].app}” is" if started == 1 else _apps(started, "is", "are")
    messages.success(request, f"{what} being distributed.")
    if left := len(rows) - started:
        messages.warning(request, f"{_apps(left, 'was', 'were')} left out: no longer approved.")


def _apps(number: int, one: str, many: str) -> str:
    return f"{number:,} app {one}" if number == 1 else f"{number:,} apps {many}"
