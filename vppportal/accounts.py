"""Administrators' accounts: made by administrators only, never by signing up."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedAccounts(DefaultAccountAdapter):
    """Refuse sign-up from outside."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
