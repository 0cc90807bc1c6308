"""What the catalog's lists show beside each row, fetched with it: the number of queries does not depend on the rows."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    IntegerField,
    Model,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, NullIf

from catalog.models import Addition, App
from tokens.models import Asset, Assignment, Listing, ProductType

TYPES = [("itunes", "iTunes"), ("b2b", "B2B"), ("book", "Book")]


def addition_rows() -> QuerySet[Addition]:
    """Return additions with the store's facts and the license numbers of their product, all pricing kinds together."""
    assets = Asset.objects.filter(token=OuterRef("token"), adam_id=OuterRef("adam_id"), gone_at=None)
    listing = Listing.objects.filter(adam_id=OuterRef("adam_id"), storefront=OuterRef("token__region"))
    return Addition.objects.select_related("token").annotate(
        name=NullIf(_text(listing, "name"), Value("")),
        icon_url=_text(listing, "icon_url"),
        is_custom=Subquery(listing.values("is_custom")[:1], output_field=BooleanField()),
        platforms=Coalesce(NullIf(_text(assets, "platforms"), Value("")), _text(listing, "platforms")),
        product_type=_text(assets, "product_type"),
        **license_numbers(assets, "adam_id"),
        kinds=_sum(assets, "adam_id", Count("pk")),
        is_gone=~Exists(assets),
        type=_type(),
    )


def app_rows() -> QuerySet[App]:
    """Return apps with their licenses across all kept tokens."""
    assets = Asset.objects.filter(adam_id=OuterRef("adam_id"), gone_at=None, token__deleted_at=None)
    return (
        App.objects.kept()
        .select_related("listing")
        .annotate(
            name=F("listing__name"),
            is_custom=F("listing__is_custom"),
            **license_numbers(assets, "adam_id"),
            token_count=_sum(assets, "adam_id", Count("token", distinct=True)),
        )
    )


def license_numbers(assets: QuerySet[Asset], by: str) -> dict[str, Any]:
    """Return the sums of a product's license counts; unlimited ones are a fact of their own, never part of a sum."""
    counted = assets.filter(is_unlimited=False)
    return {
        "total": _sum(counted, by, Sum("total")),
        "available": _sum(counted, by, Sum("available")),
        "assigned": _sum(assets, by, Sum("assigned")),
        "retired": _sum(assets, by, Sum("retired")),
        "is_unlimited": Exists(assets.filter(is_unlimited=True)),
    }


def held_licenses(assignments: QuerySet[Assignment]) -> QuerySet[Assignment]:
    """Return licenses that somebody holds, with their token, the product's name, and its app in the catalog if any."""
    kept = assignments.filter(asset__token__deleted_at=None)
    listing = Listing.objects.filter(adam_id=OuterRef("asset__adam_id"), storefront=OuterRef("asset__token__region"))
    app = App.objects.kept().filter(adam_id=OuterRef("asset__adam_id"))
    return (
        kept.select_related("asset__token")
        .annotate(name=NullIf(_text(listing, "name"), Value("")), app_id=Subquery(app.values("pk")[:1]))
        .order_by("name", "asset__token__name", "pk")
    )


def _type() -> Case:
    return Case(
        When(product_type=ProductType.BOOK, then=Value("book")),
        When(is_custom=True, then=Value("b2b")),
        default=Value("itunes"),
        output_field=CharField(),
    )


def _sum(rows: QuerySet[Any], by: str, number: Sum | Count) -> Coalesce:
    summed = rows.order_by().values(by).annotate(number=number).values("number")
    return Coalesce(Subquery(summed, output_field=IntegerField()), 0)


def _text(rows: QuerySet[Model] | QuerySet[Any], field: str) -> Subquery:
    return Subquery(rows.values(field)[:1], output_field=CharField())
