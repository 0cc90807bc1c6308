"""The pages of a token's licenses: what it owns, who holds each license, assigning and taking back by hand."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from tokens import by_hand, licenses
from tokens.holders import tell_history
from tokens.license_forms import AssignForm, TakenAlong
from tokens.license_tables import AssetFilter, AssetTable, HolderFilter, HolderTable, asset_rows
from tokens.licenses import Asked, Holder
from tokens.models import Asset, Assignment, ContentToken, OperationKind, Target, TargetState
from tokens.operation_tables import operation_rows
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

NO_LICENSES = Empty(
    "No licenses yet", "Apple lists no licenses at this location. Buy some there, then sync.", icon="bag"
)
NO_HOLDERS = Empty(
    "Nobody holds a license", "Licenses are assigned by distributing the app, or here by hand.", "people"
)
CHANGES_SHOWN = 5


@permission_required("tokens.view_contenttoken", raise_exception=True)
def token_licenses(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List what a token owns, with its counts."""
    token = kept_token(pk)
    listed = Listed(
        request, AssetTable, AssetFilter, asset_rows(token), empty=NO_LICENSES, file_name="vpp-token-licenses"
    )
    return listed.page_or_part("tokens/licenses.html", token=token, reason=by_hand.hindrance(token))


@permission_required("tokens.view_contenttoken", raise_exception=True)
def asset_holders(request: HttpRequest, pk: int, asset_pk: int) -> HttpResponseBase:
    """List who holds the licenses of a product: since when, how each came, what is under way."""
    token, asset = kept_token(pk), kept_asset(pk, asset_pk)
    may_change = request.user.has_perm("tokens.manage_licenses") and not by_hand.against_revoking(asset)
    is_busy = asset.targets.filter(state=TargetState.OPEN).exists()
    now = {
        "token": token,
        "asset": asset,
        "is_busy": is_busy,
        "free": licenses.free([asset])[asset.pk],
        "changes": operation_rows(token).filter(asset=asset)[:CHANGES_SHOWN],
    }
    if request.headers.get("HX-Target") == "changes":
        return render(request, "tokens/_changes.html", now)
    listed = Listed(
        request,
        HolderTable,
        HolderFilter,
        asset.assignments.all(),
        empty=NO_HOLDERS,
        file_name=f"license-holders-{asset.adam_id}",
        working="Apple is being asked. What changes appears here." if is_busy else "",
        bulk=[_revoke_button(asset)] if may_change else (),
        hides=() if may_change else ("actions",),
        fetch=partial(tell_history, token),
    )
    quotas = token.quotas.filter(adam_id=asset.adam_id).count()
    return listed.page_or_part("tokens/holders.html", **now, **_against(asset), quotas=quotas)


def asset_assign(request: HttpRequest, asset: Asset) -> HttpResponse:
    """Choose who receives a license, see what that does, and do it; the catalog, above, says of which apps one may."""
    form = AssignForm(request.POST or None, asset=asset)
    reason = by_hand.against_assigning(asset)
    if request.method == "POST" and not reason and not form.is_searching and form.is_valid():
        plan = by_hand.plan(asset, form.choice())
        if "confirmed" not in request.POST or not plan.holders:
            return _ask_before_assigning(request, asset, plan)
        asked = licenses.assign(asset, plan.holders, by=cast(User, request.user), why=by_hand.WHY)
        _say(request, asked, "Apple is asked for {} now.", "{} were not free any more.")
        return _to_changes(request, asset, OperationKind.ASSIGN, asked)
    status = 422 if form.errors and not form.is_searching else 200
    context = {"token": asset.token, "asset": asset, "form": form, "reason": reason}
    return render(request, "tokens/assign.html", context, status=status)


