"""Add a token's apps to the catalog: added, already there, waiting for approval, not found - each with its reason.

Everything here works on sets and may run twice, or twice at once: unique keys decide who was first, and an addition is
settled only by the update that finds it still waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from catalog import storefronts
from catalog.models import ADDABLE_BY_HAND, Addition, App, AppStatus, CatalogSettings, Decision, DecisionKind, Outcome
from tokens import listings
from tokens.models import Asset, ContentToken, Listing, ListingOutcome, ProductType
from tokens.policies import POLICY_FIELDS
from vppportal.activity.models import count, record, record_each

BATCH = 500


def add(token: ContentToken) -> int:
    """Bring what the token owns into the catalog, as far as the store has answered; return the rows settled."""
    with transaction.atomic():
        now = _held(token)
        if now is None:
            return 0
        _enroll(now)
        _found_after_all(now).update(outcome=Outcome.WAITING, settled_at=None)
        _for_phones_by_now(now).update(outcome=Outcome.WAITING)
        _follow_switch(now)
        storefronts.follow_owners(now)
    return sum(_settle(now, batch) for batch in _waiting(now))


def tokens_with_work() -> list[int]:
    """Return the tokens that own something `add` would do something about."""
    token, region = OuterRef("pk"), OuterRef("region")
    own = Addition.objects.filter(token=OuterRef("token"), adam_id=OuterRef("adam_id"))
    unenrolled = Asset.objects.filter(token=token, gone_at=None).exclude(Exists(own))
    of_token = Addition.objects.filter(token=token)
    answered = _answered(OuterRef(token), OuterRef(region)).filter(adam_id=OuterRef("adam_id"))
    found = _found(OuterRef(region)).filter(adam_id=OuterRef("adam_id"))
    waiting = Exists(of_token.filter(outcome=Outcome.WAITING))
    astray = Asset.objects.filter(token=token, gone_at=None, adam_id__in=storefronts.astray().values("adam_id"))
    return list(
        ContentToken.objects.kept()
        .filter(
            Exists(unenrolled)
            | Exists(of_token.filter(outcome=Outcome.WAITING).filter(Exists(answered)))
            | Exists(of_token.filter(outcome=Outcome.NOT_FOUND).filter(Exists(found)))
            | Exists(of_token.filter(outcome=Outcome.MAC_ONLY).filter(Exists(_on_phones())))
            | Q(Exists(of_token.filter(outcome=Outcome.SWITCHED_OFF)), add_apps_automatically=True)
            | Q(waiting, add_apps_automatically=False)
            | Exists(astray)
        )
        .values_list("pk", flat=True)
    )


def retry(token: ContentToken, by: User, adam_ids: Collection[str] | None = None) -> int:
    """Look failed apps up again, all of the token's or the given ones; return how many."""
    failed = token.additions.filter(outcome=Outcome.NOT_FOUND)
    if adam_ids is not None:
        failed = failed.filter(adam_id__in=adam_ids)
    with transaction.atomic():
        if _held(token) is None:
            return 0
        wanted = list(failed.values_list("adam_id", flat=True))
        listings.ask_again(token, wanted)
        failed.update(outcome=Outcome.WAITING, settled_at=None)
        if wanted:
            record(by, "retried adding apps", token, apps=len(wanted))
    return len(wanted)


def add_by_hand(token: ContentToken, by: User, adam_ids: Collection[str]) -> list[App]:
    """Add apps that are not added automatically (Mac apps, or all while the switch is off); return them.

    Apps the store has not answered for are left out: there would be no name to show.
    """
    wanted = token.additions.filter(adam_id__in=adam_ids, outcome__in=ADDABLE_BY_HAND)
    with transaction.atomic():
        if _held(token) is None:
            return []
        found = list(_found(token.region).filter(adam_id__in=wanted.values("adam_id")).order_by("adam_id"))
        _take_in(token, found, ADDABLE_BY_HAND, by)
        apps = list(App.objects.filter(adam_id__in=[listing.adam_id for listing in found]).select_related("listing"))
        record_each(by, "added to the App Catalog", apps, token=token.name)
    return apps


def _held(token: ContentToken) -> ContentToken | None:
    """Return the token as it is now; nobody else settles, edits or deletes it before the transaction ends.

    None where it is deleted.
    """
    held = ContentToken.objects.kept().select_for_update(of=("self",), no_key=True)
    return held.filter(pk=token.pk).first()


