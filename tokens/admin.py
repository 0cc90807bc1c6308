"""Django admin of what Apple says: to look at only, and without the tokens' secrets."""

from __future__ import annotations

from django.contrib import admin

from tokens.models import (
    Asset,
    Assignment,
    ClientUser,
    ContentToken,
    Invitation,
    Listing,
    ListingVersion,
    Notification,
    Operation,
    PortalIdentity,
    Quota,
    SyncRun,
    Target,
)
from vppportal.readonly import ReadOnlyAdmin


@admin.register(ContentToken)
class ContentTokenAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "location_name",
        "organization",
        "region",
        "status",
        "expires_at",
        "synced_at",
        "deleted_at",
    ]
    list_filter = ["status", "region"]
    search_fields = ["name", "location_name", "organization", "location_id"]
    exclude = ["secret", "notification_secret"]


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = [
        "pk",
        "token",
        "reason",
        "state",
        "phase",
        "done",
        "total",
        "created_at",
        "finished_at",
        "last_error",
    ]
    list_filter = ["state", "reason"]
    list_select_related = ["token"]
    search_fields = ["token__name", "last_error"]
    show_full_result_count = False


@admin.register(Listing)
class ListingAdmin(ReadOnlyAdmin):
    list_display = [
        "adam_id",
        "storefront",
        "name",
        "outcome",
        "is_custom",
        "needs_token",
        "version",
        "version_seen_at",
        "platforms",
        "checked_at",
        "asked_at",
        "state",
    ]
    list_filter = ["outcome", "is_custom", "needs_token", "state"]
    search_fields = ["adam_id", "name", "bundle_id"]
    show_full_result_count = False


@admin.register(ListingVersion)
class ListingVersionAdmin(ReadOnlyAdmin):
    list_display = ["listing", "version", "external_version_id", "minimum_os", "released_on", "seen_at"]
    list_select_related = ["listing"]
    search_fields = ["listing__adam_id", "listing__name"]
    show_full_result_count = False


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    list_display = [
        "adam_id",
        "token",
        "pricing_param",
        "product_type",
        "total",
        "available",
        "assigned",
        "is_unlimited",
    ]
    list_filter = ["product_type", "is_unlimited"]
    list_select_related = ["token"]
    search_fields = ["=adam_id", "token__name"]
    show_full_result_count = False


@admin.register(Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    """Millions of rows: found by the exact serial number or client user id, never counted in full."""

    list_display = ["asset", "serial_number", "client_user_id", "since"]
    list_select_related = ["asset"]
    search_fields = ["=serial_number", "=client_user_id"]
    ordering = ["-pk"]
    raw_id_fields = ["asset"]
    show_full_result_count = False


@admin.register(ClientUser)
class ClientUserAdmin(ReadOnlyAdmin):
    list_display = ["client_user_id", "email", "status", "token"]
    exclude = ["invite_code"]
    list_filter = ["status"]
    list_select_related = ["token"]
    search_fields = ["=client_user_id", "email"]
    show_full_result_count = False


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ["client_user", "state", "attempt", "next_attempt_at", "last_error"]
    list_filter = ["state"]
    list_select_related = ["client_user"]
    search_fields = ["=client_user__client_user_id", "client_user__email", "last_error"]
    show_full_result_count = False


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ["pk", "kind", "token", "asset", "step", "state", "sends", "created_at", "settled_at", "last_error"]
    list_filter = ["kind", "step", "state"]
    list_select_related = ["token", "asset"]
    search_fields = ["=event_id", "token__name", "why"]
    raw_id_fields = ["asset"]
    show_full_result_count = False


@admin.register(Target)
class TargetAdmin(ReadOnlyAdmin):
    """One row for each holder of each change: found by the exact serial number or client user id."""

    list_display = ["operation", "asset", "serial_number", "client_user_id", "state", "number", "message"]
    list_select_related = ["operation", "asset"]
    search_fields = ["=serial_number", "=client_user_id"]
    ordering = ["-pk"]
    raw_id_fields = ["operation", "asset"]
    show_full_result_count = False


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ["notification_id", "token", "type", "state", "received_at"]
    list_filter = ["type", "state"]
    list_select_related = ["token"]
    search_fields = ["=notification_id"]
    ordering = ["-pk"]
    show_full_result_count = False


@admin.register(Quota)
class QuotaAdmin(ReadOnlyAdmin):
    list_display = ["token", "adam_id", "group", "limit"]
    list_select_related = ["token", "group"]
    search_fields = ["=adam_id", "token__name", "group__name"]


@admin.register(PortalIdentity)
class PortalIdentityAdmin(ReadOnlyAdmin):
    list_display = ["mdm_id"]
