"""The project package as an app: shared template tags, the roles, and the Celery app that ``shared_task`` binds to."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django_structlog.signals import bind_extra_request_metadata

from vppportal.celery import app as celery_app

__all__ = ["PortalConfig", "celery_app"]


class PortalConfig(AppConfig):
    """Holds no models of its own."""

    name = "vppportal"
    label = "portal"
    verbose_name = "Portal"

    def ready(self) -> None:
        from vppportal.accounts import note_address
        from vppportal.roles import keep_roles

        post_migrate.connect(keep_roles, dispatch_uid="keep_roles")
        bind_extra_request_metadata.connect(note_address, dispatch_uid="note_address")
