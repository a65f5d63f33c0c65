"""Which pages may connect: the Origin of a request against a policy (RFC 6455 §10.2, RFC 6454).

A browser lets any page open a WebSocket to any server, and sends the user's cookies along. The Origin header, which a
page cannot forge, is what tells the server's own pages from others.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from bowstring.exceptions import HandshakeRejected, Violation
from bowstring.protocol.headers import HeaderFormatError, excerpt, parse_host
from bowstring.protocol.http_messages import Request

__all__ = ["OriginPolicy", "Origins"]

OriginRule: TypeAlias = str | re.Pattern[str] | Callable[[str | None, Request], bool] | None
"""One rule, as an element of a list: ``"same"``, an origin, a pattern, a callable, ``None`` for requests without."""

Origins: TypeAlias = OriginRule | Sequence[OriginRule]
"""The option ``origins``: one rule, several, or ``None``, which here allows everything."""

_match_origin = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]*)", re.IGNORECASE).fullmatch

_DEFAULT_PORTS = {"http": 80, "https": 443}

_Origin: TypeAlias = tuple[str, str, int | None]  # scheme, host, port


def _parse_origin(origin: str) -> _Origin | None:
    """Splits an origin (RFC 6454 §7) for comparison; ``None`` for those without a host, such as ``null``."""
    match = _match_origin(origin)
    if match is None:
        return None
    scheme = match[1].lower()
    try:
        host, port = parse_host(match[2])
    except HeaderFormatError:
        return None
    return scheme, host, _DEFAULT_PORTS.get(scheme) if port is None else port


class OriginPolicy:
    """Decides which origins may connect.

    Args:
        origins: one of these, or a list of them, of which one has to fit. A list refuses requests without an Origin
            unless it has ``None`` or ``"same"``, or a callable says otherwise:

            - ``"same"``: the Origin has the host and the port of the Host header. A request without an Origin passes:
              it comes from a program, which could write there what it likes. Behind a proxy that ends TLS the Origin
              says https and the Host has no port: these count as the same. A proxy that rewrites Host has to be told
              not to, or the origins be listed.
            - an origin such as ``"https://example.com"``, or ``"null"``.
            - a compiled regular expression, which has to match all of the Origin.
            - a callable ``(origin, request) -> bool``; ``origin`` is ``None`` when the request has none.
            - ``None``: in a list it allows requests without an Origin; alone, everything.

    Raises:
        TypeError, ValueError: ``origins`` is none of these.
    """

    __slots__ = ("_callables", "_exact", "_parsed", "_patterns", "allows_absent", "allows_all", "allows_same")

    def __init__(self, origins: Origins) -> None:
        self.allows_all = origins is None
        self.allows_absent = False
        self.allows_same = False
        self._exact: set[str] = set()
        self._parsed: set[_Origin] = set()
        self._patterns: list[re.Pattern[str]] = []
        self._callables: list[Callable[[str | None, Request], bool]] = []
        if origins is None:
            return
        if isinstance(origins, str) and origins != "same":
            raise ValueError(f'origins must be "same", None or a list: put {origins!r} into a list')
        if isinstance(origins, str | re.Pattern) or callable(origins):
            origins = [origins]
        elif isinstance(origins, bytes) or not isinstance(origins, Iterable):
            raise TypeError(f'origins must be "same", None or a list, not {type(origins).__name__!r}')
        for rule in origins:
            self._add(rule)

    def _add(self, rule: OriginRule) -> None:
        if rule is None:
            self.allows_absent = True
        elif isinstance(rule, str):
            self._add_text(rule)
        elif isinstance(rule, re.Pattern):
            if not isinstance(rule.pattern, str):
                raise TypeError(f"origins must be patterns of str: {rule.pattern!r} is one of bytes")
            self._patterns.append(rule)
        elif callable(rule):
            if inspect.iscoroutinefunction(rule):
                raise TypeError(f"origins must be plain functions: {rule!r} is a coroutine function")
            self._callables.append(rule)
        else:
            raise TypeError(f"origins must be str, patterns, functions or None, not {type(rule).__name__!r}")

    def _add_text(self, rule: str) -> None:
        if rule == "same":
            self.allows_same = self.allows_absent = True
            return
        if rule == "*":
            raise ValueError("origins has '*': None allows all")
        parsed = _parse_origin(rule)
        if parsed is not None:
            self._parsed.add(parsed)
        elif rule in {"null", "file://"}:
            self._exact.add(rule)
        else:
            raise ValueError(f"origins has {rule!r}, which is not like 'https://example.com'")

    def check(self, request: Request, *, host: tuple[str, int | None], secure: bool) -> None:
        """Checks the Origin of a request.

        Args:
            request: the request.
            host: what its Host header says, from :func:`~bowstring.protocol.headers.parse_host`.
            secure: whether it came over TLS that ended here.

        Raises:
            HandshakeRejected: ``Violation.ORIGIN``.
        """
        if self.allows_all:
            return
        values = request.headers.get_all("Origin")
        # RFC 6454 §7.3: never more than one.
        if len(values) > 1:
            raise HandshakeRejected(Violation.ORIGIN, "repeated Origin header")
        origin = values[0] if values else None
        if not self._allows(origin, request, host, secure):
            raise HandshakeRejected(Violation.ORIGIN, "no Origin header" if origin is None else excerpt(origin))

    def _allows(self, origin: str | None, request: Request, host: tuple[str, int | None], secure: bool) -> bool:
        if origin is None:
            if self.allows_absent:
                return True
        else:
            parsed = _parse_origin(origin)
            if origin in self._exact or parsed in self._parsed:
                return True
            if self.allows_same and parsed is not None and _is_same(parsed, host, secure):
                return True
            if any(pattern.fullmatch(origin) for pattern in self._patterns):
                return True
        return any(_call(function, origin, request) for function in self._callables)


def _is_same(origin: _Origin, host: tuple[str, int | None], secure: bool) -> bool:
    scheme, name, port = origin
    if scheme not in _DEFAULT_PORTS:
        return False
    # Without TLS here there may be a proxy in front that has it: only the Origin knows then.
    default = _DEFAULT_PORTS["https" if secure else scheme]
    return (name, port) == (host[0], default if host[1] is None else host[1])


def _call(function: Callable[[str | None, Request], bool], origin: str | None, request: Request) -> bool:
    result: object = function(origin, request)
    # Anything else may be true by accident; a coroutine always is.
    if not isinstance(result, bool):
        raise TypeError(f"function in origins must return a bool, not {type(result).__name__!r}")
    return result
