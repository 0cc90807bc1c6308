"""Take a token into service, renew it, change what was chosen for it, and note when Apple refuses it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.formats import date_format

from tokens import connection, listings
from tokens.apple import (
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
    AppleError,
    AppleUnavailable,
    ClaimedElsewhere,
    ClientConfig,
    MdmInfo,
    TokenRejected,
)
from tokens.diagnosis import status_of
from tokens.fields import Sealed
from tokens.models import NAME_TAKEN, ContentToken, Operation, SyncReason, SyncRun, TokenStatus
from tokens.regions import REGIONS
from tokens.vpptoken import VppToken
from vppportal.activity.models import record

FACTS = ("location_name", "country", "store_platform", "is_read_only", "expires_at", "take_over_from")
VERDICT = ("status", "status_since", "status_number", "claimed_by")
FILE = ("secret", "fingerprint", "organization", "uploaded_by", "uploaded_at", *FACTS, *VERDICT)


class Refused(Exception):
    """A file is not taken: the form field concerned, a sentence for the administrator, what goes behind “details”.

    `existing` is the token that is in the way, where there is one. `consent` names the check box that would allow it.
    """

    def __init__(
        self,
        sentence: str,
        *,
        field: str = "token_file",
        details: str = "",
        existing: ContentToken | None = None,
        consent: str = "",
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
        self.details = details
        self.existing = existing
        self.consent = consent


def fingerprint(vpp_token: VppToken) -> str:
    """Return what identifies a token file without giving it away (the token itself is long and random)."""
    return hashlib.sha256(b"vpptoken:" + vpp_token.secret.reveal().encode()).hexdigest()


def examine(
    vpp_token: VppToken, consents: Iterable[str] = (), *, region: str = "", renews: ContentToken | None = None
) -> ClientConfig:
    """Find out whether a file can be taken, asking Apple once; return Apple's facts of the location or raise Refused.

    `consents` are the check boxes the administrator ticked: “take_over” and “accept_region”.
    """
    if vpp_token.is_expired(timezone.now()):
        raise Refused(
            f"This token expired on {date_format(timezone.localtime(vpp_token.expires_at))}. "
            "Download a new one from Apple Business or Apple School Manager."
        )
    _refuse_known_file(vpp_token, renews)
    facts = _ask_apple(vpp_token)
    if renews is None:
        _refuse_held_location(facts)
        _refuse_other_region(facts, region, consents)
    elif facts.location_id != renews.location_id:
        raise Refused(
            f"This file belongs to another location ({facts.location_name}), not to {renews.location_name}. "
            "Nothing was changed. Download the token of the right location, or add this one as a new token."
        )
    _refuse_foreign_claim(facts, consents)
    return facts


def register(
    vpp_token: VppToken, facts: ClientConfig, choices: Mapping[str, Any], *, by: User, submission: uuid.UUID
) -> SyncRun:
    """Store an examined token with its first sync; raises Refused where somebody else was quicker."""
    token = ContentToken(uploaded_by=by, submission=submission, take_over_from=_claim_to_replace(facts))
    _take_choices(token, choices)
    _take_file(token, vpp_token, facts)
    try:
        with transaction.atomic():
            token.save()
            token.restricted_to.set(choices.get("restricted_to", ()))
            record(by, "added the VPP token", token, location=token.location_name, region=token.region)
            return SyncRun.objects.create(token=token, reason=SyncReason.UPLOAD, requested_by=by)
    except IntegrityError:
        _refuse_known_file(vpp_token)
        _refuse_held_location(facts)
        raise Refused(NAME_TAKEN, field="name") from None


def renew(token: ContentToken, vpp_token: VppToken, facts: ClientConfig, *, by: User) -> SyncRun:
    """Put a newer file of the same location in the place of the old one, and set everything going again.

    Raises Refused where somebody deleted the token meanwhile. What else was changed meanwhile stays as it is.
    """
    _take_file(token, vpp_token, facts)
    token.uploaded_by, token.uploaded_at = by, timezone.now()
    token.take_over_from = _claim_to_replace(facts)
    _set_status(token, TokenStatus.ACTIVE)
    with transaction.atomic():
        if _locked(pk=token.pk) is None:
            raise Refused("This token was deleted meanwhile. Add the file as a new token.")
        token.save(update_fields=FILE)
        # What waits for the token goes on by itself.
        Operation.objects.open().filter(token=token, lease_until=None).update(next_attempt_at=timezone.now())
        record(by, "renewed the VPP token", token, expires=token.expires_at.date().isoformat())
        return ask_for_sync(token, SyncReason.RENEWAL, by)


def edit(token: ContentToken, choices: Mapping[str, Any], *, by: User, version: int) -> bool:
    """Store what an administrator chose anew; return False when somebody else changed the token since `version`."""
    with transaction.atomic():
        if not ContentToken.objects.kept().filter(pk=token.pk, version=version).update(version=F("version") + 1):
            return False
        before = {name: getattr(token, name) for name in token.CHOICES}
        _take_choices(token, choices)
        token.save(update_fields=[*before])
        token.restricted_to.set(choices.get("restricted_to", ()))
        changed = [name for name, value in before.items() if getattr(token, name) != value]
        if "region" in changed:
            listings.enroll(token)
        record(by, "changed the VPP token", token, fields=changed)
    return True


def ask_for_sync(token: ContentToken, reason: SyncReason, by: User | None) -> SyncRun:
    """Return the token's open sync, made due now, or a new one: never two at a time."""
    with transaction.atomic():
        waiting = SyncRun.objects.open().filter(token=token)
        waiting.update(next_attempt_at=timezone.now())
        run, is_new = waiting.get_or_create(defaults={"token": token, "reason": reason, "requested_by": by})
        if is_new and by is not None and reason == SyncReason.MANUAL:
            record(by, "asked for a sync of", token)
    return run


