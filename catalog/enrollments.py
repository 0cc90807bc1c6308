"""Devices come and go: what they tell the MDM server when they enroll, speak and leave becomes rows of devices.

Events come in any order. So what is stored of an enrollment is worked out from all of its events that are kept, by the
times the MDM server gave them, and not from the one that came last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Max, Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from catalog.mdm import Report, Topic, Unreadable, read
from catalog.models import Command, CommandStatus, DeviceEvent, InstallState
from catalog.moves import Moves
from catalog.stories import FACTS, Story
from vppportal.activity.models import record_each
from vppportal.groups.models import Device, EnrollmentType, ManagedUser
from vppportal.work import OPEN_STATES, WorkState

CHECK_INS: Final = frozenset({Topic.AUTHENTICATE, Topic.TOKEN_UPDATE, Topic.CHECK_OUT})
AT_ONCE: Final = 500
ENDS: Final = {"retired_at": "took back into use", "wiped_at": "lifted the selective wipe of"}
"""What a later enrollment ends, and how that is recorded: whoever enrolls a device again wants to use it."""
WRITTEN: Final = (
    *FACTS,
    *ENDS,
    "owner",
    "enrollment_type",
    "enrollment_id",
    "enrolled_at",
    "unenrolled_at",
    "last_seen_at",
)
GONE_WITH_ITS_ENROLLMENT: Final = (
    InstallState.READY,
    InstallState.SENT,
    InstallState.INSTALLING,
    InstallState.INSTALLED,
    InstallState.REMOVING,
    InstallState.FAILED,
)
Moments = dict[int, datetime]


def take_in(reports: Sequence[Report]) -> set[int]:
    """Store what devices tell of themselves; return those for which apps are to be planned anew.

    Call it in a transaction. What people's channels tell changes no device, but that an iPad is shared.
    """
    own = [report for report in reports if not report.is_about_a_person]
    shared = {report.parent_id for report in reports if report.enrollment_type == "Shared iPad" and report.parent_id}
    if shared:
        Device.objects.filter(enrollment_id__in=shared).update(enrollment_type=EnrollmentType.SHARED)
    checked_in = {report.enrollment_id for report in own if report.topic in CHECK_INS}
    woken = _enroll(checked_in) if checked_in else set()
    return woken | _hear([report for report in own if report.enrollment_id not in checked_in])


def _hear(reports: Sequence[Report]) -> set[int]:
    """Note when devices were last seen; one that speaks after it had left is there again."""
    seen: dict[str, datetime] = {}
    for report in reports:
        seen[report.enrollment_id] = max(report.happened_at, seen.get(report.enrollment_id, report.happened_at))
    changed, woken = [], set()
    for device in _locked(Q(enrollment_id__in=seen)) if seen else ():
        at = seen[device.enrollment_id]
        if device.unenrolled_at is not None and device.unenrolled_at < at:
            device.unenrolled_at = None
            woken.add(device.pk)
        if device.last_seen_at is None or device.last_seen_at < at:
            device.last_seen_at = at
            changed.append(device)
    _write(changed, ["last_seen_at", "unenrolled_at"])
    return woken


def _write(devices: Iterable[Device], fields: Sequence[str]) -> None:
    """Write some fields of locked devices in one statement, far faster than Django's own update of many."""
    rows = sorted(devices, key=lambda device: device.pk)
    Device.objects.bulk_create(rows, AT_ONCE, update_conflicts=True, unique_fields=["pk"], update_fields=fields)


def _enroll(enrollment_ids: set[str]) -> set[int]:
    stories = sorted(_stories(enrollment_ids), key=lambda story: story.began_at)
    roll = _Roll(stories)
    for story in stories:
        roll.enter(story)
    woken = roll.save()
    _part(roll.renewed, roll.left)
    return woken


