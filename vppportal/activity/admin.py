"""Django admin of the activity record."""

from __future__ import annotations

from django.contrib import admin

from vppportal.activity.models import Entry
from vppportal.readonly import ReadOnlyAdmin


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor_name", "verb", "object_type", "object_name"]
    list_filter = ["object_type"]
    search_fields = ["object_name", "actor_name", "verb", "request_id"]
    show_full_result_count = False
