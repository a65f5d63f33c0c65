"""Everything that bowstring raises on purpose.

::

    BowstringError
    ├── ConnectionClosed             the connection has ended; says who ended it, with which codes, and why
    │   ├── ConnectionClosedOK       both sides agreed: 1000, 1001 or an empty Close
    │   └── ConnectionClosedError    everything else, 1006 included
    ├── ProtocolError                the peer broke a rule of RFC 6455 or RFC 7692 on an open connection (remote)
    ├── InvalidHandshake             the opening handshake failed
    │   ├── HandshakeRejected        as a server: the client's request was refused; has the HTTP status to answer it
    │   └── ResponseRejected         as a client: what the server answered is not a valid upgrade (remote)
    │       ├── InvalidStatus        the status is not 101; has the whole response
    │       └── NegotiationError     an extension or a subprotocol that was not offered, or not like that
    ├── InvalidURI                   the address is not a WebSocket URI (ours; also a ValueError)
    └── ConcurrencyError             two coroutines or threads receive at the same time (ours; also a RuntimeError)

Mistakes of the caller that have a name in Python keep it: ``TypeError`` and ``ValueError`` name the argument,
``TimeoutError`` and ``OSError`` come from where they always come from.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal, Self

from .constants import CloseCode

if TYPE_CHECKING:
    from .typing import Close

__all__ = [
    "BowstringError",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeRejected",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "NegotiationError",
    "ProtocolError",
    "ResponseRejected",
    "Violation",
]


class Violation(enum.Enum):
    """A rule that a peer broke, one member a rule.

    Attributes:
        close_code: for rules of an open connection, the code of the Close that answers it; otherwise ``None``.
        status: for rules of a handshake request, the HTTP status that answers it; otherwise ``None``.
        section: where the rule stands.
        text: the rule's breach, in words that fit behind "protocol error: ".
    """

    close_code: int | None
    status: int | None
    section: str
    text: str

    def __new__(cls, code: int | None, section: str, text: str) -> Self:
        """A member from its line below; codes of less than 1000 are HTTP statuses."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.close_code = code if code is not None and code >= 1000 else None
        member.status = code if code is not None and code < 1000 else None
        member.section = section
        member.text = text
        return member

    # Frames: found by the codec.
    RESERVED_BITS = 1002, "RFC 6455 §5.2", "reserved bits are set that no extension allows here"
    RESERVED_OPCODE = 1002, "RFC 6455 §5.2", "reserved opcode"
    FRAGMENTED_CONTROL = 1002, "RFC 6455 §5.5", "fragmented control frame"
    CONTROL_TOO_LONG = 1002, "RFC 6455 §5.5", "control frame with a payload of more than 125 bytes"
    UNEXPECTED_CONTINUATION = 1002, "RFC 6455 §5.4", "continuation frame without a message to continue"
    EXPECTED_CONTINUATION = 1002, "RFC 6455 §5.4", "new message before the end of a fragmented message"
    UNMASKED_FRAME = 1002, "RFC 6455 §5.1", "frame from a client is not masked"
    MASKED_FRAME = 1002, "RFC 6455 §5.1", "frame from a server is masked"
    LENGTH_NOT_MINIMAL = 1002, "RFC 6455 §5.2", "payload length is not in its shortest form"
    LENGTH_TOP_BIT = 1002, "RFC 6455 §5.2", "payload length has its most significant bit set"
    MESSAGE_TOO_BIG = 1009, "RFC 6455 §10.4", "message is too big"
    TOO_MANY_FRAGMENTS = 1009, "RFC 6455 §10.4", "message has too many fragments"
    INVALID_UTF8 = 1007, "RFC 6455 §8.1", "text is not valid UTF-8"

    # The closing handshake and extensions: found by the connection.
    CLOSE_LENGTH = 1002, "RFC 6455 §5.5.1", "Close with a payload of one byte"
    CLOSE_CODE = 1002, "RFC 6455 §7.4", "Close with a code that may not be sent"
    CLOSE_REASON = 1007, "RFC 6455 §5.5.1", "Close with a reason that is not valid UTF-8"
    INVALID_DEFLATE = 1007, "RFC 7692 §7.2.2", "compressed message cannot be inflated"

    # The request of the opening handshake: found by a server.
    BAD_REQUEST = 400, "RFC 9112 §3", "malformed HTTP request"
    METHOD = 405, "RFC 6455 §4.1", "method is not GET"
    HTTP_VERSION = 505, "RFC 6455 §4.1", "HTTP version is not 1.1"
    HEAD_TOO_LARGE = 431, "RFC 6585 §5", "request head is too large"
    HOST = 400, "RFC 9112 §3.2", "missing, repeated or invalid Host header"
    BODY = 400, "RFC 6455 §4.1", "request has a body"
    UPGRADE = 426, "RFC 6455 §4.2.1", "missing or invalid Upgrade header"
    CONNECTION = 426, "RFC 6455 §4.2.1", "missing or invalid Connection header"
    KEY = 400, "RFC 6455 §4.2.1", "missing, repeated or invalid Sec-WebSocket-Key header"
    WEBSOCKET_VERSION = 426, "RFC 6455 §4.2.2", "Sec-WebSocket-Version is not 13"
    ORIGIN = 403, "RFC 6455 §10.2", "origin is not allowed"
    EXTENSIONS_HEADER = 400, "RFC 6455 §9.1", "invalid Sec-WebSocket-Extensions header"
    SUBPROTOCOL_HEADER = 400, "RFC 6455 §11.3.4", "invalid Sec-WebSocket-Protocol header"

    # The response of the opening handshake: found by a client.
    BAD_RESPONSE = None, "RFC 9112 §4", "malformed HTTP response"
    RESPONSE_TOO_LARGE = None, "RFC 6455 §10.4", "response head is too large"
    STATUS = None, "RFC 6455 §4.1", "status is not 101"
    RESPONSE_UPGRADE = None, "RFC 6455 §4.1", "response has a missing or invalid Upgrade header"
    RESPONSE_CONNECTION = None, "RFC 6455 §4.1", "response has a missing or invalid Connection header"
    ACCEPT = None, "RFC 6455 §4.1", "response has a missing, repeated or wrong Sec-WebSocket-Accept header"
    REDIRECT = None, "RFC 9110 §15.4", "redirect cannot be followed"
    RESPONSE_EXTENSIONS = None, "RFC 6455 §9.1", "response has an invalid Sec-WebSocket-Extensions header"
    EXTENSION_NOT_OFFERED = None, "RFC 6455 §9.1", "response has an extension that was not offered like that"
    SUBPROTOCOL_NOT_OFFERED = None, "RFC 6455 §4.1", "response has a subprotocol that was not offered"


