"""HTTP header fields: a multi-mapping, and the grammars of those fields that the opening handshake reads.

Field values are ``str`` that stand for bytes by ISO-8859-1, one character a byte: every value that arrives can be
represented, and is sent back as it came. ``value.encode("latin-1").decode()`` gets at a value that is really UTF-8.

The parsers look at each character a bounded number of times, whatever they are given: their expressions are built of
character classes that exclude each other, so that there is nothing to try twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias, TypeVar

from bowstring.typing import ExtensionParameters

__all__ = [
    "HeaderFormatError",
    "Headers",
    "HeadersLike",
    "MultipleValuesError",
    "build_extensions",
    "build_subprotocols",
    "excerpt",
    "is_token",
    "parse_extensions",
    "parse_host",
    "parse_subprotocols",
    "parse_tokens",
    "parse_upgrade",
]

_T = TypeVar("_T")

# RFC 9110 §5.6.2: tchar.
_TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"

_match_token = re.compile(rf"[{_TCHAR}]+").fullmatch

# RFC 9110 §5.5: what a field value is made of. All other control characters are refused: CR, LF and NUL because they
# split or cut messages, the rest because nothing good comes of them.
_find_bad_character = re.compile(r"[^\t\x20-\x7e\x80-\xff]").search


class HeaderFormatError(ValueError):
    """A field value does not follow its grammar. Says where, never what: the value is the peer's."""


class MultipleValuesError(LookupError):
    """``headers[name]`` was asked for a field that is there several times; ``get_all(name)`` has them."""


