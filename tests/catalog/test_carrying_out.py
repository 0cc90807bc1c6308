"""A plan becomes rows, requests to Apple and commands, by a number of queries that does not depend on the devices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from catalog import carrying_out, chasing, consequences, distribution, reconciling
from catalog.facts import Facts
from catalog.models import (
    App,
    Command,
    CommandKind,
    CommandStatus,
    Distribution,
    Installation,
    InstallState,
    Reason,
    Reconciliation,
    When,
)
from catalog.plan import Plan, plan
from tests.factories import (
    AppFactory,
    AssetFactory,
    ClientUserFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    ManagedUserFactory,
    QuotaFactory,
    UserFactory,
    UserGroupFactory,
)
from tokens.models import Asset, Assignment, Operation, OperationKind, Target
from vppportal.groups.models import Device, ManagedUser

pytestmark = pytest.mark.django_db


def carry_out(app: App) -> None:
    reconciling.wake([app.pk])
    (row,) = Reconciliation.objects.filter(app=app).claim(1)
    carrying_out.reconcile(row)


def owned(total: int = 100, **facts: Any) -> tuple[App, Asset]:
    app = AppFactory()
    return app, AssetFactory(adam_id=app.adam_id, total=total, available=total, assigned=0, **facts)


def hold(asset: Asset, *devices: Device) -> None:
    Assignment.objects.bulk_create(
        Assignment(asset=asset, serial_number=device.serial_number, since=timezone.now()) for device in devices
    )


def states(app: App) -> list[str]:
    return sorted(app.installations.values_list("state", flat=True))


def test_apple_is_asked_for_the_licenses_of_those_who_are_meant() -> None:
    app, _ = owned()
    devices = DeviceFactory.create_batch(3, enrolled=True)
    DistributionFactory(app=app).devices.set(devices)
    carry_out(app)
    assert states(app) == ["licensing"] * 3
    operation = Operation.objects.get()
    assert (operation.kind, operation.targets.count()) == (OperationKind.ASSIGN, 3)
    carry_out(app)
    assert Target.objects.count() == 3


def test_apple_is_told_of_an_account_that_came_after_the_invitation() -> None:
    app, asset = owned()
    person = ManagedUserFactory()
    DeviceFactory(enrolled=True, owner=person)
    DistributionFactory(app=app, license_kind="user").people.add(person)
    ClientUserFactory(token=asset.token, person=person, status="Registered")
    carry_out(app)
    assert app.installations.get().reason == Reason.INVITED
    Operation.objects.all().delete()
    ManagedUser.objects.update(managed_apple_account="ada@company.example")
    carry_out(app)
    carry_out(app)
    assert Operation.objects.get().kind == OperationKind.UPDATE
    assert app.installations.get().reason == Reason.INVITED


def test_a_confirmed_license_sends_the_app_once() -> None:
    app, asset = owned()
    device = DeviceFactory(enrolled=True)
    DistributionFactory(app=app).devices.set([device])
    hold(asset, device)
    carry_out(app)
    carry_out(app)
    command = Command.objects.get()
    assert (command.kind, command.payload["Options"]) == (CommandKind.INSTALL, {"PurchaseMethod": 1})
    assert Installation.objects.get().state == InstallState.READY


def test_members_of_a_group_are_meant_through_it() -> None:
    app, _ = owned()
    group = UserGroupFactory()
    person = ManagedUserFactory()
    person.groups.add(group)
    DeviceFactory(enrolled=True, owner=person)
    DeviceFactory(enrolled=True)
    DistributionFactory(app=app).groups.add(group)
    carry_out(app)
    assert states(app) == ["licensing"]


def test_who_is_excluded_is_not_meant() -> None:
    app, _ = owned()
    devices = DeviceFactory.create_batch(2, enrolled=True)
    everyone = DistributionFactory(app=app, is_for_everyone=True)
    everyone.excluded_devices.add(devices[0])
    carry_out(app)
    assert [row.device for row in app.installations.all()] == [devices[1]]


def test_those_for_whom_no_license_is_left_stand_in_line_since_then() -> None:
    app, _ = owned(total=1)
    DistributionFactory(app=app).devices.set(DeviceFactory.create_batch(3, enrolled=True))
    carry_out(app)
    assert states(app) == ["in_line", "in_line", "licensing"]
    since = set(app.installations.filter(state="in_line").values_list("queued_at", flat=True))
    carry_out(app)
    assert set(app.installations.filter(state="in_line").values_list("queued_at", flat=True)) == since


def test_stopping_removes_the_app_and_then_asks_for_the_license() -> None:
    app, asset = owned()
    row = InstallationFactory(app=app, installed=True, asset=asset, confirmed_at=timezone.now())
    row.holder = row.device.serial_number
    row.save()
    hold(asset, row.device)
    carry_out(app)
    command = Command.objects.get()
    assert (command.kind, command.payload) == (CommandKind.REMOVE, {"Identifier": app.listing.bundle_id})
    assert not Operation.objects.exists()
    Installation.objects.update(state=InstallState.REMOVED)
    Command.objects.update(state="done")
    carry_out(app)
    assert Operation.objects.get().kind == OperationKind.REVOKE


def test_a_quota_counts_what_is_held_of_all_assets_of_its_token() -> None:
    app, plus = owned(pricing_param="PLUS")
    AssetFactory(adam_id=app.adam_id, token=plus.token)
    group = UserGroupFactory()
    devices = [DeviceFactory(enrolled=True, owner=ManagedUserFactory(groups=[group])) for _ in range(4)]
    hold(plus, devices[0])
    QuotaFactory(token=plus.token, adam_id=app.adam_id, group=group, limit=2)
    DistributionFactory(app=app).devices.set(devices)
    carry_out(app)
    assert states(app) == ["in_line", "in_line", "licensing", "ready"]
    assert set(app.installations.filter(state="in_line").values_list("reason", flat=True)) == {Reason.QUOTA}


def test_who_moves_from_one_tokens_group_to_anothers_never_holds_two_licenses() -> None:
    app, first = owned()
    first.token.restricted_to.add(UserGroupFactory())
    second = AssetFactory(adam_id=app.adam_id)
    App.objects.update(revoke_on_stop=False)
    device = DeviceFactory(enrolled=True, owner=ManagedUserFactory())
    DistributionFactory(app=app).devices.set([device])
    InstallationFactory(app=app, device=device, installed=True, confirmed_at=timezone.now())
    hold(first, device)
    carry_out(app)
    carry_out(app)
    operation = Operation.objects.get()
    assert (operation.kind, operation.asset) == (OperationKind.REVOKE, first)
    assert operation.targets.get().serial_number == device.serial_number
    Target.objects.update(state="done")
    Assignment.objects.all().delete()
    carry_out(app)
    assert Operation.objects.get(kind=OperationKind.ASSIGN).asset == second
    assert states(app) == ["installed"]


def test_an_install_still_under_way_is_cancelled_when_the_app_is_removed() -> None:
    app, _ = owned()
    row = InstallationFactory(app=app, state=InstallState.SENT)
    install = Command.objects.create(
        device=row.device, enrollment_id=row.device.enrollment_id, installation=row, kind=CommandKind.INSTALL
    )
    carry_out(app)
    install.refresh_from_db()
    assert install.status == CommandStatus.CANCELLED
    assert app.installations.get().state == InstallState.REMOVING


def test_what_a_device_answered_meanwhile_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = owned()
    row = InstallationFactory(app=app, state=InstallState.SENT)

    def answered(facts: Facts) -> Plan:
        Installation.objects.filter(pk=row.pk).update(state=InstallState.INSTALLED)
        return plan(facts)

    monkeypatch.setattr(carrying_out, "plan", answered)
    carry_out(app)
    assert app.installations.get().state == InstallState.INSTALLED
    assert not Command.objects.exists()


def test_a_distribution_paused_sends_nothing_new() -> None:
    app, _ = owned()
    paused = DistributionFactory(app=app, paused=True)
    paused.devices.add(DeviceFactory(enrolled=True))
    carry_out(app)
    assert app.installations.get().reason == Reason.PAUSED
    distribution.resume(paused, UserFactory())
    carry_out(app)
    assert states(app) == ["licensing"]


def test_the_preview_of_a_draft_is_what_starting_it_does() -> None:
    app, _ = owned(total=2)
    draft = DistributionFactory(app=app, draft=True)
    draft.devices.set([*DeviceFactory.create_batch(3, enrolled=True), DeviceFactory()])
    seen = {verdict.device_id: str(verdict.state) for verdict in distribution.preview([draft])}
    assert not Installation.objects.exists()
    assert distribution.start(draft.submission, UserFactory()) == 1
    carry_out(app)
    assert dict(app.installations.values_list("device", "state")) == seen


def test_the_second_click_on_start_starts_nothing() -> None:
    draft = DistributionFactory(draft=True)
    by = UserFactory()
    assert (distribution.start(draft.submission, by), distribution.start(draft.submission, by)) == (1, 0)


def test_stopping_for_chosen_devices_leaves_the_others_alone() -> None:
    app, _ = owned()
    devices = DeviceFactory.create_batch(2, enrolled=True)
    everyone = DistributionFactory(app=app, is_for_everyone=True)
    carry_out(app)
    chosen = app.installations.filter(device=devices[0])
    assert distribution.stop_for(chosen, UserFactory()) == 1
    carry_out(app)
    assert list(everyone.excluded_devices.all()) == [devices[0]]
    assert states(app) in (["licensing"], ["licensing", "removed"])


def test_a_failure_is_tried_again_when_somebody_asks() -> None:
    app, asset = owned()
    row = InstallationFactory(app=app, failed=True, asset=asset)
    DistributionFactory(app=app).devices.add(row.device)
    hold(asset, row.device)
    carry_out(app)
    assert not Command.objects.exists()
    assert distribution.retry(app.installations.all(), UserFactory()) == 1
    carry_out(app)
    assert Command.objects.get().kind == CommandKind.INSTALL


def test_fifty_devices_take_no_more_queries_than_ten() -> None:
    counts = []
    for number in (10, 50):
        app, asset = owned(total=1000)
        devices = DeviceFactory.create_batch(number, enrolled=True)
        DistributionFactory(app=app).devices.set(devices)
        hold(asset, *devices[: number // 2])
        with CaptureQueriesContext(connection) as queries:
            carry_out(app)
        counts.append(len(queries))
        assert Command.objects.filter(installation__app=app).count() == number // 2
    # SQLite takes some forty rows a statement.
    assert counts[1] <= counts[0] + 1


def about_to_be_sent(**facts: Any) -> tuple[App, Command]:
    app, asset = owned()
    device = DeviceFactory(enrolled=True)
    DistributionFactory(app=app).devices.set([device])
    hold(asset, device)
    carry_out(app)
    command = Command.objects.get()
    Command.objects.update(**facts)
    return app, command


def test_an_install_that_was_not_sent_yet_is_not_sent_when_nobody_wants_it_any_more() -> None:
    app, command = about_to_be_sent()
    distribution.stop(app.distributions.get(), UserFactory())
    carry_out(app)
    command.refresh_from_db()
    assert (command.state, command.status) == ("done", CommandStatus.CANCELLED)
    assert states(app) == ["removed"]
    assert Operation.objects.get().kind == OperationKind.REVOKE


@pytest.mark.parametrize(("is_to_go", "state"), [(True, "removed"), (False, "left")])
def test_what_mdm_control_leaves_behind_is_as_the_policy_says(is_to_go: bool, state: str) -> None:
    app = AppFactory(remove_on_mdm_removal=is_to_go)
    row = InstallationFactory(app=app, installed=True, confirmed_at=timezone.now())
    DistributionFactory(app=app, is_for_everyone=True)
    Device.objects.filter(pk=row.device.pk).update(unenrolled_at=timezone.now())
    carry_out(app)
    assert states(app) == [state]


def given_up() -> App:
    """Return an app of which one install was sent and given up, and which is then no longer distributed."""
    long_ago = timezone.now() - timedelta(days=15)
    app, command = about_to_be_sent(status=CommandStatus.SENT, created_at=long_ago, sent_at=long_ago)
    Device.objects.update(enrolled_at=long_ago - timedelta(days=1))
    app.installations.update(state=InstallState.SENT)
    chasing.chase()
    command.refresh_from_db()
    assert (command.status, states(app)) == (CommandStatus.LOST, ["failed"])
    distribution.stop(app.distributions.get(), UserFactory())
    return app


@pytest.mark.parametrize("status", [CommandStatus.LOST, CommandStatus.ACKNOWLEDGED])
def test_an_install_that_was_given_up_is_followed_by_a_removal_as_the_device_may_still_do_it(status: str) -> None:
    app = given_up()
    Command.objects.update(status=status)
    told = consequences.of_stop(app.installations.all())
    assert (told.removes, told.cancels) == (1, 0)
    carry_out(app)
    assert states(app) == ["removing"]
    assert Command.objects.open().get().kind == CommandKind.REMOVE
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "change", [{"status": CommandStatus.ERROR}, {"sent_at": None}, {"enrollment_id": "the one before"}]
)
def test_an_install_that_can_do_nothing_any_more_needs_no_removal(change: dict[str, Any]) -> None:
    app = given_up()
    Command.objects.update(**change)
    carry_out(app)
    assert states(app) == ["removed"]
    assert not Command.objects.open().exists()


def test_an_install_of_an_earlier_enrollment_of_the_same_name_needs_no_removal() -> None:
    app = given_up()
    Device.objects.update(enrolled_at=timezone.now())
    carry_out(app)
    assert states(app) == ["removed"]


@pytest.mark.parametrize("removes", [True, False])
def test_what_was_asked_for_once_is_asked_for_again_after_it_was_stopped(removes: bool) -> None:
    app, asset = owned()
    App.objects.update(remove_on_stop=removes)
    device = DeviceFactory(enrolled=True)
    hold(asset, device)

    def offer() -> Distribution:
        offered: Distribution = DistributionFactory(app=app, when=When.ON_DEMAND, is_for_everyone=True)
        carry_out(app)
        return offered

    first = offer()
    distribution.request(app.installations.all(), UserFactory())
    carry_out(app)
    assert states(app) == ["ready"]
    app.installations.update(state=InstallState.INSTALLED, confirmed_at=timezone.now())
    Command.objects.update(state="done")
    distribution.stop(first, UserFactory())
    carry_out(app)
    assert states(app) == ["removing" if removes else "left"]
    app.installations.filter(state=InstallState.REMOVING).update(state=InstallState.REMOVED)
    Command.objects.update(state="done")
    offer()
    assert states(app) == ["offered"]


def test_what_was_asked_for_comes_back_with_its_device() -> None:
    app, asset = owned()
    device = DeviceFactory(enrolled=True)
    hold(asset, device)
    DistributionFactory(app=app, when=When.ON_DEMAND, is_for_everyone=True)
    InstallationFactory(app=app, device=device, installed=True, confirmed_at=timezone.now(), is_requested=True)
    Device.objects.update(unenrolled_at=timezone.now())
    carry_out(app)
    assert states(app) == ["removed"]
    Device.objects.update(unenrolled_at=None)
    Operation.objects.all().delete()
    carry_out(app)
    assert states(app) == ["ready"]


def test_an_install_that_is_being_handed_over_is_waited_for() -> None:
    in_a_moment = timezone.now() + timedelta(seconds=30)
    app, command = about_to_be_sent(state="running", lease_until=in_a_moment)
    distribution.stop(app.distributions.get(), UserFactory())
    carry_out(app)
    command.refresh_from_db()
    assert (command.state, command.status) == ("running", CommandStatus.QUEUED)
    assert states(app) == ["ready"]
    Command.objects.update(state="waiting", status=CommandStatus.SENT, sent_at=timezone.now())
    app.installations.update(state=InstallState.SENT)
    carry_out(app)
    assert states(app) == ["removing"]
