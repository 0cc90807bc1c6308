"""Enrollments and their command queues, as NanoMDM keeps them in PostgreSQL, down to the words of its errors."""

from __future__ import annotations

import plistlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NOT_NOW = "NotNow"
IDLE = "Idle"
LONGEST_UUID = 127
XML = b"<?xml"


class Refused(Exception):
    """The database would not take it; the text is PostgreSQL's."""


@dataclass(slots=True)
class Command:
    """One command as it was sent; the raw text is what the device gets."""

    uuid: str
    request_type: str
    raw: bytes
    number: int = 0


@dataclass(slots=True)
class Enrollment:
    """One enrollment; it can be queued for once it has sent a TokenUpdate, even if it left later."""

    topic: str
    is_enabled: bool = True
    tally: int = 0
    # Commands without a final result, by number; those answered NotNow are marked.
    waiting: dict[int, Command] = field(default_factory=dict)
    not_now: set[int] = field(default_factory=set)


class Queues:
    """Every command ever taken and every enrollment; a lock makes each call a transaction."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.commands: dict[str, Command] = {}
            self.enrollments: dict[str, Enrollment] = {}

    def enqueue(self, ids: Sequence[str], command: Command) -> None:
        """Queue a command for every one of the ids, or for none."""
        if len(command.uuid) > LONGEST_UUID:
            raise Refused(f"pq: value too long for type character varying({LONGEST_UUID})")
        if not command.raw.startswith(XML):
            raise Refused('pq: new row for relation "commands" violates check constraint "commands_command_check"')
        with self.lock:
            if command.uuid in self.commands:
                raise Refused('pq: duplicate key value violates unique constraint "commands_pkey"')
            if any(id not in self.enrollments for id in ids):
                raise Refused(
                    'pq: insert or update on table "enrollment_queue" violates foreign key constraint '
                    '"enrollment_queue_id_fkey"'
                )
            command.number = len(self.commands)
            self.commands[command.uuid] = command
            for id in ids:
                self.enrollments[id].waiting[command.number] = command

    def authenticate(self, id: str) -> None:
        """A device begins to enroll: its queue is gone, and it counts as enrolled only after a TokenUpdate."""
        with self.lock:
            if enrollment := self.enrollments.get(id):
                enrollment.waiting.clear()
                enrollment.not_now.clear()
            self.check_out(id)

    def token_update(self, id: str, topic: str) -> int:
        """A device tells its push token; how many times since it enrolled."""
        with self.lock:
            enrollment = self.enrollments.setdefault(id, Enrollment(topic))
            enrollment.topic, enrollment.is_enabled = topic, True
            enrollment.tally += 1
            return enrollment.tally

    def check_out(self, id: str) -> None:
        """A device leaves; what is queued for it stays queued."""
        with self.lock:
            if enrollment := self.enrollments.get(id):
                enrollment.is_enabled, enrollment.tally = False, 0

    def report(self, id: str, status: str, uuid: str) -> None:
        """Store what a device says about a command; a command nobody ever sent is refused."""
        if status == IDLE:
            return
        with self.lock:
            if uuid not in self.commands or id not in self.enrollments:
                raise Refused(
                    'pq: insert or update on table "command_results" violates foreign key constraint '
                    '"command_results_command_uuid_fkey"'
                )
            enrollment, number = self.enrollments[id], self.commands[uuid].number
            if status == NOT_NOW and number in enrollment.waiting:
                enrollment.not_now.add(number)
            else:
                enrollment.waiting.pop(number, None)
                enrollment.not_now.discard(number)

    def next(self, id: str, *, skip_not_now: bool) -> Command | None:
        """The oldest command without a final result; right after a NotNow those put off are left out."""
        with self.lock:
            enrollment = self.enrollments.get(id)
            if enrollment is None:
                return None
            open_commands = enrollment.waiting.items()
            return next(
                (one for number, one in open_commands if not skip_not_now or number not in enrollment.not_now), None
            )

    def waiting(self, id: str) -> list[Command]:
        """What is queued for an enrollment, oldest first."""
        with self.lock:
            enrollment = self.enrollments.get(id)
            return list(enrollment.waiting.values()) if enrollment else []

    def topic(self, id: str) -> str | None:
        """The push topic of an enrollment, or None for one that never told its token."""
        with self.lock:
            enrollment = self.enrollments.get(id)
            return enrollment.topic if enrollment else None


def decode(raw: bytes) -> Command:
    """Read a command; a ValueError says in NanoMDM's words what is wrong with it."""
    try:
        content = plistlib.loads(raw)
    except (ValueError, plistlib.InvalidFileException, AttributeError, LookupError) as error:
        text = raw.decode(errors="replace")
        reason = str(error) or "unknown format"
        if not text.lstrip().startswith(("<", "bplist")):
            reason = "plist: unexpected non-empty xml.CharData"
        raise ValueError(f"parse error: {reason}: raw content: {text}") from error
    uuid, request_type = _members(content)
    if not uuid or not request_type:
        raise ValueError("invalid command")
    return Command(uuid, request_type, raw)


def _members(content: Any) -> tuple[str, str]:
    command = content.get("Command") if isinstance(content, dict) else None
    request_type = command.get("RequestType") if isinstance(command, dict) else None
    uuid = content.get("CommandUUID") if isinstance(content, dict) else None
    return (uuid if isinstance(uuid, str) else "", request_type if isinstance(request_type, str) else "")
