"""Django admin of accounts and roles: for superusers alone, as who may change any account may become any."""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

admin.site.unregister([User, Group, EmailAddress])


class SuperusersOnly(admin.ModelAdmin):
    """Shown to superusers only, whatever permissions others have."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(User)
class AccountAdmin(SuperusersOnly, UserAdmin):
    """The accounts of administrators."""


@admin.register(Group)
class RoleAdmin(SuperusersOnly, GroupAdmin):
    """The roles."""


@admin.register(EmailAddress)
class AddressAdmin(SuperusersOnly, EmailAddressAdmin):
    """Further addresses of accounts: links to a new password go there, too."""
