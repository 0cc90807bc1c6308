"""The page that shows what was done."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vppportal.activity.models import Entry
from vppportal.activity.tables import EntryFilter, EntryTable
from vppportal.lists import Empty, Listed

NOTHING = Empty("Nothing was done yet", "What people and the portal itself do is kept here.", icon="clock-history")


@permission_required("activity.view_entry", raise_exception=True)
def activity(request: HttpRequest) -> HttpResponseBase:
    """List who did what, newest first."""
    listed = Listed(request, EntryTable, EntryFilter, Entry.objects.all(), empty=NOTHING, file_name="activity")
    return listed.page_or_part(title="Activity")
