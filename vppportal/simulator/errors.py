"""Apple's error numbers: the HTTP status each one travels with and a sentence for it."""

from __future__ import annotations

from typing import Any

from vppportal.simulator.messages import Reply, json_reply

# number: (HTTP status of a synchronous answer, text). Numbers that only occur inside an event have the status 400.
TABLE: dict[int, tuple[int, str]] = {
    9601: (401, "Login required."),
    9602: (400, "An argument is not valid."),
    9603: (500, "Internal error."),
    9609: (400, "The registered user cannot be found."),
    9621: (401, "The server token has expired."),
    9622: (401, "The authentication token is not valid."),
    9623: (400, "The APN token is not valid."),
    9625: (401, "The server token has been revoked."),
    9634: (410, "This service is no longer available."),
    9635: (400, "The Apple Account cannot be associated: it is unknown or belongs to another organization."),
    9637: (403, "This account may not perform the operation."),
    9641: (400, "The Apple Account is already associated with another registered user."),
    9644: (400, "The service is under maintenance. Try again later."),
    9646: (429, "Too many requests for this organization. Try again later."),
    9647: (403, "The operation is not available to legacy tokens."),
    9650: (400, "The page index must be greater than 0 and less than the number of pages."),
    9700: (400, "Too many assets."),
    9701: (400, "Too many client user IDs."),
    9702: (400, "Too many serial numbers."),
    9703: (400, "The assets contain duplicates."),
    9704: (400, "The client user IDs contain duplicates."),
    9705: (400, "The serial numbers contain duplicates."),
    9706: (400, "An asset cannot be revoked."),
    9707: (400, "An asset cannot be assigned to devices."),
    9708: (400, "The event ID is not known."),
    9709: (400, "Not enough licenses are available."),
    9710: (400, "The notification URL and the notification authentication token are needed together."),
    9711: (400, "The notification URL or the notification authentication token is too long."),
    9712: (400, "The notification URL must use https."),
    9713: (400, "The metadata of mdmInfo is too long."),
    9714: (400, "Too many users."),
    9715: (400, "The users contain duplicates."),
    9716: (400, "The client user ID already exists."),
    9717: (400, "An e-mail address is not valid."),
    9718: (400, "No assets were given."),
    9719: (400, "Neither client user IDs nor serial numbers were given."),
    9720: (400, "No users were given."),
    9721: (400, "The version ID is not valid."),
    9722: (401, "The Authorization header is missing or malformed."),
    9723: (400, "mdmInfo needs an id, a name and metadata."),
    9724: (400, "The id of mdmInfo is too long."),
    9725: (400, "The name of mdmInfo is too long."),
    9726: (405, "The HTTP method is not supported here."),
    9727: (415, "The content type must be application/json."),
    9728: (400, "The notification URL cannot be reached."),
    9729: (503, "The service is temporarily unavailable."),
}


class AppleError(Exception):
    """A refusal by number; raised anywhere below a route, written out as Apple writes it."""

    def __init__(self, number: int, info: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(number)
        self.number = number
        self.info = info
        self.headers = headers or {}


def error_body(number: int, info: dict[str, Any] | None = None) -> dict[str, Any]:
    """The members of an error as they stand in answers, in `failures` and in notifications."""
    message = TABLE.get(number, (400, f"Error {number}."))[1]
    body: dict[str, Any] = {"errorNumber": number, "errorMessage": message}
    if info:
        body["errorInfo"] = info
    return body


def error_reply(error: AppleError) -> Reply:
    """The HTTP answer for a refusal."""
    reply = json_reply(error_body(error.number, error.info), TABLE.get(error.number, (400, ""))[0], error.headers)
    reply.error_number = error.number
    return reply
