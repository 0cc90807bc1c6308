"""The pages about people registered at a token's location: who is invited, registered, retired; registering more."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from tokens import by_hand, fence, invitations, people
from tokens.apple import AppleUnavailable
from tokens.fields import CannotOpen
from tokens.invitations import NotPossible
from tokens.license_forms import ChooseForm, TakenAlong
from tokens.license_pages import CHANGES_SHOWN, kept_token
from tokens.models import ClientUser, ClientUserStatus, ContentToken
from tokens.operation_tables import operation_rows
from tokens.people_tables import RegistrationFilter, RegistrationTable, put_into_words, registration_rows
from vppportal.activity.models import record
from vppportal.groups.models import ManagedUser
from vppportal.lists import Bulk, Empty, Listed, selected
from vppportal.wording import number

NOBODY = Empty(
    "Nobody is registered here",
    "People are registered by themselves before their first license, or here by hand. Devices need no registration.",
    icon="person",
)
PERSON, PEOPLE = "person", "people"


@permission_required("tokens.view_contenttoken", raise_exception=True)
def token_people(request: HttpRequest, pk: int) -> HttpResponseBase:
    """List the people registered at the token's location."""
    token = kept_token(pk)
    reason = by_hand.hindrance(token)
    may_change = request.user.has_perm("tokens.manage_licenses") and not reason
    is_busy = token.operations.open().filter(asset=None).exists()
    changes = operation_rows(token).filter(asset=None)[:CHANGES_SHOWN]
    now = {"token": token, "changes": changes, "is_busy": is_busy}
    if request.headers.get("HX-Target") == "changes":
        return render(request, "tokens/_changes.html", now)
    listed = Listed(
        request,
        RegistrationTable,
        RegistrationFilter,
        registration_rows(token),
        empty=NOBODY,
        file_name="people-at-apple",
        working="Apple is being asked. What changes appears here." if is_busy else "",
        bulk=[
            Bulk(reverse("token-people-resend", args=[pk]), "Invite again", "envelope"),
            Bulk(reverse("token-people-retire", args=[pk]), "Retire", "person-dash"),
        ]
        if may_change
        else (),
        hides=() if may_change else ("actions",),
        fetch=put_into_words,
    )
    return listed.page_or_part("tokens/people.html", **now, reason=reason)


