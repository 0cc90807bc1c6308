"""Addresses of VPP tokens. A token's own page shows catalog rows, so catalog/urls.py has it."""

from __future__ import annotations

from django.urls import path

from tokens import views, webhooks

urlpatterns = [
    path("apple/notifications/<uuid:notification_id>/", webhooks.apple_notifications, name="apple-notifications"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/add/", views.token_add, name="token-add"),
    path("tokens/<int:pk>/edit/", views.token_edit, name="token-edit"),
    path("tokens/<int:pk>/renew/", views.token_renew, name="token-renew"),
    path("tokens/<int:pk>/sync/", views.token_sync, name="token-sync"),
]
