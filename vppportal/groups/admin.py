"""Django admin of who receives apps: to look at only, as changes have rules and are recorded on the portal's pages."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from vppportal.groups.models import Device, Import, ImportedRow, ImportFile, ManagedUser, UserGroup
from vppportal.readonly import ReadOnlyAdmin


@admin.register(UserGroup)
class UserGroupAdmin(ReadOnlyAdmin):
    list_display = ["name", "description", "created_at"]
    search_fields = ["name", "description"]


@admin.register(ManagedUser)
class ManagedUserAdmin(ReadOnlyAdmin):
    list_display = ["name", "email", "managed_apple_account", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["name", "email", "managed_apple_account"]


@admin.register(Device)
class DeviceAdmin(ReadOnlyAdmin):
    list_display = ["serial_number", "name", "platform", "model", "os_version", "owner"]
    list_filter = ["platform"]
    list_select_related = ["owner"]
    search_fields = ["serial_number", "name"]


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    list_display = ["file_name", "kind", "phase", "state", "done", "total", "new", "changed", "bad", "requested_by"]
    list_filter = ["kind", "phase", "state"]
    list_select_related = ["requested_by"]
    search_fields = ["file_name"]


@admin.register(ImportFile)
class ImportFileAdmin(ReadOnlyAdmin):
    list_display = ["job"]
    list_select_related = ["job"]
    exclude = ["content"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportFile]:
        """Return the rows without what is in the files."""
        return super().get_queryset(request).defer("content")


@admin.register(ImportedRow)
class ImportedRowAdmin(ReadOnlyAdmin):
    list_display = ["job", "line", "outcome", "key"]
    list_filter = ["outcome"]
    list_select_related = ["job"]
    search_fields = ["=key", "job__file_name"]
    show_full_result_count = False
