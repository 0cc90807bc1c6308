"""The invented people and devices of the sample company, and the files from which a portal imports them."""

from __future__ import annotations

import csv
import io
import os
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vppportal.simulator.mdm.devices import APPLE_TV, IPAD, IPHONE, KINDS, MAC, Device

if TYPE_CHECKING:
    from vppportal.simulator.world import World

DOMAIN = "meridale.example"
GROUPS = {
    "Field Service": "Repairs and calibrates instruments on site.",
    "Sales": "Visits customers and writes quotes.",
    "Assembly": "Builds instruments; shares the tablets of the lines.",
}
# Every fifth person was invited by e-mail alone, the others have a Managed Apple Account; the last one has left.
NAMES = """
Aino Halvorsen, Bashir Okonjo, Clara Whitlock, Davor Petrinec, Edith Fairbrother, Farah Nadimi, Gideon Stroud,
Hanne Lykke, Ismael Quiroga, Jolanta Wierzba, Kofi Ansah-Mills, Leonie Brandt, Mateus Arruda, Noor van Dalen,
Odile Charpentier, Piotr Zielonka, Quentin Marsh, Rosalind Achebe, Sunniva Moen, Tariq Bellamy, Ulla Ekström,
Viktor Dragomir, Wanda Osei, Xiomara Delgado, Yusuf Karaman, Zora Blanchett, Anselm Richter, Brigid Tolan,
Casimir Novak, Delphine Ashworth
"""
OWNED = {IPHONE: 24, IPAD: 14, MAC: 4, APPLE_TV: 3}
USER_ENROLLED = 5
# Devices nobody owns stand in halls and meeting rooms.
SHARED = {IPAD: 6, APPLE_TV: 3}
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Singapore")
OLDER = {IPHONE: ("18.6", "17.7", "15.8"), IPAD: ("18.6", "16.7"), MAC: ("15.6",), APPLE_TV: ()}


class Person(NamedTuple):
    """One row of people.csv."""

    name: str
    email: str
    managed_apple_account: str
    groups: str
    active: str


def people() -> list[Person]:
    """The people of the company, the same for every seed."""
    rows = []
    names = [name.strip() for name in NAMES.replace("\n", " ").split(",")]
    groups = list(GROUPS)
    for number, name in enumerate(names):
        address = f"{'.'.join(name.lower().replace('ö', 'o').split())}@{DOMAIN}"
        member_of = [groups[number % 3]] + ([groups[(number + 1) % 3]] if number % 7 == 3 else [])
        account = "" if number % 5 == 4 else address
        is_active = number < len(names) - 1
        rows.append(Person(name, address, account, ";".join(member_of), "yes" if is_active else "no"))
    return rows


def devices(seed: int) -> list[Device]:
    """The devices of the company: fifty in three time zones, five of them in user enrollment, most with an owner."""
    draw = random.Random(f"company:{seed}")
    owners = [person for person in people() if person.active == "yes"]
    made: list[Device] = []
    for kind, count in OWNED.items():
        for number in range(count):
            shared = number >= count - SHARED.get(kind, 0)
            owner = None if shared else owners[(len(made) * 5 + number) % len(owners)]
            made.append(_device(draw, kind, number, owner))
    for number in range(USER_ENROLLED):
        made.append(_device(draw, IPHONE, 100 + number, owners[number * 6 % len(owners)], is_user_enrolled=True))
    return made


def _device(
    draw: random.Random, kind: str, number: int, owner: Person | None, *, is_user_enrolled: bool = False
) -> Device:
    first = owner.name.split()[0] if owner else ""
    place = f"{kind} {'hall' if kind == IPAD else 'meeting room'} {number + 1}"
    older = OLDER[kind]
    is_old = number >= 2 and number < 2 + len(older)
    device = Device(
        str(uuid.UUID(int=draw.getrandbits(128), version=4)).upper(),
        "" if is_user_enrolled else serial_number(draw),
        f"{first}'s own {kind}" if is_user_enrolled else f"{first}'s {kind}" if owner else place,
        kind,
        KINDS[kind].products[number % len(KINDS[kind].products)],
        older[number - 2] if is_old else KINDS[kind].os_version,
        owner=owner.email if owner else "",
        is_user_enrolled=is_user_enrolled,
    )
    if not is_user_enrolled:
        # Of the people of an office; what belongs to nobody stands at the headquarters.
        device.time_zone = ZONES[people().index(owner) % len(ZONES) if owner else 0]
    if owner:
        device.accounts |= {owner.email, owner.managed_apple_account} - {""}
    return device


def serial_number(draw: random.Random) -> str:
    """A serial number as Apple's are: letters and digits that cannot be mistaken for others."""
    return "".join(draw.choices("CDFGHJKLMNPQRTVWXY0123456789", k=10))


def enroll(world: World) -> None:
    """Let the devices of the company enroll."""
    for device in devices(world.seed):
        world.fleet.enroll(world.fleet.add(device))


def write_files(seed: int, folder: Path) -> dict[str, Path]:
    """Write groups.csv, people.csv and devices.csv and return where they are.

    A device without a serial number cannot be in a list of devices: those in user enrollment arrive by themselves.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = [("name", "description"), *GROUPS.items()]
    heads = "serial_number", "name", "platform", "model", "os_version", "owner", "time_zone"
    rows = [
        (one.serial, one.name, one.platform, one.product, one.os_version, one.owner, one.time_zone)
        for one in devices(seed)
    ]
    listed = [row for row in rows if row[0]]
    tables: dict[str, Sequence[Sequence[str]]] = {
        "groups": groups,
        "people": [Person._fields, *people()],
        "devices": [heads, *listed],
    }
    return {name: _write(folder / f"{name}.csv", table) for name, table in tables.items()}


def _write(path: Path, table: Sequence[Sequence[str]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    # Two processes may do this at the same time: whoever reads the file reads all of it.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text.getvalue(), "utf-8")
    return draft.replace(path)
