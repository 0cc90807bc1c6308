"""The lists of groups, people and devices: their filters, and files that an import takes back."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import DeviceFactory, ManagedUserFactory, UserGroupFactory
from tests.signed_in import LIST, sign_in
from vppportal.groups.importing import load
from vppportal.groups.models import Device, EnrollmentType, ImportKind, Platform, Standing

pytestmark = pytest.mark.django_db


def found(page: str, **filters: str) -> str:
    return sign_in("Viewer").get(page, filters, headers=LIST).content.decode()


def exported(page: str) -> bytes:
    return b"".join(sign_in("Viewer").get(page, {"export": "csv"}))


@pytest.fixture
def devices() -> dict[str, Device]:
    """A device for each way to stand, named after it."""
    now = timezone.now()
    return {
        "enrolled": DeviceFactory(name="enrolled", enrolled=True),
        "unknown": DeviceFactory(name="unknown"),
        "left": DeviceFactory(name="left", enrolled=True, unenrolled_at=now),
        "wiped": DeviceFactory(name="wiped", enrolled=True, wiped_at=now),
        "retired": DeviceFactory(name="retired", enrolled=True, retired_at=now, wiped_at=now),
    }


@pytest.mark.parametrize("standing", Standing)
def test_devices_are_found_by_how_they_stand(devices: dict[str, Device], standing: Standing) -> None:
    assert list(Device.objects.standing(standing)) == [devices[standing]]
    assert devices[standing].standing == standing
    page = found("/devices/", standing=standing)
    assert [name for name, device in devices.items() if f"/devices/{device.pk}/" in page] == [standing]


@pytest.mark.parametrize(
    ("filters", "is_found"),
    [
        ({"os_version": "18"}, True),
        ({"os_version": "8"}, False),
        ({"enrollment_type": "shared"}, True),
        ({"enrollment_type": "user"}, False),
        ({"platform": "tvOS"}, True),
        ({"owned": "yes"}, True),
        ({"owned": "no"}, False),
        ({"q": "ada@x"}, True),
    ],
)
def test_devices_are_found(filters: dict[str, str], is_found: bool) -> None:
    owner = ManagedUserFactory(email="ada@x.example")
    DeviceFactory(
        serial_number="LOOKED4",
        os_version="18.2",
        enrollment_type=EnrollmentType.SHARED,
        platform=Platform.TVOS,
        owner=owner,
    )
    assert ("LOOKED4" in found("/devices/", **filters)) == is_found


@pytest.mark.parametrize(
    ("filters", "is_found"),
    [
        ({"group": "sal"}, True),
        ({"group": "board"}, False),
        ({"account": "yes"}, True),
        ({"account": "no"}, False),
        ({"device": "yes"}, True),
        ({"device": "no"}, False),
    ],
)
def test_people_are_found(filters: dict[str, str], is_found: bool) -> None:
    person = ManagedUserFactory(name="Looked for", managed_apple_account="a@b.example")
    person.groups.add(UserGroupFactory(name="Sales"), UserGroupFactory(name="Sales north"))
    DeviceFactory(owner=person)
    assert found("/people/", **filters).count("Looked for") == int(is_found)


def test_groups_are_found_by_whether_anybody_is_in_them() -> None:
    ManagedUserFactory(groups=[UserGroupFactory(name="Full")])
    UserGroupFactory(name="Deserted")
    assert "Deserted" in found("/groups/", people="no")
    assert "Deserted" not in found("/groups/", people="yes")


def test_a_device_without_a_serial_number_is_listed_with_a_link() -> None:
    device = DeviceFactory(serial_number="", enrollment_type=EnrollmentType.USER, enrolled=True, name="Ada's own")
    page = found("/devices/")
    assert f'href="/devices/{device.pk}/"' in page
    assert "Ada&#x27;s own" in page


def test_a_file_of_devices_has_what_an_import_needs() -> None:
    DeviceFactory(serial_number="C02", owner=ManagedUserFactory(email="ada@x.example"), enrolled=True)
    header, row = csv.reader(io.StringIO(exported("/devices/").decode("utf-8-sig")))
    cells = dict(zip(header, row, strict=True))
    assert (cells["Serial number"], cells["Owner"], cells["State"]) == ("C02", "ada@x.example", "Enrolled")
    assert cells["Enrollment ID"] == Device.objects.get().enrollment_id


@pytest.mark.parametrize("kind", ImportKind)
def test_what_was_exported_changes_nothing_when_it_is_imported(kind: ImportKind, settings: Any) -> None:
    group = UserGroupFactory(name='=Sales; "North" | South', description="- all of them")
    person = ManagedUserFactory(name="-", is_active=False, groups=[group, UserGroupFactory(name="-")])
    ManagedUserFactory(name="'=Zoë, 'Z'", managed_apple_account="z@x.example")
    DeviceFactory(serial_number="C02", owner=person, name="+1", platform=Platform.TVOS, os_version="18.2")
    DeviceFactory(serial_number="C03", enrollment_type=EnrollmentType.SHARED, model="'@", time_zone="Asia/Tokyo")
    DeviceFactory(in_user_enrollment=True, name="Ada's own", owner=person)
    before = list(Device.objects.order_by("pk").values())
    job = load(kind, exported(f"/{kind}/"))
    same = 3 if kind == ImportKind.DEVICES else 2
    assert (job.new, job.changed, job.same, job.bad) == (0, 0, same, 0), list(job.rows.values())
    assert list(Device.objects.order_by("pk").values()) == before
