"""The catalog app."""

from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """What administrators want on devices: the App Catalog and where its apps came from."""

    name = "catalog"
    verbose_name = "App Catalog"

    def ready(self) -> None:
        from catalog import receivers  # noqa: F401
