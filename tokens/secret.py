"""A text that shows itself nowhere: not in logs, tracebacks, pickles or f-strings."""

from __future__ import annotations

import hmac
from typing import Any, Final, final

MASK: Final = "***"


@final
class Secret:
    """Hold a credential; `reveal()` is the only way to its text.

    A pickle of it holds the mask, so a message or report made by accident is useless, not dangerous.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself, to be handed straight to whoever sends or seals it."""
        return self.__text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.__text.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash of it would be a fingerprint without a key

    def __reduce_ex__(self, protocol: Any) -> tuple[type[Secret], tuple[str]]:
        return Secret, (MASK,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self