class BowstringError(Exception):
    """Base of every exception that bowstring defines."""


class ProtocolError(BowstringError):
    """The peer broke a rule on an open connection (RFC 6455 §7.1.7, "fail the connection").

    Args:
        violation: the rule.
        detail: what was seen, where that helps; behind the rule's text in the message.
        size, limit: for ``MESSAGE_TOO_BIG`` (bytes) and ``TOO_MANY_FRAGMENTS`` (frames): what the message
            would have come to, and what was allowed.

    Two errors are equal when all of these are.
    """

    def __init__(
        self, violation: Violation, detail: str = "", *, size: int | None = None, limit: int | None = None
    ) -> None:
        super().__init__(violation, detail, size, limit)
        self.violation = violation
        self.detail = detail
        self.size = size
        self.limit = limit

    @property
    def close_code(self) -> int:
        """The code of the Close frame that answers this error."""
        return self.violation.close_code or CloseCode.PROTOCOL_ERROR

    def __str__(self) -> str:
        text = self.violation.text
        if self.limit is not None:
            text += f": {self.size} over the limit of {self.limit}"
        return f"{text}: {self.detail}" if self.detail else text

    def __eq__(self, other: object) -> bool:
        return self.args == other.args if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.args)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._rebuild, self.args

    @classmethod
    def _rebuild(cls, violation: Violation, detail: str, size: int | None, limit: int | None) -> ProtocolError:
        return cls(violation, detail, size=size, limit=limit)


