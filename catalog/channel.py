"""The channel to devices as it is set up here: open it, try it, and say how it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from catalog.mdm import MdmClient, MdmError, Topic, Unreadable, read
from catalog.mdm.client import HASTY, PATIENT
from catalog.models import Command, CommandStatus, DeviceEvent
from tokens.apple import Timeout
from tokens.secret import Secret
from vppportal.work import WorkState

CERTIFICATE: Final = "mdm-push-certificate"


def is_configured() -> bool:
    """Is there an MDM server to talk to?"""
    return bool(settings.NANOMDM_URL)


def address() -> str:
    """Return where the MDM server is, fit to be shown: without a name or password that may stand in the address."""
    return re.sub(r"//[^/@]*@", "//", settings.NANOMDM_URL)


def connect(timeout: Timeout = PATIENT) -> MdmClient:
    """Return a client of the MDM server; close it after use."""
    return MdmClient(
        settings.NANOMDM_URL,
        Secret(settings.NANOMDM_API_KEY),
        user=settings.NANOMDM_USER,
        path=settings.NANOMDM_API_PATH,
        pushes=settings.NANOMDM_PUSH,
        timeout=timeout,
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What a test of the channel found out, in words."""

    works: bool
    words: str


def test() -> Result:
    """Ask the MDM server for its version, whether it takes the API key, and about its push certificate.

    Nothing is queued by it. Somebody waits, so the time-outs are short.
    """
    if not is_configured():
        return Result(False, "No MDM server is set up: NANOMDM_URL is empty.")
    if not settings.NANOMDM_API_KEY:
        return Result(False, "NANOMDM_API_KEY is empty: without it the MDM server takes no commands.")
    with connect(HASTY) as client:
        try:
            version = client.version()
            client.check_key()
            _keep_certificate(client)
        except MdmError as error:
            return Result(False, str(error))
    return Result(True, f"NanoMDM {version} answers and accepts the API key.")


def _keep_certificate(client: MdmClient) -> None:
    topic = push_topic()
    found = client.push_certificate(topic) if topic else None
    if found is not None:
        not_after = found.not_after.isoformat() if found.not_after else ""
        cache.set(CERTIFICATE, {"topic": found.topic, "not_after": not_after}, None)


def push_topic() -> str:
    """Return the topic of the push certificate, which devices name when they enroll; empty before the first."""
    latest = DeviceEvent.objects.filter(topic=Topic.AUTHENTICATE).order_by("-happened_at").first()
    try:
        topic = read(latest.body, latest.received_at).payload().get("Topic") if latest else None
    except Unreadable:
        topic = None
    return topic[:200] if isinstance(topic, str) else ""


def push_certificate_ends() -> datetime | None:
    """Return when the push certificate expires, as far as a test found out."""
    known = cache.get(CERTIFICATE) or {}
    try:
        return datetime.fromisoformat(known["not_after"]) if known.get("topic") == push_topic() else None
    except (KeyError, ValueError):
        return None


def state() -> dict[str, Any]:
    """Return how the channel is, as far as this database knows."""
    events, commands = DeviceEvent.objects.all(), Command.objects.all()
    newest = events.order_by("-pk").first()
    waiting = commands.open().filter(status=CommandStatus.QUEUED, next_attempt_at__lte=timezone.now())
    trouble = commands.open().filter(status=CommandStatus.QUEUED).exclude(last_error="").order_by("-next_attempt_at")
    stuck = trouble.first()
    return {
        "last_event_at": newest.received_at if newest else None,
        "events_waiting": events.open().count(),
        "events_unreadable": events.filter(state=WorkState.FAILED).count(),
        "commands_waiting": waiting.count(),
        "commands_out": commands.open().filter(status__in=(CommandStatus.SENT, CommandStatus.NOT_NOW)).count(),
        "commands_stuck": trouble.count(),
        "trouble": stuck.last_error if stuck else "",
        "push_topic": push_topic(),
        "push_certificate_ends": push_certificate_ends(),
    }
