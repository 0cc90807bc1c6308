"""The sample company: people and devices that fit together, files to import, and devices that enroll by themselves."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from vppportal.simulator import Simulator
from vppportal.simulator.mdm import company
from vppportal.simulator.mdm.service import Options


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The rows of the three files by name."""
    paths = company.write_files(1, tmp_path_factory.mktemp("company"))
    return {name: list(csv.DictReader(path.read_text().splitlines())) for name, path in paths.items()}


def test_there_are_people_in_groups_and_not_all_have_an_account(files):
    people = files["people"]
    assert (len(people), len({person["email"] for person in people})) == (30, 30)
    groups = {group["name"] for group in files["groups"]}
    assert len(groups) == 3
    assert {name for person in people for name in person["groups"].split(";")} == groups
    assert 0 < sum(not person["managed_apple_account"] for person in people) < 15
    assert [person["active"] for person in people].count("no") == 1


def test_there_are_fifty_devices_of_every_kind():
    devices = company.devices(1)
    assert len(devices) == len({device.id for device in devices}) == 50
    assert {device.kind for device in devices} == {"iPhone", "iPad", "Mac", "Apple TV"}
    assert [device.serial for device in devices if device.is_user_enrolled] == [""] * 5
    assert all(device.owner for device in devices if device.is_user_enrolled)
    assert sum(not device.owner for device in devices) == 9


def test_the_list_of_devices_has_those_with_a_serial_number_and_their_owners(files):
    emails = {person["email"] for person in files["people"] if person["active"] == "yes"}
    devices = files["devices"]
    assert len({device["serial_number"] for device in devices}) == len(devices) == 45
    assert {device["owner"] for device in devices} <= emails | {""}
    assert {device["platform"] for device in devices} == {"iOS", "macOS", "tvOS"}


def test_the_devices_are_in_three_time_zones_and_those_in_user_enrollment_tell_none(files):
    zones = Counter(device.time_zone for device in company.devices(1))
    assert set(zones) == {"America/New_York", "Europe/Berlin", "Asia/Singapore", ""}
    assert all(device.is_user_enrolled for device in company.devices(1) if not device.time_zone)
    assert {device["time_zone"] for device in files["devices"]} == set(company.ZONES)


def test_the_seed_decides_about_devices_and_not_about_people():
    assert company.devices(1) == company.devices(1)
    assert {device.id for device in company.devices(1)}.isdisjoint(device.id for device in company.devices(2))


def test_the_files_lie_beside_the_tokens(tmp_path):
    Simulator(samples=tmp_path).close()
    assert {path.name for path in tmp_path.glob("*.csv")} == {"people.csv", "groups.csv", "devices.csv"}
    assert list(tmp_path.glob(".*")) == []


def test_the_devices_enroll_by_themselves_when_told():
    with Simulator(mdm=Options(has_sample_devices=True)) as sim:
        first = [event.device for event in sim.mdm_events(topic="mdm.Authenticate")]
        assert len(set(first)) == 50
        about = [json.loads(event.body)["checkin_event"] for event in sim.mdm_events(topic="mdm.TokenUpdate")]
        owners = [one["url_params"]["owner"] for one in about if one["ids"]["type"] == "User Enrollment (Device)"]
        assert set(owners) <= {person.email for person in company.people()}
        assert len(owners) == 5
        sim.control("reset")
        assert [event.device for event in sim.mdm_events(topic="mdm.Authenticate")] == first


def test_as_a_rule_there_are_no_devices(sim):
    assert sim.world.fleet.devices == {}
