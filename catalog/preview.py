"""What would happen to each target of some drafts, for people to read: sentences with numbers, and the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from django.core.cache import cache
from django.db import models
from django.utils import timezone

from catalog.facts import Verdict
from catalog.models import App, InstallState, Reason
from tokens.models import ContentToken
from vppportal.groups.models import Device, ManagedUser


class Fate(models.TextChoices):
    """What becomes of a target, in the words an administrator asks in."""

    LICENSED = "licensed", "Gets it with a license"
    UNLICENSED = "unlicensed", "Gets it without a license"
    OFFERED = "on_demand", "On demand"
    LINE = "in_line", "Waits for a license"
    PERSON = "unregistered", "Waits for the person"
    THERE = "there", "Has it already"
    FAILED = "failed", "Failed before"
    SKIPPED = "skipped", "Skipped"
    LOSES = "loses", "Loses it"
    KEEPS = "keeps", "Keeps it, no longer managed"


FATES: Final = {
    InstallState.SKIPPED: Fate.SKIPPED,
    InstallState.IN_LINE: Fate.LINE,
    InstallState.UNREGISTERED: Fate.PERSON,
    InstallState.OFFERED: Fate.OFFERED,
    InstallState.SENT: Fate.THERE,
    InstallState.INSTALLING: Fate.THERE,
    InstallState.INSTALLED: Fate.THERE,
    InstallState.FAILED: Fate.FAILED,
    InstallState.REMOVING: Fate.LOSES,
    InstallState.REMOVED: Fate.LOSES,
    InstallState.LEFT: Fate.KEEPS,
}
MOST_NAMED: Final = 8
KEPT_SECONDS: Final = 300
MOST_KEPT: Final = 50_000
NAMES: Final = ("Apple", "VPP")
_FIELDS: Final = [field.name for field in fields(Verdict)]


@dataclass(slots=True)
class Row:
    """One target with its verdict; its device and person are looked up for the rows that are shown."""

    verdict: Verdict
    app: App
    token: str
    fate: Fate
    device: Device | None = None
    person: ManagedUser | None = None

    @property
    def reason(self) -> str:
        """Why, in words."""
        return reason_in_words(self.verdict.reason)


class Targets:
    """All targets of some drafts."""

    def __init__(self, verdicts: Sequence[Verdict], apps: Iterable[App]) -> None:
        known = {app.pk: app for app in apps}
        tokens = {verdict.token_id for verdict in verdicts if verdict.token_id}
        names = dict(ContentToken.objects.filter(pk__in=tokens).values_list("pk", "name"))
        self.rows = [
            Row(verdict, known[verdict.app_id], names.get(verdict.token_id or 0, ""), fate_of(verdict))
            for verdict in verdicts
        ]

    def fetch(self, rows: list[Row]) -> None:
        """Look up the devices and people of some rows."""
        devices = Device.objects.select_related("owner").in_bulk({row.verdict.device_id for row in rows})
        alone = {row.verdict.person_id for row in rows if row.verdict.device_id is None}
        people = ManagedUser.objects.in_bulk(alone)
        for row in rows:
            row.device = devices.get(row.verdict.device_id or 0)
            row.person = row.device.owner if row.device else people.get(row.verdict.person_id or 0)

    def sentences(self) -> list[str]:
        """Return what would happen, in sentences with numbers."""
        by_fate: dict[Fate, list[Row]] = {}
        for row in self.rows:
            by_fate.setdefault(row.fate, []).append(row)
        return [SENTENCES[fate](by_fate[fate]) for fate in Fate if fate in by_fate]

    def by_app(self) -> list[tuple[App, list[tuple[Fate, int]]]]:
        """Return for each app how many of its targets meet which fate."""
        counted: dict[App, Counter[Fate]] = {}
        for row in self.rows:
            counted.setdefault(row.app, Counter())[row.fate] += 1
        return [(app, [(fate, found[fate]) for fate in Fate if found[fate]]) for app, found in counted.items()]


def remember(key: str, verdicts: Sequence[Verdict]) -> None:
    """Keep verdicts for a while, so that the pages of one list are of one moment and come at once."""
    if len(verdicts) <= MOST_KEPT:
        rows = [[getattr(verdict, name) for name in _FIELDS] for verdict in verdicts]
        cache.set(key, [timezone.now().timestamp(), rows], KEPT_SECONDS)


def remembered(key: str) -> tuple[datetime, list[Verdict]] | None:
    """Return verdicts that were kept, and when they were made."""
    kept = cache.get(key)
    return kept and (datetime.fromtimestamp(kept[0], UTC), [Verdict(*values) for values in kept[1]])


def fate_of(verdict: Verdict) -> Fate:
    """Return what becomes of a target."""
    if verdict.state not in (InstallState.LICENSING, InstallState.READY):
        return FATES[verdict.state]
    if verdict.asset_id is not None:
        return Fate.LICENSED
    return Fate.LINE if verdict.state == InstallState.LICENSING else Fate.UNLICENSED


def reason_in_words(reason: str) -> str:
    """Return a reason's sentence."""
    return str(Reason(reason).label)


