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

__all__ = [
    "ADDABLE_BY_HAND",
    "COMMENTS",
    "IN_FORCE",
    "IN_NEED",
    "ON_THE_WAY",
    "UNDER_WAY",
    "UNWANTED",
    "WITHOUT_APP",
    "Addition",
    "App",
    "AppStatus",
    "ApprovalPolicy",
    "CatalogSettings",
    "Command",
    "CommandKind",
    "CommandStatus",
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
    "When",
]
