"""A text column whose value is encrypted at rest, bound to the row it belongs to, and shown by nothing."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from tokens.secret import Secret


class CannotOpen(Exception):
    """No key of TOKEN_ENCRYPTION_KEYS opens this value, or it was sealed for another row."""


class Sealed:
    """A sealed value: opened only on request, and only for the row it was sealed for."""

    __slots__ = ("_ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self._ciphertext = ciphertext

    @classmethod
    def seal(cls, secret: Secret, *, bound_to: str) -> Self:
        """Encrypt `secret` with the newest key; it opens for the same `bound_to` only."""
        text = json.dumps([bound_to, secret.reveal()])
        return cls(_keys(tuple(settings.TOKEN_ENCRYPTION_KEYS)).encrypt(text.encode()).decode())

    def open(self, *, bound_to: str) -> Secret:
        """Decrypt the value; raises CannotOpen."""
        try:
            text = _keys(tuple(settings.TOKEN_ENCRYPTION_KEYS)).decrypt(self._ciphertext.encode())
        except InvalidToken:
            raise CannotOpen("none of TOKEN_ENCRYPTION_KEYS opens this secret") from None
        row, value = json.loads(text)
        if row != bound_to:
            raise CannotOpen("this secret was sealed for another row")
        return Secret(value)

    @property
    def ciphertext(self) -> str:
        """What the column holds."""
        return self._ciphertext

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other._ciphertext == self._ciphertext

    def __hash__(self) -> int:
        return hash(self._ciphertext)

    def __repr__(self) -> str:
        return "Sealed(***)"

    __str__ = __repr__


@lru_cache(maxsize=4)
def _keys(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


S = TypeVar("S")
G = TypeVar("G")

if TYPE_CHECKING:

    class SealedBase(models.Field[S, G]):
        """What a type checker has to know: the column holds sealed values, or None where it may be empty."""

        _pyi_private_set_type: Sealed
        _pyi_private_get_type: Sealed
else:

    class SealedBase(models.TextField):
        """A text column that may be written with the types it takes and gives."""

        def __class_getitem__(cls, types: Any) -> type:
            return cls


class SealedTextField(SealedBase[S, G]):
    """A text column that holds `Sealed` values; never in a form, an export or the admin."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *args: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value or None
        ciphertext: str = value.ciphertext
        return ciphertext

    def value_to_string(self, obj: models.Model) -> str:
        return "***"