@require_POST
@permission_required("tokens.manage_licenses", raise_exception=True)
def asset_revoke(request: HttpRequest, pk: int, asset_pk: int) -> HttpResponse:
    """Revoke the selected licenses, after saying what that does."""
    asset = kept_asset(pk, asset_pk)
    reason = by_hand.against_revoking(asset)
    rows = selected(request, HolderFilter, Assignment.objects.filter(asset=asset))
    rows = rows.order_by("serial_number", "client_user_id", "pk")
    if reason or not rows.exists():
        messages.error(request, reason or "Nothing was selected.")
        return redirect("asset-holders", pk, asset_pk)
    if "confirmed" not in request.POST:
        return _ask_before_revoking(request, asset, rows)
    holders = [Holder(*row) for row in rows.values_list("serial_number", "client_user_id")[: by_hand.MOST]]
    asked = licenses.revoke(asset, holders, by=cast(User, request.user), why=by_hand.WHY)
    _say(request, asked, "Apple is asked to revoke {} now.", "{} have an earlier change under way and are left out.")
    return _to_changes(request, asset, OperationKind.REVOKE, asked)


def kept_token(pk: int) -> ContentToken:
    """Return a token that is not being deleted, or say that there is no such page."""
    return get_object_or_404(ContentToken.objects.kept(), pk=pk)


def kept_asset(pk: int, asset_pk: int) -> Any:
    """Return an asset of a kept token, as the list of licenses shows it."""
    return get_object_or_404(asset_rows(kept_token(pk)).select_related("token"), pk=asset_pk)


def _against(asset: Asset) -> dict[str, str]:
    """Return in sentences what stands against changing who holds licenses; empty where nothing does."""
    return {
        "against_assigning": by_hand.against_assigning(asset),
        "against_revoking": by_hand.against_revoking(asset),
    }


def _revoke_button(asset: Asset) -> Bulk:
    return Bulk(reverse("asset-revoke", args=[asset.token_id, asset.pk]), "Revoke", "arrow-counterclockwise")


def _ask_before_assigning(request: HttpRequest, asset: Asset, plan: by_hand.Plan) -> HttpResponse:
    sentences = plan.sentences()
    if asset.token.quotas.filter(adam_id=asset.adam_id).exists():
        sentences.append("The quotas of this app do not hold back what is assigned by hand.")
    context = {
        "title": f"Assign licenses of {named(asset)}?",
        "sentences": sentences,
        "form": TakenAlong(request.POST, ("kind", "groups", "people", "devices")),
        "verb": f"Assign {number(plan.served, 'license', 'licenses')}" if plan.served else "",
        "back": reverse("asset-assign", args=[asset.token_id, asset.pk]),
    }
    return render(request, "confirm.html", context)


def _ask_before_revoking(request: HttpRequest, asset: Asset, rows: QuerySet[Assignment]) -> HttpResponse:
    counted = rows.order_by().aggregate(all=Count("pk"), devices=Count("pk", filter=~Q(serial_number="")))
    many = min(counted["all"], by_hand.MOST)
    context = {
        "title": f"Revoke licenses of {named(asset)}?",
        "sentences": by_hand.sentences_about_revoking(counted["all"], counted["devices"]),
        "form": TakenAlong(request.POST, ("selected", "all_matching")),
        "verb": f"Revoke {number(many, 'license', 'licenses')}",
        "back": reverse("asset-holders", args=[asset.token_id, asset.pk]),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def named(asset: Any) -> str:
    """Return what to call an asset of `kept_asset` in a sentence."""
    return f"“{asset.name}”" if asset.name else asset.adam_id


def _say(request: HttpRequest, asked: Asked, taken: str, refused: str) -> None:
    if asked.taken:
        messages.success(request, taken.format(number(len(asked.taken), "license", "licenses")))
    if asked.refused:
        messages.warning(request, refused.format(number(len(asked.refused), "license", "licenses")).capitalize())
    if not asked.taken and not asked.refused:
        messages.info(request, "Nothing was left to be done.")


def _to_changes(request: HttpRequest, asset: Asset, kind: OperationKind, asked: Asked) -> HttpResponse:
    """Go to the one change this made, or to the list where it made several."""
    made = Target.objects.filter(
        asset=asset, state=TargetState.OPEN, operation__kind=kind, operation__requested_by=cast(User, request.user)
    )
    keys = set(made.values_list("operation", flat=True)) if asked.taken else set()
    if len(keys) == 1:
        return redirect("operation", asset.token_id, keys.pop())
    return redirect("token-operations", asset.token_id) if keys else redirect("asset-holders", asset.token_id, asset.pk)
