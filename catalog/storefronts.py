"""From which App Store an app is shown: one where a usable token owns it, so that new versions are seen."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from catalog.models import App
from tokens.many import Keys
from tokens.models import Asset, ContentToken, Listing, ListingOutcome
from tokens.queue import PROPAGATE
from vppportal.work import nudge


def follow_owners(token: ContentToken) -> None:
    """Show what the token owns as a store has it that can still be asked, where the store shown so far cannot be."""
    owned = token.assets.filter(gone_at=None)
    here = astray().filter(adam_id__in=owned.values("adam_id")).order_by("pk")
    # Locked in one order: tokens that own the same apps would otherwise wait for each other for ever.
    keys = list(here.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    if keys:
        astray().filter(pk__in=Keys(keys)).update(listing_id=Subquery(_shown_elsewhere().values("pk")[:1]))
        nudge(PROPAGATE)


def astray() -> QuerySet[App]:
    """Return the apps whose store lost them, or in whose store no usable token owns them, though another has them.

    An app stays where it is as long as it can be asked for there: nothing goes to and fro between two stores.
    """
    is_lost = Q(listing__outcome=ListingOutcome.NOT_FOUND) | ~Exists(_usable_assets("listing__storefront"))
    return App.objects.kept().filter(is_lost).filter(Exists(_shown_elsewhere()))


def _shown_elsewhere() -> QuerySet[Listing]:
    """Return the listings of an app in all stores where a usable token owns it, that of the preferred token first."""
    preferred = _usable_assets("storefront").order_by("token__preference").values("token__preference")
    found = Listing.objects.filter(adam_id=OuterRef("adam_id"), outcome=ListingOutcome.FOUND)
    return found.alias(preference=Subquery(preferred[:1])).exclude(preference=None).order_by("preference", "storefront")


def _usable_assets(storefront: str) -> QuerySet[Asset]:
    """Return what usable tokens own of an app in one storefront, both those of the query further out."""
    own = Asset.objects.filter(adam_id=OuterRef("adam_id"), gone_at=None, token__region=OuterRef(storefront))
    return own.filter(token__in=ContentToken.objects.usable())
