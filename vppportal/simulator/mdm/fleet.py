"""All simulated devices: one thread lets each of them come when it was pushed, and from time to time."""

from __future__ import annotations

import plistlib
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from vppportal.simulator.mdm.answers import answer
from vppportal.simulator.mdm.devices import Conduct, Device, write
from vppportal.simulator.mdm.service import Failed, Message
from vppportal.simulator.timetable import Timetable

if TYPE_CHECKING:
    from vppportal.simulator.world import World

OK = 200
# A portal that is not up yet is looked for often; one that does not want to hear is left in peace.
LONGEST_PAUSE, LONGEST_PEACE = 5.0, 120.0


class Fleet:
    """The devices by id; the lock is held while one of them talks to the MDM server."""

    def __init__(self, world: World) -> None:
        self.world, self.mdm = world, world.mdm
        self.mdm.wake = self.wake
        self.lock = threading.RLock()
        self.timetable = Timetable("devices")
        self.devices: dict[str, Device] = {}
        self.reset()

    def reset(self) -> None:
        """Forget every device."""
        self.timetable.clear()
        with self.lock:
            self.devices.clear()
            self.usual = Conduct()
            self.random = random.Random(f"fleet:{self.world.seed}")
            self.due = 0

    def add(self, device: Device) -> Device:
        """Take in a device, which behaves as those before it were told to; it is not enrolled yet."""
        with self.lock:
            device.conduct = replace(self.usual)
            self.devices[device.id] = device
            if self.mdm.options.poll_seconds:
                self._come_again(device)
        return device

    def find(self, names: Iterable[str] | str) -> list[Device]:
        """Devices by id, serial number or name; "all" are all of them."""
        with self.lock:
            if names == "all":
                return list(self.devices.values())
            wanted = {names} if isinstance(names, str) else set(names)
            found = [one for one in self.devices.values() if wanted & {one.id, one.serial, one.name}]
        if missing := wanted - {name for one in found for name in (one.id, one.serial, one.name)}:
            raise KeyError(f"there is no device {', '.join(sorted(missing))}")
        return found

    # --- Enrolling ---------------------------------------------------------------------------------------------------

    def enroll(self, device: Device, *, tell: bool = True) -> None:
        """Enroll a device, anew if it was; it sends both messages again until the portal was told of both."""
        with self.lock:
            device.enrollment += 1
            device.is_enrolled = True
            self._check_in(device, device.enrollment, tell=tell, pause=1.0)

    def _check_in(self, device: Device, enrollment: int, *, tell: bool, pause: float) -> None:
        with self.lock:
            if device.enrollment != enrollment or not device.is_enrolled:
                return
            again = partial(self._check_in, device, enrollment, tell=tell)
            if self.world.gate.is_shut:
                self.timetable.after(pause, partial(again, pause=pause))
                return
            heard: list[int] = []

            def told(status: int) -> None:
                # With events delivered twice this is called more often than twice; the first two count.
                heard.append(status)
                if len(heard) == 2 and heard != [OK, OK]:
                    longest = LONGEST_PEACE if all(heard) else LONGEST_PAUSE
                    self.timetable.after(min(pause, longest), partial(again, pause=min(pause, longest) * 2))

            for members in (device.authenticate(), device.token_update()):
                self.mdm.check_in(self._message(device, members), tell=tell, told=told)

    def check_out(self, device: Device) -> None:
        """Let a device leave management and say so."""
        with self.lock:
            device.leave_management()
            self.mdm.check_in(self._message(device, device.check_out()))

    def _message(self, device: Device, members: dict[str, Any]) -> Message:
        return Message(write(members), members, device.params)

    # --- Commands ----------------------------------------------------------------------------------------------------

    def wake(self, id: str) -> None:
        """A device was pushed: it comes in a moment, once, however often it was pushed meanwhile."""
        with self.lock:
            device = self.devices.get(id)
            if device is None or device.is_due:
                return
            device.is_due = True
            self.due += 1
            self.timetable.after(self.mdm.options.answer_seconds, partial(self._come, device))

    def _come(self, device: Device) -> None:
        with self.lock:
            device.is_due = False
            self.poll(device)
            self.due = max(0, self.due - 1)

    def _come_again(self, device: Device) -> None:
        # Spread, so that devices which were added together do not come together for ever.
        seconds = self.mdm.options.poll_seconds * self.random.uniform(0.75, 1.25)
        self.timetable.after(seconds, partial(self._poll_again, device))

    def _poll_again(self, device: Device) -> None:
        with self.lock:
            if self.devices.get(device.id) is device:
                self.poll(device)
                self._come_again(device)

    def poll(self, device: Device) -> None:
        """Let a device ask for commands and carry them out until there is none left, if it can."""
        members: dict[str, Any] = {"Status": "Idle"}
        with self.lock:
            while self._can_talk(device):
                raw = self._report(device, members)
                if not raw:
                    return
                command = plistlib.loads(raw)
                members = answer(self.world, device, command["Command"], time.monotonic())
                members["CommandUUID"] = command["CommandUUID"]
                if not device.is_enrolled:
                    # Told to remove the profile: it says that it did, and leaves.
                    self._report(device, members)
                    self.mdm.check_in(self._message(device, device.check_out()))

    def _can_talk(self, device: Device) -> bool:
        return device.is_enrolled and not device.conduct.silent and not self.world.gate.is_shut

    def _report(self, device: Device, members: dict[str, Any]) -> bytes:
        try:
            return self.mdm.report(self._message(device, {**members, **device.identity}))
        except Failed:
            return b""

    def wake_all(self) -> None:
        """Let every device come, as after a time in which the server could not be reached."""
        for device in self.find("all"):
            self.wake(device.id)

    def close(self) -> None:
        """End the thread."""
        self.timetable.close()
