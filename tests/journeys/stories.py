"""What the journeys have in common: uploading a token over HTTP, and reading where the portal has got to."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import requests

from catalog.models import Addition, App, Outcome
from tests.portal import Portal
from tests.processes import eventually
from tokens.models import Assignment, ContentToken, SyncRun


def upload(portal: Portal, session: requests.Session, file: Path, name: str, **fields: str) -> requests.Response:
    """Fill in and submit the Add Token form as a browser without scripts does."""
    form = {
        "name": name,
        "region": "US",
        "accept_region": "on",
        "submission": str(uuid.uuid4()),
        "add_apps_automatically": "on",
        "remove_on_mdm_removal": "on",
        "revoke_on_stop": "on",
        **fields,
    }
    with file.open("rb") as content:
        return portal.post(session, "/tokens/add/", form, files={"token_file": (file.name, content)})


def progress(portal: Portal) -> dict[str, Any]:
    """Read from the portal's own database how far everything is."""
    with portal.database():
        outcomes = list(Addition.objects.values_list("outcome", flat=True))
        return {
            "tokens": ContentToken.objects.kept().count(),
            "status": list(ContentToken.objects.kept().values_list("status", flat=True)),
            "runs": sorted(SyncRun.objects.values_list("state", flat=True)),
            "additions": len(outcomes),
            "waiting": outcomes.count(Outcome.WAITING),
            "outcomes": {outcome: outcomes.count(outcome) for outcome in set(outcomes)},
            "apps": App.objects.count(),
            "assignments": Assignment.objects.count(),
        }


def is_settled(portal: Portal) -> dict[str, Any] | None:
    """Return the progress once every sync has ended and no app waits any more."""
    now = progress(portal)
    ended = now["runs"] and set(now["runs"]) <= {"done", "failed"}
    return now if ended and now["additions"] and not now["waiting"] else None


def settled(portal: Portal, within: float) -> dict[str, Any]:
    """Wait until everything is settled, and return how it ended."""
    try:
        return eventually(lambda: is_settled(portal), within, every=0.2)
    except AssertionError as error:
        raise AssertionError(f"not settled: {progress(portal)}\n{portal.log[-6000:]}") from error
