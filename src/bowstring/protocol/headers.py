"""HTTP header fields: a multi-mapping, and the grammars of those fields that the opening handshake reads.

Field values are ``str`` that stand for bytes by ISO-8859-1, one character a byte: every value that arrives can be
represented, and is sent back as it came. ``value.encode("latin-1").decode()`` gets at a value that is really UTF-8.

The parsers look at each character a bounded number of times, whatever they are given: their expressions are built of
character classes that exclude each other, so that there is nothing to try twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final, TypeAlias

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


#: The most commas and semicolons in a list.
_MAX_SEPARATORS: Final = 256

# RFC 9110 §5.6.1: lists may have empty elements, which a recipient ignores. Quantifiers are possessive ("*+"): what was
# matched is not tried again in another way.
_SEPARATORS = r"[ \t,]*+"
_TOKEN = rf"[{_TCHAR}]++"
_PRODUCT = rf"{_TOKEN}(?:/{_TOKEN})?+"
# RFC 6455 §9.1: a quoted value has to be a token too, once it is unescaped.
_QUOTED = rf"(?:\\?+[{_TCHAR}])++"
_EQUALS = r"[ \t]*+=[ \t]*+"
_PARAMETER = rf"{_TOKEN}(?:{_EQUALS}(?:{_TOKEN}|\"{_QUOTED}\"))?+"
_PARAMETERS = rf"(?:[ \t]*+;[ \t]*+{_PARAMETER})*+"
_EXTENSION = rf"{_TOKEN}{_PARAMETERS}"


def _list_of(element: str) -> re.Pattern[str]:
    return re.compile(rf"{_SEPARATORS}{element}(?:[ \t]*+,{_SEPARATORS}{element})*+{_SEPARATORS}")


_find_separators = re.compile(_SEPARATORS).match
_tokens = _list_of(_TOKEN), re.compile(_TOKEN)
_products = _list_of(_PRODUCT), re.compile(_PRODUCT)
# Groups that are captured stand outside of what is repeated: CPython loses count of those that are tried inside of a
# possessive repetition, and raises SystemError.
_extensions = _list_of(_EXTENSION), re.compile(rf"({_TOKEN})({_PARAMETERS})")
_find_parameters = re.compile(rf"({_TOKEN})(?:{_EQUALS}(?:({_TOKEN})|\"({_QUOTED})\"))?").findall


def _check_list(whole: re.Pattern[str], value: str) -> None:
    """Checks that all of ``value`` is a list as ``whole`` has it.

    Raises:
        HeaderFormatError: it is not.
    """
    # A head may have room for 30,000 of them, which would keep others waiting.
    if value.count(",") + value.count(";") > _MAX_SEPARATORS:
        raise HeaderFormatError(f"more than {_MAX_SEPARATORS} separators")
    match = whole.match(value) or _find_separators(value)
    assert match is not None  # separators may be none at all
    if match.end() < len(value):
        raise HeaderFormatError(f"unexpected character at {match.end()}")
    if match.re is not whole:
        raise HeaderFormatError("empty")


def parse_tokens(value: str) -> list[str]:
    """Parses a list of tokens, such as the value of Connection (RFC 9110 §7.6.1).

    Args:
        value: one field value, or several joined by commas, which means the same (RFC 9110 §5.3).

    Raises:
        HeaderFormatError: the value does not follow the grammar, or has no element.
    """
    whole, element = _tokens
    _check_list(whole, value)
    return element.findall(value)


def parse_upgrade(value: str) -> list[str]:
    """Parses the value of Upgrade: protocol names, each perhaps with a version behind a slash (RFC 9110 §7.8).

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    whole, element = _products
    _check_list(whole, value)
    return element.findall(value)


def parse_subprotocols(value: str) -> list[str]:
    """Parses the value of Sec-WebSocket-Protocol in a request (RFC 6455 §11.3.4).

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    return parse_tokens(value)


def parse_extensions(value: str) -> list[tuple[str, ExtensionParameters]]:
    """Parses the value of Sec-WebSocket-Extensions (RFC 6455 §9.1).

    Returns:
        Names and parameters in their order. Quoted values are unquoted.

    Raises:
        HeaderFormatError: as :func:`parse_tokens`.
    """
    whole, element = _extensions
    _check_list(whole, value)
    return [(match[1], _parse_parameters(match[2])) for match in element.finditer(value)]


def _parse_parameters(text: str) -> ExtensionParameters:
    # A backslash only quotes what is behind it; a backslash itself cannot be meant: it is no tchar. Values are never
    # empty, so an empty group is one that did not take part.
    return [(name, token or quoted.replace("\\", "") or None) for name, token, quoted in _find_parameters(text)]


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
