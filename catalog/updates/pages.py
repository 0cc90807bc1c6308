"""The pages of an app's updates: its rules, updating at once, stopping a roll-out and letting it go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from catalog.models import App, CatalogSettings
from catalog.updates import rollouts, updating, wishes
from catalog.updates.card import card
from catalog.updates.facts import summary
from catalog.updates.forms import UpdatesForm, VersionForm
from catalog.updates.rule import Verdict
from catalog.updates.sentences import ByHand
from vppportal.wording import number

DISTRIBUTES: Final = "catalog.distribute_app"
CHANGES: Final = "catalog.change_app"
WHY_NOTHING: Final = (
    "Nothing was sent: each of these has the newest version, is being updated already, or is left to its person."
)


@permission_required(CHANGES, raise_exception=True)
def app_updates(request: HttpRequest, pk: int) -> HttpResponse:
    """Change when and to whom new versions of an app are sent."""
    app = _app(pk)
    form = UpdatesForm(request.POST or None, instance=app, mode=CatalogSettings.load().update_mode)
    if request.method == "POST" and form.is_valid():
        wishes.store(app, form.changed_rules, request.user)
        messages.success(request, f"The update rules of “{app}” are saved.")
        return redirect(app)
    context = {"title": f"Updates of {app}", "form": form, "back": app.get_absolute_url(), "back_label": str(app)}
    return render(request, "form.html", context, status=422 if form.errors else 200)


@require_GET
@permission_required("catalog.view_app", raise_exception=True)
def app_updates_card(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the page's question how far the updates are."""
    app = get_object_or_404(App.objects.select_related("listing", "update_window", "pilot_group"), pk=pk)
    return render(request, "catalog/_app_updates.html", card(app))


@require_POST
@permission_required(CHANGES, raise_exception=True)
def app_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the App Store now whether there is a new version."""
    app = _app(pk)
    if wishes.check(app, request.user):
        messages.info(request, "The App Store is asked. What it says appears under “Updates”.")
    else:
        messages.info(request, "The App Store is being asked already.")
    return redirect(app)


@permission_required(DISTRIBUTES, raise_exception=True)
def app_update_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Update an app at once on all devices that are behind, after saying on which."""
    app = _app(pk)
    if request.method == "POST":
        asked = updating.update_now(app.installations.all(), cast(User, request.user))
        say_what_is_updated(request, asked)
        return redirect(app)
    told = summary(app)
    by_hand = ByHand.of({verdict: count for verdict, _words, count in told.by_verdict})
    newest = f"{number(told.on_newest, 'device has', 'devices have')} {_version(app)} already."
    context = {
        "title": by_hand.title(f"“{app}”"),
        "sentences": [*by_hand.sentences, *([newest] if told.on_newest else [])],
        "verb": "Update now" if by_hand.is_possible else "",
        "back": app.get_absolute_url(),
    }
    return render(request, "confirm.html", context)


@permission_required(DISTRIBUTES, raise_exception=True)
def app_halt(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop the roll-out of an app's newest version, after saying what that does."""
    app = _app(pk)
    told = summary(app)
    behind = sum(count for *_, count in told.by_verdict)
    keeping = number(told.on_newest, "device has the version and keeps it", "devices have the version and keep it")
    sentences = [
        f"{number(behind, 'device is', 'devices are')} behind. None of them is sent {_version(app)} by itself any more"
        f"{', not even those of the pilot group' if app.pilot_group else ''}.",
        *([f"{keeping}; nothing takes it back."] if told.on_newest else []),
        "What was sent already may still be carried out. What was asked for by hand and is not sent yet is withdrawn;"
        " asking for it once more stays possible.",
        "A newer version is a roll-out of its own, and is not stopped by this.",
    ]
    done = f"The roll-out of “{app}” {app.listing.version} is stopped."
    title = f"Stop the roll-out of “{app}” {app.listing.version}?"
    return _decide(request, app, rollouts.halt, title, sentences, "Stop the roll-out", done, is_grave=True)


@permission_required(DISTRIBUTES, raise_exception=True)
def app_release(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a roll-out go on for everybody, after saying what that does."""
    app = _app(pk)
    told = summary(app)
    held = {Verdict.HALTED, Verdict.PILOT, Verdict.PILOT_STOPPED}
    waiting = sum(count for verdict, _words, count in told.by_verdict if verdict in held)
    failed = sum(count for _words, count in told.failures)
    how = "without waiting for the pilot group any longer" if app.pilot_hours is not None else "as the rules say"
    sentences = [
        f"{number(waiting, 'device that waits is', 'devices that wait are')} sent {_version(app)} {how}.",
        *([f"On {number(failed, 'device', 'devices')} updating failed so far."] if failed else []),
        *([f"It is still sent in the window “{app.update_window}” only."] if app.update_window else []),
    ]
    done = f"The roll-out of “{app}” {app.listing.version} goes on for everybody."
    title = f"Continue the roll-out of “{app}” {app.listing.version} for everybody?"
    return _decide(request, app, rollouts.release, title, sentences, "Continue for everybody", done)


@permission_required(DISTRIBUTES, raise_exception=True)
def app_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a stopped roll-out go on with its pilot group, after saying what that does."""
    app = _app(pk)
    hours = number(app.pilot_hours or 0, "hour", "hours")
    sentences = [
        f"The devices of the pilot group “{app.pilot_group}” are sent {_version(app)}."
        if app.pilot_group
        else "The pilot group was deleted: the devices wait until another one is chosen.",
        f"What failed there is tried again. The others wait once more, for {hours}, and follow if failures stay under"
        " the bound.",
    ]
    done = f"The roll-out of “{app}” {app.listing.version} goes on with its pilot."
    title = f"Continue the roll-out of “{app}” {app.listing.version} with its pilot?"
    return _decide(request, app, rollouts.resume, title, sentences, "Continue with the pilot", done)


def say_what_is_updated(request: HttpRequest, asked: int) -> None:
    """Tell the administrator on how many devices an app is updated at once."""
    if asked:
        devices = number(asked, "device", "devices")
        messages.success(request, f"The update is asked for on {devices}. Where it cannot be sent now, it follows.")
    else:
        messages.info(request, WHY_NOTHING)


def _app(pk: int) -> App:
    return get_object_or_404(App.objects.kept().select_related("listing", "update_window", "pilot_group"), pk=pk)


def _version(app: App) -> str:
    return f"version {app.listing.version}" if app.listing.version else "the newest version"


def _decide(
    request: HttpRequest,
    app: App,
    act: Callable[[App, User], bool],
    title: str,
    sentences: list[str],
    verb: str,
    done: str,
    *,
    is_grave: bool = False,
) -> HttpResponse:
    """Ask whether it is meant so; do it once it is confirmed, of the version that was asked about."""
    newest = str(app.listing.external_version_id or "")
    is_about_newest = request.POST.get("version", newest) == newest
    if request.method == "POST" and not is_about_newest:
        messages.warning(request, "Nothing was changed: the App Store has another version by now, which this is about.")
    elif request.method == "POST":
        if act(app, cast(User, request.user)):
            messages.success(request, done)
        else:
            messages.info(request, "Nothing was changed: it was decided so already, or there is nothing to roll out.")
        return redirect(app)
    context = {
        "title": title,
        "sentences": sentences if newest else ["The App Store has not told a version so far."],
        "form": VersionForm(initial={"version": newest}),
        "verb": verb if newest else "",
        "back": app.get_absolute_url(),
        "is_grave": is_grave,
    }
    return render(request, "confirm.html", context, status=200 if is_about_newest else 409)
