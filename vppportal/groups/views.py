"""The pages about who receives apps: user groups, people, devices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import capfirst
from django.views.decorators.http import require_GET

from vppportal.groups.changes import keep, remove
from vppportal.groups.forms import DeviceForm, GroupForm, PersonForm
from vppportal.groups.models import Device, ManagedUser, UserGroup
from vppportal.groups.picker import DEVICES, GROUPS, PEOPLE, Kind, is_searching
from vppportal.groups.tables import (
    DeviceFilter,
    DeviceTable,
    GroupFilter,
    GroupTable,
    PersonFilter,
    PersonTable,
    group_rows,
    people_rows,
)
from vppportal.lists import Empty, Listed
from vppportal.wording import number

Row = UserGroup | ManagedUser | Device

NO_GROUPS = Empty(
    "No user groups yet",
    "Put people into groups to restrict VPP tokens to them and, later, to send them apps.",
    icon="people",
)
NO_PEOPLE = Empty("No people yet", "Add the people who receive apps. Administrators are not among them.", icon="person")
NO_DEVICES = Empty("No devices yet", "Add a device by its serial number.", icon="phone")


@permission_required("groups.view_usergroup", raise_exception=True)
def groups(request: HttpRequest) -> HttpResponseBase:
    """List the user groups."""
    listed = Listed(request, GroupTable, GroupFilter, group_rows(), empty=NO_GROUPS, file_name="user-groups")
    return listed.page_or_part(title="User groups", actions="groups/_group_add.html")


@permission_required("groups.add_usergroup", raise_exception=True)
def group_add(request: HttpRequest) -> HttpResponse:
    """Add a user group."""
    return _edit(request, GroupForm(request.POST or None), "Add a user group", "groups")


@permission_required("groups.change_usergroup", raise_exception=True)
def group_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a user group."""
    group = get_object_or_404(UserGroup, pk=pk)
    return _edit(request, GroupForm(request.POST or None, instance=group), f"Edit {group}", group)


def what_hangs_on(group: UserGroup) -> list[str]:
    """Return in sentences what deleting a user group does to people and tokens; distributions are the catalog's."""
    alone = [
        token.name
        for token in group.tokens.kept().prefetch_related("restricted_to")
        if len(token.restricted_to.all()) == 1
    ]
    sentences = [
        f"The group “{group}” is deleted.",
        f"{capfirst(number(group.people.count(), 'person is', 'people are'))} in it; they stay, without the group.",
        f"{capfirst(number(group.tokens.kept().count(), 'VPP token is', 'VPP tokens are'))} restricted to it.",
    ]
    if alone:
        sentences.append(
            f"Restricted to this group only: {', '.join(alone)}. From then on everybody may receive licenses of "
            f"{'this token' if len(alone) == 1 else 'these tokens'}."
        )
    return sentences


@require_GET
@permission_required("groups.view_usergroup", raise_exception=True)
def group_choices(request: HttpRequest) -> HttpResponse:
    """Answer the search of a picker of user groups."""
    return _choices(request, GROUPS)


@require_GET
@permission_required("groups.view_manageduser", raise_exception=True)
def person_choices(request: HttpRequest) -> HttpResponse:
    """Answer the search of a picker of people."""
    return _choices(request, PEOPLE)


@require_GET
@permission_required("groups.view_device", raise_exception=True)
def device_choices(request: HttpRequest) -> HttpResponse:
    """Answer the search of a picker of devices."""
    return _choices(request, DEVICES)


@permission_required("groups.view_manageduser", raise_exception=True)
def people(request: HttpRequest) -> HttpResponseBase:
    """List the people."""
    listed = Listed(request, PersonTable, PersonFilter, people_rows(), empty=NO_PEOPLE, file_name="people")
    return listed.page_or_part(title="People", actions="groups/_person_add.html")


@permission_required("groups.add_manageduser", raise_exception=True)
def person_add(request: HttpRequest) -> HttpResponse:
    """Add a person."""
    return _edit(request, PersonForm(request.POST or None), "Add a person", "people")


