"""Licenses reach devices and people and come back, over real processes, sockets and devices that behave as told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from catalog.models import Command, Installation, Reason
from tests.journeys.company import WITHIN, Company, opened
from tests.portal import Template
from tests.processes import eventually
from tokens.models import Assignment, ClientUser
from vppportal.groups.models import Device

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def company(
    tmp_path_factory: pytest.TempPathFactory, template: Template, django_db_blocker: DjangoDbBlocker
) -> Iterator[Company]:
    with opened(tmp_path_factory.mktemp("company"), template, django_db_blocker) as made:
        yield made


def test_insiders_get_a_license_and_outsiders_the_app_alone(company: Company) -> None:
    group = company.group("Sales")
    location = company.location(restricted_to=str(group))
    app = company.app(location, licenses=10)
    insiders, outsiders = company.people(2, "Sales"), company.people(3)
    company.devices(owners=[*insiders, *outsiders])
    company.distribute(app, people=[*insiders, *outsiders])
    company.reaches(app, installed=5)
    assert company.held(location) == [2]
    assert company.on_devices(app) == 5
    with company.portal.database():
        alone = Installation.objects.filter(app=app, license_kind="none")
        assert {row.reason for row in alone} == {Reason.OUTSIDE}
        assert alone.count() == 3
        sent = Command.objects.filter(installation__in=alone, kind="InstallApplication")
        assert {command.payload["Options"]["PurchaseMethod"] for command in sent} == {0}


def test_when_licenses_run_out_the_line_waits_and_drains_by_itself(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=2)
    company.devices(5)
    devices = company.devices(5)
    company.distribute(app, devices=devices)
    company.reaches(app, installed=2, in_line=3)
    company.bought(location, app, 3)
    company.reaches(app, installed=5)
    assert company.held(location) == [5]


def test_stopping_removes_the_app_and_returns_the_licenses(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    distribution = company.distribute(app, devices=company.devices(3))
    company.reaches(app, installed=3)
    company.stop(distribution)
    eventually(lambda: company.held(location) == [0], WITHIN, every=0.2)
    assert company.on_devices(app) == 0
    company.reaches(app, removed=3)


def test_a_selective_wipe_takes_the_apps_and_their_licenses(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    devices = company.devices(2)
    company.distribute(app, devices=devices)
    company.reaches(app, installed=2)
    company.portal.post(company.session, f"/devices/{devices[0]}/wipe/", {})
    company.reaches(app, installed=1, removed=1)
    eventually(lambda: company.held(location) == [1], WITHIN, every=0.2)
    company.portal.post(company.session, f"/devices/{devices[0]}/lift/", {})
    company.reaches(app, installed=2)


def test_a_device_wiped_and_enrolled_again_keeps_its_one_license(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    devices = company.devices(1)
    company.distribute(app, devices=devices)
    company.reaches(app, installed=1)
    (serial,) = company.serials(devices)
    company.simulator.tell("mdm-wipe", devices=[serial])
    company.simulator.tell("mdm-enroll", devices=[serial], newId=True)
    eventually(lambda: company.on_devices(app) == 1, WITHIN, every=0.2)
    company.reaches(app, installed=1)
    assert company.held(location) == [1]
    with company.portal.database():
        assert Device.objects.filter(serial_number=serial).count() == 1
        assert Assignment.objects.filter(serial_number=serial).count() == 1


def test_two_tokens_give_in_their_order_and_the_second_when_the_first_is_empty(company: Company) -> None:
    first, second = company.location(preference="10"), company.location(preference="20")
    app = company.app(first, second, licenses=2)
    company.distribute(app, devices=company.devices(3))
    company.reaches(app, installed=3)
    assert company.held(first, second) == [2, 1]


def test_a_managed_apple_account_is_registered_once_and_licensed(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    (person,) = company.people(1, account_at=location)
    company.devices(owners=[person])
    company.devices(owners=[person])
    company.distribute(app, people=[person], license_kind="user")
    company.reaches(app, installed=2)
    assert company.held(location) == [1]
    with company.portal.database():
        assert ClientUser.objects.get(person=person).is_associated


def test_an_account_of_another_organization_is_refused_in_words(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    (person,) = company.people(1, account_at="elsewhere")
    company.devices(owners=[person])
    company.distribute(app, people=[person], license_kind="user")
    company.reaches(app, failed=1)
    with company.portal.database():
        assert "organization" in Installation.objects.get(app=app).details
    assert company.held(location) == [0]


def test_a_person_without_one_is_invited_and_licensed_after_accepting(company: Company) -> None:
    location = company.location()
    app = company.app(location, licenses=5)
    (person,) = company.people(1)
    company.devices(owners=[person])
    company.distribute(app, people=[person], license_kind="user")
    company.reaches(app, unregistered=1)
    with company.portal.database():
        client_user = eventually(lambda: ClientUser.objects.filter(person=person, status="Registered").first(), WITHIN)
    company.simulator.tell("accept", location=location, clientUserId=client_user.client_user_id)
    company.reaches(app, installed=1)
    assert company.held(location) == [1]
