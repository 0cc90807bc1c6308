"""The queue of apps that wait for approval, the decisions made on it, and what an app's page says of them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from catalog.approval import decisions
from catalog.models import Addition, App, AppStatus, Decision, Outcome
from tests.catalog.approval.approvers import approver, only, step
from tests.factories import AdditionFactory, AppFactory, AssetFactory, ContentTokenFactory, UserFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager() -> Client:
    """Return the browser of somebody who may do everything; there are no steps."""
    return sign_in()


def browser_of(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def listed(browser: Client, **filters: str) -> list[str]:
    rows = browser.get("/catalog/approvals/", filters).context["list"].table.page.object_list
    return [str(row.record) for row in rows]


# --- The queue --------------------------------------------------------------------------------------------------------


def test_the_queue_shows_what_is_known_of_an_app(manager: Client) -> None:
    token = ContentTokenFactory(name="Head office")
    app = AppFactory(
        pending=True,
        added_from=token,
        listing__name="Fieldnote",
        listing__developer="Meadow Labs",
        listing__genres=["Business", "Utilities"],
        listing__content_rating="4+",
        listing__has_in_app_purchases=True,
        listing__minimum_os="17.2",
        listing__price="2.99 USD",
        listing__is_custom=True,
    )
    AssetFactory(token=token, adam_id=app.adam_id, total=250)
    text = text_of(manager.get("/catalog/approvals/"))
    for fact in ("Fieldnote", "Meadow Labs", "Business, Utilities", "4+", "in-app purchases", "from 17.2", "2.99 USD"):
        assert fact in text
    for fact in ("B2B", "250", "Head office", "3 h ago", "One approval", "waits for <strong>you"):
        assert fact in text


def test_the_file_has_each_fact_in_a_column_of_its_own(manager: Client) -> None:
    AppFactory(pending=True, listing__name="Fieldnote", listing__genres=["Business"], listing__content_rating="12+")
    answer: Any = manager.get("/catalog/approvals/?export=csv")
    head, row = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    facts = dict(zip(head.split(","), row.split(","), strict=True))
    assert (facts["App"], facts["Type"], facts["Listing"], facts["Age rating"]) == (
        "Fieldnote",
        "iTunes",
        "Business",
        "12+",
    )
    assert (facts["In-app purchases"], facts["Step"]) == ("", "One approval")


def test_what_waits_for_the_viewer_comes_first_and_can_be_had_alone() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    AppFactory(pending=True, listing__name="At security")
    app = AppFactory(pending=True, listing__name="At the lawyers")
    decisions.approve(only(app), anna)
    assert listed(browser_of(ben)) == ["At the lawyers", "At security"]
    assert listed(browser_of(ben), whose="me") == ["At the lawyers"]
    assert listed(browser_of(anna), whose="me") == ["At security"]
    text = text_of(browser_of(anna).get("/catalog/approvals/"))
    assert "2 of 2, waits for Approvers of Lawyers" in text


def test_rejected_apps_are_a_list_of_their_own_with_who_and_why(manager: Client) -> None:
    AppFactory(pending=True, listing__name="Waits")
    app = AppFactory(pending=True, listing__name="Refused")
    AppFactory(listing__name="There")
    decisions.reject(only(app), approver(username="anna"), "Bad terms")
    assert listed(manager) == ["Waits"]
    assert listed(manager, status="rejected") == ["Refused"]
    assert "by anna" in (text := text_of(manager.get("/catalog/approvals/?status=rejected")))
    assert "“Bad terms”" in text


def test_the_queue_is_searched_and_filtered_by_token_type_and_step(manager: Client) -> None:
    token = ContentTokenFactory()
    AppFactory(pending=True, listing__name="One", added_from=token)
    AppFactory(pending=True, listing__name="Two", listing__is_custom=True)
    assert listed(manager, q="two") == ["Two"]
    assert listed(manager, token=str(token.pk)) == ["One"]
    assert listed(manager, is_custom="b2b") == ["Two"]
    security, _ = step("Security")
    lawyers, _ = step("Lawyers")
    assert listed(manager, step=str(security.pk)) == ["One", "Two"]
    assert listed(manager, step=str(lawyers.pk)) == []


def test_an_empty_queue_says_how_apps_come_into_it_and_leads_to_the_rejected(manager: Client) -> None:
    text = text_of(manager.get("/catalog/approvals/"))
    assert "Nothing waits for approval" in text
    assert "Show rejected apps" not in text
    AppFactory(rejected=True)
    assert "Show rejected apps" in text_of(manager.get("/catalog/approvals/"))


def test_viewers_may_look_and_not_decide() -> None:
    AppFactory(pending=True, listing__name="Fieldnote")
    text = text_of(sign_in("Viewer").get("/catalog/approvals/"))
    assert "Fieldnote" in text
    assert "waits for anybody who may approve" in text
    assert "Approve" not in text.replace("Approvals", "")


# --- Deciding ---------------------------------------------------------------------------------------------------------


def test_approving_makes_an_app_available_and_its_rows_follow(manager: Client) -> None:
    app = AppFactory(pending=True)
    addition = AdditionFactory(app=app, adam_id=app.adam_id, pending=True)
    assert f"“{app}” is approved." in text_of(manager.post(f"/catalog/{app.pk}/approve/", follow=True))
    addition.refresh_from_db()
    assert (App.objects.get().status, addition.outcome) == (AppStatus.AVAILABLE, Outcome.ADDED)
    assert Entry.objects.get().verb == "approved the app"


def test_rejecting_needs_a_reason(manager: Client) -> None:
    app = AppFactory(pending=True)
    answer = manager.post(f"/catalog/{app.pk}/reject/", {"reason": ""})
    assert answer.status_code == 422
    assert "Say why" in text_of(answer)
    manager.post(f"/catalog/{app.pk}/reject/", {"reason": "Not needed"})
    assert App.objects.get().status == AppStatus.REJECTED
    assert Entry.objects.get().details == {"reason": "Not needed"}


def test_a_second_decision_changes_nothing(manager: Client) -> None:
    app = AppFactory()
    text = text_of(manager.post(f"/catalog/{app.pk}/reject/", {"reason": "Late"}, follow=True))
    assert f"“{app}” was left as it is: it does not wait for this decision any more." in text
    assert App.objects.get().status == AppStatus.AVAILABLE


def test_asking_again_says_that_all_steps_begin_anew(manager: Client) -> None:
    step("Security")
    step("Lawyers")
    app = AppFactory(rejected=True)
    assert "passes all 2 steps anew" in text_of(manager.get(f"/catalog/{app.pk}/ask-again/"))
    manager.post(f"/catalog/{app.pk}/ask-again/", {"reason": "The terms are new"})
    assert App.objects.get().status == AppStatus.PENDING
    assert Decision.objects.get().reason == "The terms are new"


def test_who_brings_apps_in_may_ask_again_and_a_viewer_may_not() -> None:
    app = AppFactory(rejected=True)
    assert sign_in("Viewer").get(f"/catalog/{app.pk}/ask-again/").status_code == 403
    assert sign_in("Viewer").post("/catalog/approvals/ask-again/", {"selected": app.pk}).status_code == 403
    assert browser_of(approver()).get(f"/catalog/{app.pk}/ask-again/").status_code == 200


def test_many_are_approved_at_once_and_what_was_not_is_told_with_the_reason() -> None:
    (_, anna), _ = step("Security"), step("Lawyers")
    AppFactory.create_batch(2, pending=True)
    AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    other = AppFactory(pending=True)
    decisions.approve(only(other), anna)
    browser = browser_of(anna)
    answer = browser.post("/catalog/approvals/approve/?q=App", {"all_matching": "1"}, follow=True)
    assert answer.redirect_chain == [("/catalog/approvals/?q=App", 302)]
    text = text_of(answer)
    assert "3 apps are approved, and wait for the step “Lawyers” now." in text
    assert "1 app was left as it is: the step it waits at is for others to decide." in text


@pytest.mark.parametrize("page", ["/catalog/approvals/", "/catalog/{pk}/"])
def test_a_page_that_showed_an_earlier_step_approves_no_later_one(page: str) -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    app, browser = AppFactory(pending=True, listing__name="Fieldnote"), browser_of(anna)
    seen = set(re.findall(r'name="seen" value="([\d.]+)"', text_of(browser.get(page.format(pk=app.pk)))))
    for address in (f"/catalog/{app.pk}/approve/", "/catalog/approvals/approve/"):
        answer = browser.post(address, {"selected": app.pk, "seen": max(seen)}, follow=True)
    assert "it came to this step only after the page was shown" in text_of(answer)
    assert Decision.objects.count() == 1
    assert App.objects.get().status == AppStatus.PENDING


def test_many_are_rejected_with_one_reason_that_is_asked_for_first(manager: Client) -> None:
    apps = AppFactory.create_batch(2, pending=True)
    chosen = {"selected": [app.pk for app in apps]}
    page = manager.post("/catalog/approvals/reject/", chosen)
    assert page.status_code == 200
    assert "Reject 2 apps?" in text_of(page)
    sent = {**chosen, "confirmed": "yes"}
    answer = manager.post("/catalog/approvals/reject/", {**sent, "reason": " "})
    assert answer.status_code == 422
    assert answer.content.decode().count('name="selected"') == 2
    assert "2 apps are rejected." in text_of(
        manager.post("/catalog/approvals/reject/", {**sent, "reason": "No use"}, follow=True)
    )
    assert set(Decision.objects.values_list("reason", flat=True)) == {"No use"}


def test_all_matching_rejected_apps_are_asked_for_again(manager: Client) -> None:
    AppFactory.create_batch(3, rejected=True)
    AppFactory(pending=True)
    url = "/catalog/approvals/ask-again/?status=rejected"
    assert "approval of 3 apps?" in text_of(manager.post(url, {"all_matching": "1"}))
    manager.post(url, {"all_matching": "1", "confirmed": "yes", "reason": "All anew"})
    assert App.objects.filter(status=AppStatus.PENDING).count() == 4


def test_choosing_nothing_is_told(manager: Client) -> None:
    for name in ("approve", "reject", "ask-again"):
        assert "Choose at least one app." in text_of(manager.post(f"/catalog/approvals/{name}/", follow=True))


def test_one_app_is_decided_on_in_its_row_without_being_counted_as_ticked(manager: Client) -> None:
    app = AppFactory(pending=True)
    page = " ".join(manager.get("/catalog/approvals/?q=App").content.decode().split())
    assert 'formaction="/catalog/approvals/reject/?q=App" title="Reject"' in page
    # What is ticked is counted by the inputs of this name.
    assert len(re.findall(r'<input[^>]*name="selected"', page)) == 1
    assert len(re.findall(rf'<button[^>]*name="selected" value="{app.pk}"', page)) == 2


# --- The app's page ---------------------------------------------------------------------------------------------------


def test_an_apps_page_shows_its_way_through_the_steps() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    decisions.approve(only(app), anna)
    text = text_of(browser_of(anna).get(f"/catalog/{app.pk}/"))
    assert "by security <time" in text
    assert "Approvers of Lawyers: lawyers" in text
    assert f"/catalog/{app.pk}/approve/" not in text
    assert f"/catalog/{app.pk}/approve/" in text_of(browser_of(ben).get(f"/catalog/{app.pk}/"))


def test_the_page_of_a_rejected_app_says_why_and_offers_to_ask_again(manager: Client) -> None:
    app = AppFactory(pending=True)
    decisions.reject(only(app), approver(username="anna"), "Bad terms")
    text = text_of(manager.get(f"/catalog/{app.pk}/"))
    assert "“Bad terms”" in text
    assert f"/catalog/{app.pk}/ask-again/" in text
    assert f"/catalog/{app.pk}/approve/" not in text


def test_an_uploader_who_is_alone_is_told_that_somebody_else_has_to_approve() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    anna.groups.add(*lawyers.groups.all())
    app = AppFactory(pending=True, added_from=ContentTokenFactory(uploaded_by=anna))
    decisions.approve(only(app), anna)
    browser = browser_of(User.objects.get(pk=anna.pk))
    text = text_of(browser.get(f"/catalog/{app.pk}/"))
    assert "the last approval has to be given by somebody else" in text
    answer = text_of(browser.post(f"/catalog/{app.pk}/approve/", follow=True))
    assert "you uploaded its VPP token, and nobody else has approved it yet." in answer


def test_an_app_that_never_waited_has_no_approval_card(manager: Client) -> None:
    assert 'card-title">Approval<' not in manager.get(f"/catalog/{AppFactory().pk}/").content.decode()


# --- The badge --------------------------------------------------------------------------------------------------------


def test_the_navigation_says_how_many_apps_wait_for_the_viewer() -> None:
    (_, anna), (_, ben) = step("Security"), step("Lawyers")
    AppFactory.create_batch(2, pending=True)
    assert '2<span class="visually-hidden"> waiting for you' in text_of(browser_of(anna).get("/catalog/"))
    assert browser_of(anna).get("/catalog/").content.decode().count("waiting for you") == 2
    assert "waiting for you" not in browser_of(ben).get("/catalog/").content.decode()
    assert "waiting for you" not in sign_in("Viewer").get("/catalog/").content.decode()


def test_on_the_queue_only_the_queue_is_marked_as_the_present_page(manager: Client) -> None:
    page = manager.get("/catalog/approvals/").content.decode()
    assert page.count('aria-current="page"') == 1
    assert '<a class="nav-link" href="/catalog/approvals/" aria-current="page">' in page


def test_home_says_what_waits_for_the_viewer_and_what_for_others() -> None:
    (lawyers, _), (_, ben) = step("Lawyers"), step("Security")
    ContentTokenFactory()
    AppFactory(pending=True)
    user = UserFactory(role="Operator")
    text = text_of(browser_of(user).get("/"))
    assert "1 app waits for the approval of others." in text
    user.groups.add(*lawyers.groups.all())
    assert "1 app waits for your approval." in text_of(browser_of(user).get("/"))
    User.objects.filter(pk=ben.pk).update(is_active=False)
    assert "Nobody can decide at the approval step “Security”" in text_of(browser_of(user).get("/"))


def test_outcomes_follow_on_the_page_of_the_token(manager: Client) -> None:
    app = AppFactory(pending=True)
    AdditionFactory(app=app, adam_id=app.adam_id, pending=True)
    manager.post(f"/catalog/{app.pk}/reject/", {"reason": "No"})
    assert Addition.objects.get().comment == "An approver rejected it"
