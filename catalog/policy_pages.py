"""Changing the policies of an app, and giving a token's policies to the apps it added."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from catalog import policies, removal
from catalog.forms import PoliciesForm
from catalog.models import App
from tokens.models import ContentToken
from vppportal.wording import number


@permission_required("catalog.change_app", raise_exception=True)
def app_policies(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the policies of an app."""
    app = get_object_or_404(App.objects.kept().select_related("listing"), pk=pk)
    form = PoliciesForm(request.POST or None, instance=app)
    if request.method == "POST" and form.is_valid():
        policies.store(app, form.changed_data, request.user)
        messages.success(request, f"The policies of “{app}” are saved.")
        return redirect(app)
    context = {"title": f"Policies of {app}", "form": form, "back": app.get_absolute_url(), "back_label": str(app)}
    return render(request, "form.html", context, status=422 if form.errors else 200)


@permission_required(["tokens.change_contenttoken", "catalog.change_app"], raise_exception=True)
def token_policies(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a token's policies to the apps it added, after saying what that changes."""
    token = get_object_or_404(ContentToken.objects.kept(), pk=pk)
    if request.method == "POST":
        changed = removal.apply_policies(token, cast(User, request.user))
        messages.success(request, f"{number(changed, 'app', 'apps')} took over the policies of “{token}”.")
        return redirect(token)
    differing = removal.differing_policies(token)
    nothing = f"Every app “{token}” added to the App Catalog has the token's policies already."
    context = {
        "title": f"Apply the policies of “{token}” to its apps?",
        "sentences": policies.changes(token, differing) or [nothing],
        "verb": "Apply" if differing else "",
        "back": token.get_absolute_url(),
    }
    return render(request, "confirm.html", context)
