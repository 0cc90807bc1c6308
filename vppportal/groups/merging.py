"""Compare lines of a file with the database and, if told to, write the difference: whole batches, never row by row.

A line says what it says and no more: columns that the file lacks and empty cells leave everything as it is. Whoever
writes holds the rows until the commit, in one order for all, so that two imports at once wait for each other in turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import QuerySet

from vppportal.groups.cells import DEVICES, GROUPS, PEOPLE, Kind, Line, Problem
from vppportal.groups.csvfile import join
from vppportal.groups.models import ManagedUser, RowOutcome, UserGroup

BATCH: Final = 1000
SMALL: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
CAPITAL: Final = {small: capital for capital, small in SMALL.items()}
LIKE_ANOTHER: Final = "The database takes this for the same as another one: write both alike."
UNKNOWN: Final = "No device without a serial number is enrolled so; it comes by itself when it enrolls."
Membership: Final = ManagedUser.groups.through
Change = tuple[str, str, str]
"""Column, value before, value after."""


@dataclass(slots=True)
class Judged:
    """A line with what becomes of it."""

    line: Line
    outcome: RowOutcome
    changes: list[Change] = field(default_factory=list)
    row: Any = None


class Merger:
    """Brings batches of lines of one file in or, without `writes`, says what that would do.

    `made` collects the user groups that are made, or would be, for people to be put into.
    """

    def __init__(self, kind: Kind, *, writes: bool, replaces_groups: bool, makes_groups: bool) -> None:
        self.kind, self.writes = kind, writes
        self.replaces_groups, self.makes_groups = replaces_groups, makes_groups
        self.made: dict[str, str] = {}
        self._key = kind.key.name
        self._labels = {column.name: column.label for column in kind.columns}
        self._groups: dict[str, UserGroup] = {}
        self._members: dict[int, dict[int, tuple[int, str]]] = {}
        self._owners: dict[str, int] = {}
        self._addresses: dict[int, str] = {}

    def merge(self, lines: Collection[Line]) -> list[Judged]:
        """Judge the lines; with `writes` bring them in, which is to be called inside a transaction."""
        there = self._rows(self.kind, [line.key for line in _good(lines) if not line.is_by_other], holds=self.writes)
        there |= self._rows_by_other([line for line in _good(lines) if line.is_by_other])
        self._find_missing_names(lines, there)
        self._find_owners(lines)
        self._find_previous_owners(lines, there)
        self._find_groups(lines)
        self._find_members(lines, there)
        new = [line for line in _good(lines) if line.fold not in there]
        added = self._add(new) if self.writes else {}
        judged = [self._judge(line, there, added) for line in lines]
        if self.writes:
            self._write(judged)
        return judged

    def _rows(self, kind: Kind, keys: Collection[str], *, holds: bool = False) -> dict[str, Any]:
        """Return the rows of these keys; `holds` them until the commit."""
        if not keys:
            return {}
        rows = _named(kind, keys)
        if holds:
            rows = rows.select_for_update(of=("self",), no_key=True)
        return {kind.fold(getattr(row, kind.key.name)): row for row in rows.order_by("-pk")}

    def _rows_by_other(self, lines: list[Line]) -> dict[str, Any]:
        """Return the rows without a key that lines name by the other column; such a row comes from no file."""
        if not lines:
            return {}
        other = self.kind.other
        keys = [line.key for line in lines]
        rows = self.kind.model._default_manager.filter(**{self._key: "", f"{other}__in": keys}).order_by("-pk")
        if self.writes:
            rows = rows.select_for_update(of=("self",), no_key=True)
        there = {f"{other} {getattr(row, other)}": row for row in rows}
        for line in lines:
            if line.fold not in there:
                line.problems.append(Problem(self._labels[other], line.key, UNKNOWN))
        return there

    def _find_missing_names(self, lines: Iterable[Line], there: dict[str, Any]) -> None:
        """Refuse people who are new and have no name."""
        for line in _good(lines):
            if self.kind is PEOPLE and "name" not in line.values and line.fold not in there:
                line.problems.append(Problem("Name", "", "This person is new and needs a name."))

    def _find_owners(self, lines: Iterable[Line]) -> None:
        """Find the people whom devices are to belong to."""
        owned = [line for line in _good(lines) if self.kind is DEVICES and line.values.get("owner")]
        self._addresses = {}
        if owned:
            people = _named(PEOPLE, [line.values["owner"] for line in owned]).order_by("-pk")
            self._addresses = dict(people.values_list("pk", "email"))
        self._owners = {PEOPLE.fold(address): pk for pk, address in self._addresses.items()}
        for line in owned:
            if PEOPLE.fold(line.values["owner"]) not in self._owners:
                sentence = "There is no person with this e-mail address."
                line.problems.append(Problem("Owner", line.values["owner"], sentence))

    def _find_previous_owners(self, lines: Iterable[Line], there: dict[str, Any]) -> None:
        """Find the addresses of those whom devices belong to that the lines give to others."""
        owned = [line for line in _good(lines) if "owner" in line.values and line.fold in there]
        unknown = {there[line.fold].owner_id for line in owned}.difference(self._addresses, [None])
        if unknown:
            self._addresses |= dict(ManagedUser.objects.filter(pk__in=unknown).values_list("pk", "email"))

    def _find_groups(self, lines: Iterable[Line]) -> None:
        """Find the groups that people are to be in, and make those that are missing."""
        grouped = [line for line in _good(lines) if line.values.get("groups")]
        names = {GROUPS.fold(name): name for line in grouped for name in line.values["groups"]}
        if self.writes:
            self._groups = {}  # one of them may have been deleted since the last batch
        self._groups |= self._rows(GROUPS, [name for fold, name in names.items() if fold not in self._groups])
        missing = {fold: name for fold, name in sorted(names.items()) if fold not in self._groups}
        if missing and self.makes_groups:
            self._groups |= self._made(missing)
        for line in grouped:
            for name in line.values["groups"]:
                if GROUPS.fold(name) not in self._groups:
                    sentence = LIKE_ANOTHER if self.makes_groups else "There is no such group, and you may not add any."
                    line.problems.append(Problem("User groups", name, sentence))

    def _made(self, missing: dict[str, str]) -> dict[str, UserGroup]:
        groups = {fold: UserGroup(name=name) for fold, name in missing.items()}
        if self.writes:
            UserGroup.objects.bulk_create(groups.values(), ignore_conflicts=True)
            groups = self._rows(GROUPS, missing.values())
        self.made |= {fold: name for fold, name in missing.items() if fold in groups}
        return groups

    def _find_members(self, lines: Iterable[Line], there: dict[str, Any]) -> None:
        """Find which groups the people are in whose lines name some."""
        named = [there.get(line.fold) for line in _good(lines) if "groups" in line.values]
        people = [row.pk for row in named if row is not None]
        self._members = defaultdict(dict)
        if people:
            rows = Membership.objects.filter(manageduser__in=people).order_by("usergroup__name")
            for pk, person, group, name in rows.values_list("pk", "manageduser", "usergroup", "usergroup__name"):
                self._members[person][group] = pk, name

    def _add(self, lines: list[Line]) -> dict[str, Any]:
        """Insert rows, in one order for all who insert; return them, or those of somebody who was quicker."""
        if not lines:
            return {}
        lines = sorted(lines, key=lambda line: line.fold)
        rows = [self.kind.model(**{attribute: value for _, attribute, value in self._wanted(line)}) for line in lines]
        self.kind.model._default_manager.bulk_create(rows, ignore_conflicts=True)
        return self._rows(self.kind, [line.key for line in lines], holds=True)

    def _judge(self, line: Line, there: dict[str, Any], added: dict[str, Any]) -> Judged:
        fold = line.fold
        row = there.get(fold)
        if not line.problems and row is None and self.writes:
            row = added.get(fold)
            if row is None:
                line.problems.append(Problem(self.kind.key.label, line.key, LIKE_ANOTHER))
            elif not self._changes(line, row):
                return Judged(line, RowOutcome.NEW, self._all(line), row)
        if line.problems:
            return Judged(line, RowOutcome.BAD)
        if row is None:
            return Judged(line, RowOutcome.NEW, self._all(line))
        changes = [*self._changes(line, row), *self._moves(line, row)]
        return Judged(line, RowOutcome.CHANGED if changes else RowOutcome.SAME, changes, row)

    def _wanted(self, line: Line) -> Iterator[tuple[str, str, Any]]:
        """Yield the columns of a line that are fields of the row, each with the attribute and its value."""
        for name, value in line.values.items():
            if name == "owner":
                yield name, "owner_id", self._owners[PEOPLE.fold(value)] if value else None
            elif name != "groups":
                yield name, name, value

    def _all(self, line: Line) -> list[Change]:
        values = [(name, _shown(value)) for name, value in line.values.items() if name != self._key]
        return [(self._labels[name], "", value) for name, value in values if value]

    def _changes(self, line: Line, row: Any) -> list[Change]:
        """Return which fields of a row differ from what the line says."""
        differing = [
            (name, old)
            for name, attribute, value in self._wanted(line)
            if name != self._key
            for old in [getattr(row, attribute)]
            if (old.strip() if isinstance(old, str) else old) != value
        ]
        return [
            (
                self._labels[name],
                _shown(self._addresses.get(old) if name == "owner" else old),
                _shown(line.values[name]),
            )
            for name, old in differing
        ]

    def _moves(self, line: Line, person: Any) -> list[Change]:
        """Return which user groups a person joins and leaves."""
        joins, leaves = self._joins_and_leaves(line, person)
        if not joins and not leaves:
            return []
        before = [name for _, name in self._members[person.pk].values()]
        left = {name for _, name in leaves}
        after = [name for name in before if name not in left] + [group.name for group in joins]
        return [(self._labels["groups"], join(before), join(after))]

    def _joins_and_leaves(self, line: Line, person: Any) -> tuple[list[UserGroup], list[tuple[int, str]]]:
        """Return the groups a person joins, and the memberships that end; a dash ends all."""
        if "groups" not in line.values:
            return [], []
        wanted = [self._groups[GROUPS.fold(name)] for name in line.values["groups"]]
        present = self._members[person.pk]
        ends = self.replaces_groups or not wanted
        kept = {group.pk for group in wanted}
        leaves = [membership for group, membership in present.items() if ends and group not in kept]
        return [group for group in wanted if group.pk not in present], leaves

    def _write(self, judged: list[Judged]) -> None:
        """Write the changed fields and the memberships."""
        changed = [one for one in judged if one.outcome == RowOutcome.CHANGED]
        fields = set[str]()
        for one in changed:
            for name, attribute, value in self._wanted(one.line):
                if name != self._key:
                    setattr(one.row, attribute, value)
                    fields.add(name)
        if changed and fields:
            # An upsert by primary key: an UPDATE with a CASE for each row takes many times as long.
            self.kind.model._default_manager.bulk_create(
                [one.row for one in changed], update_conflicts=True, unique_fields=["pk"], update_fields=sorted(fields)
            )
        self._write_members([*changed, *(one for one in judged if one.outcome == RowOutcome.NEW)])

    def _write_members(self, judged: list[Judged]) -> None:
        joins, leaves = list[Any](), list[int]()
        for one in judged:
            groups, ends = self._joins_and_leaves(one.line, one.row)
            joins += [Membership(manageduser_id=one.row.pk, usergroup_id=group.pk) for group in groups]
            leaves += [membership for membership, _ in ends]
        if leaves:
            Membership.objects.filter(pk__in=leaves).delete()
        Membership.objects.bulk_create(joins, ignore_conflicts=True)


def _named(kind: Kind, keys: Collection[str]) -> QuerySet[Any]:
    """Return the rows of these keys, whatever their capitals."""
    # SQLite folds A to Z only, PostgreSQL all letters.
    letters = SMALL if kind.fold("A") == "a" else CAPITAL
    folded = {kind.fold(key) for key in keys} | {key.translate(letters) for key in keys}
    return kind.model._default_manager.alias(folded=kind.folded(kind.key.name)).filter(folded__in=folded)


def _good(lines: Iterable[Line]) -> list[Line]:
    return [line for line in lines if not line.problems]


def _shown(value: Any) -> str:
    """Return a value as a preview shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return join(value)
    return str(value or "")
