"""What an event does to registered users: create, update, retire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vppportal.simulator.events import Failure, Outcome
from vppportal.simulator.location import Location
from vppportal.simulator.notifications import Notifications
from vppportal.simulator.users import ASSOCIATED, ClientUser

Member = dict[str, Any]


def create(location: Location, members: Sequence[Member], doomed: Mapping[str, int]) -> Outcome:
    """Register users; one with a Managed Apple Account is associated at once, the others are invited."""

    def one(member: Member) -> ClientUser | int:
        client_user_id, account = member["clientUserId"], member.get("managedAppleId") or ""
        if client_user_id in location.users.active:
            return 9716
        return _refusal(location, account, None) or location.register(
            client_user_id, member.get("email") or "", account
        )

    return _each(location, members, doomed, one)


def update(location: Location, members: Sequence[Member], doomed: Mapping[str, int]) -> Outcome:
    """Change the address of users, or give them a Managed Apple Account."""

    def one(member: Member) -> ClientUser | int:
        user = location.users.active.get(member["clientUserId"])
        account = member.get("managedAppleId") or ""
        if user is None:
            return 9609
        if number := _refusal(location, account, user):
            return number
        if member.get("email") is not None:
            user.email = member["email"]
        user.version = location.versions["users"]
        if account:
            location.users.accounts.pop(user.account, None)
            user.managed_apple_id = account
            location.users.associate(user, location.id_hash(account), user.version)
        return user

    return _each(location, members, doomed, one)


def retire(location: Location, members: Sequence[Member], doomed: Mapping[str, int]) -> Outcome:
    """Retire users; their licenses come back as far as they can."""

    def one(member: Member) -> ClientUser | int:
        user = location.users.active.get(member["clientUserId"])
        if user is None:
            return 9609
        location.retire(user)
        return user

    outcome = _each(location, members, doomed, one)
    location.change("assets", "assignments")
    return outcome


def _refusal(location: Location, account: str, user: ClientUser | None) -> int:
    """Why this Managed Apple Account cannot be used here, or 0."""
    if not account:
        return 0
    if account.rpartition("@")[2].casefold() != location.identity.domain:
        return 9635
    owner = location.users.accounts.get(account.casefold())
    return 9641 if owner and owner is not user else 0


def _each(
    location: Location, members: Sequence[Member], doomed: Mapping[str, int], one: Callable[[Member], ClientUser | int]
) -> Outcome:
    done: list[Member] = []
    failed: dict[int, list[Member]] = {}
    with location.lock:
        location.change("users")
        for member in members:
            result = doomed.get(member["clientUserId"]) or one(member)
            if isinstance(result, int):
                failed.setdefault(result, []).append(member)
            else:
                done.append(result.as_json())
    return Outcome(done, [_failure(number, refused) for number, refused in failed.items()])


def _failure(number: int, members: Sequence[Member]) -> Failure:
    ids = [member["clientUserId"] for member in members]
    return Failure(number, {"clientUserIds": ids}, [{"clientUserId": user_id} for user_id in ids])


def associated(user: ClientUser) -> Member:
    """A user in a USER_ASSOCIATED notification: associated, and still with the invitation code."""
    return user.as_json() | {"status": ASSOCIATED, "inviteCode": user.invite_code}


def accept(notifications: Notifications, location: Location, client_user_id: str) -> None:
    """Let an invited user accept, and tell the MDM."""
    user = location.users.active[client_user_id]
    location.accept(user)
    notifications.tell(location, "USER_ASSOCIATED", {"associatedUsers": [associated(user)]})
