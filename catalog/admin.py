"""Django admin of the App Catalog: what the portal decides is to look at only; its settings may be changed."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from catalog import app_settings
from catalog.forms import SettingsForm
from catalog.models import (
    Addition,
    App,
    ApprovalStep,
    ApproverLetter,
    CatalogSettings,
    Command,
    Decision,
    DeviceEvent,
    Distribution,
    Installation,
    Letter,
    Reconciliation,
    Rollout,
    UpdateWindow,
)
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


@admin.register(ApprovalStep)
class ApprovalStepAdmin(ReadOnlyAdmin):
    list_display = ["position", "name"]


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ["app_name", "adam_id", "kind", "step_name", "by_name", "at", "round", "reason"]
    list_filter = ["kind"]
    search_fields = ["=adam_id", "app_name", "by_name"]


@admin.register(ApproverLetter)
class ApproverLetterAdmin(ReadOnlyAdmin):
    list_display = ["user", "state", "told_until", "next_attempt_at", "last_error"]
    list_filter = ["state"]
    list_select_related = ["user"]


@admin.register(Distribution)
class DistributionAdmin(ReadOnlyAdmin):
    list_display = ["pk", "app", "state", "license_kind", "when", "priority", "created_by", "created_at"]
    list_filter = ["state", "when", "license_kind"]
    list_select_related = ["app__listing", "created_by"]
    search_fields = ["app__listing__name", "=app__adam_id"]


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    list_display = ["distribution", "person", "state", "sent_at", "next_attempt_at", "last_error"]
    list_filter = ["state"]
    list_select_related = ["distribution__app__listing", "person"]
    search_fields = ["person__email", "person__name", "last_error"]
    show_full_result_count = False


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ["app", "device", "state", "reason", "license_kind", "holder", "since", "tries", "retry_at"]
    list_filter = ["state", "license_kind"]
    list_select_related = ["app__listing", "device"]
    search_fields = ["=device__serial_number", "app__listing__name", "=holder"]
    show_full_result_count = False


@admin.register(UpdateWindow)
class UpdateWindowAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "weekdays", "date", "start", "end"]
    list_filter = ["kind"]
    search_fields = ["name"]


@admin.register(Rollout)
class RolloutAdmin(ReadOnlyAdmin):
    list_display = ["app", "version", "external_version_id", "pilot_started_at", "decision", "decided_by", "decided_at"]
    list_filter = ["decision"]
    list_select_related = ["app__listing", "decided_by"]
    search_fields = ["=app__adam_id", "app__listing__name"]


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ["app", "state", "asked_at", "planned_at", "next_attempt_at", "last_error"]
    list_filter = ["state"]
    list_select_related = ["app__listing"]
    search_fields = ["=app__adam_id", "app__listing__name"]


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    list_display = ["uuid", "kind", "device", "status", "created_at", "sent_at", "answered_at", "answer"]
    list_filter = ["kind", "status"]
    list_select_related = ["device"]
    search_fields = ["=uuid", "=device__serial_number"]
    show_full_result_count = False


@admin.register(DeviceEvent)
class DeviceEventAdmin(ReadOnlyAdmin):
    exclude = ["body"]
    list_display = ["event_id", "topic", "enrollment_id", "happened_at", "received_at", "state"]
    list_filter = ["topic", "state"]
    search_fields = ["=event_id", "=enrollment_id"]
    show_full_result_count = False


@admin.register(CatalogSettings)
class CatalogSettingsAdmin(admin.ModelAdmin):
    form = SettingsForm
    list_display = ["__str__", "approval", "update_mode", "time_zone"]

    def save_model(self, request: HttpRequest, obj: CatalogSettings, form: object, change: bool) -> None:
        """Store the settings as their page does: recorded, and followed at once."""
        app_settings.store(obj, request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Offer to add the row only while the defaults are in force."""
        return super().has_add_permission(request) and not CatalogSettings.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: CatalogSettings | None = None) -> bool:
        return False
