"""Send mails through the mail server, and say in words why one could not be sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any, Final

from django.core.mail import EmailMessage, get_connection

from vppportal.work import Work, backoff

LAST_TRY: Final = 12
"""About half a day of trying."""
FEW_TRIES: Final = 3
"""Tries for an address that is refused for good; a mail server's configuration is wrong at times."""
PERMANENT: Final = 500
"""Answers of mail servers from here on are meant for good."""
AWAY: Final = "The mail server cannot be reached."


class Mailbox:
    """The way to the mail server for some letters; once it is away, the rest of them is put off without trying."""

    def __init__(self) -> None:
        self._connection = get_connection()
        self._is_away = False

    def send(self, to: str, subject: str, body: str, letters: Sequence[Work], **given_up: Any) -> bool:
        """Send a mail for these letters, whose leases the caller just renewed; False where it was not sent.

        Then the letters are put off, or failed for good with the fields `given_up`. Raises LeaseLost.
        """
        if self._is_away:
            put_off(letters, AWAY, **given_up)
            return False
        # What machines send says so, or machines answer it.
        headers = {"Auto-Submitted": "auto-generated"}
        message = EmailMessage(" ".join(subject.split()), body, to=[to], connection=self._connection, headers=headers)
        try:
            self._connection.open()
            message.send()
        except SMTPRecipientsRefused as error:
            last = FEW_TRIES if all(code >= PERMANENT for code, _ in error.recipients.values()) else LAST_TRY
            put_off(letters, "The mail server does not accept the address.", last, **given_up)
        except ValueError:  # a domain in letters that have no name in DNS, for one
            put_off(letters, "No mail can be sent to the address.", 1, **given_up)
        except SMTPResponseException as error:
            trouble = f"The mail server does not take the mail: it answers {error.smtp_code}."
            put_off(letters, trouble, **given_up)
        except (SMTPException, OSError):
            self._is_away = True
            put_off(letters, AWAY, **given_up)
        else:
            return True
        return False

    def close(self) -> None:
        """Leave the mail server."""
        self._connection.close()


def put_off(letters: Iterable[Work], trouble: str, last: int = LAST_TRY, **given_up: Any) -> None:
    """Let letters be tried again later; after the `last` try they fail for good. Raises LeaseLost."""
    for letter in letters:
        if letter.attempt >= last:
            letter.fail(f"{trouble} It is not tried again by itself.", **given_up)
        else:
            letter.postpone(trouble, backoff(letter.attempt, first=60))
