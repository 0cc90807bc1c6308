"""Deleting a user group: what distributions lose with it is said together with what people and tokens do."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from catalog import consequences
from catalog.models import Distribution
from vppportal.groups.models import UserGroup
from vppportal.groups.views import delete, what_hangs_on
from vppportal.wording import number


@permission_required("groups.delete_usergroup", raise_exception=True)
def group_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a user group, after saying what hangs on it."""
    group = get_object_or_404(UserGroup, pk=pk)
    sentences = [] if request.method == "POST" else [*what_hangs_on(group), *_distributions(group)]
    return delete(request, group, sentences, "groups")


def _distributions(group: UserGroup) -> list[str]:
    """Return in sentences what happens to whom distributions include, or exclude, through the group."""
    in_force = Distribution.objects.in_force()
    naming, excluding = in_force.filter(groups=group).count(), in_force.filter(excluded_groups=group).count()
    told = []
    if naming:
        told.append(f"{number(naming, 'distribution includes', 'distributions include')} its people; that ends.")
        told += consequences.of_deleting(group).sentences()
    if excluding:
        more = consequences.let_in_without(group)
        told += [
            f"{number(excluding, 'distribution excludes', 'distributions exclude')} its people; that ends, too.",
            f"{number(more, 'installation', 'installations')} more on their devices would follow.".capitalize(),
        ]
    return told
