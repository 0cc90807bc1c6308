"""Gather what a plan needs to know about an app: a constant number of queries, however many devices there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from catalog.audience import AUDIENCE
from catalog.facts import Facts
from catalog.models import App, AppStatus, Distribution
from catalog.supplies import Stock, holders_of, refused_by_apple, supplies_of
from catalog.targets import audiences_of, devices_of, people_of_groups, people_without_device, targets_of, version


def gather(
    app: App, *, drafts: Sequence[Distribution] = (), replaces: Iterable[int] = (), people: bool = False
) -> Facts:
    """Return the facts about an app.

    `drafts` count as if they were in force, in place of the distributions whose keys are in `replaces`; with `people`,
    those who are meant and have no device are targets, too.
    """
    wanted = _wanted(app, drafts, replaces)
    stock = Stock.of(app)
    groups = people_of_groups(stock.groups() | _named(wanted))
    audiences = audiences_of(wanted, groups)
    devices = devices_of(app, wanted)
    holders = holders_of(stock, devices)
    targets = targets_of(app, devices, audiences, holders.accounts)
    if people:
        targets += people_without_device(audiences, wanted)
    return Facts(
        app_id=app.pk,
        targets=tuple(targets),
        supplies=tuple(supplies_of(stock, groups, holders)),
        held=frozenset(holders.held),
        assigning=frozenset(holders.assigning),
        revoking=frozenset(holders.revoking),
        refused=refused_by_apple(stock.assets),
        is_approved=app.status == AppStatus.AVAILABLE,
        is_deleted=app.deleted_at is not None,
        platforms=stock.platforms() or frozenset(filter(None, app.listing.platforms.split(","))),
        minimum_os=version(app.listing.minimum_os),
        remove_on_stop=app.remove_on_stop,
        remove_on_mdm_removal=app.remove_on_mdm_removal,
        remove_on_selective_wipe=app.remove_on_selective_wipe,
        revoke_on_stop=app.revoke_on_stop,
    )


def _wanted(app: App, drafts: Sequence[Distribution], replaces: Iterable[int]) -> list[Distribution]:
    """Return the distributions that count, with whom they name."""
    keys = [draft.pk for draft in drafts]
    in_force = app.distributions.in_force().exclude(pk__in=[*replaces, *keys])
    drafted = Distribution.objects.filter(pk__in=keys)
    return [*in_force.prefetch_related(*AUDIENCE), *drafted.prefetch_related(*AUDIENCE)]


def _named(wanted: Iterable[Distribution]) -> set[int]:
    """Return the groups that distributions name."""
    return {group.pk for row in wanted for group in (*row.groups.all(), *row.excluded_groups.all())}
