"""Addresses of the home page, the App Catalog, and the pages of a token that show catalog rows."""

from __future__ import annotations

from django.urls import path

from catalog import (
    channel_page,
    device_page,
    distribute_pages,
    distribution_pages,
    group_page,
    home,
    installation_pages,
    license_pages,
    person_page,
    policy_pages,
    settings_page,
    token_page,
    views,
    webhooks,
)
from catalog.approval import pages as approval_pages
from catalog.approval import step_pages as approval_step_pages
from catalog.updates import bulk_pages as update_bulk_pages
from catalog.updates import pages as update_pages
from catalog.updates import window_pages

urlpatterns = [
    path("", home.home, name="home"),
    #
    path("catalog/", views.catalog, name="catalog"),
    path("catalog/add/", views.catalog_add, name="catalog-add"),
    path("catalog/approvals/", approval_pages.approval_queue, name="approvals"),
    path("catalog/approvals/approve/", approval_pages.apps_approve, name="apps-approve"),
    path("catalog/approvals/reject/", approval_pages.apps_reject, name="apps-reject"),
    path("catalog/approvals/ask-again/", approval_pages.apps_ask_again, name="apps-ask-again"),
    path("catalog/settings/steps/", approval_step_pages.step_list, name="approval-steps"),
    path("catalog/settings/steps/add/", approval_step_pages.step_add, name="approval-step-add"),
    path("catalog/settings/steps/<int:pk>/", approval_step_pages.step_edit, name="approval-step-edit"),
    path("catalog/settings/steps/<int:pk>/move/", approval_step_pages.step_move, name="approval-step-move"),
    path("catalog/settings/steps/<int:pk>/remove/", approval_step_pages.step_remove, name="approval-step-remove"),
    path("catalog/settings/", settings_page.catalog_settings, name="catalog-settings"),
    path("catalog/windows/", window_pages.windows, name="windows"),
    path("catalog/windows/add/", window_pages.window_add, name="window-add"),
    path("catalog/windows/<int:pk>/", window_pages.window_edit, name="window-edit"),
    path("catalog/windows/<int:pk>/delete/", window_pages.window_delete, name="window-delete"),
    path("catalog/update/", update_bulk_pages.apps_update, name="apps-update"),
    path("catalog/update-rules/", update_bulk_pages.apps_updates, name="apps-updates"),
    path("catalog/line/", installation_pages.line, name="line"),
    path("catalog/distribute/", distribute_pages.apps_distribute, name="apps-distribute"),
    path("catalog/distributions/", distribution_pages.distributions, name="distributions"),
    path("catalog/distributions/stop/", distribution_pages.distributions_stop, name="distributions-stop"),
    path(
        "catalog/distributions/<uuid:submission>/preview/",
        distribute_pages.distribution_preview,
        name="distribution-preview",
    ),
    path(
        "catalog/distributions/<uuid:submission>/start/", distribute_pages.distribution_start, name="distribution-start"
    ),
    path(
        "catalog/distributions/<uuid:submission>/discard/",
        distribute_pages.distribution_discard,
        name="distribution-discard",
    ),
    path("catalog/distributions/<int:pk>/", distribution_pages.distribution, name="distribution"),
    path(
        "catalog/distributions/<int:pk>/progress/",
        distribution_pages.distribution_progress,
        name="distribution-progress",
    ),
    path("catalog/distributions/<int:pk>/edit/", distribute_pages.distribution_edit, name="distribution-edit"),
    path("catalog/distributions/<int:pk>/pause/", distribution_pages.distribution_pause, name="distribution-pause"),
    path("catalog/distributions/<int:pk>/resume/", distribution_pages.distribution_resume, name="distribution-resume"),
    path("catalog/distributions/<int:pk>/stop/", distribution_pages.distribution_stop, name="distribution-stop"),
    path(
        "catalog/distributions/<int:pk>/letters/", distribution_pages.distribution_letters, name="distribution-letters"
    ),
    path("catalog/<int:pk>/", views.app, name="app"),
    path("catalog/<int:pk>/distribute/", distribute_pages.app_distribute, name="app-distribute"),
    path("catalog/<int:pk>/approve/", approval_pages.app_approve, name="app-approve"),
    path("catalog/<int:pk>/reject/", approval_pages.app_reject, name="app-reject"),
    path("catalog/<int:pk>/ask-again/", approval_pages.app_ask_again, name="app-ask-again"),
    path("catalog/<int:pk>/policies/", policy_pages.app_policies, name="app-policies"),
    path("catalog/<int:pk>/updates/", update_pages.app_updates, name="app-updates"),
    path("catalog/<int:pk>/updates/card/", update_pages.app_updates_card, name="app-updates-card"),
    path("catalog/<int:pk>/updates/check/", update_pages.app_check, name="app-check"),
    path("catalog/<int:pk>/updates/now/", update_pages.app_update_now, name="app-update-now"),
    path("catalog/<int:pk>/updates/halt/", update_pages.app_halt, name="app-halt"),
    path("catalog/<int:pk>/updates/release/", update_pages.app_release, name="app-release"),
    path("catalog/<int:pk>/updates/resume/", update_pages.app_resume, name="app-resume"),
    path("catalog/<int:pk>/delete/", views.app_delete, name="app-delete"),
    path("catalog/<int:pk>/installations/", installation_pages.installations, name="installations"),
    path("catalog/<int:pk>/installations/retry/", installation_pages.installations_retry, name="installations-retry"),
    path(
        "catalog/<int:pk>/installations/install/",
        installation_pages.installations_install,
        name="installations-install",
    ),
    path(
        "catalog/<int:pk>/installations/update/",
        update_bulk_pages.installations_update,
        name="installations-update",
    ),
    path("catalog/<int:pk>/installations/stop/", installation_pages.installations_stop, name="installations-stop"),
    #
    path("groups/<int:pk>/delete/", group_page.group_delete, name="group-delete"),
    path("people/<int:pk>/", person_page.person, name="person"),
    path("devices/channel/", channel_page.device_channel, name="device-channel"),
    path("devices/channel/test/", channel_page.device_channel_test, name="device-channel-test"),
    path("mdm/events/", webhooks.mdm_events, name="mdm-events"),
    path("devices/<int:pk>/", device_page.device, name="device"),
    path("devices/<int:pk>/wipe/", device_page.device_wipe, name="device-wipe"),
    path("devices/<int:pk>/lift/", device_page.device_lift, name="device-lift"),
    path("devices/<int:pk>/ask/", device_page.device_ask, name="device-ask"),
    path("devices/<int:pk>/release/", device_page.device_release, name="device-release"),
    path("devices/<int:pk>/retire/", device_page.device_retire, name="device-retire"),
    path("devices/<int:pk>/delete/", device_page.device_delete, name="device-delete"),
    #
    path("tokens/<int:pk>/", token_page.token, name="token"),
    path("tokens/<int:pk>/progress/", token_page.token_progress, name="token-progress"),
    path("tokens/<int:pk>/retry/", token_page.token_retry, name="token-retry"),
    path("tokens/<int:pk>/add-apps/", token_page.token_add_apps, name="token-add-apps"),
    path("tokens/<int:pk>/licenses/<int:asset_pk>/assign/", license_pages.asset_assign, name="asset-assign"),
    path("tokens/<int:pk>/policies/", policy_pages.token_policies, name="token-policies"),
    path("tokens/<int:pk>/delete/", token_page.token_delete, name="token-delete"),
]
