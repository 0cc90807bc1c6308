"""The page of a user group: who is in it, and putting people in and taking them out."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from vppportal.chosen import ChosenForm
from vppportal.groups import membership
from vppportal.groups.models import ManagedUser, UserGroup
from vppportal.groups.tables import PersonFilter, PersonTable, people_rows
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

SEE = ["groups.view_usergroup", "groups.view_manageduser"]
MOVE = ["groups.change_usergroup", "groups.change_manageduser"]


@permission_required(SEE, raise_exception=True)
def group(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Show a user group: the people in it, and the tokens restricted to it."""
    group = get_object_or_404(UserGroup, pk=pk)
    may_move = request.user.has_perms(MOVE)
    listed = Listed(
        request,
        PersonTable,
        PersonFilter,
        people_rows().filter(groups=group),
        empty=Empty(
            "Nobody is in this group yet",
            "Add people one by one, or import a list of people that names their groups.",
            icon="people",
            action_url=reverse("group-people-add", args=[pk]) if may_move else "",
            action_label="Add people",
        ),
        file_name="people-of-group",
        bulk=[Bulk(reverse("group-people-remove", args=[pk]), "Take out of the group", "person-dash")]
        if may_move
        else (),
    )
    return listed.page_or_part("groups/group.html", group=group, tokens=group.tokens.kept(), may_move=may_move)


@permission_required([*SEE, *MOVE], raise_exception=True)
def group_people_add(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List the people who are not in the group, and put those who are ticked into it."""
    group = get_object_or_404(UserGroup, pk=pk)
    others = people_rows().exclude(pk__in=_in(group).values("pk"))
    here = reverse("group-people-add", args=[pk])
    if request.method == "POST":
        added = membership.add(group, selected(request, PersonFilter, others), request.user)
        messages.success(request, f"“{group}” has {number(added, 'person', 'people')} more.")
        return redirect(group if added else here)
    listed = Listed(
        request,
        PersonTable,
        PersonFilter,
        others,
        empty=Empty("Everybody is in this group", "There is nobody left to be added.", icon="people"),
        file_name="people-outside-group",
        bulk=[Bulk(here, f"Add to “{group}”", "person-plus")],
    )
    return listed.page_or_part("groups/group_people_add.html", group=group)


@require_POST
@permission_required([*SEE, *MOVE], raise_exception=True)
def group_people_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the chosen people out of the group, after saying what that does."""
    group = get_object_or_404(UserGroup, pk=pk)
    chosen = selected(request, PersonFilter, _in(group))
    people = chosen.count()
    if not people:
        messages.info(request, "Nobody was chosen.")
        return redirect(group)
    if "confirmed" in request.POST:
        removed = membership.take_out(group, chosen, request.user)
        messages.success(request, f"{number(removed, 'person is', 'people are')} no longer in “{group}”.")
        return redirect(group)
    context = {
        "title": f"Take {number(people, 'person', 'people')} out of “{group}”?",
        "sentences": [
            f"{number(people, 'person leaves', 'people leave')} the group; nobody leaves the portal or other groups.",
            "What they have only because they are in this group is taken back: apps that are distributed to it are "
            "removed from their devices where the policies of the VPP token say so, and their licenses become free.",
        ],
        "form": ChosenForm(request.POST),
        "verb": "Take out",
        "back": group.get_absolute_url(),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def _in(group: UserGroup) -> QuerySet[ManagedUser]:
    return ManagedUser.objects.filter(groups=group)
