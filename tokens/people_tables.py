"""The list of the people registered at a token's location."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import django_filters
import django_tables2 as tables
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from tokens.models import (
    GONE,
    Assignment,
    ClientUser,
    ClientUserStatus,
    ContentToken,
    OperationKind,
    Target,
    TargetState,
)
from vppportal.columns import NAMED, Actions, Cell, Number
from vppportal.lists import Search

STANDINGS: Final = {
    "registering": ("running", "Being registered"),
    "failed": ("failed", "Not registered"),
    "Registered": ("Registered", "Invited"),
    "Associated": ("Associated", "Registered"),
    "retiring": ("running", "Being retired"),
    "Retired": ("Retired", "Retired"),
    "Deleted": ("Deleted", "Deleted"),
}
"""How far people are: the status that lends each its colour, and the word."""


def registration_rows(token: ContentToken) -> QuerySet[ClientUser]:
    """Return the people registered at the location, as `with_standing` has them."""
    return with_standing(token.client_users.all())


def with_standing(registrations: QuerySet[ClientUser]) -> QuerySet[ClientUser]:
    """Return registrations, each with the standing, the licenses held and what does not fit."""
    changes = Target.objects.filter(
        asset=None,
        serial_number="",
        client_user_id=OuterRef("client_user_id"),
        operation__token=OuterRef("token"),
        state=TargetState.OPEN,
    )
    held = Assignment.objects.filter(client_user_id=OuterRef("client_user_id"), asset__token=OuterRef("token"))
    counted = held.exclude(client_user_id="").order_by().values("client_user_id").annotate(number=Count("pk"))
    return (
        registrations.select_related("person", "invitation")
        .annotate(
            change=Coalesce(Subquery(changes.values("operation__kind")[:1], output_field=CharField()), Value("")),
            held=Coalesce(Subquery(counted.values("number"), output_field=IntegerField()), 0),
            name=Coalesce(F("person__name"), F("email")),
        )
        .annotate(standing=_standing(), is_misfit=_misfit())
    )


def put_into_words(rows: Iterable[Any]) -> None:
    """Put on each row the word for its standing, and the status that lends it the colour."""
    for row in rows:
        row.look, row.word = STANDINGS.get(row.standing, (row.standing, row.standing))


def _standing() -> Case:
    return Case(
        When(change=OperationKind.REGISTER, then=Value("registering")),
        When(change=OperationKind.UPDATE, then=Value("registering")),
        When(change=OperationKind.RETIRE, then=Value("retiring")),
        When(status="", then=Value("failed")),
        default=F("status"),
        output_field=CharField(),
    )


def _misfit() -> ExpressionWrapper[Any]:
    """The negation of `ClientUser.fits`, for those it matters for, in the database's words."""
    has_account = ~Q(managed_apple_account="") | (
        ~Q(person__managed_apple_account="") & ~Q(status=ClientUserStatus.ASSOCIATED)
    )
    other_account = has_account & ~Q(managed_apple_account__iexact=F("person__managed_apple_account"))
    other_address = ~has_account & ~Q(email="") & ~Q(email__iexact=F("person__email"))
    live = Q(person__isnull=False) & ~Q(status__in=GONE)
    return ExpressionWrapper(live & (other_account | other_address), output_field=BooleanField())


class RegistrationTable(tables.Table):
    """People registered at a location."""

    name = Cell("tokens/_registration.html", verbose_name="Person", attrs=NAMED, empty_values=())
    email = tables.Column("E-mail at Apple", visible=False, default="")
    managed_apple_account = tables.Column("Managed Apple Account", visible=False, default="")
    client_user_id = tables.Column("Client user ID", visible=False)
    standing = Cell("tokens/_standing.html", verbose_name="State")
    held = Number(verbose_name="Licenses")
    invited_at = Cell("tokens/_invited.html", verbose_name="Invited", empty_values=())
    invitations = Number(verbose_name="Invitations", visible=False)
    actions = Actions("tokens/_registration_actions.html")

    class Meta:
        order_by = "name"

    def value_standing(self, record: Any) -> str:
        """Return the word."""
        return str(record.word)


def by_standing(rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
    """Keep people by how far they are."""
    return rows.filter(is_misfit=True) if value == "misfit" else rows.filter(standing=value)


class RegistrationFilter(django_filters.FilterSet):
    """Finds people registered at a location."""

    q = Search("person__name", "person__email", "email", "managed_apple_account", "client_user_id")
    standing = django_filters.ChoiceFilter(
        label="State",
        choices=[*((key, word) for key, (_, word) in STANDINGS.items()), ("misfit", "Address changed")],
        method=by_standing,
        empty_label="All",
    )
    known = django_filters.TypedChoiceFilter(
        field_name="person",
        lookup_expr="isnull",
        label="Person",
        choices=[("", "All"), ("no", "Known"), ("yes", "Unknown to the portal")],
        coerce=lambda value: value == "yes",
    )
    held = django_filters.ChoiceFilter(
        label="Licenses", choices=[("0", "None"), ("1", "Some")], method="by_licenses", empty_label="All"
    )

    class Meta:
        model = ClientUser
        fields: list[str] = []

    def by_licenses(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Keep people who hold licenses, or none."""
        return rows.filter(held__gt=0) if value == "1" else rows.filter(held=0)