def note_refusal(token: ContentToken, error: AppleError) -> bool:
    """Apple refused the token: keep the state, since when and the number. The mirror stays as it was.

    Return False and write nothing where the refused file has been replaced, or the token deleted, meanwhile.
    """
    with transaction.atomic():
        now = _locked(pk=token.pk, uploaded_at=token.uploaded_at)
        if now is None:
            return False
        is_news = now.status != status_of(error)
        _set_status(now, status_of(error), error.number)
        now.claimed_by = _owner(error.owner) if isinstance(error, ClaimedElsewhere) else ""
        now.save(update_fields=VERDICT)
        if is_news:
            record(None, f"found the VPP token {now.get_status_display().lower()}:", now, number=error.number)
    return True


def note_read_only(token: ContentToken) -> None:
    """Apple let this token read and change nothing; a sync finds out when that is over."""
    token.is_read_only = True
    ContentToken.objects.filter(pk=token.pk, uploaded_at=token.uploaded_at).update(is_read_only=True)


def keep_facts(token: ContentToken, facts: ClientConfig, *, is_read_only: bool) -> None:
    """Store what Apple says of a location that nobody else claims; writes only what differs.

    Nothing is written where the file that was asked with has been replaced meanwhile.
    """
    before = [getattr(token, name) for name in FACTS]
    _take_facts(token, facts)
    token.take_over_from, token.is_read_only = "", is_read_only
    now = {name: getattr(token, name) for name in FACTS}
    if before != [*now.values()]:
        ContentToken.objects.filter(pk=token.pk, uploaded_at=token.uploaded_at).update(**now)


def _locked(**which: Any) -> ContentToken | None:
    """Return a token that is kept, as it is now; nobody else changes it before the transaction ends."""
    return ContentToken.objects.kept().select_for_update(of=("self",)).filter(**which).first()


def _set_status(token: ContentToken, status: TokenStatus, number: int | None = None) -> None:
    if token.status != status:
        token.status_since = timezone.now()
    token.status, token.status_number, token.claimed_by = status, number, ""