def _stories(enrollment_ids: set[str]) -> list[Story]:
    """Return what all kept events tell of these enrollments; events that cannot be read tell nothing."""
    kept = DeviceEvent.objects.filter(enrollment_id__in=enrollment_ids)
    told: defaultdict[str, list[Report]] = defaultdict(list)
    for event in kept.filter(topic__in=CHECK_INS).order_by("happened_at", "pk"):
        try:
            told[event.enrollment_id].append(read(event.body, event.received_at))
        except Unreadable:
            continue
    moments = kept.values("enrollment_id").annotate(
        seen=Max("happened_at"),
        alive=Max("happened_at", filter=Q(topic__in=(Topic.TOKEN_UPDATE, Topic.CONNECT))),
    )
    heard = {row["enrollment_id"]: (row["seen"], row["alive"]) for row in moments}
    return [Story.of(name, reports, *heard[name]) for name, reports in told.items()]


def _locked(which: Q) -> Iterable[Device]:
    # Not FOR UPDATE: whoever only refers to a device, as a new installation does, need not wait.
    return Device.objects.filter(which).order_by("pk").select_for_update(of=("self",), no_key=True)


def _owners(emails: set[str]) -> dict[str, int]:
    people = ManagedUser.objects.annotate(lower=Lower("email")).filter(lower__in=emails) if emails else ()
    return {person.lower: person.pk for person in people}


class _Roll:
    """The devices that some stories are about, and what becomes of them."""

    def __init__(self, stories: Sequence[Story]) -> None:
        serials = {story.serial_number for story in stories if story.serial_number}
        named = Device.objects.annotate(upper=Upper("serial_number")).filter(upper__in=serials)
        which = Q(pk__in=named.values("pk")) | Q(enrollment_id__in=[story.enrollment_id for story in stories])
        known = list(_locked(which))
        self._by_serial = {device.serial_number.upper(): device for device in known if device.serial_number}
        self._by_enrollment = {device.enrollment_id: device for device in known if device.enrollment_id}
        self._owners = _owners({story.owner.lower() for story in stories if story.owner})
        self._new: list[Device] = []
        self._changed: dict[int, Device] = {}
        self._freed: dict[int, Device] = {}
        self._doubled: set[int] = set()
        self._returned: set[int] = set()
        self._ended: defaultdict[str, list[Device]] = defaultdict(list)
        self.renewed: Moments = {}
        self.left: Moments = {}

    def enter(self, story: Story) -> None:
        """Write a story into the device that it is about, unless that has enrolled anew since."""
        held = self._by_enrollment.get(story.enrollment_id)
        device = self._device_of(story, held)
        if device is None:
            return
        if held is not None and held is not device:
            self._free(held, story.began_at)
        is_another = device.enrollment_id not in ("", story.enrollment_id)
        if not (is_another and device.enrolled_at is not None and story.began_at <= device.enrolled_at):
            self._write(story, device)

    def save(self) -> set[int]:
        """Write what was changed, and return those devices for which apps are to be planned anew."""
        Device.objects.filter(pk__in=self._doubled).delete()
        # Enrollments are free before another device takes them.
        _write(self._freed.values(), ["enrollment_id", "unenrolled_at"])
        Device.objects.bulk_create(self._new, AT_ONCE)
        _write(self._changed.values(), WRITTEN)
        for name, devices in self._ended.items():
            record_each(None, ENDS[name], devices, why="The device was enrolled anew.")
        return {device.pk for device in self._new} | self.renewed.keys() | self.left.keys() | self._returned

    def _device_of(self, story: Story, held: Device | None) -> Device | None:
        """Return the device that a story is about, new where nobody knows it; None where only its end is known."""
        serial = story.serial_number
        if serial in self._by_serial:
            return self._by_serial[serial]
        if held is not None and (not serial or not held.serial_number or held.serial_number.upper() == serial):
            return held
        return None if story.is_only_an_end else Device(serial_number=serial)

    def _free(self, held: Device, at: datetime) -> None:
        """Part a device from an enrollment that proves to be another's; one known by nothing else was a double."""
        if not held.serial_number:
            self._doubled.add(held.pk)
        else:
            held.enrollment_id, held.unenrolled_at = "", at
            self._freed[held.pk] = held
            self.left[held.pk] = at

    def _write(self, story: Story, device: Device) -> None:
        was_enrolled = device.is_enrolled
        if device.enrollment_id not in ("", story.enrollment_id):
            device.last_seen_at = None  # what the other enrollment told is about the past
        if self._begins(story, device):
            if device.pk and (device.enrolled_at is None or device.enrolled_at < story.began_at):
                self.renewed[device.pk] = story.began_at
            self._use_again(story, device)
            for name, value in story.facts.items():
                if name != "name" or not device.name:
                    setattr(device, name, value)
            device.enrollment_id, device.enrolled_at = story.enrollment_id, story.began_at
            device.enrollment_type, device.unenrolled_at = story.enrollment_type, story.ended_at
        elif story.ended_at or device.unenrolled_at is None or story.heard_at > device.unenrolled_at:
            device.unenrolled_at = story.ended_at
        if device.pk and was_enrolled and device.unenrolled_at is not None:
            self.left[device.pk] = device.unenrolled_at
        elif device.is_enrolled and not was_enrolled:
            self._returned |= {device.pk} if device.pk else set()
        self._own(story, device)
        device.last_seen_at = max(story.seen_at, device.last_seen_at or story.seen_at)
        self._keep(device)

    def _use_again(self, story: Story, device: Device) -> None:
        """End what was done to a device before this enrollment began; what was done since stays."""
        for name in ENDS:
            ended_at = getattr(device, name)
            if ended_at is not None and ended_at < story.began_at:
                setattr(device, name, None)
                self._ended[name].append(device)

    @staticmethod
    def _begins(story: Story, device: Device) -> bool:
        """Is this the first that is heard of the enrollment's beginning? Its event may be forgotten by now."""
        if device.enrollment_id != story.enrollment_id or device.enrolled_at is None:
            return True
        return story.has_authenticated and device.enrolled_at != story.began_at

    def _own(self, story: Story, device: Device) -> None:
        owner = self._owners.get(story.owner.lower())
        if owner is not None and device.owner_id is None:
            device.owner_id = owner
            self._returned |= {device.pk} if device.pk else set()

    def _keep(self, device: Device) -> None:
        if device.pk:
            self._changed[device.pk] = device
        elif device not in self._new:
            self._new.append(device)
        self._by_enrollment[device.enrollment_id] = device
        if device.serial_number:
            self._by_serial[device.serial_number.upper()] = device


