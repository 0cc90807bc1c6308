"""Placeholder until the channel to devices (helper B) is written over this file."""

from __future__ import annotations

from typing import Any


def install_payload(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {}


def remove_payload(bundle_id: str) -> dict[str, Any]:
    return {"Identifier": bundle_id}


def remove_profile_payload(identifier: str) -> dict[str, Any]:
    return {"Identifier": identifier}
