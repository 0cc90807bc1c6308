"""What state a token is in, why, and what to do next - in words an administrator can act on."""

from __future__ import annotations

from dataclasses import dataclass

from tokens.apple import TOKEN_EXPIRED, TOKEN_REVOKED, AppleError, ClaimedElsewhere
from tokens.models import ContentToken, TokenStatus

DOWNLOAD_AGAIN = (
    "Download a new token of the same location from Apple Business or Apple School Manager and choose Renew."
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with a token: a headline, the likely causes, the next step, and Apple's number for the details."""

    headline: str
    causes: tuple[str, ...]
    next_step: str
    number: int | None


def not_asked(token: ContentToken) -> str:
    """Return why Apple is not asked with a token it refuses, and what to do, in two sentences."""
    return f"Apple does not accept “{token}” at the moment. Renew it first."


def status_of(error: AppleError) -> TokenStatus:
    """Return the token status that an error of Apple means; the states are never shown one as another."""
    if isinstance(error, ClaimedElsewhere):
        return TokenStatus.CLAIMED_ELSEWHERE
    known = {TOKEN_EXPIRED: TokenStatus.EXPIRED, TOKEN_REVOKED: TokenStatus.REVOKED}
    return known.get(error.number or 0, TokenStatus.INVALID)


def diagnose(token: ContentToken) -> Diagnosis | None:
    """Return what is wrong with the token, or None for one that works."""
    match token.status:
        case TokenStatus.REVOKED:
            return Diagnosis(
                f"Apple has revoked the token “{token.name}”.",
                (
                    "The password of the Apple Account that downloaded it was changed or reset.",
                    "Apple flagged the account, for example after licenses of thousands of apps were renewed at once: "
                    "contact Apple Support then.",
                ),
                DOWNLOAD_AGAIN,
                token.status_number,
            )
        case TokenStatus.EXPIRED:
            return Diagnosis(
                f"The token “{token.name}” has expired.",
                ("Tokens are valid for one year from the day they were downloaded.",),
                DOWNLOAD_AGAIN,
                token.status_number,
            )
        case TokenStatus.INVALID:
            return Diagnosis(
                f"Apple does not accept the token “{token.name}”.",
                (
                    "The account that downloaded it was disabled or lost its right to manage licenses.",
                    "The file was not the complete token Apple offered for download.",
                ),
                "Check the account at Apple, download the token again and choose Renew.",
                token.status_number,
            )
        case TokenStatus.CLAIMED_ELSEWHERE:
            return Diagnosis(
                f"Another MDM has claimed the location of “{token.name}”: {token.claimed_by or 'it gives no name'}.",
                ("A location can be managed by one service at a time; two of them would take each other's licenses.",),
                "Remove the token there, or choose Renew and agree to take the location over.",
                token.status_number,
            )
    return None
