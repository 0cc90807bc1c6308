"""Django admin of the App Catalog: what the portal decides is to look at only; its settings may be changed."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from catalog.models import Addition, App, CatalogSettings
from vppportal.readonly import ReadOnlyAdmin


@admin.register(App)
class AppAdmin(ReadOnlyAdmin):
    list_display = ["adam_id", "listing", "status", "added_at", "added_by", "added_from"]
    list_filter = ["status"]
    list_select_related = ["listing", "added_by", "added_from"]
    search_fields = ["=adam_id", "listing__name", "listing__bundle_id"]


@admin.register(Addition)
class AdditionAdmin(ReadOnlyAdmin):
    list_display = ["adam_id", "token", "outcome", "settled_at"]
    list_filter = ["outcome"]
    list_select_related = ["token"]
    search_fields = ["=adam_id", "token__name"]
    show_full_result_count = False


@admin.register(CatalogSettings)
class CatalogSettingsAdmin(admin.ModelAdmin):
    list_display = ["__str__", "approval"]

    def has_delete_permission(self, request: HttpRequest, obj: CatalogSettings | None = None) -> bool:
        return False
