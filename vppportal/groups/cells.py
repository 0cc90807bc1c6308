"""What the columns of a CSV file of groups, people or devices may say, and what each cell means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import Transform
from django.db.models.functions import Lower, Upper

from vppportal.groups import time_zones
from vppportal.groups.csvfile import NOTHING, Column, Record, Source, split, undefused
from vppportal.groups.models import Device, EnrollmentType, ImportKind, ManagedUser, Platform, UserGroup

LONGEST_LIST: Final = 10_000
UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
YES: Final = frozenset({"yes", "y", "true", "1", "on", "active"})
NO: Final = frozenset({"no", "n", "false", "0", "off", "inactive", "left"})
OTHER_PLATFORMS: Final = {"ipados": "iOS", "iphone": "iOS", "ipad": "iOS", "os x": "macOS", "mac": "macOS"}


class Wrong(Exception):
    """A cell says what cannot be, and why."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A column with what its cells mean, what people are told about it, and what a dash sets, if it may."""

    column: Column
    read: Callable[[str], Any]
    help: str
    empty: Any = None
    is_clearable: bool = True

    @property
    def name(self) -> str:
        """The model's field."""
        return self.column.name


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line is not taken: the column, what it says, a sentence."""

    column: str
    value: str
    sentence: str


@dataclass(slots=True)
class Line:
    """A line as understood: what to find the row by, what it is to say, and why it cannot be taken, if so.

    `fold` is the key without the difference of small letters and capitals. With `is_by_other` the key is the value of
    the kind's other column.
    """

    record: Record
    key: str = ""
    fold: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_by_other: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file lists: the model, the column that tells its rows apart, how, and all columns.

    Where a line lacks the key, `other` finds a row that lacks it, too; it is never written.
    """

    model: type[models.Model]
    meanings: tuple[Meaning, ...]
    folded: type[Transform]
    one: str
    many: str
    other: str = ""

    @property
    def key(self) -> Column:
        """The column that tells the rows apart."""
        return self.meanings[0].column

    @property
    def columns(self) -> list[Column]:
        """All columns."""
        return [meaning.column for meaning in self.meanings]

    @property
    def permissions(self) -> list[str]:
        """What somebody must be allowed to who imports these."""
        return [f"groups.{verb}_{self.model._meta.model_name}" for verb in ("add", "change")]

    def fold(self, key: str) -> str:
        """Return a key without the difference of small letters and capitals, as the database compares it."""
        return key.upper() if self.folded is Upper else key.lower()

    def reader(self, source: Source) -> list[tuple[int, Meaning]]:
        """Return where in a line which column stands."""
        known = {meaning.column: meaning for meaning in self.meanings}
        return [(place, known[column]) for place, column in enumerate(source.columns) if column]


def understand(kind: Kind, places: list[tuple[int, Meaning]], record: Record, width: int) -> Line:
    """Return what a line says; a cell that is empty says nothing."""
    line = Line(record)
    if record.error:
        line.problems.append(Problem("", "", record.error))
        return line
    if any(cell.strip() for cell in record.cells[width:]):
        sentence = (
            f"The line has {len(record.cells)} cells, the first line only {width}. "
            "A cell in which the separator occurs must stand in quotation marks."
        )
        line.problems.append(Problem("", "", sentence))
    for place, meaning in places:
        cell = record.cells[place].strip() if place < len(record.cells) else ""
        if cell:
            _read(line, meaning, cell)
    line.key = str(line.values.get(kind.key.name, ""))
    line.fold = kind.fold(line.key)
    other = line.values.pop(kind.other, "")
    if other and not line.key:
        line.key, line.fold, line.is_by_other = other, f"{kind.other} {other}", True
    if not line.key and not line.problems:
        line.problems.append(Problem(kind.key.label, "", f"There is no {kind.key.label.lower()} in this line."))
    return line


def _read(line: Line, meaning: Meaning, cell: str) -> None:
    try:
        if cell != NOTHING:
            line.values[meaning.name] = meaning.read(undefused(cell).strip())
        elif meaning.is_clearable:
            line.values[meaning.name] = meaning.empty
        else:
            raise Wrong("This cannot be emptied.")
    except Wrong as wrong:
        line.problems.append(Problem(meaning.column.label, cell[:100], str(wrong)))


def _text(longest: int) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if len(cell) > longest:
            raise Wrong(f"This is longer than {longest} characters.")
        if UNFIT.search(cell):
            raise Wrong("There is a line break or another character in it that cannot be stored.")
        return cell

    return read


def _address(cell: str) -> str:
    text = _text(254)(cell)
    try:
        validate_email(text)
    except ValidationError:
        raise Wrong("This is no e-mail address.") from None
    return text


