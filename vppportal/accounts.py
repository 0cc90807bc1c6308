"""Administrators' accounts: made by administrators only, never by signing up."""

from __future__ import annotations

from smtplib import SMTPException
from typing import Any
from urllib.parse import urlsplit

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

log = structlog.get_logger(__name__)


class ClosedAccounts(DefaultAccountAdapter):
    """Refuse sign-up from outside, and believe nothing that a request says about its host."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return the link of a mail: it leads to the portal's public address."""
        address: str = super().get_reset_password_from_key_url(key)
        return f"{settings.PORTAL_URL}{urlsplit(address).path}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail; that the server is away is logged, as an error page would tell which addresses are known."""
        try:
            super().send_mail(template_prefix, email, context)
        except (OSError, SMTPException) as error:
            log.exception("account_mail_failed", template=template_prefix, error=str(error))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Return what wrong passwords are counted under.

        allauth adds the host that the request names: with another port each time, nobody would ever be stopped.
        """
        return str(credentials.get("email") or credentials.get("username") or "").lower()


def note_address(request: HttpRequest, **kwargs: Any) -> None:
    """Put the client's address into the log as sign-in limits know it, not as any request may claim it."""
    try:
        address = ClosedAccounts(request).get_client_ip(request)
    except PermissionDenied:
        address = ""
    structlog.contextvars.bind_contextvars(ip=address)
