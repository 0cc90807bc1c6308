"""The pages of an app's quotas: how many licenses of a token the members of a group may hold at most."""

from __future__ import annotations

from typing import Any, cast

import django_filters
import django_tables2 as tables
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from tokens import quotas
from tokens.license_forms import LimitForm, QuotaForm
from tokens.license_pages import kept_asset, named
from tokens.models import Quota
from vppportal.columns import NAMED, Actions, Number
from vppportal.lists import Empty, Listed, Search
from vppportal.wording import number


class QuotaTable(tables.Table):
    """Quotas of an app."""

    group = tables.Column("User group", linkify=True, attrs=NAMED, order_by="group__name")
    limit = Number(verbose_name="At most")
    held = Number(verbose_name="Held now")
    actions = Actions("tokens/_quota_actions.html")

    class Meta:
        order_by = "group"


class QuotaFilter(django_filters.FilterSet):
    """Finds quotas."""

    q = Search("group__name")

    class Meta:
        model = Quota
        fields: list[str] = []


@permission_required("tokens.view_contenttoken", raise_exception=True)
def asset_quotas(request: HttpRequest, pk: int, asset_pk: int) -> HttpResponseBase:
    """List the quotas of a product's licenses."""
    asset = kept_asset(pk, asset_pk)
    empty = Empty("No quota yet", "Without one every group may use up all licenses of this product.", icon="pie-chart")
    listed = Listed(
        request, QuotaTable, QuotaFilter, quotas.quota_rows(asset), empty=empty, file_name=f"quotas-{asset.adam_id}"
    )
    return listed.page_or_part("tokens/quotas.html", token=asset.token, asset=asset)


@permission_required("tokens.change_contenttoken", raise_exception=True)
def quota_add(request: HttpRequest, pk: int, asset_pk: int) -> HttpResponse:
    """Give groups a quota."""
    asset = kept_asset(pk, asset_pk)
    form = QuotaForm(request.POST or None, asset=asset)
    if request.method == "POST" and not form.is_searching and form.is_valid():
        try:
            quotas.add(asset, form.cleaned_data["groups"], form.cleaned_data["limit"], by=cast(User, request.user))
        except IntegrityError:
            form.full_clean()
        else:
            messages.success(request, "The quota is set.")
            return redirect("asset-quotas", pk, asset_pk)
    return _form(request, asset, form, f"Limit the licenses of {named(asset)}", form.is_searching)


@permission_required("tokens.change_contenttoken", raise_exception=True)
def quota_edit(request: HttpRequest, pk: int, asset_pk: int, quota_pk: int) -> HttpResponse:
    """Change how many licenses a group may hold."""
    asset = kept_asset(pk, asset_pk)
    quota = get_object_or_404(quotas.quota_rows(asset), pk=quota_pk)
    form = LimitForm(request.POST or None, initial={"limit": quota.limit})
    if request.method == "POST" and form.is_valid():
        quotas.change(quota, form.cleaned_data["limit"], by=cast(User, request.user))
        messages.success(request, f"The quota of “{quota.group}” is changed.")
        return redirect("asset-quotas", pk, asset_pk)
    return _form(request, asset, form, f"Quota of “{quota.group}”")


@permission_required("tokens.change_contenttoken", raise_exception=True)
def quota_delete(request: HttpRequest, pk: int, asset_pk: int, quota_pk: int) -> HttpResponse:
    """Lift a quota, after saying what that means."""
    asset = kept_asset(pk, asset_pk)
    quota: Any = get_object_or_404(quotas.quota_rows(asset), pk=quota_pk)
    back = reverse("asset-quotas", args=[pk, asset_pk])
    if request.method == "POST":
        quotas.remove(quota, by=cast(User, request.user))
        messages.success(request, f"The quota of “{quota.group}” is lifted.")
        return redirect(back)
    sentences = [
        f"The members of “{quota.group}” hold {number(quota.held, 'license', 'licenses')} of {named(asset)} now;"
        f" {quota.limit:,} are allowed.",
        "From then on only the licenses there are limit them.",
    ]
    context = {"title": "Lift this quota?", "sentences": sentences, "verb": "Lift the quota", "back": back}
    return render(request, "confirm.html", context)


def _form(request: HttpRequest, asset: Any, form: Any, title: str, is_searching: bool = False) -> HttpResponse:
    back = reverse("asset-quotas", args=[asset.token_id, asset.pk])
    status = 422 if form.errors and not is_searching else 200
    context = {"title": title, "form": form, "back": back, "back_label": "Quotas"}
    return render(request, "form.html", context, status=status)