def _group_names(cell: str) -> list[str]:
    if len(cell) > LONGEST_LIST:
        raise Wrong(f"This is longer than {LONGEST_LIST:,} characters.")
    return list({name.lower(): _text(120)(name) for name in reversed(split(cell))}.values())[::-1]


def _yes_or_no(cell: str) -> bool:
    word = cell.casefold()
    if word not in YES | NO:
        raise Wrong("Say yes or no.")
    return word in YES


def _choice(choices: type[models.TextChoices], others: dict[str, str]) -> Callable[[str], str]:
    known = {str(word).casefold(): value for value, label in choices.choices for word in (value, label)} | others

    def read(cell: str) -> str:
        value = known.get(cell.casefold())
        if value is None:
            raise Wrong(f"This is none of {', '.join(choices.values)}.")
        return str(value)

    return read


def _column(name: str, label: str, *aliases: str) -> Column:
    return Column(name, label, frozenset(aliases))


def _time_zone(cell: str) -> str:
    name = time_zones.named(cell)
    if not name:
        raise Wrong("There is no such time zone; names are like Europe/Berlin.")
    return name


def _serial_number(cell: str) -> str:
    return _text(32)(cell).upper()


GROUPS = Kind(
    UserGroup,
    (
        Meaning(
            _column("name", "Name", "group", "groupname", "usergroup"),
            _text(120),
            "Tells which group it is, whatever the capitals.",
            is_clearable=False,
        ),
        Meaning(_column("description", "Description", "notes", "comment"), _text(250), "Up to 250 characters.", ""),
    ),
    Lower,
    "user group",
    "user groups",
)
PEOPLE = Kind(
    ManagedUser,
    (
        Meaning(
            _column("email", "E-mail", "emailaddress", "mail", "mailaddress", "useremail"),
            _address,
            "Tells which person it is, whatever the capitals.",
            is_clearable=False,
        ),
        Meaning(
            _column("name", "Name", "fullname", "displayname", "person"),
            _text(150),
            "Needed for people who are new.",
            is_clearable=False,
        ),
        Meaning(
            _column("managed_apple_account", "Managed Apple Account", "managedappleid", "appleaccount", "appleid"),
            _address,
            "An e-mail address.",
            "",
        ),
        Meaning(
            _column("groups", "User groups", "group", "usergroup", "memberof"),
            _group_names,
            "Names separated by ; or |. Groups that do not exist are made.",
            [],
        ),
        Meaning(
            _column("is_active", "Active", "state", "status", "enabled"),
            _yes_or_no,
            "Yes or no; people who left receive nothing more.",
            is_clearable=False,
        ),
    ),
    Lower,
    "person",
    "people",
)
DEVICES = Kind(
    Device,
    (
        Meaning(
            _column("serial_number", "Serial number", "serial", "serialno", "sn", "deviceserialnumber"),
            _serial_number,
            "Tells which device it is; devices in user enrollment have none.",
            is_clearable=False,
        ),
        Meaning(_column("name", "Name", "devicename"), _text(120), "Up to 120 characters.", ""),
        Meaning(
            _column("platform", "Platform", "os"),
            _choice(Platform, OTHER_PLATFORMS),
            "iOS (also for iPads), macOS, tvOS, visionOS or watchOS; iOS where a new device names none.",
            is_clearable=False,
        ),
        Meaning(_column("model", "Model", "modelname", "devicemodel"), _text(80), "Such as iPad Air.", ""),
        Meaning(_column("os_version", "OS version", "version", "osversionnumber"), _text(20), "Such as 18.2.", ""),
        Meaning(
            _column("owner", "Owner", "owneremail", "email", "useremail", "user", "assignedto"),
            _text(254),
            "The e-mail address of a person who is in the portal already.",
        ),
        Meaning(
            _column("enrollment_type", "Enrollment type", "enrollment"),
            _choice(EnrollmentType, {}),
            "Device, user or shared; device where a new device names none.",
            is_clearable=False,
        ),
        Meaning(
            _column("time_zone", "Time zone", "tz", "devicetimezone"),
            _time_zone,
            "Such as Europe/Berlin; a device that tells its own overwrites it.",
            "",
        ),
        Meaning(
            _column("enrollment_id", "Enrollment ID"),
            _text(127),
            "What the MDM server calls it: tells which device it is where it has no serial number. No file changes it.",
            is_clearable=False,
        ),
    ),
    Upper,
    "device",
    "devices",
    other="enrollment_id",
)
KINDS: Final = {ImportKind.GROUPS: GROUPS, ImportKind.PEOPLE: PEOPLE, ImportKind.DEVICES: DEVICES}
