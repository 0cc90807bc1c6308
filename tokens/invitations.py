"""Mail Apple's invitation to people who are to receive licenses on their own Apple Account."""

from __future__ import annotations

from collections.abc import Sequence
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any, Final

import structlog
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from tokens import connection
from tokens.apple import AppleUnavailable, ServiceConfig
from tokens.fields import CannotOpen
from tokens.models import ClientUser, Invitation
from vppportal.work import LeaseLost, backoff

log = structlog.get_logger(__name__)

AT_ONCE: Final = 10
"""Mails a worker takes at a time: a slow mail server must not outlast their lease."""
LAST_TRY: Final = 12
"""About half a day of trying."""
AWAY: Final = "The mail server cannot be reached."


class NotPossible(Exception):
    """There is no invitation to be sent at the moment; its text says why."""


class MailServerAway(Exception):
    """No mail can be sent at the moment."""


def send_due() -> bool:
    """Send the next mails that are due; return whether there may be more.

    A mail that does not go out waits with its reason, and is tried again with growing pauses for half a day.
    """
    claimed = Invitation.objects.select_related("client_user__person", "client_user__token").claim(AT_ONCE)
    if not claimed:
        return False
    waiting = ClientUser.objects.to_invite().filter(invitation__in=claimed).values_list("pk", flat=True)
    _send_all(claimed, {*waiting})
    return len(claimed) == AT_ONCE


def _send_all(claimed: Sequence[Invitation], waiting: set[int]) -> None:
    mailbox = get_connection()
    is_away = False
    for invitation in claimed:
        try:
            if invitation.client_user_id not in waiting:
                invitation.finish()
            elif is_away or invitation.is_poison:
                _put_off(invitation, AWAY)
            else:
                _send(invitation, mailbox)
        except MailServerAway:
            is_away = True
            _put_off(invitation, AWAY)
        except LeaseLost:
            log.info("invitation_taken_over", invitation=invitation.pk)
    mailbox.close()


def link(row: ClientUser) -> str:
    """Return the page at Apple that lets somebody register as this person: for nobody else's eyes.

    Raises AppleUnavailable, CannotOpen and NotPossible.
    """
    if row.invite_code is None:
        raise NotPossible("Apple has given no invitation for this person.")
    return _address(row, connection.service())


def _address(row: ClientUser, service: ServiceConfig) -> str:
    address = service.invitation_url(row.open_invite_code().reveal())
    if not address:
        raise NotPossible("Apple names no page for invitations at the moment.")
    return address


def _send(invitation: Invitation, mailbox: Any) -> None:
    """Send one mail, or put it off with the reason; raises MailServerAway and LeaseLost."""
    try:
        message = _message(invitation.client_user, mailbox)
        mailbox.open()
        message.send()
    except (AppleUnavailable, CannotOpen, NotPossible) as error:
        _put_off(invitation, str(error))
    except SMTPRecipientsRefused:
        invitation.fail("The mail server does not accept the person's address.")
    except ValueError:  # a domain in letters that have no name in DNS, for one
        invitation.fail("No mail can be sent to the person's address.")
    except SMTPResponseException as error:
        _put_off(invitation, f"The mail server does not take the mail: it answers {error.smtp_code}.")
    except (SMTPException, OSError):
        raise MailServerAway from None
    else:
        _note(invitation)


def _note(invitation: Invitation) -> None:
    with transaction.atomic():
        invitation.finish()
        row = ClientUser.objects.filter(pk=invitation.client_user_id)
        row.update(invited_at=timezone.now(), invitations=F("invitations") + 1)


def _message(row: ClientUser, mailbox: Any) -> EmailMessage:
    context = {"person": row.person, "token": row.token, "url": link(row)}
    subject = " ".join(render_to_string("tokens/mail/invitation_subject.txt", context).split())
    body = render_to_string("tokens/mail/invitation.txt", context)
    address = row.person.email if row.person else row.email
    return EmailMessage(subject, body, to=[address], connection=mailbox)


def _put_off(invitation: Invitation, trouble: str) -> None:
    if invitation.attempt >= LAST_TRY or invitation.is_poison:
        invitation.fail(f"{trouble} It is not tried again by itself.")
    else:
        invitation.postpone(trouble, backoff(invitation.attempt, first=60))
