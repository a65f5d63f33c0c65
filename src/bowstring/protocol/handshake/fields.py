"""Upgrade and Connection, as both roles read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bowstring.exceptions import InvalidHandshake, Violation
from bowstring.protocol.headers import HeaderFormatError, Headers, parse_tokens, parse_upgrade

__all__ = ["read_list"]

_PARSERS: Final = {"Upgrade": parse_upgrade, "Connection": parse_tokens}


def read_list(
    headers: Headers, name: str, error: Callable[[Violation, str], InvalidHandshake], violation: Violation
) -> list[str]:
    """Reads a field whose value is a list that does not mind case.

    Args:
        headers: the fields.
        name: ``"Upgrade"`` or ``"Connection"``.
        error: the exception of this role.
        violation: what it says when the field is missing or malformed.

    Returns:
        The elements in lower case, of all fields of the name.

    Raises:
        InvalidHandshake: ``error(violation, ...)``.
    """
    values = headers.get_all(name)
    if not values:
        raise error(violation, "missing")
    try:
        # RFC 9110 §5.3: repeated fields are one list.
        return [element.lower() for element in _PARSERS[name](", ".join(values))]
    except HeaderFormatError as problem:
        raise error(violation, str(problem)) from None