class Headers(MutableMapping[str, str]):
    """Header fields: in order, with their names as given, found by name in any case.

    With fields that are not repeated it behaves as a ``dict`` with lower-case keys. For the others, as in the
    ``websockets`` package:

    - ``headers[name]`` raises :exc:`MultipleValuesError`, ``get_all(name)`` has every value;
    - ``headers[name] = value`` **adds** a field, ``replace(name, value)`` leaves only this one;
    - ``del headers[name]`` takes all of the name away;
    - iteration and ``len`` go over distinct names, ``raw_items()`` over all fields.

    Two are equal when they have the same values under the same names, in whatever case and order of names.

    Args:
        fields: a mapping, pairs of name and value, or another ``Headers``.

    Raises:
        ValueError: a name is not a token, or a value has a control character or one beyond ISO-8859-1.
        TypeError: a name or a value is not a ``str``.
    """

    __slots__ = ("_index", "_items")

    def __init__(self, fields: HeadersLike = ()) -> None:
        self._items: list[tuple[str, str]] = []
        self._index: dict[str, list[str]] = {}
        self.extend(fields)

    @classmethod
    def from_parsed(cls, items: Iterable[tuple[str, str]]) -> Headers:
        """Takes over fields whose names and values need no check any more."""
        self = cls.__new__(cls)
        self._items = list(items)
        index: dict[str, list[str]] = {}
        self._index = index
        for name, value in self._items:
            index.setdefault(name.lower(), []).append(value)
        return self

    def extend(self, fields: HeadersLike) -> None:
        """Adds fields behind those that are here."""
        pairs: Iterable[tuple[str, str]]
        if isinstance(fields, Headers):
            pairs = list(fields._items)
        elif isinstance(fields, Mapping):
            pairs = fields.items()
        else:
            pairs = fields
        for name, value in pairs:
            self[name] = value

    def update(self, fields: HeadersLike = (), /, **more: str) -> None:  # type: ignore[override]
        """Adds fields, as :meth:`extend` does."""
        self.extend(fields)
        self.extend(more)

    def clear(self) -> None:
        """Takes all fields away."""
        self._items.clear()
        self._index.clear()

    def __getitem__(self, name: str) -> str:
        values = self._index[name.lower()]
        if len(values) > 1:
            raise MultipleValuesError(name)
        return values[0]

    def __setitem__(self, name: str, value: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"header name must be a str, not {type(name).__name__!r}")
        if not isinstance(value, str):
            raise TypeError(f"value of header {name!r} must be a str, not {type(value).__name__!r}")
        if not is_token(name):
            raise ValueError(f"header name {name!r} is not a token")
        # RFC 9110 §5.5: spaces around a value are no part of it.
        value = value.strip(" \t")
        bad = _find_bad_character(value)
        if bad is not None:
            # The value itself may be a secret.
            raise ValueError(f"value of header {name!r} has {bad.group()!r} at position {bad.start()}")
        self._items.append((name, value))
        self._index.setdefault(name.lower(), []).append(value)

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        del self._index[key]
        self._items = [item for item in self._items if item[0].lower() != key]

    def replace(self, name: str, value: str) -> None:
        """Sets a field that shall be there once: takes away those of the name, and adds this one at the end."""
        Headers([(name, value)])  # complains before anything is taken away
        if name in self:
            del self[name]
        self[name] = value

    def get_all(self, name: str) -> list[str]:
        """All values of a field in their order; empty when there is none."""
        return list(self._index.get(name.lower(), ()))

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """All fields in their order, names as given."""
        return iter(self._items)

    def copy(self) -> Headers:
        """The same fields, for changing them without changing these."""
        return Headers.from_parsed(self._items)

    __copy__ = copy

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __eq__(self, other: object) -> bool:
        return self._index == other._index if isinstance(other, Headers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (self._items.copy(),)


HeadersLike: TypeAlias = Headers | Mapping[str, str] | Iterable[tuple[str, str]]
"""What is taken where headers are wanted."""


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 9110 §5.6.2)."""
    return _match_token(text) is not None


def excerpt(text: str) -> str:
    """What a peer sent, fit for a log line: quoted, escaped, ASCII, and short."""
    return ascii(text) if len(text) <= 64 else f"{text[:64]!a}..."


# Each of these takes the white space behind it (RFC 9110 §5.6.3: OWS).
_read_space = re.compile(r"[ \t]*").match
_read_token = re.compile(rf"([{_TCHAR}]+)[ \t]*").match
_read_product = re.compile(rf"([{_TCHAR}]+(?:/[{_TCHAR}]+)?)[ \t]*").match
# RFC 6455 §9.1: a quoted value has to be a token too, once it is unescaped.
_read_parameter = re.compile(
    rf";[ \t]*([{_TCHAR}]+)[ \t]*(?:=[ \t]*(?:([{_TCHAR}]+)|\"((?:\\?[{_TCHAR}])+)\")[ \t]*)?"
).match


def _unexpected(value: str, position: int) -> HeaderFormatError:
    return HeaderFormatError("unexpected end" if position >= len(value) else f"unexpected character at {position}")


def _parse_list(value: str, read: Callable[[str, int], tuple[_T, int]]) -> list[_T]:
    """Parses ``1#element`` (RFC 9110 §5.6.1), empty elements left out, as a recipient has to."""
    elements: list[_T] = []
    position = _end(_read_space(value))
    while position < len(value):
        if value[position] != ",":
            element, position = read(value, position)
            elements.append(element)
            if position < len(value) and value[position] != ",":
                raise _unexpected(value, position)
        position = _end(_read_space(value, position + 1))
    if not elements:
        raise _unexpected(value, position)
    return elements


def _end(match: re.Match[str] | None) -> int:
    assert match is not None  # the expression matches an empty string
    return match.end()


def _token(value: str, position: int) -> tuple[str, int]:
    match = _read_token(value, position)
    if match is None:
        raise _unexpected(value, position)
    return match[1], match.end()


def _product(value: str, position: int) -> tuple[str, int]:
    match = _read_product(value, position)
    if match is None:
        raise _unexpected(value, position)
    return match[1], match.end()


