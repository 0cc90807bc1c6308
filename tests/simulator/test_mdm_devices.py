"""Simulated devices carry out commands as devices do: they install, update, refuse, put off, and leave."""

from __future__ import annotations

import base64
import json
import plistlib
import uuid

import pytest
import requests

from tests.processes import eventually
from vppportal.simulator.mdm.apps import older
from vppportal.simulator.mdm.devices import Conduct


class Channel:
    """What the portal does: send a command to a device, and read what the device said."""

    def __init__(self, sim):
        self.sim = sim
        self.device = self.add()

    def add(self, **facts):
        return self.sim.control("mdm-add", devices=[facts])["devices"][0]

    def send(self, request, device=None, **members):
        """The last report about a command after a push."""
        device = device or self.device
        name = str(uuid.uuid4())
        body = plistlib.dumps({"Command": {"RequestType": request, **members}, "CommandUUID": name})
        url = f"{self.sim.mdm_url}/v1/enqueue/{device['id']}"
        answer = requests.put(url, data=body, auth=("nanomdm", self.sim.mdm_api_key), timeout=10)
        assert answer.status_code == 200, answer.text
        self.sim.control("mdm-settle")
        reports = [report for report in self.reports(device) if report.get("CommandUUID") == name]
        return reports[-1] if reports else {}

    def reports(self, device=None):
        events = self.sim.mdm_events(topic="mdm.Connect", device=(device or self.device)["id"])
        return [payload(event) for event in events]

    def install(self, adam_id, device=None, licensed=True, **members):
        options = {"Options": {"PurchaseMethod": 1}} if licensed else {}
        return self.send("InstallApplication", device, iTunesStoreID=int(adam_id), **options, **members)

    def managed(self, device=None, **members):
        return self.send("ManagedApplicationList", device, **members)["ManagedApplicationList"]

    def shown(self, device=None):
        """What the control address shows of a device."""
        names = {"devices": (device or self.device)["id"]}
        return requests.get(f"{self.sim.control_url}/mdm-devices", params=names, timeout=10).json()["devices"][0]

    def behave(self, **conduct):
        self.sim.control("mdm-behave", **conduct)


def payload(event):
    body = json.loads(event.body)
    raw = (body.get("acknowledge_event") or body["checkin_event"])["raw_payload"]
    return plistlib.loads(base64.b64decode(raw))


@pytest.fixture
def channel(sim):
    return Channel(sim)


@pytest.fixture
def app(sim, channel):
    """An app for iPhones that the first device holds a license of."""
    return licensed(sim, channel.device)


def licensed(sim, device, kind="ios", **holder):
    product = an_app(sim, kind)
    sim.control("assign", location="business", adamId=str(product.adam_id), **(holder or serial(device)))
    return product


def an_app(sim, kind="ios"):
    location = sim.world.location("business")
    ids = [key.adam_id for key, asset in location.assets.items() if asset.device_assignable and asset.available > 1]
    products = [sim.world.store.find(adam_id) for adam_id in ids]
    return next(one for one in products if one.kind == kind and not one.custom)


def serial(device):
    return {"serialNumbers": [device["serialNumber"]]}


def after(channel, app, status):
    """What the first list says of an app that does not say this of it any more."""

    def listed():
        said = channel.managed()[app.bundle_id]
        return said if said["Status"] != status else None

    return eventually(listed)


def codes(report):
    return [link["ErrorCode"] for link in report["ErrorChain"]]


def test_a_licensed_app_is_acknowledged_at_once_and_there_after_a_while(channel, app):
    channel.behave(installSeconds=1.5)
    report = channel.install(app.adam_id, ManagementFlags=5)
    assert (report["Status"], report["State"], report["Identifier"]) == ("Acknowledged", "Queued", app.bundle_id)
    assert channel.managed()[app.bundle_id]["Status"] == "Installing"
    assert channel.shown()["installed"] == {}
    listed = after(channel, app, "Installing")
    assert listed["Status"] == "Managed"
    assert listed["ManagementFlags"] == 5
    assert listed["ExternalVersionIdentifier"] == app.versions[-1].external_id
    assert channel.shown()["installed"] == {app.bundle_id: app.versions[-1].external_id}


@pytest.mark.parametrize("kind", ["another device", "nobody"])
def test_without_a_license_it_is_refused(sim, channel, kind):
    app = licensed(sim, channel.add()) if kind == "another device" else an_app(sim)
    report = channel.install(app.adam_id)
    assert (report["Status"], codes(report)) == ("Error", [12064, 9610])
    assert channel.managed() == {}


