"""Browsers of people who are signed in."""

from __future__ import annotations

from django.test import Client

from tests.factories import UserFactory

WINDOW = {"HX-Request": "true", "HX-Target": "window-content"}
LIST = {"HX-Request": "true", "HX-Target": "list"}


def sign_in(role: str | None = "Token manager") -> Client:
    """Return the browser of a new administrator with the given role, or with none."""
    browser = Client()
    browser.force_login(UserFactory(role=role))
    return browser
