"""What administrators want (the App Catalog, distributions) and what devices did (installations, commands)."""

from __future__ import annotations

from catalog.models.app import (
    ADDABLE_BY_HAND,
    COMMENTS,
    Addition,
    App,
    ApprovalPolicy,
    AppStatus,
    CatalogSettings,
    Outcome,
)
from catalog.models.approval import (
    MOST_STEPS,
    ApprovalStep,
    ApproverLetter,
    Decision,
    DecisionKind,
)
from catalog.models.channel import (
    Command,
    CommandKind,
    CommandStatus,
    DeviceEvent,
)
from catalog.models.distribution import (
    IN_FORCE,
    IN_NEED,
    ON_THE_WAY,
    UNDER_WAY,
    UNWANTED,
    WITHOUT_APP,
    Distribution,
    DistributionState,
    Installation,
    InstallState,
    LicenseKind,
    Reason,
    Reconciliation,
    When,
)
from catalog.models.letter import Letter
from catalog.models.update import (
    Rollout,
    RolloutDecision,
    UpdateMode,
    UpdateState,
    UpdateWindow,
    WindowKind,
)

__all__ = [
    "ADDABLE_BY_HAND",
    "COMMENTS",
    "IN_FORCE",
    "IN_NEED",
    "MOST_STEPS",
    "ON_THE_WAY",
    "UNDER_WAY",
    "UNWANTED",
    "WITHOUT_APP",
    "Addition",
    "App",
    "AppStatus",
    "ApprovalPolicy",
    "ApprovalStep",
    "ApproverLetter",
    "CatalogSettings",
    "Command",
    "CommandKind",
    "CommandStatus",
    "Decision",
    "DecisionKind",
    "DeviceEvent",
    "Distribution",
    "DistributionState",
    "InstallState",
    "Installation",
    "Letter",
    "LicenseKind",
    "Outcome",
    "Reason",
    "Reconciliation",
    "Rollout",
    "RolloutDecision",
    "UpdateMode",
    "UpdateState",
    "UpdateWindow",
    "When",
    "WindowKind",
]
