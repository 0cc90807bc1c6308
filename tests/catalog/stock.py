"""Tokens that own apps, and stores that know them, for tests of the catalog."""

from __future__ import annotations

from tests.factories import AssetFactory, ContentTokenFactory, ListingFactory
from tokens.models import ContentToken
from vppportal.work import WorkState


def owner(*adam_ids: str, kind: str = "", **fields) -> ContentToken:
    """Return a token that owns these apps."""
    token = ContentTokenFactory(**fields)
    for adam_id in adam_ids:
        AssetFactory(token=token, adam_id=adam_id, **({kind: True} if kind else {}))
    return token


def store_has(*adam_ids: str, storefront: str = "US", **fields) -> None:
    for adam_id in adam_ids:
        ListingFactory(adam_id=adam_id, storefront=storefront, name=f"App {adam_id} of {storefront}", **fields)


def store_lacks(token: ContentToken, *adam_ids: str) -> None:
    for adam_id in adam_ids:
        ListingFactory(
            adam_id=adam_id, storefront=token.region, not_found=True, checked_with=token, state=WorkState.WAITING
        )


def outcomes(token: ContentToken) -> dict[str, str]:
    return dict(token.additions.values_list("adam_id", "outcome"))
