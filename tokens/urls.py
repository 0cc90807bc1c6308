"""Addresses of VPP tokens. What shows or asks the catalog (a token's own page, assigning) is in catalog/urls.py."""

from __future__ import annotations

from django.urls import path

from tokens import license_pages, operation_pages, people_pages, quota_pages, views, webhooks

ASSET = "tokens/<int:pk>/licenses/<int:asset_pk>/"

urlpatterns = [
    path("apple/notifications/<uuid:notification_id>/", webhooks.apple_notifications, name="apple-notifications"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/add/", views.token_add, name="token-add"),
    path("tokens/<int:pk>/edit/", views.token_edit, name="token-edit"),
    path("tokens/<int:pk>/renew/", views.token_renew, name="token-renew"),
    path("tokens/<int:pk>/sync/", views.token_sync, name="token-sync"),
    #
    path("tokens/<int:pk>/licenses/", license_pages.token_licenses, name="token-licenses"),
    path(ASSET, license_pages.asset_holders, name="asset-holders"),
    path(f"{ASSET}revoke/", license_pages.asset_revoke, name="asset-revoke"),
    path(f"{ASSET}quotas/", quota_pages.asset_quotas, name="asset-quotas"),
    path(f"{ASSET}quotas/add/", quota_pages.quota_add, name="asset-quota-add"),
    path(f"{ASSET}quotas/<int:quota_pk>/", quota_pages.quota_edit, name="quota-edit"),
    path(f"{ASSET}quotas/<int:quota_pk>/delete/", quota_pages.quota_delete, name="quota-delete"),
    path("tokens/<int:pk>/operations/", operation_pages.operations, name="token-operations"),
    path("tokens/<int:pk>/operations/<int:operation_pk>/", operation_pages.operation, name="operation"),
    path(
        "tokens/<int:pk>/operations/<int:operation_pk>/progress/",
        operation_pages.operation_progress,
        name="operation-progress",
    ),
    #
    path("tokens/<int:pk>/people/", people_pages.token_people, name="token-people"),
    path("tokens/<int:pk>/people/register/", people_pages.token_people_register, name="token-people-register"),
    path("tokens/<int:pk>/people/resend/", people_pages.token_people_resend, name="token-people-resend"),
    path("tokens/<int:pk>/people/retire/", people_pages.token_people_retire, name="token-people-retire"),
    path(
        "tokens/<int:pk>/people/<int:registration_pk>/invitation/",
        people_pages.invitation_link,
        name="registration-invitation",
    ),
]
