"""Register people at a token's location, once each, and retire them: asked of Apple by operations.

Apple knows a person under an id that says nothing about the person. Somebody with a Managed Apple Account may receive
licenses at once; everybody else is invited by mail first (invitations.py), until they accept or get such an account.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Lower

from tokens import connection, returned
from tokens.apple import AppleClient, NewUser
from tokens.apple import User as AppleUser
from tokens.apple.batches import cut
from tokens.many import Texts
from tokens.mirror import client_user, differs, keep_client_users
from tokens.models import (
    GONE,
    ClientUser,
    ClientUserStatus,
    ContentToken,
    Invitation,
    Operation,
    OperationKind,
    Target,
    TargetState,
)
from tokens.queue import hurry
from vppportal.activity.models import record
from vppportal.groups.models import ManagedUser
from vppportal.work import nudge

AT_ONCE: Final = 5_000
"""People dealt with in one transaction."""
ONE_BY_ONE: Final = 20
"""Apple is asked about that many people with a request each; for more its whole list is read."""
KNOWN: Final = (ClientUserStatus.REGISTERED, ClientUserStatus.ASSOCIATED)


def register(token: ContentToken, people: Iterable[ManagedUser], *, by: User | None) -> int:
    """Have these people registered at the token's location; return how many were not before.

    Nobody is registered twice: who is invited, registered or being registered is left alone. Whom Apple refused is
    asked for again when somebody (`by`) wants it, or when the person's address has changed since. Who waits with an
    invitation and has a Managed Apple Account by now is registered by that: Apple is told of it once.
    """
    size = connection.limits().max_users
    keys = sorted({person.pk for person in people})
    return sum(_register(token, part, size, by) for part in cut(keys, AT_ONCE))


def retire(client_users: Iterable[ClientUser], *, by: User | None) -> int:
    """Have registrations retired, which gives their licenses back; return how many were asked for."""
    size = connection.limits().max_users
    by_token: dict[int, list[int]] = {}
    for row in client_users:
        by_token.setdefault(row.token_id, []).append(row.pk)
    return sum(
        _retire(token, part, size, by)
        for token in ContentToken.objects.kept().filter(pk__in=by_token)
        for part in cut(by_token[token.pk], AT_ONCE)
    )


def resend(client_users: Iterable[ClientUser], *, by: User | None) -> int:
    """Have people invited once more who have not accepted yet; return how many there are."""
    asked = 0
    for part in cut(sorted({row.pk for row in client_users}), AT_ONCE):
        with transaction.atomic():
            rows = list(ClientUser.objects.to_invite().filter(pk__in=part).select_related("token"))
            asked += Invitation.objects.ask_again(rows)
            for token in {row.token for row in rows}:
                number = sum(row.token_id == token.pk for row in rows)
                record(by, "invited people once more at", token, people=number)
            nudge("tokens.tasks.send_invitations")
    return asked


def payload(operation: Operation) -> list[NewUser]:
    """Return whom an operation still has to register, update or retire, as Apple wants them named."""
    open_ids = operation.targets.filter(state=TargetState.OPEN).values("client_user_id")
    rows = ClientUser.objects.filter(token=operation.token_id, client_user_id__in=open_ids).order_by("pk")
    if operation.kind == OperationKind.RETIRE:
        return [NewUser(row.client_user_id) for row in rows]
    if operation.kind == OperationKind.UPDATE:
        return [NewUser(row.client_user_id, "", row.managed_apple_account) for row in rows]
    return [NewUser(row.client_user_id, row.email, row.managed_apple_account) for row in rows]


def settled(
    operation: Operation,
    client: AppleClient,
    done: Collection[str],
    failed: Mapping[str, tuple[int | None, str]],
) -> None:
    """Take over what Apple says now of the people an operation was about, and keep why some were refused."""
    token = operation.token
    seen = _read(client, {*done, *failed})
    with transaction.atomic():
        rows = token.client_users.select_for_update(of=("self",)).filter(client_user_id__in=Texts([*done, *failed]))
        stored = {row.client_user_id: row for row in rows}
        keep_client_users(
            [client_user(token, row) for key, row in seen.items() if key in stored and differs(stored[key], row)]
        )
        for key, row in stored.items():
            row.trouble = failed[key][1][:250] if key in failed else ""
        ClientUser.objects.bulk_update(stored.values(), ["trouble"], 500)
        if operation.kind == OperationKind.RETIRE:
            unlisted = Texts(key for key in done if key not in seen)
            token.client_users.filter(client_user_id__in=unlisted).update(status=ClientUserStatus.RETIRED)
        Invitation.objects.ask_for_new(token.client_users.filter(client_user_id__in=Texts(seen)))
        nudge("tokens.tasks.send_invitations")
    if operation.kind == OperationKind.RETIRE:
        returned.read_back(token, client, done)


def look_again(token: ContentToken, client: AppleClient, client_user_ids: Iterable[str]) -> int:
    """Take over what Apple says now of these people; return of how many that was news."""
    seen = _read(client, {*client_user_ids})
    with transaction.atomic():
        rows = token.client_users.select_for_update(of=("self",)).filter(client_user_id__in=Texts(seen))
        stored = {row.client_user_id: row for row in rows}
        news = [row for key, row in seen.items() if key not in stored or differs(stored[key], row)]
        keep_client_users([client_user(token, row) for row in news])
        if Invitation.objects.ask_for_new(token.client_users.filter(client_user_id__in=Texts(seen))):
            nudge("tokens.tasks.send_invitations")
    return len(news)


def _read(client: AppleClient, wanted: Collection[str]) -> dict[str, AppleUser]:
    """Ask Apple about a few people one by one, about many in one walk; of several rows of an id the live one counts."""
    if len(wanted) <= ONE_BY_ONE:
        pages = chain.from_iterable(client.users(clientUserId=key) for key in sorted(wanted))
    else:
        pages = chain.from_iterable([client.users()])
    found = [row for page in pages for row in page.items if row.client_user_id in wanted]
    return {row.client_user_id: row for row in sorted(found, key=lambda row: row.status not in GONE)}


def changes_under_way(token: ContentToken, client_user_ids: Iterable[str]) -> dict[str, str]:
    """Return which of these are being registered or retired: the id and the kind of the operation."""
    targets = Target.objects.filter(
        asset=None, serial_number="", client_user_id__in=Texts(client_user_ids), state=TargetState.OPEN
    )
    return dict(targets.filter(operation__token=token).values_list("client_user_id", "operation__kind"))


def _register(token: ContentToken, keys: Sequence[int], size: int, by: User | None) -> int:
    with transaction.atomic():
        if not _lock(token):
            return 0
        people = ManagedUser.objects.filter(is_active=True).in_bulk(keys)
        known = {row.person_id: row for row in token.client_users.live().filter(person__in=people)}
        strangers = [person for key, person in people.items() if key not in known]
        adopted = _adopt(token, strangers)
        new = [_new(token, person) for person in strangers if person.pk not in adopted]
        ClientUser.objects.bulk_create(new, 500)
        again = _refused_before(token, [(known[key], people[key]) for key in known if key], by)
        _ask(token, OperationKind.REGISTER, [row.client_user_id for row in (*new, *again)], size, by)
        moved = _with_account_by_now(token, people, by)
        _ask(token, OperationKind.UPDATE, moved, size, by)
        asked = len(new) + len(again) + len(adopted) + len(moved)
        if asked:
            record(by, "asked Apple to register people at", token, people=asked)
    return asked


def _new(token: ContentToken, person: ManagedUser) -> ClientUser:
    return _address(ClientUser(token=token, person=person, client_user_id=str(uuid4())), person)


def _address(row: ClientUser, person: ManagedUser) -> ClientUser:
    """Put the person's account into a registration; with a Managed Apple Account Apple is told no mail address."""
    row.managed_apple_account = person.managed_apple_account
    row.email = "" if row.managed_apple_account else person.email
    return row


