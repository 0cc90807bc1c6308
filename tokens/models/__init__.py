"""The mirror of what Apple says, and what the portal asks of Apple.

Only sync.py, mirror.py, listings.py, entries.py, versions.py, operations.py and registration.py write the mirror, and
only what Apple said. What administrators choose about a token (name, region, policies, groups, preference) is the one
exception.
"""

from __future__ import annotations

from tokens.models.invitation import Invitation, InvitationQuerySet
from tokens.models.listing import Listing, ListingOutcome, ListingQuerySet, ListingVersion
from tokens.models.mirror import (
    GONE,
    Asset,
    AssetQuerySet,
    Assignment,
    ClientUser,
    ClientUserQuerySet,
    ClientUserStatus,
    ProductType,
)
from tokens.models.operation import (
    Notification,
    Operation,
    OperationKind,
    OperationStep,
    Quota,
    Target,
    TargetState,
)
from tokens.models.sync import SyncPhase, SyncReason, SyncRun, SyncRunQuerySet
from tokens.models.token import NAME_TAKEN, ContentToken, ContentTokenQuerySet, PortalIdentity, TokenStatus

__all__ = [
    "GONE",
    "NAME_TAKEN",
    "Asset",
    "AssetQuerySet",
    "Assignment",
    "ClientUser",
    "ClientUserQuerySet",
    "ClientUserStatus",
    "ContentToken",
    "ContentTokenQuerySet",
    "Invitation",
    "InvitationQuerySet",
    "Listing",
    "ListingOutcome",
    "ListingQuerySet",
    "ListingVersion",
    "Notification",
    "Operation",
    "OperationKind",
    "OperationStep",
    "PortalIdentity",
    "ProductType",
    "Quota",
    "SyncPhase",
    "SyncReason",
    "SyncRun",
    "SyncRunQuerySet",
    "Target",
    "TargetState",
    "TokenStatus",
]
