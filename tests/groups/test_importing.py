"""Importing files: what goes in, and what stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories import DeviceFactory, ManagedUserFactory, UserFactory, UserGroupFactory
from tests.groups.files import DEVICES, GROUPS, PEOPLE, counts, imported, reasons
from vppportal.groups import importing
from vppportal.groups.cells import KINDS
from vppportal.groups.csvfile import Unreadable
from vppportal.groups.importing import load
from vppportal.groups.models import (
    Device,
    ImportKind,
    ManagedUser,
    UserGroup,
)
from vppportal.groups.tasks import carry_out_import

pytestmark = pytest.mark.django_db


def test_groups_people_and_devices_go_in() -> None:
    assert counts(load(GROUPS, b"name,description\nSales,Sell\nBoard,\n")) == (2, 0, 0, 0)
    assert counts(load(PEOPLE, b"name,email,groups\nAda,ada@x.example,Sales;Board\n")) == (1, 0, 0, 0)
    assert counts(load(DEVICES, b"serial,owner,platform\nc02,ADA@x.example,macos\n")) == (1, 0, 0, 0)
    device = Device.objects.get()
    assert device.owner is not None
    assert (device.serial_number, device.platform, device.owner.name) == ("C02", "macOS", "Ada")
    assert [group.name for group in device.owner.groups.all()] == ["Board", "Sales"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (GROUPS, b"name,description\nSales,Sell\n"),
        (PEOPLE, b"name,email,groups,active\nAda,ada@x.example,Sales;Board,no\n"),
        (DEVICES, b"serial,name,os version\nc02,Ada's,18.2\n"),
    ],
)
def test_the_same_file_twice_changes_nothing(kind: ImportKind, content: bytes) -> None:
    load(kind, content)
    before = list(KINDS[kind].model._default_manager.values())
    assert counts(load(kind, content)) == (0, 0, 1, 0)
    assert list(KINDS[kind].model._default_manager.values()) == before


def test_only_the_columns_and_cells_of_the_file_change_anything() -> None:
    person = ManagedUserFactory(name="Ada", email="ada@x.example", managed_apple_account="a@a.example", is_active=False)
    person.groups.add(UserGroupFactory(name="Sales"))
    job = load(PEOPLE, b"email,name,managed apple account\nADA@x.example,Ada L,\n")
    person.refresh_from_db()
    assert counts(job) == (0, 1, 0, 0)
    assert job.changes == {"Name": 1}
    assert (person.name, person.email, person.managed_apple_account) == ("Ada L", "ada@x.example", "a@a.example")
    assert not person.is_active
    assert person.groups.count() == 1


def test_a_dash_empties() -> None:
    person = ManagedUserFactory(email="ada@x.example", managed_apple_account="a@a.example", groups=[UserGroupFactory()])
    load(PEOPLE, b"email,managed_apple_account,groups\nada@x.example,-,-\n")
    person.refresh_from_db()
    assert person.managed_apple_account == ""
    assert not person.groups.exists()
    device = DeviceFactory(serial_number="C02", owner=person, model="iPad")
    load(DEVICES, b"serial,owner,model\nC02,-,-\n")
    device.refresh_from_db()
    assert (device.owner, device.model) == (None, "")


def test_people_join_groups_and_leave_none() -> None:
    person = ManagedUserFactory(email="ada@x.example", groups=[UserGroupFactory(name="Sales")])
    job = load(PEOPLE, b"email,groups\nada@x.example,board\n")
    assert [group.name for group in person.groups.all()] == ["Sales", "board"]
    assert job.new_groups == {"count": 1, "names": ["board"]}
    (row,) = job.rows.all()
    assert row.changes == [["User groups", "Sales", "Sales; board"]]


def test_with_the_option_the_files_groups_replace_what_is_there() -> None:
    sales, board = UserGroupFactory(name="Sales"), UserGroupFactory(name="Board")
    named = ManagedUserFactory(email="ada@x.example", groups=[sales])
    unnamed = ManagedUserFactory(email="bob@x.example", groups=[sales])
    content = b"email,groups\nada@x.example,BOARD\nbob@x.example,\n"
    job = imported(PEOPLE, content, replaces_groups=True)
    assert counts(job) == (0, 1, 1, 0)
    assert list(named.groups.all()) == [board]
    assert list(unnamed.groups.all()) == [sales]


def test_a_device_changes_hands() -> None:
    ada, bob = ManagedUserFactory(email="ada@x.example"), ManagedUserFactory(email="bob@x.example")
    DeviceFactory(serial_number="C1", owner=ada)
    DeviceFactory(serial_number="C2", owner=bob)
    DeviceFactory(serial_number="C3", owner=bob)
    job = load(DEVICES, b"serial,owner\nC1,BOB@x.example\nC2,Bob@x.example\nC3,-\n")
    assert counts(job) == (0, 2, 1, 0)
    changed = [row.changes for row in job.rows.filter(outcome="changed")]
    assert changed == [[["Owner", "ada@x.example", "BOB@x.example"]], [["Owner", "bob@x.example", ""]]]
    assert [device.owner for device in Device.objects.order_by("serial_number")] == [bob, bob, None]


def test_a_device_without_a_serial_number_is_found_by_its_enrollment_id() -> None:
    ada = ManagedUserFactory(email="ada@x.example")
    own, other = DeviceFactory.create_batch(2, in_user_enrollment=True, name="Old")
    content = f"serial,enrollment id,name,owner\n,{own.enrollment_id},New,ada@x.example\n".encode()
    assert counts(load(DEVICES, content)) == (0, 1, 0, 0)
    assert counts(load(DEVICES, content)) == (0, 0, 1, 0)
    assert list(Device.objects.order_by("pk").values_list("name", "owner", "enrollment_id")) == [
        ("New", ada.pk, own.enrollment_id),
        ("Old", None, other.enrollment_id),
    ]


def test_no_file_gives_a_device_an_enrollment_id_or_makes_one_by_it() -> None:
    known = DeviceFactory(serial_number="C1", enrolled=True)
    content = f"serial,enrollment_id,name\nC1,other,A\nC2,E-2,B\n,E-3,C\n,{known.enrollment_id},D\n".encode()
    job = load(DEVICES, content)
    assert counts(job) == (1, 1, 0, 2)
    assert [line for line, _ in reasons(job)] == [4, 5]
    assert "comes by itself when it enrolls" in reasons(job)[0][1]
    rows = Device.objects.order_by("serial_number").values_list("serial_number", "name", "enrollment_id")
    assert list(rows) == [("C1", "A", known.enrollment_id), ("C2", "B", "")]


def test_an_enrollment_named_twice_counts_once() -> None:
    own = DeviceFactory(in_user_enrollment=True)
    content = f"serial,enrollment_id,name\n,{own.enrollment_id},A\n,{own.enrollment_id},B\n".encode()
    assert reasons(load(DEVICES, content)) == [(3, "This is in line 2 already.")]
    assert Device.objects.get().name == "A"


def test_lines_that_cannot_be_taken_do_not_hold_up_the_others() -> None:
    ManagedUserFactory(email="ada@x.example")
    content = b"serial,owner,platform\nC1,ada@x.example,\nC2,nobody@x.example,\nC3,,Android\nc1,,\n,,iOS\nC4,,\n"
    job = load(DEVICES, content)
    assert counts(job) == (2, 0, 0, 4)
    assert reasons(job) == [
        (3, "There is no person with this e-mail address."),
        (4, "This is none of iOS, macOS, tvOS, visionOS, watchOS."),
        (5, "This is in line 2 already."),
        (6, "There is no serial number in this line."),
    ]
    assert set(Device.objects.values_list("serial_number", flat=True)) == {"C1", "C4"}


def test_of_lines_with_one_key_the_first_good_one_counts() -> None:
    job = load(PEOPLE, b"email,name,active\nada@x.example,Ada,perhaps\nada@x.example,Ada,yes\nADA@x.example,A,\n")
    assert reasons(job) == [(2, "Say yes or no."), (4, "This is in line 3 already.")]
    assert ManagedUser.objects.get().name == "Ada"


def test_new_people_need_a_name() -> None:
    job = load(PEOPLE, b"email,groups\nada@x.example,Sales\n")
    assert reasons(job) == [(2, "This person is new and needs a name.")]
    assert not UserGroup.objects.exists()


def test_who_may_not_add_groups_puts_people_into_those_there_are() -> None:
    UserGroupFactory(name="Sales")
    content = b"name,email,groups\nAda,ada@x.example,Sales\nBob,bob@x.example,Board\n"
    job = importing.ask(PEOPLE, content, "file.csv", by=UserFactory())
    carry_out_import(job.pk)
    job.refresh_from_db()
    assert counts(job) == (1, 0, 0, 1)
    assert reasons(job) == [(3, "There is no such group, and you may not add any.")]


@pytest.mark.parametrize(
    ("kind", "key", "content"),
    [(GROUPS, "Äpfel", "name\nÄpfel\n"), (PEOPLE, "a@bücher.example", "name,email\nA,a@bücher.example\n")],
)
def test_letters_beyond_a_to_z_are_found_again(kind: ImportKind, key: str, content: str) -> None:
    assert load(kind, content.encode()).new == 1
    assert load(kind, content.encode()).same == 1


def test_the_first_lines_of_each_kind_are_kept_and_all_bad_ones() -> None:
    lines = [f"Person {n},person{n}@x.example" for n in range(300)] + [f"Bad {n},bad" for n in range(300)]
    job = load(PEOPLE, "\n".join(["name,email", *lines]).encode())
    assert counts(job) == (300, 0, 0, 300)
    assert job.rows.filter(outcome="new").count() == importing.SHOWN
    assert job.rows.filter(outcome="bad").count() == 300


def test_a_nul_in_a_cell_is_a_line_that_cannot_be_taken() -> None:
    job = load(GROUPS, b"name,descri\0ption\nSa\0les,\nBoard,\n")
    assert counts(job) == (1, 0, 0, 1)
    assert job.rows.get(outcome="bad").cells == ["Sa\ufffdles", ""]


def test_a_file_from_disk_goes_in(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("name\nSales\n")
    assert str(load(GROUPS, file)) == "groups.csv"
    with pytest.raises(Unreadable):
        load(GROUPS, b"nothing")
