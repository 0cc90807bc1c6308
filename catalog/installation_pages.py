"""An app's installations, how far they are, what can be done to them, and the line of those who wait for a license."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog import consequences, distribution
from catalog.installation_tables import (
    InstallationFilter,
    InstallationTable,
    LineFilter,
    LineTable,
    Places,
    installation_rows,
    line_rows,
)
from catalog.models import UNWANTED, App, Installation, InstallState
from catalog.progress import progress_of
from catalog.updates.gathering import UPDATING
from catalog.updates.rows import put_rulings_on
from vppportal.chosen import ChosenForm
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

SEE_INSTALLATIONS = ("catalog.view_app", "groups.view_device", "groups.view_manageduser")
INSTALLATIONS = ("installation is", "installations are")
NOBODY_WAITS = Empty(
    "Nobody waits for a license",
    "Where an app has fewer licenses than devices, those who get none wait here, and get one as soon as one is free.",
    icon="hourglass",
)


@permission_required(SEE_INSTALLATIONS, raise_exception=True)
def installations(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List an app's installations under a strip that says how far they are; both refresh themselves meanwhile."""
    app = get_object_or_404(App.objects.select_related("listing"), pk=pk)
    progress = progress_of(app)
    context = {"app": app, **progress}
    if request.headers.get("HX-Target") == "progress":
        return render(request, "catalog/_progress.html", context)
    is_moving = progress["is_under_way"] or app.installations.filter(UPDATING).exists()
    listed = Listed(
        request,
        InstallationTable,
        InstallationFilter,
        installation_rows().filter(app=app),
        empty=Empty("On no device yet", "Nobody has sent this app to anybody so far.", icon="phone"),
        file_name="installations",
        working="Devices appear here as soon as the plan is made." if is_moving else "",
        bulk=_bulk(request, app, progress["counts"]),
        fetch=put_rulings_on,
    )
    return listed.page_or_part("catalog/installations.html", **context)


@require_POST
@permission_required("catalog.distribute_app", raise_exception=True)
def installations_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try the chosen failed installations again."""
    chosen = chosen_installations(request, pk).filter(state=InstallState.FAILED)
    tried = distribution.retry(chosen, cast(User, request.user))
    messages.info(request, f"{number(tried, *INSTALLATIONS)} tried again." if tried else "None of these has failed.")
    return back_to_list(request, pk)


@require_POST
@permission_required("catalog.distribute_app", raise_exception=True)
def installations_install(request: HttpRequest, pk: int) -> HttpResponse:
    """Install on the chosen devices what is there on demand."""
    chosen = chosen_installations(request, pk).filter(state=InstallState.OFFERED)
    asked = distribution.request(chosen, cast(User, request.user))
    messages.info(request, f"{number(asked, *INSTALLATIONS)} on the way." if asked else "None of these is on demand.")
    return back_to_list(request, pk)


@require_POST
@permission_required("catalog.distribute_app", raise_exception=True)
def installations_stop(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop distributing the app to the chosen devices, after saying what that does."""
    app = get_object_or_404(App.objects.select_related("listing"), pk=pk)
    chosen = chosen_installations(request, pk).exclude(state__in=UNWANTED)
    devices = chosen.count()
    if not devices:
        messages.info(request, "Nothing is distributed to any of these.")
        return back_to_list(request, pk)
    if "confirmed" in request.POST:
        stopped = distribution.stop_for(chosen, cast(User, request.user))
        messages.success(request, f"“{app}” is stopped for {number(stopped, 'device', 'devices')}.")
        return back_to_list(request, pk)
    context = {
        "title": f"Stop “{app}” for {number(devices, 'device', 'devices')}?",
        "sentences": [
            f"{number(devices, 'device', 'devices')} will be left out of the distributions of “{app}”.",
            *consequences.of_stop(chosen).sentences(),
        ],
        "form": ChosenForm(request.POST),
        "verb": "Stop",
        "back": list_address(request, pk),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


@permission_required(SEE_INSTALLATIONS, raise_exception=True)
def line(request: HttpRequest) -> HttpResponseBase:
    """List who waits for a license, the next one first."""
    listed = Listed(
        request,
        LineTable,
        LineFilter,
        line_rows(),
        empty=NOBODY_WAITS,
        file_name="waiting-for-a-license",
        fetch=Places(),
    )
    return listed.page_or_part(title="Waiting for a license")


def _bulk(request: HttpRequest, app: App, counts: dict[InstallState, int]) -> list[Bulk]:
    if not request.user.has_perm("catalog.distribute_app"):
        return []
    offered = []
    if InstallState.FAILED in counts:
        offered.append(Bulk(reverse("installations-retry", args=[app.pk]), "Retry", "arrow-clockwise"))
    if InstallState.OFFERED in counts:
        offered.append(Bulk(reverse("installations-install", args=[app.pk]), "Install", "download"))
    if InstallState.INSTALLED in counts:
        offered.append(Bulk(reverse("installations-update", args=[app.pk]), "Update now", "arrow-up-circle"))
    if any(state not in UNWANTED for state in counts):
        offered.append(Bulk(reverse("installations-stop", args=[app.pk]), "Stop for these", "stop-circle"))
    return offered


def chosen_installations(request: HttpRequest, pk: int) -> QuerySet[Installation]:
    """Return the chosen installations of an app as a query of their own: nothing joined, so that it may be updated."""
    rows = selected(request, InstallationFilter, Installation.objects.filter(app=pk))
    return Installation.objects.filter(pk__in=rows.order_by().values("pk"))


def back_to_list(request: HttpRequest, pk: int) -> HttpResponse:
    """Go back to the list of an app's installations."""
    return redirect(list_address(request, pk))


def list_address(request: HttpRequest, pk: int) -> str:
    """Return the address of the list as it was filtered."""
    filters = request.GET.urlencode()
    return reverse("installations", args=[pk]) + (f"?{filters}" if filters else "")