@permission_required("tokens.manage_licenses", raise_exception=True)
def token_people_register(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose people to be registered, see what that does, and do it."""
    token = kept_token(pk)
    form = ChooseForm(request.POST or None)
    reason = by_hand.hindrance(token)
    if request.method == "POST" and not reason and not form.is_searching and form.is_valid():
        chosen = by_hand.Choice(is_for_devices=False, **form.cleaned_data).found_people()
        if "confirmed" not in request.POST:
            return _ask_before_registering(request, token, chosen)
        asked = people.register(token, chosen, by=cast(User, request.user))
        messages.success(request, f"{number(asked, 'person is', 'people are')} being registered.".capitalize())
        return redirect("token-people", pk)
    status = 422 if form.errors and not form.is_searching else 200
    return render(request, "tokens/register.html", {"token": token, "form": form, "reason": reason}, status=status)


@require_POST
@permission_required("tokens.manage_licenses", raise_exception=True)
def token_people_resend(request: HttpRequest, pk: int) -> HttpResponse:
    """Invite the selected people once more; many only after a question."""
    token, rows = _selected(request, pk)
    waiting = ClientUser.objects.to_invite().filter(pk__in=rows.values("pk"))
    many = waiting.count()
    if not many:
        messages.info(request, "Nobody selected waits for an invitation: they have accepted it, or none is known yet.")
        return redirect("token-people", pk)
    if many > 1 and "confirmed" not in request.POST:
        sentences = [
            f"{number(many, PERSON, PEOPLE).capitalize()} who have not accepted yet get another mail with their"
            " invitation; their devices ask them, too.",
            f"{number(rows.count() - many, PERSON, PEOPLE).capitalize()} of the selected need none.",
        ]
        return _ask(request, token, "Invite these people again?", sentences, f"Send {many:,} mails")
    asked = people.resend(waiting, by=cast(User, request.user))
    messages.success(request, f"{number(asked, 'invitation is', 'invitations are')} on the way.".capitalize())
    return redirect("token-people", pk)


@require_POST
@permission_required("tokens.manage_licenses", raise_exception=True)
def token_people_retire(request: HttpRequest, pk: int) -> HttpResponse:
    """Retire the selected people, after saying how many licenses that gives back."""
    token, rows = _selected(request, pk)
    live = rows.filter(status__in=people.KNOWN)
    reason = by_hand.hindrance(token)
    if reason or not live.exists():
        messages.error(request, reason or "Nobody selected is registered or invited.")
        return redirect("token-people", pk)
    if "confirmed" not in request.POST:
        return _ask_before_retiring(request, token, live)
    asked = people.retire(live, by=cast(User, request.user))
    messages.success(request, f"Apple is asked to retire {number(asked, PERSON, PEOPLE)}.")
    return redirect("token-people", pk)


@permission_required("tokens.manage_licenses", raise_exception=True)
def invitation_link(request: HttpRequest, pk: int, registration_pk: int) -> HttpResponse:
    """Show somebody's invitation link on request, and write down who saw it."""
    token = kept_token(pk)
    row = get_object_or_404(token.client_users.select_related("person"), pk=registration_pk)
    context: dict[str, Any] = {"token": token, "registration": row}
    if request.method == "POST":
        try:
            context["link"] = invitations.link(row)
            record(request.user, "looked at the invitation link of a person at", token, person=str(row.person or row))
        except (AppleUnavailable, CannotOpen, NotPossible) as error:
            context["trouble"] = str(error)
    return render(request, "tokens/invitation_link.html", context)


def _selected(request: HttpRequest, pk: int) -> tuple[ContentToken, QuerySet[ClientUser]]:
    token = kept_token(pk)
    return token, selected(request, RegistrationFilter, registration_rows(token))


def _ask_before_registering(request: HttpRequest, token: ContentToken, chosen: QuerySet[ManagedUser]) -> HttpResponse:
    active = chosen.filter(is_active=True)
    there = token.client_users.live().filter(person__in=active.values("pk"))
    settled = there.exclude(status="").exclude(pk__in=there.to_associate(again=True).values("pk"))
    known = settled.count()
    missing = active.exclude(pk__in=settled.values("person"))
    counted = missing.order_by().aggregate(all=Count("pk"), at_once=Count("pk", filter=~Q(managed_apple_account="")))
    keys = set(missing.values_list("pk", flat=True))
    outside = len(keys - fence.admits(token, keys))
    left = chosen.filter(is_active=False).count()
    facts = [
        (counted["at_once"], "registered at once, with the Managed Apple Account"),
        (counted["all"] - counted["at_once"], "invited by mail, and on their devices; they count once they accept"),
        (known, "left alone: registered or invited already"),
        (left, "left out: not active any more"),
        (outside, "of these outside the user groups that the token is restricted to: registered, but without licenses"),
    ]
    sentences = [f"{number(many, PERSON, PEOPLE).capitalize()} {words}." for many, words in facts if many]
    verb = f"Register {number(counted['all'], PERSON, PEOPLE)}" if counted["all"] else ""
    title = f"Register people at {token.location_name}?"
    names = ("groups", "people")
    return _ask(request, token, title, sentences, verb, names=names)


def _ask_before_retiring(request: HttpRequest, token: ContentToken, live: QuerySet[ClientUser]) -> HttpResponse:
    many = live.count()
    held = live.aggregate(all=Sum("held", default=0))["all"]
    kept = live.filter(status=ClientUserStatus.REGISTERED).count()
    sentences = [
        f"Apple is asked to retire {number(many, PERSON, PEOPLE)} at {token.location_name}.",
        f"They hold {number(held, 'license', 'licenses')}, which return; those of books never do.",
        f"{number(kept, PERSON, PEOPLE).capitalize()} of them have not accepted the invitation yet: it ends.",
        "Whoever a distribution still includes with a user license is registered anew: stop the distribution first.",
    ]
    verb = f"Retire {number(many, PERSON, PEOPLE)}"
    return _ask(request, token, "Retire these people?", sentences, verb, is_grave=True)


def _ask(
    request: HttpRequest,
    token: ContentToken,
    title: str,
    sentences: list[str],
    verb: str,
    names: tuple[str, ...] = ("selected", "all_matching"),
    **more: Any,
) -> HttpResponse:
    context = {
        "title": title,
        "sentences": sentences,
        "verb": verb,
        "form": TakenAlong(request.POST, names),
        "back": reverse("token-people", args=[token.pk]),
        **more,
    }
    return render(request, "confirm.html", context)