def _enroll(token: ContentToken) -> None:
    enrolled = Addition.objects.filter(token=token, adam_id=OuterRef("adam_id"))
    missing = token.assets.filter(gone_at=None).exclude(Exists(enrolled)).order_by("adam_id", "pricing_param")
    Addition.objects.bulk_create(
        [Addition(token=token, adam_id=asset.adam_id, outcome=_first_outcome(token, asset)) for asset in missing],
        ignore_conflicts=True,
        batch_size=BATCH,
    )


def _first_outcome(token: ContentToken, asset: Asset) -> Outcome:
    if asset.product_type == ProductType.BOOK:
        return Outcome.BOOK
    if asset.is_mac_only:
        return Outcome.MAC_ONLY
    return Outcome.WAITING if token.add_apps_automatically else Outcome.SWITCHED_OFF


def _found_after_all(token: ContentToken) -> QuerySet[Addition]:
    """Return the additions that failed, and of which the store of the token's region knows by now."""
    found = _found(token.region).filter(adam_id=OuterRef("adam_id"))
    return token.additions.filter(outcome=Outcome.NOT_FOUND).filter(Exists(found))


def _for_phones_by_now(token: ContentToken) -> QuerySet[Addition]:
    """Return the additions that were for Macs only, of apps that iPhones or iPads run by now."""
    return token.additions.filter(outcome=Outcome.MAC_ONLY).filter(Exists(_on_phones()))


def _on_phones() -> QuerySet[Asset]:
    """What an addition's token owns of its app, where iPhones or iPads run it."""
    own = Asset.objects.filter(token=OuterRef("token"), adam_id=OuterRef("adam_id"), gone_at=None)
    return own.filter(platforms__contains="iOS")


def _follow_switch(token: ContentToken) -> None:
    """Take “Add apps automatically” being switched on or off into account for what is not settled."""
    now_off, now_on = Outcome.SWITCHED_OFF, Outcome.WAITING
    before, after = (now_off, now_on) if token.add_apps_automatically else (now_on, now_off)
    token.additions.filter(outcome=before).update(outcome=after)


def _waiting(token: ContentToken) -> Iterator[list[str]]:
    """Yield the adam ids of waiting additions the store has answered for, in batches."""
    last = ""
    while True:
        answered = _answered(token.pk, token.region).filter(adam_id=OuterRef("adam_id"))
        batch = list(
            token.additions.filter(outcome=Outcome.WAITING, adam_id__gt=last)
            .filter(Exists(answered))
            .order_by("adam_id")
            .values_list("adam_id", flat=True)[:BATCH]
        )
        if not batch:
            return
        yield batch
        last = batch[-1]


def _answered(token: object, region: object) -> QuerySet[Listing]:
    """Listings that settle a token's addition: found by anybody, or not found with this token's own credential."""
    in_vain = Q(outcome=ListingOutcome.NOT_FOUND, checked_with=token)
    return Listing.objects.filter(storefront=region).filter(Q(outcome=ListingOutcome.FOUND) | in_vain)


def _found(region: object) -> QuerySet[Listing]:
    return Listing.objects.filter(storefront=region, outcome=ListingOutcome.FOUND)


def _settle(token: ContentToken, adam_ids: list[str]) -> int:
    """Settle one batch by what is chosen for the token by now; what was chosen anew takes effect in the next run."""
    with transaction.atomic():
        now = _held(token)
        if now is None or not now.add_apps_automatically or now.region != token.region:
            return 0
        found = list(_found(token.region).filter(adam_id__in=adam_ids).order_by("adam_id"))
        settled = _take_in(now, found, (Outcome.WAITING,), by=None)
        missing = sorted(set(adam_ids) - {listing.adam_id for listing in found})
        not_found = _close(token, (Outcome.WAITING,), Outcome.NOT_FOUND, missing)
        added = settled[Outcome.ADDED] + settled[Outcome.PENDING]
        if added:
            count("added apps to the App Catalog from", token, apps=added)
    return settled.total() + not_found


def _take_in(
    token: ContentToken, found: list[Listing], among: tuple[Outcome, ...], by: User | None
) -> Counter[Outcome]:
    """Create the apps that are not there, and close the additions found in one of the outcomes `among`.

    What an administrator deleted comes back by an administrator's hand only.
    """
    deleted = _deleted([listing.adam_id for listing in found])
    if by is None:
        found = [listing for listing in found if listing.adam_id not in deleted]
    else:
        _revive(token, deleted, by)
    _create_apps(token, found, by)
    adam_ids = [listing.adam_id for listing in found]
    statuses = dict(App.objects.filter(adam_id__in=adam_ids, added_from=token).values_list("adam_id", "status"))
    by_outcome: dict[Outcome, list[str]] = {}
    for adam_id in adam_ids:
        by_outcome.setdefault(_outcome(statuses.get(adam_id)), []).append(adam_id)
    if by is None:
        by_outcome[Outcome.DELETED] = sorted(deleted)
    else:
        _tell_others(token, deleted)
    return Counter({outcome: _close(token, among, outcome, ids) for outcome, ids in by_outcome.items()})


