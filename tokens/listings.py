"""Look apps up in the App Store: in batches, and each (app, storefront) once for the whole installation.

Here with a token that owns them: custom apps, what is not sold any more, and what was never looked up. What everybody
may see is asked for without a token (storefront.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from tokens import entries
from tokens.apple import AppleClient, AppleError, StoreItem
from tokens.models import Asset, ContentToken, Listing, ListingOutcome
from tokens.queue import CHECK_STORE, LOOK_UP
from vppportal.work import WorkQuerySet, nudge


def enroll(token: ContentToken) -> None:
    """Make sure that every product of the token has a listing, and that it is due where only this token can find it."""
    known = Listing.objects.filter(adam_id=OuterRef("adam_id"), storefront=token.region)
    missing = token.assets.filter(gone_at=None).exclude(Exists(known)).values_list("adam_id", flat=True).distinct()
    # In one order everywhere: two tokens that enroll the same apps would otherwise wait for each other for ever.
    Listing.objects.bulk_create(
        [Listing(adam_id=adam_id, storefront=token.region) for adam_id in missing.order_by("adam_id")],
        ignore_conflicts=True,
        batch_size=500,
    )
    by_others = _of(token).filter(outcome=ListingOutcome.NOT_FOUND).exclude(checked_with=token)
    by_others.filter(lease_until=None).update(next_attempt_at=timezone.now())


def ask_again(token: ContentToken, adam_ids: Collection[str]) -> None:
    """Make the listings of these apps due now, as far as they were not found."""
    asked = Listing.objects.filter(storefront=token.region, adam_id__in=adam_ids, outcome=ListingOutcome.NOT_FOUND)
    asked.update(outcome=ListingOutcome.UNKNOWN, next_attempt_at=timezone.now())


def check_now(adam_ids: Collection[str]) -> int:
    """Have these apps looked up now in all App Stores that list them; return how many listings that is.

    What a worker is asking about at this moment is not asked about twice.
    """
    asked = Listing.objects.open().filter(adam_id__in=adam_ids, lease_until=None)
    with transaction.atomic():
        # Tokens that did not find an app today may try again.
        asked.filter(outcome=ListingOutcome.NOT_FOUND).update(checked_with=None)
        number = asked.update(next_attempt_at=timezone.now())
        if number:
            nudge(CHECK_STORE)
            for token_id in tokens_with_work():
                nudge(LOOK_UP, token_id)
    return number


def due(token: ContentToken) -> WorkQuerySet[Listing]:
    """Return the listings to look up with this token now.

    One that this very token did not find today may be due for the sake of another token, which it is left to.
    """
    return _of(token).due().filter(needs_token=True).exclude(_asked_in_vain(token))


def look_up(token: ContentToken, client: AppleClient, lookup_url: str) -> Iterator[int]:
    """Look up what is due of the token's apps; yield the number answered after each call; raises AppleError.

    Two tokens, or two workers, that own the same app share the work: a listing is claimed by one of them.
    """
    while claimed := entries.claim(due(token)):
        wanted = [listing.adam_id for listing in claimed if not listing.is_poison]
        try:
            items = client.store_items(
                lookup_url,
                wanted,
                country=token.region.lower(),
                language=entries.LANGUAGE,
                platform=token.store_platform,
            )
        except AppleError as error:
            entries.put_off(claimed, error)
            raise
        store(claimed, items, token)
        yield len(claimed)


def store(claimed: Collection[Listing], items: dict[str, StoreItem], token: ContentToken) -> None:
    """Write down what the store told this token of what was claimed, as far as nobody else has taken it since.

    What it did not show is asked for, but what is known of it stays as old as before.
    """
    now = timezone.now()
    with transaction.atomic():
        held = Listing.objects.still_held(claimed)
        for listing in held:
            listing.asked_at, listing.checked_with = now, token
            if listing.adam_id in items:
                listing.checked_at = now
            else:
                listing.outcome = ListingOutcome.NOT_FOUND
                listing.last_error = entries.GIVEN_UP if listing.is_poison else ""
        entries.store(held, items)


def count_unknown(token: ContentToken) -> int:
    """Return how many of the token's products the store was never asked about."""
    return _of(token).filter(outcome=ListingOutcome.UNKNOWN).count()


def tokens_with_work() -> list[int]:
    """Return the usable tokens that own something whose listing is due and is not for everybody to see."""
    due = Listing.objects.due().filter(needs_token=True)
    due = due.filter(storefront=OuterRef(OuterRef("region")), adam_id=OuterRef("adam_id"))
    due = due.exclude(_asked_in_vain(OuterRef(OuterRef("pk"))))
    assets = Asset.objects.filter(token=OuterRef("pk"), gone_at=None).filter(Exists(due))
    return list(ContentToken.objects.usable().filter(Exists(assets)).values_list("pk", flat=True))


def _of(token: ContentToken) -> WorkQuerySet[Listing]:
    owned = Asset.objects.filter(token=token, adam_id=OuterRef("adam_id"), gone_at=None)
    return Listing.objects.filter(storefront=token.region).filter(Exists(owned))


def _asked_in_vain(token: object) -> Q:
    today = timezone.now() - entries.NOT_FOUND_FOR
    return Q(outcome=ListingOutcome.NOT_FOUND, checked_with=token, asked_at__gt=today)