def _part(renewed: Moments, left: Moments) -> None:
    """Close what was open for enrollments that ended: the MDM server has forgotten it, and so has the device.

    Apps of a device that enrolled anew are sent again; the license, which the serial number holds, stays where it is.
    """
    if not renewed and not left:
        return
    ended = {**left, **renewed}
    there = Q(device__in=renewed, state__in=GONE_WITH_ITS_ENROLLMENT)
    moves = Moves.of(there | Q(commands__device__in=ended, commands__state__in=OPEN_STATES))
    for row in moves.rows():
        began_at = renewed.get(row.device_id)
        if began_at is None or row.since >= began_at or row.state not in GONE_WITH_ITS_ENROLLMENT:
            continue
        if row.state == InstallState.REMOVING or row.failed_to_leave:
            moves.move(row, InstallState.REMOVED, began_at)
        else:
            moves.move(row, InstallState.FAILED, began_at, "The device was enrolled anew.")
            row.tries, row.retry_at, row.confirmed_at = 0, timezone.now(), None
    open_ones = Command.objects.open().filter(device__in=ended).order_by("pk").select_for_update(of=("self",))
    lost = [pk for pk, device, at in open_ones.values_list("pk", "device_id", "created_at") if at < ended[device]]
    words = "The device left management, or enrolled anew, before it answered."
    Command.objects.filter(pk__in=lost).update(
        state=WorkState.FAILED, status=CommandStatus.LOST, answered_at=timezone.now(), answer=words, lease_until=None
    )
    moves.save()
