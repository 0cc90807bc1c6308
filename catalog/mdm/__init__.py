"""The MDM server NanoMDM: commands to devices, sent over its API, and what its webhook tells. No database in here."""

from __future__ import annotations

from catalog.mdm.client import (
    CommandRefused,
    KeyRefused,
    MdmClient,
    MdmError,
    MdmUnavailable,
    PushCertificate,
    Queued,
    UnknownEnrollment,
)
from catalog.mdm.payloads import (
    command_plist,
    facts_payload,
    install_payload,
    installed_payload,
    invite_payload,
    list_payload,
    remove_payload,
    remove_profile_payload,
)
from catalog.mdm.reports import Report, Topic, Unreadable, read, signature

__all__ = [
    "CommandRefused",
    "KeyRefused",
    "MdmClient",
    "MdmError",
    "MdmUnavailable",
    "PushCertificate",
    "Queued",
    "Report",
    "Topic",
    "UnknownEnrollment",
    "Unreadable",
    "command_plist",
    "facts_payload",
    "install_payload",
    "installed_payload",
    "invite_payload",
    "list_payload",
    "read",
    "remove_payload",
    "remove_profile_payload",
    "signature",
]
