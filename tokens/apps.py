"""The tokens app."""

from __future__ import annotations

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """Content tokens and the mirror of what Apple says about them."""

    name = "tokens"
    verbose_name = "VPP tokens"
