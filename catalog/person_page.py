"""A person's page: groups, devices, registrations at Apple, licenses held, and the apps on the person's devices."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from catalog.installation_tables import in_order, installation_rows
from catalog.rows import held_licenses
from catalog.updates.rows import put_rulings_on
from tokens.models import Assignment, ClientUser
from tokens.people_tables import put_into_words, with_standing
from vppportal.groups.models import ManagedUser


@permission_required("groups.view_manageduser", raise_exception=True)
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a person."""
    person = get_object_or_404(ManagedUser.objects.prefetch_related("groups"), pk=pk)
    context: dict[str, Any] = {"person": person, "devices": person.devices.all()}
    if request.user.has_perm("tokens.view_contenttoken"):
        context["registrations"] = _registrations(person)
        context["licenses"] = held_licenses(_held(person))
    if request.user.has_perm("catalog.view_app"):
        apps = list(in_order(installation_rows().filter(device__owner=person)))
        put_rulings_on(apps)
        context["apps"] = apps
    return render(request, "catalog/person.html", context)


def _registrations(person: ManagedUser) -> list[ClientUser]:
    """Return where the person is registered with Apple, each with the words for how far it is."""
    own = with_standing(ClientUser.objects.filter(person=person, token__deleted_at=None))
    rows = list(own.select_related("token").order_by("token__name", "pk"))
    put_into_words(rows)
    return rows


def _held(person: ManagedUser) -> QuerySet[Assignment]:
    """Return the licenses a person holds by a registration; the same id at another location is somebody else."""
    return Assignment.objects.filter(
        client_user_id__in=person.client_users.values("client_user_id"),
        asset__token__client_users__person=person,
        asset__token__client_users__client_user_id=F("client_user_id"),
    )
