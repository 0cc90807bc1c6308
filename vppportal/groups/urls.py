"""Addresses of who receives apps."""

from __future__ import annotations

from django.urls import path

from vppportal.groups import views

urlpatterns = [
    path("groups/", views.groups, name="groups"),
    path("groups/add/", views.group_add, name="group-add"),
    path("groups/choices/", views.group_choices, name="group-choices"),
    path("groups/<int:pk>/", views.group, name="group"),
    path("groups/<int:pk>/edit/", views.group_edit, name="group-edit"),
    path("groups/<int:pk>/delete/", views.group_delete, name="group-delete"),
    #
    path("people/", views.people, name="people"),
    path("people/choices/", views.person_choices, name="person-choices"),
    path("people/add/", views.person_add, name="person-add"),
    path("people/suggestions/", views.person_suggestions, name="person-suggestions"),
    path("people/<int:pk>/edit/", views.person_edit, name="person-edit"),
    path("people/<int:pk>/delete/", views.person_delete, name="person-delete"),
    #
    path("devices/", views.devices, name="devices"),
    path("devices/choices/", views.device_choices, name="device-choices"),
    path("devices/add/", views.device_add, name="device-add"),
    path("devices/<int:pk>/edit/", views.device_edit, name="device-edit"),
]
