"""The rows of who receives apps, and of the files they are imported from."""

from vppportal.groups.models.imports import (
    Import,
    ImportedRow,
    ImportFile,
    ImportKind,
    ImportPhase,
    RowOutcome,
)
from vppportal.groups.models.who import (
    Device,
    DeviceQuerySet,
    EnrollmentType,
    ManagedUser,
    Platform,
    Standing,
    UserGroup,
)

__all__ = [
    "Device",
    "DeviceQuerySet",
    "EnrollmentType",
    "Import",
    "ImportFile",
    "ImportKind",
    "ImportPhase",
    "ImportedRow",
    "ManagedUser",
    "Platform",
    "RowOutcome",
    "Standing",
    "UserGroup",
]
