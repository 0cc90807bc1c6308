"""The groups app."""

from __future__ import annotations

from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Who receives apps: people, their user groups, their devices."""

    name = "vppportal.groups"
    label = "groups"
    verbose_name = "Groups, people and devices"
