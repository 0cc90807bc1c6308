"""Django admin pages to look at rows that only the portal itself may write."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic to the type checker only
    """Shows rows; nobody adds, changes or deletes them here."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return all fields, those that no form shows too, but for those that are left out on purpose."""
        options = self.model._meta
        names = [field.name for field in (*options.fields, *options.many_to_many)]
        return [name for name in names if name not in (self.exclude or ())]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse filters on what is left out: by them it could be guessed letter by letter."""
        field = lookup.partition("__")[0]
        return field not in (self.exclude or ()) and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