class ConnectionClosed(BowstringError):
    """The connection has ended, or is ending, and can no longer do what was asked of it.

    Args:
        rcvd: the Close that the peer sent, or ``None``.
        sent: the Close that this side sent, or ``None``.
        closed_by: who was first to end it: ``"local"`` or ``"remote"``.
        error: what broke the connection, if something did: a :exc:`ProtocolError` (the peer's fault),
            ``TimeoutError`` (keepalive or write), ``OSError`` (the network). Also the ``__cause__``.
    """

    def __init__(
        self,
        rcvd: Close | None = None,
        sent: Close | None = None,
        closed_by: Literal["local", "remote"] = "remote",
        *,
        error: BaseException | None = None,
    ) -> None:
        super().__init__(rcvd, sent, closed_by)
        self.rcvd = rcvd
        self.sent = sent
        self.closed_by: Literal["local", "remote"] = closed_by
        self.error = error
        if error is not None:
            self.__cause__ = error

    @property
    def code(self) -> int:
        """The peer's close code; 1005 for an empty Close, 1006 when none came (RFC 6455 §7.1.5)."""
        return CloseCode.ABNORMAL_CLOSURE if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The peer's close reason, or an empty string."""
        return "" if self.rcvd is None else self.rcvd.reason

    @property
    def rcvd_then_sent(self) -> bool | None:
        """Whether the peer's Close came first; ``None`` unless both sides sent one."""
        return self.closed_by == "remote" if self.rcvd is not None and self.sent is not None else None

    def __str__(self) -> str:
        if self.error is not None:
            text = str(self.error) or type(self.error).__name__
            if self.sent is not None:
                text += f"; sent {self.sent}"
            return f"{text}; received {self.rcvd}" if self.rcvd is not None else text
        match self.rcvd, self.sent:
            case None, None:
                return "no Close frame received or sent"
            case None, sent:
                return f"sent {sent}; no Close frame received"
            case rcvd, None:
                return f"received {rcvd}; no Close frame sent"
            case rcvd, sent if self.closed_by == "remote":
                return f"received {rcvd}; then sent {sent}"
            case rcvd, sent:
                return f"sent {sent}; then received {rcvd}"
        raise AssertionError("unreachable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._rebuild, (*self.args, self.error)

    @classmethod
    def _rebuild(cls, rcvd: Any, sent: Any, closed_by: Any, error: BaseException | None) -> ConnectionClosed:
        return cls(rcvd, sent, closed_by, error=error)


class ConnectionClosedOK(ConnectionClosed):
    """The connection ended as it should: the peer's Close has 1000, 1001 or no code, and so has ours if we sent one."""


class ConnectionClosedError(ConnectionClosed):
    """The connection ended with an error code, without a Close, or by a broken rule."""


class InvalidHandshake(BowstringError):
    """The opening handshake failed. ``violation`` names the rule, ``detail`` what was seen of it."""

    def __init__(self, violation: Violation, detail: str = "") -> None:
        super().__init__(violation, detail)
        self.violation = violation
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.violation.text}: {self.detail}" if self.detail else self.violation.text


class HandshakeRejected(InvalidHandshake):
    """Server side: the request is refused, and answered with ``status``."""

    @property
    def status(self) -> int:
        """The HTTP status of the answer, in the 400s, or 505."""
        return self.violation.status or 400


class ResponseRejected(InvalidHandshake):
    """Client side: the server's response is not a valid answer to our request."""


class InvalidStatus(ResponseRejected):
    """Client side: the server answered with another status than 101; ``response`` has status, headers and body."""

    def __init__(self, response: Any) -> None:
        super().__init__(Violation.STATUS, f"server answered HTTP {response.status}")
        self.response = response

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.response,)


class NegotiationError(ResponseRejected):
    """Client side: the server chose an extension or a subprotocol that was not offered, or not like that."""


class InvalidURI(BowstringError, ValueError):
    """The address is not a WebSocket URI (RFC 6455 §3)."""

    def __init__(self, uri: str, problem: str) -> None:
        super().__init__(uri, problem)
        self.uri = uri
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.uri!r} is not a WebSocket URI: {self.problem}"


class ConcurrencyError(BowstringError, RuntimeError):
    """``recv`` was called while another call of it was still waiting."""
