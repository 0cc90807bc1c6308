"""The steps of approval: at most eight, in order, each with somebody who can decide."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from catalog.approval import decisions, steps
from catalog.approval.approvers import steps_without_approver, waiting_for
from catalog.models import App, ApprovalStep, CatalogSettings
from tests.catalog.approval.approvers import approver, only, step
from tests.factories import AppFactory, UserFactory
from tests.signed_in import sign_in
from vppportal.activity.models import Entry

pytestmark = pytest.mark.django_db


def order() -> list[tuple[int, str]]:
    return list(ApprovalStep.objects.values_list("position", "name"))


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def group_of_approvers(name: str) -> Group:
    group = Group.objects.create(name=name)
    approver(group)
    return group


# --- The verbs --------------------------------------------------------------------------------------------------------


def test_steps_are_added_at_the_end_moved_and_removed_and_are_always_numbered_from_one() -> None:
    (first, anna), (second, _), (third, _) = step("Security"), step("Lawyers"), step("Workers")
    assert steps.move(third, anna, earlier=True)
    assert order() == [(1, "Security"), (2, "Workers"), (3, "Lawyers")]
    assert not steps.move(first, anna, earlier=True)
    assert not steps.move(second, anna, earlier=False)
    assert steps.remove(first, anna)
    assert not steps.remove(first, anna)
    assert order() == [(1, "Workers"), (2, "Lawyers")]
    added = steps.add("Security", [group_of_approvers("Guards")], anna)
    assert added is not None
    assert order()[-1] == (3, "Security")


def test_there_are_at_most_eight() -> None:
    groups = [group_of_approvers("Guards")]
    for number in range(8):
        assert steps.add(f"Step {number}", groups, None)
    assert steps.add("One more", groups, None) is None
    assert len(order()) == 8


def test_apps_that_wait_at_another_step_after_a_change_wait_there_since_now() -> None:
    _, (lawyers, ben) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    steps.change(lawyers, "Legal", lawyers.groups.all(), ben)
    assert App.objects.get().waiting_since == app.waiting_since
    steps.move(lawyers, ben, earlier=True)
    assert App.objects.filter(waiting_since__gt=timezone.now() - timedelta(minutes=1)).exists()
    assert list(waiting_for(ben)) == [app]


def test_removing_tells_how_many_apps_wait_there_and_how_many_passed_all_others() -> None:
    (security, anna), (lawyers, _) = step("Security"), step("Lawyers")
    app = AppFactory(pending=True)
    AppFactory(pending=True)
    decisions.approve(only(app), anna)
    assert steps.ready_without(security) == (1, 0)
    assert steps.ready_without(lawyers) == (1, 1)


def test_each_step_says_who_decides_and_how_many_wait() -> None:
    (security, _), _ = step("Security"), step("Lawyers")
    User.objects.filter(username="lawyers").update(is_active=False)
    approver(*security.groups.all(), username="anna")
    UserFactory(username="outside").groups.add(*security.groups.all())
    AppFactory(pending=True)
    first, second = steps.described()
    assert (first.approvers, first.waiting, first.is_last) == (["anna", "security"], 1, False)
    assert (second.approvers, second.waiting, second.is_last) == ([], 0, True)
    assert [str(one) for one in steps_without_approver()] == ["Lawyers"]


def test_each_change_is_recorded() -> None:
    (security, anna), (lawyers, _) = step("Security"), step("Lawyers")
    steps.change(security, "Safety", security.groups.all(), anna)
    steps.move(lawyers, anna, earlier=True)
    steps.remove(lawyers, anna)
    verbs = Entry.objects.order_by("pk").values_list("verb", "object_name")
    assert list(verbs) == [
        ("changed the approval step", "Safety"),
        ("moved the approval step", "Lawyers"),
        ("removed the approval step", "Lawyers"),
    ]


# --- The pages --------------------------------------------------------------------------------------------------------


def test_before_the_first_step_the_page_says_what_holds() -> None:
    assert "one approval is enough, by anybody who may approve apps" in text_of(
        sign_in().get("/catalog/settings/steps/")
    )


def test_a_step_is_added_changed_and_removed_by_hand() -> None:
    group, browser = group_of_approvers("Guards"), sign_in()
    browser.post("/catalog/settings/steps/add/", {"name": "Security", "groups": [group.pk]})
    row = ApprovalStep.objects.get()
    text = text_of(browser.get("/catalog/settings/steps/"))
    assert "Security" in text
    assert "Guards: administrator" in text
    url = f"/catalog/settings/steps/{row.pk}/"
    assert "Guards (1 approver)" in text_of(browser.get(url))
    browser.post(url, {"name": "Safety", "groups": [group.pk]})
    assert order() == [(1, "Safety")]
    AppFactory(pending=True)
    text = text_of(browser.get(f"{url}remove/"))
    assert "No step is left then: one approval, by anybody who may approve apps, is enough." in text
    assert "1 app waits at this step now." in text
    browser.post(f"{url}remove/")
    assert order() == []


def test_a_step_that_is_last_for_waiting_apps_says_so_before_it_is_removed() -> None:
    (_, anna), (lawyers, _) = step("Security"), step("Lawyers")
    decisions.approve(only(AppFactory(pending=True)), anna)
    text = text_of(sign_in().get(f"/catalog/settings/steps/{lawyers.pk}/remove/"))
    assert "New apps pass 1 step then: Security." in text
    assert "1 app waits at this step now; it goes on to the next that has not approved yet." in text
    assert "1 of these passed all other steps: one more approval, by anybody who may, is enough." in text


def test_a_group_in_which_nobody_may_approve_is_refused_and_what_was_typed_is_kept() -> None:
    idle = Group.objects.create(name="Interns")
    UserFactory().groups.add(idle)
    approver(idle, is_active=False)
    answer = sign_in().post("/catalog/settings/steps/add/", {"name": "Security", "groups": [idle.pk]})
    assert answer.status_code == 422
    text = text_of(answer)
    assert "“Interns” has no active member who may approve apps." in text
    assert "put an active account into the group" in text
    assert 'value="Security"' in text
    assert not ApprovalStep.objects.exists()


def test_a_permission_of_the_group_makes_its_members_approvers() -> None:
    group = Group.objects.create(name="Guards")
    group.permissions.add(Permission.objects.get(codename="approve_app"))
    UserFactory().groups.add(group)
    sign_in().post("/catalog/settings/steps/add/", {"name": "Security", "groups": [group.pk]})
    assert order() == [(1, "Security")]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"name": "", "groups": "yes"}, "Give the step a name"),
        ({"name": "Other"}, "Choose at least one group"),
        ({"name": "SECURITY", "groups": "yes"}, "There is already a step of this name."),
    ],
)
def test_bad_input_is_answered_in_sentences(typed: dict[str, Any], told: str) -> None:
    security, _ = step("Security")
    if "groups" in typed:
        typed = {**typed, "groups": [group.pk for group in security.groups.all()]}
    answer = sign_in().post("/catalog/settings/steps/add/", typed)
    assert answer.status_code == 422
    assert told in text_of(answer)


def test_the_ninth_step_is_refused_in_words() -> None:
    group = group_of_approvers("Guards")
    for number in range(8):
        steps.add(f"Step {number}", [group], None)
    browser = sign_in()
    assert "as many as there can be" in text_of(browser.get("/catalog/settings/steps/"))
    form = {"name": "One more", "groups": [group.pk]}
    assert "There are 8 steps already" in text_of(browser.post("/catalog/settings/steps/add/", form, follow=True))


def test_steps_are_moved_by_buttons() -> None:
    _, (lawyers, _) = step("Security"), step("Lawyers")
    url = f"/catalog/settings/steps/{lawyers.pk}/move/"
    browser = sign_in()
    browser.post(url, {"earlier": ""})
    assert order() == [(1, "Lawyers"), (2, "Security")]
    assert "stays where it is" in text_of(browser.post(url, {"earlier": ""}, follow=True))


def test_where_approval_is_off_the_page_says_that_the_steps_are_not_used() -> None:
    step("Security")
    CatalogSettings.objects.update_or_create(pk=1, defaults={"approval": "off"})
    assert "App approval is off" in text_of(sign_in().get("/catalog/settings/steps/"))
