"""Addresses of who receives apps."""

from __future__ import annotations

from django.urls import path

from vppportal.groups import group_page, import_pages, views
from vppportal.groups.models import ImportKind

urlpatterns = [
    path("groups/", views.groups, name="groups"),
    path("groups/import/", import_pages.upload(ImportKind.GROUPS), name="groups-import"),
    path("groups/add/", views.group_add, name="group-add"),
    path("groups/choices/", views.group_choices, name="group-choices"),
    path("groups/<int:pk>/", group_page.group, name="group"),
    path("groups/<int:pk>/people/add/", group_page.group_people_add, name="group-people-add"),
    path("groups/<int:pk>/people/remove/", group_page.group_people_remove, name="group-people-remove"),
    path("groups/<int:pk>/edit/", views.group_edit, name="group-edit"),
    #
    path("people/", views.people, name="people"),
    path("people/import/", import_pages.upload(ImportKind.PEOPLE), name="people-import"),
    path("people/choices/", views.person_choices, name="person-choices"),
    path("people/add/", views.person_add, name="person-add"),
    path("people/suggestions/", views.person_suggestions, name="person-suggestions"),
    path("people/<int:pk>/edit/", views.person_edit, name="person-edit"),
    path("people/<int:pk>/delete/", views.person_delete, name="person-delete"),
    #
    path("devices/", views.devices, name="devices"),
    path("devices/import/", import_pages.upload(ImportKind.DEVICES), name="devices-import"),
    path("devices/choices/", views.device_choices, name="device-choices"),
    path("devices/add/", views.device_add, name="device-add"),
    path("devices/<int:pk>/edit/", views.device_edit, name="device-edit"),
    #
    path("imports/", import_pages.imports, name="imports"),
    path("imports/<int:pk>/", import_pages.imported, name="import"),
    path("imports/<int:pk>/start/", import_pages.import_start, name="import-start"),
    path("imports/<int:pk>/discard/", import_pages.import_discard, name="import-discard"),
]
