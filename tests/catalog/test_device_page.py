"""A device's page, and what an administrator can do to a device."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog.models import Command, CommandKind, CommandStatus, InstallState, Reason
from tests.factories import (
    AppFactory,
    AssetFactory,
    AssignmentFactory,
    CommandFactory,
    ContentTokenFactory,
    DeviceFactory,
    InstallationFactory,
    ManagedUserFactory,
    UserGroupFactory,
    bring_app,
)
from tests.signed_in import sign_in
from vppportal.activity.models import Entry
from vppportal.groups.models import Device

pytestmark = pytest.mark.django_db

NOW = {"HX-Request": "true", "HX-Target": "now"}


@pytest.fixture
def device() -> Device:
    owner = ManagedUserFactory(name="Ada", groups=[UserGroupFactory(name="Sales")])
    made: Device = DeviceFactory(name="Ada's iPad", enrolled=True, owner=owner)
    return made


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def page(device: Device, role: str = "Viewer") -> str:
    return text_of(sign_in(role).get(f"/devices/{device.pk}/"))


def hold(device: Device, **listing: Any) -> Any:
    """Have the device hold a license of a new app of the catalog; return the app."""
    token = ContentTokenFactory(name="Head office")
    app = bring_app(token, **listing).app
    AssignmentFactory(asset=token.assets.get(), serial_number=device.serial_number)
    return app


def test_the_page_says_who_owns_it_how_it_stands_and_when_it_was_seen(device: Device) -> None:
    text = page(device)
    for words in (
        "Ada",
        "Sales",
        "Enrolled",
        "Device enrollment",
        "just now",
        device.serial_number,
        device.enrollment_id,
    ):
        assert words in text


def test_the_page_lists_apps_with_their_states_and_reasons(device: Device) -> None:
    InstallationFactory(device=device, app=AppFactory(listing__name="Fieldnote"), in_line=True, reason="quota")
    text = page(device)
    assert "Fieldnote" in text
    assert "Waiting for a license" in text
    assert Reason.QUOTA.label in text


def test_the_page_lists_licenses_by_serial_number_with_their_tokens(device: Device) -> None:
    app = hold(device, name="Fieldnote")
    AssignmentFactory(asset__token=ContentTokenFactory(deleted=True, name="Old"), serial_number=device.serial_number)
    text = page(device)
    assert "Head office" in text
    assert f'href="/catalog/{app.pk}/"' in text
    assert "Old" not in text


def test_a_device_without_a_serial_number_holds_no_license_by_it() -> None:
    AssignmentFactory(serial_number="", client_user_id="somebody")
    text = page(DeviceFactory(in_user_enrollment=True))
    assert "Apple lists no license for its serial number." in text


def test_the_page_lists_commands_with_what_the_device_said(device: Device) -> None:
    CommandFactory(device=device, status=CommandStatus.ERROR, answer="No license was found (9610).", state="done")
    text = page(device)
    assert "List managed apps" in text
    assert "Refused by the device" in text
    assert "No license was found (9610)." in text
    assert "data-polls" not in text


def test_the_page_refreshes_itself_while_a_command_is_open(device: Device) -> None:
    CommandFactory(device=device)
    assert "data-polls" in page(device)
    part = text_of(sign_in("Viewer").get(f"/devices/{device.pk}/", headers=NOW))
    assert part.lstrip().startswith('<section id="now"')


def test_the_page_refreshes_itself_while_one_of_its_apps_is_being_planned(device: Device, operator: Client) -> None:
    InstallationFactory(device=device, installed=True)
    assert "data-polls" not in page(device)
    operator.post(f"/devices/{device.pk}/wipe/")
    assert "data-polls" in page(device)


def test_the_queries_do_not_grow(device: Device) -> None:
    browser = sign_in("Operator")

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            browser.get(f"/devices/{device.pk}/")
            browser.get(f"/people/{device.owner_id}/")
        return len(asked)

    def fill(number: int) -> None:
        for _ in range(number):
            asset = AssetFactory()
            row = InstallationFactory(device=device, asset=asset)
            CommandFactory(device=device, installation=row, kind=CommandKind.INSTALL)
            AssignmentFactory(asset=asset, serial_number=device.serial_number)

    fill(3)
    few = queries()
    fill(100)
    assert queries() == few <= 26


@pytest.mark.parametrize("verb", ["wipe", "lift", "release", "retire", "delete"])
def test_only_who_may_control_devices_does(device: Device, verb: str) -> None:
    assert sign_in("Viewer").get(f"/devices/{device.pk}/{verb}/").status_code == 403
    assert f"/devices/{device.pk}/{verb}/" not in page(device)


def test_a_wipe_says_what_goes_and_what_stays(device: Device, operator: Client) -> None:
    InstallationFactory(device=device, installed=True)
    InstallationFactory(device=device, installed=True, app__remove_on_selective_wipe=False)
    text = text_of(operator.get(f"/devices/{device.pk}/wipe/"))
    assert "1 installation is removed from its device" in text
    assert "1 installation stays on its device" in text
    assert not Device.objects.exclude(wiped_at=None).exists()


def test_a_confirmed_wipe_is_marked_and_recorded_and_can_be_lifted(device: Device, operator: Client) -> None:
    text = text_of(operator.post(f"/devices/{device.pk}/wipe/", follow=True))
    assert "is being wiped" in text
    assert "Nothing is sent to it until the wipe is lifted, or it is enrolled anew." in text
    assert Entry.objects.get().verb == "wiped selectively"
    text = text_of(operator.post(f"/devices/{device.pk}/lift/", follow=True))
    assert "receives apps again." in text
    assert not Device.objects.exclude(wiped_at=None).exists()


def test_a_second_click_changes_nothing(device: Device, operator: Client) -> None:
    for _ in range(2):
        text = text_of(operator.post(f"/devices/{device.pk}/wipe/", follow=True))
    assert "Its apps have been taken away already." in text
    assert Entry.objects.count() == 1


def test_lifting_needs_a_wipe(device: Device, operator: Client) -> None:
    assert "It is not wiped." in text_of(operator.get(f"/devices/{device.pk}/lift/", follow=True))


def test_removing_mdm_control_sends_the_command(device: Device, operator: Client) -> None:
    assert "cannot reach it" in text_of(operator.get(f"/devices/{device.pk}/release/"))
    text = text_of(operator.post(f"/devices/{device.pk}/release/", follow=True))
    assert "told to remove the MDM profile, as soon as it is reached" in text
    assert Command.objects.get().kind == CommandKind.REMOVE_PROFILE


def test_mdm_control_cannot_be_removed_where_there_is_none(operator: Client) -> None:
    device = DeviceFactory()
    text = text_of(operator.get(f"/devices/{device.pk}/release/", follow=True))
    assert "It is not under MDM control." in text
    assert "/release/" not in text


def test_where_the_profile_is_not_known_mdm_control_is_not_offered_and_says_why(
    device: Device, operator: Client, settings: Any
) -> None:
    assert f"/devices/{device.pk}/release/" in page(device, "Operator")
    settings.MDM_PROFILE_IDENTIFIER = ""
    assert f"/devices/{device.pk}/release/" not in page(device, "Operator")
    why = "MDM control cannot be removed: the portal is not told which profile that is (MDM_PROFILE_IDENTIFIER)."
    for ask in (operator.get, operator.post):
        assert why in text_of(ask(f"/devices/{device.pk}/release/", follow=True))
    assert not Command.objects.exists()
    text = text_of(operator.get(f"/devices/{device.pk}/retire/"))
    assert why in text
    assert "Then MDM control is removed" not in text
    assert "MDM control stays" in text_of(operator.post(f"/devices/{device.pk}/retire/", follow=True))


def test_a_retired_device_says_so_and_offers_nothing_more(device: Device, operator: Client) -> None:
    InstallationFactory(device=device, installed=True, asset=AssetFactory())
    text = text_of(operator.get(f"/devices/{device.pk}/retire/"))
    assert "1 installation is removed from its device" in text
    assert "1 license returns to the VPP token" in text
    text = text_of(operator.post(f"/devices/{device.pk}/retire/", follow=True))
    assert "is being retired." in text
    assert "Retired" in text
    assert f"/devices/{device.pk}/retire/" not in text


def test_a_device_with_apps_or_licenses_is_retired_before_it_is_deleted(device: Device, operator: Client) -> None:
    InstallationFactory(device=device, installed=True)
    hold(device)
    text = text_of(operator.get(f"/devices/{device.pk}/delete/"))
    assert "cannot be deleted yet" in text
    assert "1 app is on it, or on the way to it." in text
    assert "It holds 1 license." in text
    assert f'href="/devices/{device.pk}/retire/"' in text
    assert operator.post(f"/devices/{device.pk}/delete/").status_code == 409
    assert Device.objects.exists()


def test_a_retired_device_may_be_deleted_whatever_did_not_come_back(device: Device, operator: Client) -> None:
    hold(device)
    Device.objects.update(retired_at=timezone.now())
    assert "It holds 1 license." in text_of(operator.get(f"/devices/{device.pk}/delete/"))
    operator.post(f"/devices/{device.pk}/delete/")
    assert not Device.objects.exists()
    assert Entry.objects.get().verb == "deleted the device"


def test_a_device_with_apps_that_were_left_to_its_person_may_be_deleted(device: Device, operator: Client) -> None:
    InstallationFactory(device=device, state=InstallState.LEFT)
    operator.post(f"/devices/{device.pk}/delete/")
    assert not Device.objects.exists()


def test_a_device_with_nothing_is_deleted_at_once(device: Device, operator: Client) -> None:
    assert "holds no licenses" in text_of(operator.get(f"/devices/{device.pk}/delete/"))
    operator.post(f"/devices/{device.pk}/delete/")
    assert not Device.objects.exists()


def test_the_page_tells_the_system_and_the_time_zone_and_how_old_that_is() -> None:
    device = DeviceFactory(enrolled=True, os_version="26.1", time_zone="Asia/Tokyo", facts_at=timezone.now())
    page = sign_in().get(f"/devices/{device.pk}/").content.decode()
    assert "iOS / iPadOS 26.1" in page
    assert "Asia/Tokyo" in page
    assert "told <time" in page
    Device.objects.update(time_zone="", facts_at=None)
    page = unescape(sign_in().get(f"/devices/{device.pk}/").content.decode())
    assert "not known: the one of the App Settings counts" in page
    assert "told <time" not in page