def _licensed(rows: Sequence[Row]) -> str:
    tokens = Counter(row.token for row in rows)
    new = sum(1 for row in rows if row.verdict.asks)
    of_people = sum(1 for row in rows if row.verdict.license_kind == "user")
    sentence = f"{_devices(rows)} {_verb(rows, 'gets', 'get')} {_it(rows)} with a license, {_named('from ', tokens)}."
    if of_people:
        sentence += f" {of_people:,} of these licenses {'is' if of_people == 1 else 'are'} held by people."
    return sentence + ("" if new == len(rows) else f" {len(rows) - new:,} of them hold theirs already.")


def _unlicensed(rows: Sequence[Row]) -> str:
    return (
        f"{_devices(rows)} {_verb(rows, 'gets', 'get')} {_it(rows)} without a license, because the people are outside"
        " the user groups of the VPP tokens. No license is used for them."
    )


def _offered(rows: Sequence[Row]) -> str:
    return (
        f"{_devices(rows)} {_verb(rows, 'is', 'are')} offered {_it(rows)}: nothing is sent, and no license used,"
        " before you ask for it."
    )


def _waiting(rows: Sequence[Row]) -> str:
    return f"{_devices(rows)} {_verb(rows, 'waits', 'wait')} in line for a license: {_because(rows)}."


def _for_the_person(rows: Sequence[Row]) -> str:
    return f"{_devices(rows)} {_verb(rows, 'waits', 'wait')} for the person: {_because(rows)}."


def _there(rows: Sequence[Row]) -> str:
    new = sum(1 for row in rows if row.verdict.asks)
    sentence = f"{_devices(rows)} {_verb(rows, 'has', 'have')} {_it(rows)} already, or on the way."
    return sentence + (f" A license is assigned to {new:,} of them." if new else "")


def _failed(rows: Sequence[Row]) -> str:
    return f"{_devices(rows)} failed before; retry by hand, on the page of the installations."


def _skipped(rows: Sequence[Row]) -> str:
    people = sum(1 for row in rows if row.verdict.device_id is None)
    devices = len(rows) - people
    who = " and ".join(filter(None, (_count(devices, "device", "devices"), _count(people, "person", "people"))))
    return f"{who} {_verb(rows, 'is', 'are')} skipped: {_because(rows)}."


def _loses(rows: Sequence[Row]) -> str:
    return f"{_devices(rows)} {_verb(rows, 'loses', 'lose')} {_it(rows)}."


def _keeps(rows: Sequence[Row]) -> str:
    return f"{_devices(rows)} {_verb(rows, 'keeps', 'keep')} {_it(rows)}, but the portal no longer manages it there."


SENTENCES: Final[dict[Fate, Callable[[Sequence[Row]], str]]] = {
    Fate.LICENSED: _licensed,
    Fate.UNLICENSED: _unlicensed,
    Fate.OFFERED: _offered,
    Fate.LINE: _waiting,
    Fate.PERSON: _for_the_person,
    Fate.THERE: _there,
    Fate.FAILED: _failed,
    Fate.SKIPPED: _skipped,
    Fate.LOSES: _loses,
    Fate.KEEPS: _keeps,
}


def _devices(rows: Sequence[Row]) -> str:
    """Return how many devices; the same device counts once for each of several apps, and that is said."""
    return _count(len(rows), "device", "devices")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}" if number else ""


def _verb(rows: Sequence[Row], one: str, many: str) -> str:
    return one if len(rows) == 1 else many


def _it(rows: Sequence[Row]) -> str:
    return "it" if len({row.app.pk for row in rows}) == 1 else "apps"


def _because(rows: Iterable[Row]) -> str:
    return _named("", Counter(_small(row.reason) for row in rows))


def _named(before: str, counted: Counter[str]) -> str:
    """Return what was counted, the most frequent first; one thing alone needs no number."""
    most = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_NAMED]
    quoted = [(f"{before}“{name}”" if before else name, number) for name, number in most]
    if len(counted) == 1:
        return quoted[0][0]
    parts = [f"{number:,} {name}" if before else f"{name} ({number:,})" for name, number in quoted]
    others = sum(counted.values()) - sum(number for _, number in quoted)
    return ", ".join([*parts, f"{others:,} others"] if others else parts)


def _small(sentence: str) -> str:
    return sentence if sentence.startswith(NAMES) else f"{sentence[:1].lower()}{sentence[1:]}"