@permission_required("groups.change_manageduser", raise_exception=True)
def person_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a person."""
    person = get_object_or_404(ManagedUser, pk=pk)
    return _edit(request, PersonForm(request.POST or None, instance=person), f"Edit {person}", person)


@permission_required("groups.delete_manageduser", raise_exception=True)
def person_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a person, after saying what hangs on it."""
    person = get_object_or_404(ManagedUser, pk=pk)
    sentences = [
        f"{person} ({person.email}) is deleted.",
        f"{capfirst(number(person.groups.count(), 'user group loses', 'user groups lose'))} this person.",
        f"{capfirst(number(person.devices.count(), 'device stays', 'devices stay'))}, without an owner.",
        *_registrations(person),
        "To keep the record of somebody who left, edit the person instead and untick “active”.",
    ]
    return delete(request, person, sentences, "people")


def _registrations(person: ManagedUser) -> list[str]:
    """Return in a sentence what stays at Apple when a person is forgotten."""
    number = person.client_users.exclude(status__in=("Retired", "Deleted")).count()
    if not number:
        return []
    tokens = "1 VPP token" if number == 1 else f"{number:,} VPP tokens"
    return [f"Apple knows the person through {tokens}. Retire the person there first, or the licenses held stay held."]


@require_GET
@permission_required("groups.view_manageduser", raise_exception=True)
def person_suggestions(request: HttpRequest) -> HttpResponse:
    """Suggest people whose e-mail address or name contains what was typed."""
    typed = request.GET.get("owner", "")
    found = ManagedUser.objects.filter(email__icontains=typed) | ManagedUser.objects.filter(name__icontains=typed)
    return render(request, "groups/_suggestions.html", {"people": found[:10] if len(typed) > 1 else ()})


@permission_required("groups.view_device", raise_exception=True)
def devices(request: HttpRequest) -> HttpResponseBase:
    """List the devices."""
    rows = Device.objects.select_related("owner")
    listed = Listed(request, DeviceTable, DeviceFilter, rows, empty=NO_DEVICES, file_name="devices")
    return listed.page_or_part(title="Devices", actions="groups/_device_add.html")


@permission_required("groups.add_device", raise_exception=True)
def device_add(request: HttpRequest) -> HttpResponse:
    """Add a device."""
    return _edit(request, DeviceForm(request.POST or None), "Add a device", "devices")


@permission_required("groups.change_device", raise_exception=True)
def device_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a device."""
    device = get_object_or_404(Device, pk=pk)
    return _edit(request, DeviceForm(request.POST or None, instance=device), f"Edit {device}", device)


def _choices(request: HttpRequest, kind: Kind) -> HttpResponse:
    name = request.GET.get("name", "groups")
    offered = kind.offer(request.GET.getlist(name), request.GET.get(f"{name}_search", ""))
    return render(request, "groups/_choices.html", {"name": name, **offered})


def _edit(request: HttpRequest, form: forms.ModelForm[Any], title: str, back: Row | str) -> HttpResponse:
    if request.method == "POST" and not is_searching(request.POST) and form.is_valid():
        row = keep(form, request.user)
        if row is not None:
            messages.success(request, f"“{row}” is saved.")
            return redirect(row)
    context = {"title": title, "form": form, "back": redirect(back).url}
    return render(request, "form.html", context, status=422 if request.method == "POST" else 200)


def delete(request: HttpRequest, row: Row, sentences: list[str], list_page: str) -> HttpResponse:
    """Ask whether a row is to be deleted, saying what that does; delete it once that is confirmed."""
    if request.method == "POST":
        remove(row, request.user)
        messages.success(request, f"“{row}” is deleted.")
        return redirect(list_page)
    context = {
        "title": f"Delete “{row}”?",
        "sentences": sentences,
        "verb": "Delete",
        "back": redirect(row).url,
        "is_grave": True,
    }
    return render(request, "confirm.html", context)
