"""The activity app."""

from __future__ import annotations

from django.apps import AppConfig


class ActivityConfig(AppConfig):
    """Who did what to which object, when; knows no other app."""

    name = "vppportal.activity"
    label = "activity"
    verbose_name = "Activity"
