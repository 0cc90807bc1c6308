"""The pages of the approval steps: which there are, in which order, and who decides at each."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from catalog.approval import steps
from catalog.approval.forms import StepForm
from catalog.models import MOST_STEPS, ApprovalPolicy, ApprovalStep, CatalogSettings
from vppportal.wording import number

CHANGES = "catalog.change_catalogsettings"
FULL = f"There are {MOST_STEPS} steps already, which is as many as there can be."


@permission_required(CHANGES, raise_exception=True)
def step_list(request: HttpRequest) -> HttpResponse:
    """Show the steps in order, with who decides and how many apps wait at each."""
    rows = steps.described()
    settings = CatalogSettings.load()
    context = {
        "steps": rows,
        "is_full": len(rows) >= MOST_STEPS,
        "policy": settings.get_approval_display(),
        "is_off": settings.approval == ApprovalPolicy.OFF,
    }
    return render(request, "catalog/approval_steps.html", context)


@permission_required(CHANGES, raise_exception=True)
def step_add(request: HttpRequest) -> HttpResponse:
    """Add a step after the others."""
    form = StepForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        if steps.add(name, form.cleaned_data["groups"], request.user):
            messages.success(request, f"The step “{name}” is added.")
        else:
            messages.error(request, FULL)
        return redirect("approval-steps")
    return _form(request, form, "Add an approval step")


@permission_required(CHANGES, raise_exception=True)
def step_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename a step, or let others decide."""
    step = get_object_or_404(ApprovalStep, pk=pk)
    title = f"Approval step “{step}”"
    form = StepForm(request.POST or None, instance=step)
    if request.method == "POST" and form.is_valid():
        steps.change(step, form.cleaned_data["name"], form.cleaned_data["groups"], request.user)
        messages.success(request, f"The step “{step}” is saved.")
        return redirect("approval-steps")
    return _form(request, form, title)


@require_POST
@permission_required(CHANGES, raise_exception=True)
def step_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a step come one place earlier or later."""
    step = get_object_or_404(ApprovalStep, pk=pk)
    if not steps.move(step, request.user, earlier="earlier" in request.POST):
        messages.info(request, f"The step “{step}” stays where it is.")
    return redirect("approval-steps")


@permission_required(CHANGES, raise_exception=True)
def step_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a step, after saying what that means for the apps that wait."""
    step = get_object_or_404(ApprovalStep, pk=pk)
    if request.method == "POST":
        if steps.remove(step, request.user):
            messages.success(request, f"The step “{step}” is removed.")
        return redirect("approval-steps")
    context = {
        "title": f"Remove the step “{step}”?",
        "sentences": _what_removing_does(step),
        "verb": "Remove",
        "back": reverse("approval-steps"),
        "is_grave": True,
    }
    return render(request, "confirm.html", context)


def _what_removing_does(step: ApprovalStep) -> list[str]:
    left = [str(other) for other in ApprovalStep.objects.exclude(pk=step.pk)]
    waiting, ready = steps.ready_without(step)
    return [
        f"New apps pass {number(len(left), 'step', 'steps')} then: {', '.join(left)}."
        if left
        else "No step is left then: one approval, by anybody who may approve apps, is enough.",
        *([_who_goes_on(waiting, bool(left))] if waiting else []),
        *(
            [f"{ready:,} of these passed all other steps: one more approval, by anybody who may, is enough."]
            if ready
            else []
        ),
        "What was approved at this step stays in the history of the apps.",
    ]


def _who_goes_on(waiting: int, has_others: bool) -> str:
    waits = f"{number(waiting, 'app waits', 'apps wait')} at this step now"
    goes = "it goes" if waiting == 1 else "they go"
    return f"{waits}; {goes} on to the next that has not approved yet." if has_others else f"{waits}."


def _form(request: HttpRequest, form: StepForm, title: str) -> HttpResponse:
    context = {"title": title, "form": form, "back": reverse("approval-steps"), "back_label": "Approval steps"}
    return render(request, "form.html", context, status=422 if form.errors else 200)
