"""The Apple VPP Licenses page, and adding, editing, renewing and synchronizing a token.

Apple is asked in two places only, while the administrator waits: is an uploaded file good, is a renewed one.
"""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from tokens import registration, tasks
from tokens.diagnosis import diagnose, not_asked
from tokens.forms import AddTokenForm, EditTokenForm, RenewTokenForm
from tokens.models import NAME_TAKEN, ContentToken, SyncReason, SyncRun
from tokens.policies import POLICY_FIELDS
from tokens.registration import Refused
from tokens.tables import TokenFilter, TokenTable, token_rows
from vppportal.groups.picker import is_searching
from vppportal.lists import Empty, Listed
from vppportal.work import nudge


@permission_required("tokens.view_contenttoken", raise_exception=True)
def tokens(request: HttpRequest) -> HttpResponseBase:
    """List the VPP tokens, under a banner for each that Apple refuses."""
    listed = Listed(
        request,
        TokenTable,
        TokenFilter,
        token_rows(),
        empty=_no_tokens(request),
        file_name="vpp-tokens",
        working="Apple is being asked." if SyncRun.objects.open().exists() else "",
    )
    return listed.answer() or render(
        request,
        "tokens/tokens.html",
        {"list": listed, "troubles": [(token, diagnose(token)) for token in ContentToken.objects.refused()]},
    )


@permission_required("tokens.add_contenttoken", raise_exception=True)
def token_add(request: HttpRequest) -> HttpResponse:
    """Show and take the Enable License Codes window: in a window with scripts, as a page without."""
    is_window = request.headers.get("HX-Target") == "window-content"
    template = "tokens/_window.html" if is_window else "tokens/add.html"
    if request.method != "POST":
        return render(request, template, {"form": AddTokenForm()})
    form = AddTokenForm(request.POST, request.FILES)
    token = _sent_before(request.POST.get("submission", ""))
    if token is None and not is_searching(request.POST) and form.is_valid():
        token = _register(form, by=cast(User, request.user))
    if token is None:
        return render(request, template, {"form": form}, status=422)
    messages.success(request, f"“{token}” is {token.get_status_display().lower()}. Its apps arrive below.")
    return HttpResponseClientRedirect(token.get_absolute_url()) if is_window else redirect(token)


@permission_required("tokens.change_contenttoken", raise_exception=True)
def token_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what was chosen for a token; what somebody else changed meanwhile is shown, not overwritten."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    data = request.POST.copy() if request.method == "POST" else None
    form = EditTokenForm(data, instance=get_object_or_404(ContentToken, pk=pk))
    context: dict[str, Any] = {"token": token, "form": form}
    if data is None:
        return render(request, "tokens/edit.html", context)
    if not is_searching(data) and form.is_valid():
        if _edit(token, form, by=cast(User, request.user)):
            messages.success(request, _saved(token, form))
            return redirect(token)
        if not form.errors:
            data["version"] = str(token.version)
            context["theirs"] = [(form[name].label, _as_shown(token, name)) for name in form.changed_data]
    return render(request, "tokens/edit.html", context, status=409 if "theirs" in context else 422)


@permission_required("tokens.change_contenttoken", raise_exception=True)
def token_renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a newer file of the same location in place of the old one."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    form = RenewTokenForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid() and _renew(token, form, by=cast(User, request.user)):
        messages.success(request, f"“{token}” is renewed and being synchronized.")
        return redirect(token)
    status = 422 if request.method == "POST" else 200
    return render(request, "tokens/renew.html", {"token": token, "form": form}, status=status)


@require_POST
@permission_required("tokens.sync_contenttoken", raise_exception=True)
def token_sync(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for a sync now."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    if token.is_usable:
        run = registration.ask_for_sync(token, SyncReason.MANUAL, cast(User, request.user))
        nudge(tasks.sync_token, run.pk)
    else:
        messages.error(request, not_asked(token))
    return redirect(token)


def _no_tokens(request: HttpRequest) -> Empty:
    may_add = request.user.has_perm("tokens.add_contenttoken")
    return Empty(
        "No VPP token yet",
        "A VPP token is the key to the licenses your organization holds at Apple. Download it from Apple Business or "
        "Apple School Manager and add it here.",
        icon="key",
        action_url=reverse("token-add") if may_add else "",
        action_label="Add Token",
        opens_window=True,
    )


def _sent_before(submission: str) -> ContentToken | None:
    """Return the token that this very form has made already."""
    try:
        return ContentToken.objects.kept().filter(submission=uuid.UUID(submission)).first()
    except ValueError:
        return None


def _register(form: AddTokenForm, *, by: User) -> ContentToken | None:
    choices = form.cleaned_data
    try:
        facts = registration.examine(choices["token_file"], form.consents(), region=choices["region"])
        run = registration.register(choices["token_file"], facts, choices, by=by, submission=choices["submission"])
    except Refused as refusal:
        made_meanwhile = _sent_before(str(choices["submission"]))
        if made_meanwhile is None:
            form.refuse(refusal)
        return made_meanwhile
    nudge(tasks.sync_token, run.pk)
    return run.token


def _edit(token: ContentToken, form: EditTokenForm, *, by: User) -> bool:
    try:
        is_stored = registration.edit(token, form.cleaned_data, by=by, version=form.cleaned_data["version"])
    except IntegrityError:
        form.add_error("name", NAME_TAKEN)
        return False
    if is_stored and token.is_usable and {"region", "add_apps_automatically"} & set(form.changed_data):
        nudge(tasks.sync_token, registration.ask_for_sync(token, SyncReason.MANUAL, by).pk)
    return is_stored


def _renew(token: ContentToken, form: RenewTokenForm, *, by: User) -> bool:
    try:
        facts = registration.examine(form.cleaned_data["token_file"], form.consents(), renews=token)
        run = registration.renew(token, form.cleaned_data["token_file"], facts, by=by)
    except Refused as refusal:
        form.refuse(refusal)
        return False
    nudge(tasks.sync_token, run.pk)
    return True


def _saved(token: ContentToken, form: EditTokenForm) -> str:
    """Return that a token is saved; its policies count for new apps, so those it has added are offered them, too."""
    said = f"“{form.cleaned_data['name']}” is saved."
    added = token.apps_added.filter(deleted_at=None).count()
    if not added or not {*POLICY_FIELDS} & {*form.changed_data}:
        return said
    url, apps = reverse("token-policies", args=[token.pk]), "the app" if added == 1 else f"the {added:,} apps"
    return format_html('{} <a href="{}">Apply its policies to {} it has added, too.</a>', said, url, apps)


def _as_shown(token: ContentToken, name: str) -> str:
    value = getattr(token, name)
    if name == "restricted_to":
        return ", ".join(group.name for group in token.restricted_to.all()) or "no restriction"
    if isinstance(value, bool):
        return "on" if value else "off"
    return token.get_region_display() if name == "region" else str(value)
