"""The Token Details page: what became of each app of a token, the sync under way, and what hangs on the token."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Sum
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from catalog import additions
from catalog.models import ADDABLE_BY_HAND, Outcome
from catalog.rows import addition_rows
from catalog.tables import AdditionFilter, AdditionTable
from tokens import removal
from tokens.diagnosis import diagnose, not_asked
from tokens.models import Asset, ContentToken, SyncRun
from tokens.tasks import look_up_listings, purge_token
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number
from vppportal.work import nudge

RUNS_SHOWN = 10
NO_APPS = Empty("No apps yet", "Apple lists no licenses at this location. Buy some there, then sync.", icon="bag")


@permission_required("tokens.view_contenttoken", raise_exception=True)
def token(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a token: its facts, the sync under way, and a row for each of its apps."""
    token = get_object_or_404(ContentToken.objects.kept().select_related("uploaded_by"), pk=pk)
    latest = token.sync_runs.first()
    listed = Listed(
        request,
        AdditionTable,
        AdditionFilter,
        addition_rows().filter(token=token),
        empty=NO_APPS,
        file_name="vpp-token-apps",
        working="Apple is being asked. Apps appear here as they arrive." if _is_at_work(token, latest) else "",
        unknown="" if token.synced_at else "Apple's answer never arrived, as the last sync did not succeed.",
        bulk=_bulk(request, token),
        hides=("token",),
    )
    return listed.answer() or render(
        request,
        "tokens/token.html",
        {
            "list": listed,
            "runs": token.sync_runs.select_related("requested_by")[:RUNS_SHOWN],
            "groups": token.restricted_to.all(),
            **_summary(token, latest),
        },
    )


@require_GET
@permission_required("tokens.view_contenttoken", raise_exception=True)
def token_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the page's question how far the sync is."""
    token = get_object_or_404(ContentToken.objects.kept().select_related("uploaded_by"), pk=pk)
    return render(request, "tokens/_summary.html", _summary(token, token.sync_runs.first()))


@require_POST
@permission_required("catalog.add_app", raise_exception=True)
def token_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Look failed apps up again: the one named in the form, or all."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    if not token.is_usable:
        messages.error(request, not_asked(token))
        return redirect(token)
    one = request.POST.get("adam_id")
    retried = additions.retry(token, cast(User, request.user), [one] if one else None)
    nudge(look_up_listings, token.pk)
    messages.info(request, f"{number(retried, 'app', 'apps')} will be looked up again.")
    return redirect(token)


@require_POST
@permission_required("catalog.add_app", raise_exception=True)
def token_add_apps(request: HttpRequest, pk: int) -> HttpResponse:
    """Add apps by hand that are not added automatically."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    rows = selected(request, AdditionFilter, addition_rows().filter(token=token))
    wanted = list(rows.filter(outcome__in=ADDABLE_BY_HAND).values_list("adam_id", flat=True))
    added = additions.add_by_hand(token, cast(User, request.user), wanted)
    say_what_was_added(request, len(added))
    return redirect(token)


@permission_required("tokens.delete_contenttoken", raise_exception=True)
def token_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a token out of service, after saying what hangs on it."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    if request.method == "POST":
        removal.delete(token, by=cast(User, request.user))
        nudge(purge_token, token.pk)
        messages.success(request, f"“{token}” is deleted.")
        return redirect("tokens")
    context = {
        "title": f"Delete “{token}”?",
        "sentences": _consequences(token),
        "verb": "Delete this token",
        "back": token.get_absolute_url(),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def say_what_was_added(request: HttpRequest, added: int) -> None:
    """Tell the administrator how many apps went to the catalog by hand."""
    if added:
        messages.success(request, f"{number(added, 'app', 'apps')} added to the App Catalog.")
    else:
        messages.warning(request, "Nothing was added: the App Store has not answered for these apps yet.")


def _summary(token: ContentToken, latest: SyncRun | None) -> dict[str, Any]:
    """Return what the refreshing part of the page shows."""
    counts = dict(token.additions.values_list("outcome").annotate(number=Count("pk")).values_list("outcome", "number"))
    return {
        "token": token,
        "diagnosis": diagnose(token),
        "latest": latest,
        "is_at_work": _is_at_work(token, latest),
        "outcomes": [(outcome, counts[outcome]) for outcome in Outcome if counts.get(outcome)],
        "failed": counts.get(Outcome.NOT_FOUND, 0),
        "numbers": token.assets.counted_licenses(),
    }


def _is_at_work(token: ContentToken, latest: SyncRun | None) -> bool:
    if latest is not None and latest.is_open:
        return True
    return token.is_usable and token.additions.filter(outcome=Outcome.WAITING).exists()


def _bulk(request: HttpRequest, token: ContentToken) -> list[Bulk]:
    if not request.user.has_perm("catalog.add_app"):
        return []
    if not token.additions.filter(outcome__in=ADDABLE_BY_HAND).exists():
        return []
    return [Bulk(reverse("token-add-apps", args=[token.pk]), "Add to catalog", "plus-lg")]


def _consequences(token: ContentToken) -> list[str]:
    elsewhere = Asset.objects.filter(adam_id=OuterRef("adam_id"), gone_at=None, token__deleted_at=None)
    apps = token.additions.exclude(app=None)
    only_here = apps.exclude(Exists(elsewhere.exclude(token=token))).count()
    assigned = token.assets.aggregate(assigned=Sum("assigned", default=0))["assigned"]
    return [
        f"The portal forgets the token “{token}” of {token.location_name}, and everything it knows through it.",
        f"{apps.count():,} apps of this token are in the App Catalog. They stay there; {only_here:,} of them have "
        "licenses through this token only and will have none.",
        f"{assigned:,} licenses are assigned to devices and people now. They stay assigned: nothing changes at Apple.",
        "The portal's claim on the location stays with Apple, so that the token can be added here again at any time.",
    ]