def _outcome(status: str | None) -> Outcome:
    match status:
        case None:
            return Outcome.EXISTS
        case AppStatus.PENDING:
            return Outcome.PENDING
        case AppStatus.REJECTED:
            return Outcome.REJECTED
    return Outcome.ADDED


def _close(token: ContentToken, among: tuple[Outcome, ...], outcome: Outcome, adam_ids: list[str]) -> int:
    still_open = token.additions.filter(outcome__in=among, adam_id__in=adam_ids)
    return still_open.update(outcome=outcome, settled_at=timezone.now(), app_id=_its_app())


def _deleted(adam_ids: list[str]) -> set[str]:
    """Return which of these apps were deleted from the catalog and not added again since."""
    apps = App.objects.filter(adam_id__in=adam_ids)
    told = Addition.objects.filter(adam_id__in=adam_ids, outcome=Outcome.DELETED).values_list("adam_id", flat=True)
    going = apps.exclude(deleted_at=None).values_list("adam_id", flat=True)
    return {*told, *going} - set(apps.kept().values_list("adam_id", flat=True))


def _revive(token: ContentToken, adam_ids: Collection[str], by: User) -> None:
    """Keep apps whose rows have not gone yet, as if they were added now: who approved them before counts no longer."""
    going = App.objects.filter(adam_id__in=adam_ids).exclude(deleted_at=None)
    anew = {"added_at": timezone.now(), "added_from": token, "added_by": by}
    approved = Q(status=AppStatus.AVAILABLE)
    # Once kept, an app is not found a second time.
    for condition, choices in ((approved, _choices(token)), (~approved, _choices(token, was_unapproved=True))):
        rows = going.filter(condition)
        rows.update(deleted_at=None, approval_round=F("approval_round") + 1, **anew, **choices)


def _tell_others(token: ContentToken, adam_ids: Collection[str]) -> None:
    """Let the rows of other tokens that say “deleted” say that the app is there again."""
    stale = Addition.objects.filter(adam_id__in=adam_ids, outcome=Outcome.DELETED).exclude(token=token)
    stale.update(outcome=Outcome.EXISTS, settled_at=timezone.now(), app_id=_its_app())


def _its_app() -> Subquery:
    return Subquery(App.objects.filter(adam_id=OuterRef("adam_id")).values("pk")[:1])


def _create_apps(token: ContentToken, found: list[Listing], by: User | None) -> None:
    """Create those that are not there. `found` is in one order everywhere, or two tokens could wait in a circle.

    Those that were in the catalog before keep what was decided on them, last of all too, and begin a new round.
    """
    decided = Decision.objects.filter(app=None, adam_id__in=[listing.adam_id for listing in found])
    last = {decision.adam_id: decision for decision in decided.order_by("pk")}
    approved, unapproved = _choices(token), _choices(token, was_unapproved=True)
    apps = []
    for listing in found:
        decision = last.get(listing.adam_id)
        choices = approved if decision is None or decision.kind == DecisionKind.APPROVED else unapproved
        number = decision.round + 1 if decision else 1
        origin = {"adam_id": listing.adam_id, "listing": listing, "added_from": token, "added_by": by}
        apps.append(App(approval_round=number, **origin, **choices))
    App.objects.bulk_create(apps, ignore_conflicts=True)
    if last:
        decided.update(app_id=_its_app())


def _choices(token: ContentToken, *, was_unapproved: bool = False) -> dict[str, Any]:
    """Return what an app takes over from the token that brings it: whether it waits, its uploader, and the policies.

    What left the catalog unapproved waits again: another token must not be a way round the approvers.
    """
    waits = CatalogSettings.load().requires_approval(token, was_unapproved=was_unapproved)
    return {
        "status": AppStatus.PENDING if waits else AppStatus.AVAILABLE,
        "waiting_since": timezone.now() if waits else None,
        "brought_by_id": token.uploaded_by_id,
        **{name: getattr(token, name) for name in POLICY_FIELDS},
    }
