"""The three roles the portal starts with, and the permissions each gives."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

VIEWER = frozenset(
    {
        "activity.view_entry",
        "catalog.view_addition",
        "catalog.view_app",
        "catalog.view_updatewindow",
        "groups.view_device",
        "groups.view_manageduser",
        "groups.view_usergroup",
        "tokens.view_contenttoken",
    }
)
OPERATOR = VIEWER | {
    "catalog.add_app",
    "catalog.add_updatewindow",
    "catalog.approve_app",
    "catalog.change_app",
    "catalog.change_updatewindow",
    "catalog.delete_app",
    "catalog.delete_updatewindow",
    "catalog.distribute_app",
    "groups.add_device",
    "groups.add_manageduser",
    "groups.add_usergroup",
    "groups.change_device",
    "groups.change_manageduser",
    "groups.change_usergroup",
    "groups.control_device",
    "groups.delete_device",
    "groups.delete_manageduser",
    "groups.delete_usergroup",
    "tokens.manage_licenses",
    "tokens.sync_contenttoken",
}
TOKEN_MANAGER = OPERATOR | {
    "catalog.change_catalogsettings",
    "tokens.add_contenttoken",
    "tokens.change_contenttoken",
    "tokens.delete_contenttoken",
}
ROLES = {"Viewer": VIEWER, "Operator": OPERATOR, "Token manager": TOKEN_MANAGER}


def keep_roles(**kwargs: Any) -> None:
    """Create the roles that are missing and give them their permissions, after every migration.

    A permission an administrator added to a role by hand stays; one taken away from it comes back.
    """
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    for name, wanted in ROLES.items():
        role, _ = Group.objects.get_or_create(name=name)
        role.permissions.add(*(known[label] for label in wanted & known.keys()))