def _adopt(token: ContentToken, people: Sequence[ManagedUser]) -> set[int]:
    """Recognize people whom somebody else has registered here, by their address: Apple takes an account only once."""
    by_address = {person.email.lower(): person for person in people}
    found = token.client_users.filter(person=None, status__in=KNOWN).exclude(email="")
    rows = found.annotate(address=Lower("email")).filter(address__in=Texts(by_address))
    adopted: dict[int, ClientUser] = {}
    for row in sorted(rows, key=lambda row: row.is_associated):
        row.person = by_address[row.email.lower()]
        adopted[row.person.pk] = row
    ClientUser.objects.bulk_update(adopted.values(), ["person"], 500)
    Invitation.objects.ask_for_new(ClientUser.objects.filter(pk__in=[row.pk for row in adopted.values()]))
    return set(adopted)


def _refused_before(
    token: ContentToken, pairs: Sequence[tuple[ClientUser, ManagedUser]], by: User | None
) -> list[ClientUser]:
    """Return the registrations that did not come about and are worth asking for again, with the present address."""
    missing = [(row, person) for row, person in pairs if not row.status]
    under_way = changes_under_way(token, [row.client_user_id for row, _ in missing])
    again = [
        _address(row, person)
        for row, person in missing
        if row.client_user_id not in under_way and (by is not None or not row.trouble or not row.fits(person))
    ]
    for row in again:
        row.trouble = ""
    ClientUser.objects.bulk_update(again, ["email", "managed_apple_account", "trouble"], 500)
    return again