def _extension(value: str, position: int) -> tuple[tuple[str, ExtensionParameters], int]:
    name, position = _token(value, position)
    parameters: ExtensionParameters = []
    while value.startswith(";", position):
        match = _read_parameter(value, position)
        if match is None:
            raise _unexpected(value, position)
        parameter, token, quoted = match.groups()
        # A backslash in front of a tchar only quotes it; a tchar is never a backslash.
        parameters.append((parameter, quoted.replace("\\", "") if quoted is not None else token))
        position = match.end()
    return (name, parameters), position


def parse_tokens(value: str) -> list[str]:
    """Parses a list of tokens, such as the value of Connection (RFC 9110 §7.6.1).

    Args:
        value: one field value, or several joined by commas, which means the same (RFC 9110 §5.3).

    Raises:
        HeaderFormatError: the value does not follow the grammar, or has no element.
    """
    return _parse_list(value, _token)


def parse_upgrade(value: str) -> list[str]:
    """Parses the value of Upgrade: protocol names, each perhaps with a version behind a slash (RFC 9110 §7.8).

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    return _parse_list(value, _product)


def parse_subprotocols(value: str) -> list[str]:
    """Parses the value of Sec-WebSocket-Protocol in a request (RFC 6455 §11.3.4).

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    return _parse_list(value, _token)


def parse_extensions(value: str) -> list[tuple[str, ExtensionParameters]]:
    """Parses the value of Sec-WebSocket-Extensions (RFC 6455 §9.1).

    Returns:
        Names and parameters in their order. Quoted values are unquoted.

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    return _parse_list(value, _extension)


def build_subprotocols(subprotocols: Sequence[str]) -> str:
    """Builds the value of Sec-WebSocket-Protocol.

    Raises:
        ValueError: one of them is not a token.
    """
    for subprotocol in subprotocols:
        _check_token("subprotocol", subprotocol)
    return ", ".join(subprotocols)


def build_extensions(extensions: Iterable[tuple[str, ExtensionParameters]]) -> str:
    """Builds the value of Sec-WebSocket-Extensions from names and parameters.

    Raises:
        ValueError: a name or a value is not a token (RFC 6455 §9.1 leaves no way to say such a value).
    """
    return ", ".join(
        "; ".join([name, *map(_build_parameter, parameters)]) for name, parameters in map(_named, extensions)
    )


def _named(extension: tuple[str, ExtensionParameters]) -> tuple[str, ExtensionParameters]:
    _check_token("extension name", extension[0])
    return extension


def _build_parameter(parameter: tuple[str, str | None]) -> str:
    name, value = parameter
    _check_token("extension parameter", name)
    if value is None:
        return name
    _check_token(f"value of extension parameter {name!r}", value)
    return f"{name}={value}"


def _check_token(what: str, text: str) -> None:
    if not is_token(text):
        raise ValueError(f"{what} is not a token: {text!r}")


# RFC 3986 §3.2.2: an IPv6 address in brackets, or a name of unreserved, sub-delims and escaped characters.
_match_host = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|((?:[-0-9A-Za-z._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+))(?::([0-9]{0,5}))?"
).fullmatch


def parse_host(value: str) -> tuple[str, int | None]:
    """Parses the value of Host: a host, and perhaps a port (RFC 9112 §3.2, RFC 3986 §3.2.2).

    Returns:
        The host in lower case, IPv6 addresses in their shortest form and in brackets; the port, or ``None``.

    Raises:
        HeaderFormatError: the value does not follow the grammar.
    """
    match = _match_host(value)
    if match is None:
        raise HeaderFormatError("not a host with an optional port")
    address, name, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and port > 65535:
        raise HeaderFormatError("port is over 65535")
    if address is None:
        return name.lower(), port
    from ipaddress import IPv6Address  # a rare guest

    try:
        return f"[{IPv6Address(address).compressed}]", port
    except ValueError:
        raise HeaderFormatError("not an IPv6 address") from None
