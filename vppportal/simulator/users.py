"""The users registered at one location: invited, associated with an Apple Account, retired."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

REGISTERED, ASSOCIATED, RETIRED = "Registered", "Associated", "Retired"


@dataclass(slots=True)
class ClientUser:
    """One registered user; several retired ones may share an id, at most one is in use."""

    client_user_id: str
    email: str = ""
    managed_apple_id: str = ""
    status: str = REGISTERED
    invite_code: str = ""
    id_hash: str = ""
    version: int = 1

    def as_json(self) -> dict[str, str]:
        """The members Apple sends: an invitation code while invited, a hash of the account once associated."""
        body = {"clientUserId": self.client_user_id, "status": self.status}
        if self.email:
            body["email"] = self.email
        if self.status == REGISTERED:
            body["inviteCode"] = self.invite_code
        if self.id_hash:
            body["idHash"] = self.id_hash
        return body

    @property
    def account(self) -> str:
        """The Apple Account behind it, as far as the simulator tells accounts apart."""
        return (self.managed_apple_id or self.email).casefold()


class Users:
    """All users of a location, in the order in which they were registered."""

    def __init__(self) -> None:
        self.rows: list[ClientUser] = []
        self.active: dict[str, ClientUser] = {}
        self.accounts: dict[str, ClientUser] = {}

    def add(self, user: ClientUser) -> None:
        """Register somebody whose id is not in use."""
        self.rows.append(user)
        self.active[user.client_user_id] = user
        if user.status == ASSOCIATED:
            self.accounts[user.account] = user

    def associate(self, user: ClientUser, id_hash: str, version: int) -> None:
        """An Apple Account now stands behind this user."""
        user.status, user.id_hash, user.version = ASSOCIATED, id_hash, version
        self.accounts[user.account] = user

    def retire(self, user: ClientUser, version: int) -> None:
        """The id may be registered again from now on; the row stays."""
        user.status, user.version = RETIRED, version
        del self.active[user.client_user_id]
        self.accounts.pop(user.account, None)

    def by_code(self, invite_code: str) -> ClientUser | None:
        """Who was invited with this code and has not accepted yet."""
        invited = (user for user in self.active.values() if user.status == REGISTERED)
        return next((user for user in invited if user.invite_code == invite_code), None)


class UserRows:
    """A listing of users that can be paged."""

    def __init__(self, users: Sequence[ClientUser]) -> None:
        self.users = users

    def __len__(self) -> int:
        return len(self.users)

    def encode(self, start: int, stop: int) -> list[str]:
        """The users of places `start` to `stop` as JSON texts."""
        users = (user.as_json() for user in self.users[start:stop])
        return [json.dumps(user, ensure_ascii=False, separators=(",", ":")) for user in users]
