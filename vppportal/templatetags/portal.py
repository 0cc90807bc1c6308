"""Template tags of every page: status pills, times in words, navigation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

GOOD, BUSY, WAITS, WARNS, BAD, OTHER, PLAIN = "green", "blue", "yellow", "orange", "red", "purple", "secondary"
ICONS = {
    GOOD: "check-circle",
    BUSY: "arrow-repeat",
    WAITS: "hourglass-split",
    WARNS: "exclamation-triangle",
    BAD: "x-circle",
    OTHER: "person-lock",
    PLAIN: "dash-circle",
}
TONES = {
    "Associated": GOOD,
    "acknowledged": GOOD,
    "active": GOOD,
    "added": GOOD,
    "available": GOOD,
    "current": GOOD,
    "done": GOOD,
    "enrolled": GOOD,
    "exists": GOOD,
    "found": GOOD,
    "installed": GOOD,
    "licensed": GOOD,
    "new": GOOD,
    "there": GOOD,
    "changed": BUSY,
    "installing": BUSY,
    "licensing": BUSY,
    "now": BUSY,
    "open": BUSY,
    "ready": BUSY,
    "removing": BUSY,
    "running": BUSY,
    "sent": BUSY,
    "under_way": BUSY,
    "Registered": WAITS,
    "in_line": WAITS,
    "not_approved": WAITS,
    "not_now": WAITS,
    "pending": WAITS,
    "pilot": WAITS,
    "queued": WAITS,
    "review": WAITS,
    "unregistered": WAITS,
    "waiting": WAITS,
    "window": WAITS,
    "expiring": WARNS,
    "expired": WARNS,
    "halted": WARNS,
    "loses": WARNS,
    "lost": WARNS,
    "os_too_old": WARNS,
    "paused": WARNS,
    "pilot_stopped": WARNS,
    "retry": WARNS,
    "wiped": WARNS,
    "claimed_elsewhere": OTHER,
    "unlicensed": OTHER,
    "bad": BAD,
    "error": BAD,
    "failed": BAD,
    "format_error": BAD,
    "gave_up": BAD,
    "invalid": BAD,
    "not_found": BAD,
    "rejected": BAD,
    "revoked": BAD,
    "Deleted": PLAIN,
    "Retired": PLAIN,
    "book": PLAIN,
    "cancelled": PLAIN,
    "deleted": PLAIN,
    "draft": PLAIN,
    "inactive": PLAIN,
    "keeps": PLAIN,
    "later": PLAIN,
    "left": PLAIN,
    "mac_only": PLAIN,
    "offered": PLAIN,
    "on_demand": PLAIN,
    "removed": PLAIN,
    "retired": PLAIN,
    "same": PLAIN,
    "skipped": PLAIN,
    "stopped": PLAIN,
    "switched_off": PLAIN,
    "unenrolled": PLAIN,
    "unknown": PLAIN,
}
"""The one colour map of all statuses: the stored value of a choice -> its tone."""

NAVIGATION = (
    ("home", "Home", "house", ""),
    ("catalog", "App Catalog", "grid", "catalog.view_app"),
    ("approvals", "Approvals", "clipboard-check", "catalog.approve_app"),
    ("tokens", "Apple VPP Licenses", "key", "tokens.view_contenttoken"),
    ("groups", "User groups", "people", "groups.view_usergroup"),
    ("people", "People", "person", "groups.view_manageduser"),
    ("devices", "Devices", "phone", "groups.view_device"),
    ("activity", "Activity", "clock-history", "activity.view_entry"),
)
PAGES = {
    "contenttoken": "token",
    "app": "app",
    "usergroup": "group",
    "manageduser": "person",
    "device": "device",
    "import": "import",
}


@register.simple_tag
def pill(row: models.Model, field: str = "status") -> SafeString:
    """Return the status of a row as a pill: word, colour and icon."""
    return status_pill(getattr(row, field), getattr(row, f"get_{field}_display")())


@register.simple_tag
def status_pill(value: str, label: str) -> SafeString:
    """Return a pill for a status that is no field of a row."""
    return format_html(
        '<span class="badge pill bg-{}-lt">{} {}</span>', TONES.get(value, PLAIN), status_icon(value), label
    )


@register.simple_tag
def status_icon(value: str) -> SafeString:
    """Return the icon of a status alone, where a sentence beside it says more than its word."""
    tone = TONES.get(value, PLAIN)
    return format_html('<i class="bi bi-{} text-{}" aria-hidden="true"></i>', ICONS[tone], tone)


@register.simple_tag
def when(value: datetime | None, unknown: str = "never") -> SafeString:
    """Return a time as people say it, with the exact one (in the viewer's zone) on hover."""
    if value is None:
        return format_html('<span class="text-secondary">{}</span>', unknown)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.astimezone(UTC).isoformat(timespec="seconds"),
        date_format(timezone.localtime(value), "Y-m-d H:i:s T"),
        spoken(value, timezone.now()),
    )


def spoken(value: datetime, now: datetime) -> str:
    """Return how far away a time is, in the largest fitting unit; beyond two months the date itself."""
    distance = abs(value - now)
    if distance > timedelta(days=60):
        return date_format(timezone.localtime(value), "M j, Y")
    if distance < timedelta(minutes=1):
        return "just now" if value <= now else "in a moment"
    amount, unit = int(distance.total_seconds() // 60), "min"
    if distance >= timedelta(days=2):
        amount, unit = distance.days, "days"
    elif distance >= timedelta(hours=1):
        amount, unit = int(distance.total_seconds() // 3600), "h"
    return f"{amount} {unit} ago" if value <= now else f"in {amount} {unit}"


@register.filter
def days_left(value: datetime) -> int:
    """Return the whole days until a time; negative when it has passed."""
    return (value - timezone.now()).days


@register.simple_tag(takes_context=True)
def navigation(context: Any) -> list[dict[str, Any]]:
    """Return the entries of the main navigation that the viewer may open."""
    request = context["request"]
    entries = [
        {"name": name, "url": reverse(name), "label": label, "icon": icon}
        for name, label, icon, permission in NAVIGATION
        if not permission or request.user.has_perm(permission)
    ]
    home = reverse("home")
    around = [str(entry["url"]) for entry in entries if request.path.startswith(str(entry["url"]))]
    current = max((url for url in around if url != home or request.path == home), key=len, default="")
    return [{**entry, "is_current": entry["url"] == current} for entry in entries]


@register.filter
def page_of(object_type: str, object_id: int | None) -> str:
    """Return the address of the page about an object that an activity entry names; empty when there is none."""
    name = PAGES.get(object_type)
    return reverse(name, args=[object_id]) if name and object_id else ""


@register.filter
def has_errors(tab: Any, form: Any) -> bool:
    """Does one of the fields on this tab of a form have an error?"""
    return any(name in tab for name in form.errors)


@register.filter
def rate(run: Any) -> int:
    """Return how many rows a second the present phase of a piece of work gets done; 0 while that cannot be told."""
    if not run.phase_started_at or not run.done:
        return 0
    seconds = (timezone.now() - run.phase_started_at).total_seconds()
    return int(run.done / seconds) if seconds >= 1 else 0


@register.filter
def duration(run: Any) -> str:
    """Return how long a piece of work took, or takes already."""
    if not run.started_at:
        return "not started"
    seconds = ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


@register.filter
def spaced(names: str) -> str:
    """Return names that are stored with commas only as one writes them."""
    return names.replace(",", ", ")


@register.filter
def told(value: Any) -> str:
    """Return a detail of an activity entry as text: lists joined, numbers as they are."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
