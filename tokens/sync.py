"""Sync a token's location: claim it, then bring assets, listings, users and assignments level with Apple."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from tokens import connection, listings, registration, subscription
from tokens.apple import (
    AppleClient,
    AppleError,
    AppleUnavailable,
    ClaimedElsewhere,
    MayOnlyRead,
    MdmInfo,
    RequestRefused,
    TokenRejected,
)
from tokens.fields import CannotOpen
from tokens.mirror import level_assets, level_assignments, level_users
from tokens.models import ContentToken, SyncPhase, SyncRun
from tokens.signals import Changes
from vppportal.work import backoff

log = structlog.get_logger(__name__)


class NotUsable(Exception):
    """The token was deleted, or Apple refused it, since the sync was asked for."""


def carry_out(run: SyncRun) -> Iterator[Changes]:
    """Sync the token of a claimed run; yield what each step changed, after its commit.

    Whatever Apple answers ends in the run's state: done, failed for a token that Apple refuses, or put off with a
    growing pause. Raises LeaseLost when another worker has taken the run.
    """
    token = run.token
    try:
        if run.is_poison:
            run.fail(
                "This sync ended without an answer several times and is not tried again.", finished_at=timezone.now()
            )
            return
        if not token.is_usable:
            raise NotUsable(f"The token is {token.get_status_display().lower()}.")
        run.renew(started_at=run.started_at or timezone.now())
        yield from _phases(run, token)
    except (TokenRejected, ClaimedElsewhere) as error:
        if registration.note_refusal(token, error):
            run.fail(str(error), finished_at=timezone.now())
        else:
            run.postpone("The token was renewed meanwhile.", timedelta())
    except AppleUnavailable as error:
        run.postpone(str(error), max(backoff(run.attempt), timedelta(seconds=error.retry_after or 0)))
    except (AppleError, CannotOpen, NotUsable) as error:
        run.fail(str(error), finished_at=timezone.now())


def _phases(run: SyncRun, token: ContentToken) -> Iterator[Changes]:
    with connection.connect(token, is_claimed=False) as client:
        _enter(run, SyncPhase.CLAIM)
        _claim(run, token, client)
    with connection.connect(token) as client:
        _enter(run, SyncPhase.ASSETS)
        yield _note(run, level_assets(run, token, client))
        _enter(run, SyncPhase.LISTINGS)
        for looked_up in _look_up(run, token, client):
            yield Changes(SyncPhase.LISTINGS, changed=looked_up)
        _enter(run, SyncPhase.USERS)
        yield _note(run, level_users(run, token, client))
        _enter(run, SyncPhase.ASSIGNMENTS, total=sum(token.assets.values_list("assigned", flat=True)))
        yield _note(run, level_assignments(run, token, client))
    now = timezone.now()
    with transaction.atomic():
        run.finish(phase=SyncPhase.FINISHED, finished_at=now, changes=run.changes)
        ContentToken.objects.filter(pk=token.pk).update(synced_at=now)


def _claim(run: SyncRun, token: ContentToken, client: AppleClient) -> None:
    """Read the location's facts, claim it where it may be claimed, and have Apple notify us of changes.

    A location that could only be read is claimed anew with every sync: that tells when it can be changed again.
    """
    facts = client.client_config()
    ours = connection.our_claim()
    claim = facts.mdm_info
    if claim is not None and claim.id not in ("", ours.id, token.take_over_from):
        raise ClaimedElsewhere(owner=claim)
    is_read_only = False
    if claim is None or claim.id != ours.id or token.is_read_only:
        run.renew()
        is_read_only = not _take(client, ours)
    registration.keep_facts(token, facts, is_read_only=is_read_only)
    if not is_read_only:
        run.renew()
        subscription.keep(token, client, facts)


def _take(client: AppleClient, claim: MdmInfo) -> bool:
    """Claim the location; False where the token's account may only read, which is enough for a mirror."""
    try:
        client.claim(claim)
    except MayOnlyRead:
        return False
    return True


def look_up_due(token: ContentToken) -> Iterator[int]:
    """Look up the token's due apps outside a sync; yield how many were answered. Refusals are noted on the token.

    The store treats a token that Apple has revoked as none, without a word, and custom apps would seem gone: hence
    Apple is asked about the token first.
    """
    if not listings.due(token).exists():
        return
    try:
        with connection.connect(token) as client:
            client.client_config()
            yield from listings.look_up(token, client, connection.service().lookup_url)
    except (TokenRejected, ClaimedElsewhere) as error:
        registration.note_refusal(token, error)
    except (AppleUnavailable, RequestRefused, CannotOpen) as error:
        log.warning("lookup_put_off", token=token.pk, error=str(error))


def _look_up(run: SyncRun, token: ContentToken, client: AppleClient) -> Iterator[int]:
    """Look up the token's apps; a store that does not answer holds nothing up, its listings stay due."""
    listings.enroll(token)
    total = token.assets.filter(gone_at=None).values("adam_id").distinct().count()
    run.renew(total=total, done=total - listings.count_unknown(token))
    try:
        for looked_up in listings.look_up(token, client, connection.service().lookup_url):
            run.renew(done=min(total, run.done + looked_up), message="")
            yield looked_up
    except (AppleUnavailable, RequestRefused) as error:
        run.renew(message=f"The App Store does not answer: {error}"[:250])


def _enter(run: SyncRun, phase: SyncPhase, total: int | None = None) -> None:
    run.renew(phase=phase, phase_started_at=timezone.now(), done=0, total=total, message="")


def _note(run: SyncRun, changes: Changes) -> Changes:
    counts: dict[str, Any] = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    run.renew(changes={**run.changes, changes.phase: counts})
    return changes