def _take_choices(token: ContentToken, choices: Mapping[str, Any]) -> None:
    for name in token.CHOICES:
        if name in choices:
            setattr(token, name, choices[name])


def _take_file(token: ContentToken, vpp_token: VppToken, facts: ClientConfig) -> None:
    token.location_id = facts.location_id
    token.secret = Sealed.seal(vpp_token.secret, bound_to=facts.location_id)
    token.fingerprint = fingerprint(vpp_token)
    token.organization = vpp_token.organization
    token.expires_at = facts.token_expires_at or vpp_token.expires_at
    _take_facts(token, facts)


def _take_facts(token: ContentToken, facts: ClientConfig) -> None:
    token.location_name = facts.location_name[:250] or token.location_name
    token.country = facts.country[:2].upper()
    token.store_platform = facts.default_platform[:40] or token.store_platform
    token.expires_at = facts.token_expires_at or token.expires_at


def _ask_apple(vpp_token: VppToken) -> ClientConfig:
    try:
        with connection.introduce(vpp_token.secret, fingerprint(vpp_token)) as client:
            return client.client_config()
    except TokenRejected as error:
        sentence = {
            TOKEN_REVOKED: "Apple has revoked this token. The usual causes: the password of the Apple Account that "
            "downloaded it was changed, or Apple flagged the account. Download a new token.",
            TOKEN_EXPIRED: "Apple says that this token has expired. Download a new one.",
        }.get(error.number or 0, "Apple does not accept this token. Download it again and upload the file unchanged.")
        raise Refused(sentence, details=str(error)) from error
    except AppleUnavailable as error:
        raise Refused(
            "Apple cannot be reached or is too slow at the moment. Nothing was saved: "
            "submit the form again in a few minutes.",
            details=str(error),
        ) from error
    except AppleError as error:
        raise Refused("Apple did not accept the request. Nothing was saved.", details=str(error)) from error


def _refuse_known_file(vpp_token: VppToken, renews: ContentToken | None = None) -> None:
    """Refuse a file that is here already; one that Apple did refuse may be tried again for its own token."""
    existing = ContentToken.objects.kept().filter(fingerprint=fingerprint(vpp_token)).first()
    if existing is not None and (existing.is_usable or existing != renews):
        raise Refused(f"This file is already uploaded, as “{existing.name}”.", existing=existing)


def _refuse_held_location(facts: ClientConfig) -> None:
    existing = ContentToken.objects.kept().filter(location_id=facts.location_id).first()
    if existing is not None:
        raise Refused(
            f"This is another token of the location {facts.location_name}, which “{existing.name}” already opens. "
            f"To replace the old file, renew “{existing.name}” with it.",
            existing=existing,
        )


def _refuse_other_region(facts: ClientConfig, region: str, consents: Iterable[str]) -> None:
    if not facts.country or facts.country == region or "accept_region" in consents:
        return
    raise Refused(
        f"Apple's country for this location is {REGIONS.get(facts.country, facts.country)}, but you chose "
        f"{REGIONS.get(region, region)}. "
        "Names, icons and versions would come from the App Store you chose, where some apps may be missing.",
        field="region",
        consent="accept_region",
    )


def _refuse_foreign_claim(facts: ClientConfig, consents: Iterable[str]) -> None:
    if _claim_to_replace(facts) and "take_over" not in consents and facts.mdm_info is not None:
        raise Refused(
            f"This location is managed by another MDM: {_owner(facts.mdm_info)}. "
            "Two of them would take each other's licenses. Remove the token there first, or take the location over.",
            consent="take_over",
        )


def _claim_to_replace(facts: ClientConfig) -> str:
    """Return the foreign claim on the location, empty where it is free or ours."""
    claim = facts.mdm_info
    return claim.id if claim is not None and claim.id and claim.id != connection.our_claim().id else ""


def _owner(claim: MdmInfo) -> str:
    return " ".join(part for part in (claim.name, f"({claim.metadata})" if claim.metadata else "") if part)[:250]
