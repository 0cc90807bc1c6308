"""What nobody has approved goes to no device: not by a page, not by many at once, not by the plan."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from catalog import additions, carrying_out, distribution, drafts, reconciling, removal
from catalog.approval import decisions
from catalog.models import (
    App,
    ApprovalPolicy,
    AppStatus,
    CatalogSettings,
    Command,
    Distribution,
    DistributionState,
    Installation,
    InstallState,
    Outcome,
    Reason,
    Reconciliation,
)
from tests.catalog.approval.approvers import approver, only, step
from tests.catalog.stock import outcomes, owner, store_has
from tests.factories import (
    AppFactory,
    AssetFactory,
    DeviceFactory,
    DistributionFactory,
    InstallationFactory,
    UserFactory,
)
from tests.signed_in import sign_in
from tokens.models import Asset, Operation

pytestmark = pytest.mark.django_db
UNSEEN = ["pending", "rejected"]


@pytest.fixture
def operator() -> Client:
    return sign_in("Operator")


def unseen(trait: str) -> App:
    """Return an app that was not approved, with licenses."""
    app: App = AppFactory(**{trait: True})
    AssetFactory(adam_id=app.adam_id)
    return app


@pytest.mark.parametrize(("trait", "words"), [("pending", "waits for approval"), ("rejected", "was rejected")])
def test_no_license_of_it_is_given_out_by_hand(operator: Client, trait: str, words: str) -> None:
    app, device = unseen(trait), DeviceFactory()
    asset = Asset.objects.get(adam_id=app.adam_id)
    address = f"/tokens/{asset.token_id}/licenses/{asset.pk}/assign/"
    page = operator.post(address, {"devices": [device.pk], "kind": "device", "confirmed": "1"}, follow=True)
    assert words in page.content.decode()
    assert not Operation.objects.exists()


def carry_out(app: App) -> None:
    reconciling.wake([app.pk])
    (row,) = Reconciliation.objects.filter(app=app).claim(1)
    carrying_out.reconcile(row)


def wish(**fields: Any) -> dict[str, Any]:
    options = {"license_kind": "automatic", "when": "now", "priority": "100", "is_for_everyone": "on"}
    return {"submission": str(uuid.uuid4()), **options, **fields}


# --- Going out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trait", UNSEEN)
def test_its_page_offers_no_distribution_and_the_form_refuses(operator: Client, trait: str) -> None:
    app = unseen(trait)
    assert f"/catalog/{app.pk}/distribute/" not in operator.get(f"/catalog/{app.pk}/").content.decode()
    assert operator.post(f"/catalog/{app.pk}/distribute/", wish()).status_code == 422
    assert not Distribution.objects.exists()


@pytest.mark.parametrize("trait", UNSEEN)
def test_a_choice_of_many_leaves_it_out(operator: Client, trait: str) -> None:
    app = unseen(trait)
    page = operator.post("/catalog/distribute/", {"selected": [app.pk, AppFactory().pk]}, follow=True)
    assert "1 app is left out: not approved" in page.content.decode()
    assert list(Distribution.objects.filter(app=app)) == []
    page = operator.post("/catalog/distribute/", {"all_matching": "1"}, follow=True)
    assert list(Distribution.objects.filter(app=app)) == []


@pytest.mark.parametrize("trait", UNSEEN)
def test_a_draft_made_before_starts_nothing(trait: str) -> None:
    app = unseen(trait)
    draft = DistributionFactory(app=app, draft=True, is_for_everyone=True)
    assert drafts.put_into_force(draft.submission, UserFactory()) == []
    assert Distribution.objects.get().state == DistributionState.DRAFT


@pytest.mark.parametrize("trait", UNSEEN)
def test_the_plan_asks_apple_for_no_license_and_sends_no_command(trait: str) -> None:
    app = unseen(trait)
    DistributionFactory(app=app).devices.set(DeviceFactory.create_batch(2, enrolled=True))
    carry_out(app)
    assert set(Installation.objects.values_list("state", "reason")) == {(InstallState.SKIPPED, Reason.NOT_APPROVED)}
    assert not Operation.objects.exists()
    assert not Command.objects.exists()


@pytest.mark.parametrize("trait", UNSEEN)
@pytest.mark.parametrize("state", [InstallState.FAILED, InstallState.OFFERED])
def test_neither_a_retry_nor_a_request_sends_it(trait: str, state: InstallState) -> None:
    app = unseen(trait)
    row = DistributionFactory(app=app)
    one = InstallationFactory(app=app, state=state, distribution=row)
    row.devices.add(one.device)
    (distribution.retry if state == InstallState.FAILED else distribution.request)(
        Installation.objects.all(), UserFactory()
    )
    carry_out(app)
    assert Installation.objects.get().reason == Reason.NOT_APPROVED
    assert not Command.objects.exists()


def test_a_rejected_app_that_devices_have_stays_there() -> None:
    app = unseen("pending")
    row = DistributionFactory(app=app)
    one = InstallationFactory(app=app, installed=True, distribution=row)
    row.devices.add(one.device)
    decisions.reject(only(app), approver(), "Not any more")
    carry_out(app)
    assert Installation.objects.get().state == InstallState.INSTALLED
    assert not Command.objects.exists()


def test_between_two_steps_it_goes_nowhere_and_after_the_last_to_all_who_are_meant() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = unseen("pending")
    DistributionFactory(app=app).devices.add(DeviceFactory(enrolled=True))
    decisions.approve(only(app), anna)
    carry_out(app)
    assert not Operation.objects.exists()
    decisions.approve(only(app), ben)
    (row,) = Reconciliation.objects.claim(1)
    carrying_out.reconcile(row)
    assert Operation.objects.exists()


# --- Coming in --------------------------------------------------------------------------------------------------------


def test_new_apps_wait_since_they_came_and_others_do_not_wait() -> None:
    waits, comes = owner("1", require_approval=True), owner("2")
    store_has("1", "2")
    additions.add(waits)
    additions.add(comes)
    assert App.objects.get(adam_id="1").waiting_since is not None
    assert App.objects.get(adam_id="2").waiting_since is None


def test_where_approval_is_mandatory_it_covers_apps_added_by_hand() -> None:
    CatalogSettings.objects.create(pk=1, approval=ApprovalPolicy.MANDATORY)
    token = owner("1", kind="mac")
    store_has("1")
    additions.add(token)
    (app,) = additions.add_by_hand(token, UserFactory(), ["1"])
    assert (app.status, outcomes(token)) == (AppStatus.PENDING, {"1": Outcome.PENDING})
    assert app.waiting_since is not None


def test_an_app_that_was_deleted_and_comes_back_is_approved_anew() -> None:
    (_, anna), _ = step("Security"), step("Lawyers")
    token = owner("1", require_approval=True)
    store_has("1")
    additions.add(token)
    app = App.objects.get()
    decisions.approve(only(app), anna)
    removal.delete_app(app, UserFactory())
    (app,) = additions.add_by_hand(token, UserFactory(), ["1"])
    assert (app.status, app.approval_round) == (AppStatus.PENDING, 2)
    assert len(decisions.approve(only(app), anna).passed) == 1


def test_a_policy_switched_off_later_lets_nobody_in_who_waits() -> None:
    token = owner("1", require_approval=True)
    store_has("1")
    additions.add(token)
    CatalogSettings.objects.update_or_create(pk=1, defaults={"approval": ApprovalPolicy.OFF})
    additions.add(token)
    assert App.objects.get().status == AppStatus.PENDING