def _with_account_by_now(token: ContentToken, keys: Collection[int], by: User | None) -> list[str]:
    """Note the Managed Apple Account that invited people have got since; return who is to be registered by it.

    The address they were invited by stays: where Apple refuses the account, the invitation is still good.
    """
    rows = list(token.client_users.to_associate(again=by is not None).filter(person__in=keys).select_related("person"))
    under_way = changes_under_way(token, [row.client_user_id for row in rows])
    moved = [row for row in rows if row.client_user_id not in under_way]
    for row in moved:
        row.managed_apple_account, row.trouble = row.person.managed_apple_account if row.person else "", ""
    ClientUser.objects.bulk_update(moved, ["managed_apple_account", "trouble"], 500)
    return [row.client_user_id for row in moved]


def _retire(token: ContentToken, keys: Sequence[int], size: int, by: User | None) -> int:
    with transaction.atomic():
        if not _lock(token):
            return 0
        rows = list(token.client_users.filter(pk__in=keys, status__in=KNOWN).order_by("pk"))
        under_way = changes_under_way(token, [row.client_user_id for row in rows])
        leaving = [row.client_user_id for row in rows if row.client_user_id not in under_way]
        token.client_users.filter(client_user_id__in=Texts(leaving)).update(trouble="")
        _ask(token, OperationKind.RETIRE, leaving, size, by)
        if leaving:
            record(by, "asked Apple to retire people at", token, people=len(leaving))
    return len(leaving)


def _lock(token: ContentToken) -> bool:
    """Let nobody else register or retire at this location before the transaction ends; False for a deleted token."""
    kept = ContentToken.objects.kept().select_for_update(of=("self",), no_key=True)
    return kept.filter(pk=token.pk).first() is not None


def _ask(token: ContentToken, kind: OperationKind, ids: Sequence[str], size: int, by: User | None) -> None:
    why = "By hand" if by else "Distribution"
    for part in cut(ids, size):
        operation = Operation.objects.create(token=token, kind=kind, requested_by=by, why=why)
        targets = [Target(operation=operation, client_user_id=client_user_id) for client_user_id in part]
        Target.objects.bulk_create(targets, 500)
        hurry([operation.pk])
