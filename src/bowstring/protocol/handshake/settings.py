"""What both roles are told before any handshake, checked when it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from bowstring.protocol.extensions.base import ExtensionFactory
from bowstring.protocol.headers import is_token

__all__ = ["check_extensions", "check_subprotocols", "naming"]

_Factory = TypeVar("_Factory", bound=ExtensionFactory)


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """Puts the name of an option in front of what is wrong with its value."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{option}: {error}") from None


def check_subprotocols(subprotocols: Sequence[str] | None) -> tuple[str, ...]:
    """Checks the option ``subprotocols``.

    Raises:
        TypeError: it is not a sequence of ``str``, or a ``str`` itself.
        ValueError: one of them is not a token, or is there twice (RFC 6455 §4.1).
    """
    if subprotocols is None:
        return ()
    if isinstance(subprotocols, str | bytes) or not isinstance(subprotocols, Iterable):
        raise TypeError(f"subprotocols must be a list of str, not {type(subprotocols).__name__!r}")
    result = tuple(subprotocols)
    for subprotocol in result:
        if not isinstance(subprotocol, str):
            raise TypeError(f"subprotocols must be a list of str: {subprotocol!r} is none")
        if not is_token(subprotocol):
            raise ValueError(f"subprotocols must be tokens: {subprotocol!r} is none")
    if len(set(result)) < len(result):
        raise ValueError(f"subprotocols must differ from each other: {', '.join(result)}")
    return result


def check_extensions(extensions: Sequence[_Factory], *methods: str) -> tuple[_Factory, ...]:
    """Checks the option ``extensions``.

    Args:
        extensions: the factories.
        methods: what a factory has to be able to do in this role.

    Raises:
        TypeError: one of them is no factory for this role.
        ValueError: a name is not a token, or is there twice.
    """
    if not isinstance(extensions, Iterable):
        raise TypeError(f"extensions must be a list of factories, not {type(extensions).__name__!r}")
    result = tuple(extensions)
    for factory in result:
        missing = [name for name in ("name", *methods) if not hasattr(factory, name)]
        if missing:
            raise TypeError(f"extensions must be factories: {factory!r} has no {missing[0]!r}")
        if not (isinstance(factory.name, str) and is_token(factory.name)):
            raise ValueError(f"extensions must have tokens for names: {factory.name!r} is none")
    names = [factory.name for factory in result]
    if len(set(names)) < len(names):
        raise ValueError(f"extensions must have different names: {', '.join(names)}")
    return result