def test_a_taken_back_license_does_not_remove_the_app(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    sim.control("take-back", location="business", adamId=str(app.adam_id), **serial(channel.device))
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"
    assert codes(channel.install(app.adam_id)) == [12064, 9610]


def test_a_license_of_its_person_will_do(sim, channel):
    user = next(one for one in sim.world.location("business").users.active.values() if one.status == "Associated")
    device = channel.add(userEnrolled=True, owner=user.email)
    app = licensed(sim, device, clientUserIds=[user.client_user_id])
    assert channel.install(app.adam_id, device)["Status"] == "Acknowledged"
    assert codes(channel.install(app.adam_id, channel.device)) == [12064, 9610]


def test_a_device_license_is_of_no_use_in_user_enrollment(sim, channel):
    device = channel.add(userEnrolled=True)
    assert device["serialNumber"] == ""
    app = an_app(sim)
    assert codes(channel.install(app.adam_id, device)) == [12064, 9610]


def test_without_a_license_being_asked_for_anybody_may_get_a_public_app(sim, channel):
    assert channel.install(an_app(sim).adam_id, licensed=False)["Status"] == "Acknowledged"


def test_a_new_version_comes_with_the_next_install(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    before = channel.managed()[app.bundle_id]["ExternalVersionIdentifier"]
    newest = sim.control("ship", adamId=str(app.adam_id))["externalId"]
    assert channel.managed()[app.bundle_id]["ExternalVersionIdentifier"] == before
    channel.behave(installSeconds=1.5)
    channel.install(app.adam_id)
    updating = channel.managed()[app.bundle_id]
    assert (updating["Status"], updating["ExternalVersionIdentifier"]) == ("Updating", before)
    assert after(channel, app, "Updating")["ExternalVersionIdentifier"] == newest


def test_the_mac_build_of_an_app_for_both_counts_on_its_own(sim, channel):
    channel.behave(installSeconds=0)
    mac = channel.add(kind="Mac")
    app = licensed(sim, mac, "universal")
    assert channel.install(app.adam_id, mac)["State"] == "Installing"
    listed = channel.managed(mac)[app.bundle_id]
    assert listed["ExternalVersionIdentifier"] == app.versions[-1].external_id + 500_000_000


@pytest.mark.parametrize("facts", [{"kind": "Apple TV"}, {"osVersion": "12.4"}, {"kind": "Mac"}])
def test_an_app_that_does_not_run_there_is_refused(sim, channel, facts):
    device = channel.add(**facts)
    report = channel.install(licensed(sim, device).adam_id, device)
    assert (codes(report), report["RejectionReason"]) == ([12023], "NotSupported")


def test_what_the_store_does_not_have_is_refused(channel):
    assert channel.install(99)["RejectionReason"] == "CouldNotVerifyAppID"


def test_a_second_install_during_the_first_is_a_duplicate(channel, app):
    channel.behave(installSeconds=60)
    channel.install(app.adam_id)
    assert codes(channel.install(app.adam_id)) == [506]


@pytest.mark.parametrize(
    ("conduct", "code"),
    [({"licenseNotFound": 2}, 9610), ({"licenseNotFound": 2, "licenseError": 12064}, 12064), ({"duplicate": 2}, 506)],
)
def test_trouble_on_order_passes_after_so_many_times(channel, app, conduct, code):
    channel.behave(**conduct)
    assert [codes(channel.install(app.adam_id)) for _ in range(2)] == [[code], [code]]
    assert channel.install(app.adam_id)["Status"] == "Acknowledged"


@pytest.mark.parametrize(
    ("conduct", "state", "end"), [("refuses", "Prompting", "UserRejected"), ("storageFull", "Queued", "Failed")]
)
def test_a_bad_end_is_told_once(channel, app, conduct, state, end):
    channel.behave(**{conduct: True, "installSeconds": 0})
    assert channel.install(app.adam_id)["State"] == state
    assert channel.shown()["managed"] == {app.bundle_id: end}
    assert channel.managed()[app.bundle_id]["Status"] == end
    assert channel.managed() == {}
    channel.behave(**{conduct: False})
    channel.install(app.adam_id)
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"


def test_a_failed_update_leaves_what_was_there(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    before = channel.shown()["installed"]
    sim.control("ship", adamId=str(app.adam_id))
    channel.behave(storageFull=True)
    channel.install(app.adam_id)
    assert channel.shown()["installed"] == before
    assert channel.managed()[app.bundle_id]["Status"] == "Failed"
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"
    assert channel.shown()["installed"] == before


def test_an_update_the_person_declines_is_told_once_and_leaves_what_was_there(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    before = channel.shown()["installed"]
    sim.control("ship", adamId=str(app.adam_id))
    channel.behave(refuses=True, installSeconds=1.5)
    assert channel.install(app.adam_id)["State"] == "PromptingForUpdate"
    assert channel.managed()[app.bundle_id]["Status"] == "PromptingForUpdate"
    assert channel.shown()["installed"] == before
    rejected = after(channel, app, "PromptingForUpdate")
    assert (rejected["Status"], rejected["ExternalVersionIdentifier"]) == ("UpdateRejected", before[app.bundle_id])
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"
    assert channel.shown()["installed"] == before


def test_a_stuck_device_takes_updates_and_keeps_its_version(sim, channel, app):
    channel.behave(installSeconds=0, stuck=True)
    channel.install(app.adam_id)
    before = channel.shown()["installed"]
    assert before == {app.bundle_id: app.versions[-1].external_id}
    sim.control("ship", adamId=str(app.adam_id))
    assert channel.install(app.adam_id)["Status"] == "Acknowledged"
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"
    assert channel.shown()["installed"] == before


def test_a_device_tells_its_system_and_its_time_zone_when_asked(sim, channel):
    device = channel.add(osVersion="18.6", timeZone="Europe/Berlin")
    queries = {"Queries": ["OSVersion", "TimeZone", "BatteryLevel"]}
    told = channel.send("DeviceInformation", device, **queries)["QueryResponses"]
    assert told == {"OSVersion": "18.6", "TimeZone": "Europe/Berlin"}
    sim.control("mdm-changes", devices=device["id"], osVersion="26.1", timeZone="")
    assert channel.send("DeviceInformation", device, **queries)["QueryResponses"] == {"OSVersion": "26.1"}


def test_an_app_the_person_installed_is_taken_over_only_when_asked(sim, channel, app):
    sim.control("mdm-has-app", adamId=str(app.adam_id), devices=channel.device["id"])
    assert channel.managed() == {}
    report = channel.install(app.adam_id)
    assert (codes(report), report["RejectionReason"]) == ([12025], "AppAlreadyInstalled")
    channel.behave(installSeconds=0)
    assert channel.install(app.adam_id, ChangeManagementState="Managed")["Status"] == "Acknowledged"
    assert channel.managed()[app.bundle_id]["Status"] == "Managed"


def test_in_user_enrollment_nothing_is_taken_over(sim, channel):
    device = channel.add(userEnrolled=True)
    report = channel.install(an_app(sim).adam_id, device, ChangeManagementState="Managed")
    assert report["RejectionReason"] == "ManagementChangeNotSupported"


def test_removing_takes_managed_apps_only(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    assert channel.send("RemoveApplication", Identifier=app.bundle_id)["Status"] == "Acknowledged"
    assert channel.shown()["installed"] == {}
    sim.control("mdm-has-app", adamId=str(app.adam_id))
    assert codes(channel.send("RemoveApplication", Identifier=app.bundle_id)) == [12029]


def test_lists_name_what_was_asked_for(sim, channel, app):
    other = next(one for one in sim.world.store.products.values() if one.kind == "ipad")
    sim.control("mdm-has-app", adamId=str(other.adam_id))
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    assert channel.managed(Identifiers=["none.of.these"]) == {}
    assert set(channel.managed(Identifiers=[app.bundle_id])) == {app.bundle_id}
    everything = channel.send("InstalledApplicationList")["InstalledApplicationList"]
    assert {one["Identifier"] for one in everything} == {app.bundle_id, other.bundle_id}
    ours = channel.send("InstalledApplicationList", ManagedAppsOnly=True)["InstalledApplicationList"]
    assert [(one["Identifier"], one["DeviceBasedVPP"]) for one in ours] == [(app.bundle_id, True)]


def test_a_managed_app_that_was_deleted_by_hand_is_listed_so(sim, channel, app):
    channel.behave(installSeconds=0)
    channel.install(app.adam_id)
    sim.control("mdm-deletes-app", adamId=str(app.adam_id), devices=[channel.device["id"]])
    assert channel.managed()[app.bundle_id]["Status"] == "ManagedButUninstalled"
    assert channel.shown()["installed"] == {}


def test_an_unknown_command_is_refused(channel):
    assert codes(channel.send("PlayLostModeSound")) == [12021]


def test_every_order_of_conduct_can_be_misspelled(sim):
    with pytest.raises(ValueError, match="silent"):
        sim.control("mdm-behave", silnet=True)
    assert Conduct().use_up("duplicate") is False


def test_versions_are_compared_by_number():
    assert older("9.3", "16.0")
    assert not older("16", "16.0")
