"""HTTP/1.1: the one place that puts the opening handshake on bytes and takes it off. Only this module knows h11.

Theory of operation
-------------------
A *reader* looks for the end of a head as the bytes come in, line by line, each byte once, and keeps the limits on the
way. h11 sees a head when it is complete, so it parses once, however the head was cut into segments. What follows the
head of a WebSocket's request or response are frames; the reader keeps them in ``trailing`` and does not look at them.

h11's reading of the grammar stands: folded lines are joined, a bare LF ends a line, an empty line in front of the
request is refused. Beyond h11, readers refuse control characters in values, and a Host that is no host.

Encoders do not ask h11: it would want to be told of the whole exchange, and put Host first. What they write was
checked where it went into a ``Headers``.

Everything here speaks of requests and responses in general; what a WebSocket's have to be like is in ``handshake``.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import h11

from bowstring.exceptions import HandshakeRejected, ResponseRejected, Violation

from .headers import HeaderFormatError, Headers, is_token, parse_host
from .http_messages import Request, Response

__all__ = [
    "MAX_BODY_SIZE",
    "MAX_FIELDS",
    "MAX_FIELD_SIZE",
    "MAX_HEAD_SIZE",
    "Request",
    "RequestReader",
    "Response",
    "ResponseReader",
    "encode_request",
    "encode_response",
    "parse_request",
]

#: The longest line of a head, or field with its folded lines, in bytes without the line's end.
MAX_FIELD_SIZE: Final = 8 * 1024

#: The most lines in a head behind the first one: fields, and folded lines of fields.
MAX_FIELDS: Final = 128

#: The longest head, in bytes with the empty line at its end.
MAX_HEAD_SIZE: Final = 64 * 1024

#: How much of a response's body is kept, in bytes: enough to see what a server complains about.
MAX_BODY_SIZE: Final = 64 * 1024

#: The most informational responses (100, 103) that may come before the one that counts.
_MAX_INFORMATIONAL: Final = 8

_match_visible = re.compile(r"[\x21-\x7e]+").fullmatch
# h11 lets through what is neither NUL nor white space; it refuses a CR that ends no line.
_find_control = re.compile(rb"[^\t\n\r\x20-\x7e\x80-\xff]").search
_match_reason = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch


# ---------------------------------------------------------------------------------------------------- to bytes


def encode_request(request: Request) -> bytes:
    """Builds the bytes of a request, names and order of its fields as given.

    Raises:
        ValueError: a part of it cannot be sent; names the part.
    """
    if not is_token(request.method):
        raise ValueError(f"method is not a token: {request.method!r}")
    if _match_visible(request.target) is None:
        raise ValueError(f"target has characters other than visible ASCII: {request.target!r}")
    _check_version(request.version)
    return b"%b %b HTTP/1.1\r\n%b" % (
        request.method.encode(),
        request.target.encode(),
        _encode_headers(request.headers),
    )


def encode_response(response: Response, *, head: bool = False) -> bytes:
    """Builds the bytes of a response, names and order of its fields as given.

    All but 101 get a Content-Length, unless they have one or may not, and ``Connection: close``: a connection serves
    one request.

    Args:
        response: what to send.
        head: it answers a HEAD request: the body's length is told, the body not sent.

    Raises:
        ValueError: a part of it cannot be sent; names the part.
    """
    status, headers, body = response.status, response.headers, response.body
    if status != HTTPStatus.SWITCHING_PROTOCOLS and not 200 <= status <= 999:
        raise ValueError(f"status must be 101 or between 200 and 999, not {status}")
    if _match_reason(response.reason) is None:
        raise ValueError(f"reason has control characters, or some beyond ISO-8859-1: {response.reason!r}")
    _check_version(response.version)
    if "Transfer-Encoding" in headers:
        raise ValueError("headers must not have Transfer-Encoding: the body is sent as it is")
    lengths = headers.get_all("Content-Length")
    # RFC 9112 §6.3: these end with their head, whatever it says.
    bodiless = status in {HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    if bodiless:
        if body:
            raise ValueError(f"body must be empty with status {status}")
        # RFC 9110 §8.6
        if lengths and status != HTTPStatus.NOT_MODIFIED:
            raise ValueError(f"headers must not have Content-Length with status {status}")
    elif lengths and lengths != [str(len(body))] and (body or not head):
        raise ValueError(f"headers have a Content-Length other than the body's, which is {len(body)}")
    if status != HTTPStatus.SWITCHING_PROTOCOLS:
        headers = headers.copy()
        if not bodiless and not lengths:
            headers["Content-Length"] = str(len(body))
        if "Connection" not in headers:
            # RFC 9110 §7.8: who sends Upgrade has to name it in Connection.
            headers["Connection"] = "close, Upgrade" if "Upgrade" in headers else "close"
    status_line = b"HTTP/1.1 %d %b\r\n" % (status, response.reason.encode("latin-1"))
    return b"%b%b%b" % (status_line, _encode_headers(headers), b"" if head else body)


def _check_version(version: str) -> None:
    if version != "1.1":
        raise ValueError(f"version must be '1.1', not {version!r}")


def _encode_headers(headers: Headers) -> bytes:
    # Names and values were checked when they went into the Headers; nothing can be in them that ends a line.
    return "".join([*[f"{name}: {value}\r\n" for name, value in headers.raw_items()], "\r\n"]).encode("latin-1")


# ---------------------------------------------------------------------------------------------------- from bytes


class _HeadTooLarge(Exception):
    """A limit was passed; says which."""


class _HeadScanner:
    """Finds the end of a head in what arrives, and keeps the limits. Looks at each byte once."""

    __slots__ = ("_field_size", "_limits", "_line", "_lines", "_scanned", "buffer")

    def __init__(self, max_field_size: int, max_fields: int, max_head_size: int) -> None:
        self._limits = max_field_size, max_fields, max_head_size
        self.buffer = bytearray()
        self._restart()

    def _restart(self) -> None:
        self._scanned = 0  # there is no LF before
        self._line = 0  # where the line begins
        self._lines = 0  # that are complete
        self._field_size = 0  # of the lines of the field so far

    def scan(self) -> bytes | None:
        """Takes the head off the buffer, if it is complete.

        Raises:
            _HeadTooLarge: it passes a limit, complete or not.
        """
        buffer = self.buffer
        max_field_size, max_fields, max_head_size = self._limits
        while (end := buffer.find(b"\n", self._scanned)) >= 0:
            if end >= max_head_size:
                break
            length = end - self._line
            if length and buffer[end - 1] == 0x0D:
                length -= 1
            if not length:
                head = bytes(buffer[: end + 1])
                del buffer[: end + 1]
                self._restart()
                return head
            folded = buffer[self._line] in b" \t"  # goes on with the field before
            self._field_size = self._field_size + length if folded else length
            if self._field_size > max_field_size:
                raise _HeadTooLarge(f"a line of more than {max_field_size} bytes")
            self._lines += 1
            if self._lines > max_fields + 1:
                raise _HeadTooLarge(f"more than {max_fields} fields")
            self._scanned = self._line = end + 1
        if len(buffer) > max_head_size:
            raise _HeadTooLarge(f"more than {max_head_size} bytes")
        if len(buffer) - self._line > max_field_size + 1:  # the last of them may be the CR
            raise _HeadTooLarge(f"a line of more than {max_field_size} bytes")
        self._scanned = len(buffer)
        return None


#: What h11 says of heads that have something else wrong than their grammar.
_H11_COMPLAINTS: Final = {
    "Missing mandatory Host: header": Violation.HOST,
    "Found multiple Host: headers": Violation.HOST,
    "conflicting Content-Length headers": Violation.BODY,
    "bad Content-Length": Violation.BODY,
    "multiple Transfer-Encoding headers": Violation.BODY,
    "Only Transfer-Encoding: chunked is supported": Violation.BODY,
}


def _complaint(error: h11.RemoteProtocolError) -> str:
    """What h11 has to say, without what the peer sent, which it puts behind a colon."""
    return str(error).partition(":")[0]


def _headers(event: h11.Request | h11.InformationalResponse | h11.Response) -> Headers:
    return Headers.from_parsed(
        (name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers.raw_items()
    )


def parse_request(head: bytes) -> Request:
    """Parses the head of a request, such as :attr:`RequestReader.raw`. Keeps no limits.

    Raises:
        HandshakeRejected: it is malformed.
    """
    if _find_control(head) is not None:
        raise HandshakeRejected(Violation.BAD_REQUEST, "control character")
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(head)
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise HandshakeRejected(_H11_COMPLAINTS.get(str(error), Violation.BAD_REQUEST), _complaint(error)) from None
    if not isinstance(event, h11.Request):
        raise HandshakeRejected(Violation.BAD_REQUEST, "incomplete")
    version = event.http_version.decode()
    # RFC 9110 §2.5: only within one major version do messages mean the same.
    if not version.startswith("1."):
        raise HandshakeRejected(Violation.HTTP_VERSION, f"HTTP/{version}")
    headers = _headers(event)
    # RFC 9112 §3.2: 400 to any request with an invalid Host. h11 has seen to it that there are not several.
    host = headers.get("Host")
    if host is not None:
        try:
            parse_host(host)
        except HeaderFormatError as error:
            raise HandshakeRejected(Violation.HOST, str(error)) from None
    return Request(event.method.decode(), event.target.decode(), headers, version)


def _check_first_byte(byte: int) -> None:
    """What is not HTTP, such as the hello of a TLS client, gets its answer now, and not at a timeout.

    Raises:
        HandshakeRejected: no method begins with it.
    """
    if not is_token(chr(byte)):
        what = "TLS on a port without" if byte == 0x16 else "does not begin with a method"
        raise HandshakeRejected(Violation.BAD_REQUEST, what)


class RequestReader:
    """Reads the head of one request, in whatever segments it arrives.

    Args:
        max_field_size: the longest request line or field, in bytes.
        max_fields: the most fields; a folded line counts as one.
        max_head_size: the longest head, in bytes.
    """

    __slots__ = ("_error", "_raw", "_scanner")

    def __init__(
        self,
        *,
        max_field_size: int = MAX_FIELD_SIZE,
        max_fields: int = MAX_FIELDS,
        max_head_size: int = MAX_HEAD_SIZE,
    ) -> None:
        self._scanner = _HeadScanner(max_field_size, max_fields, max_head_size)
        self._raw = b""
        self._error: HandshakeRejected | None = None

    @property
    def raw(self) -> bytes:
        """The bytes of the head, once it is complete; for :func:`parse_request`."""
        return self._raw

    @property
    def trailing(self) -> bytes:
        """What came behind the head: frames of a client that did not wait for the answer."""
        return bytes(self._scanner.buffer) if self._raw else b""

    def feed(self, data: bytes) -> Request | None:
        """Takes what arrived.

        Returns:
            The request when its head is complete, once. What is fed afterwards goes to :attr:`trailing`.

        Raises:
            HandshakeRejected: it is malformed or too large; the same one again for all that is fed afterwards.
        """
        if self._error is not None:
            raise self._error
        buffer = self._scanner.buffer
        begins = not buffer
        buffer += data
        if self._raw:
            return None
        try:
            if begins and buffer:
                _check_first_byte(buffer[0])
            return self._read()
        except HandshakeRejected as error:
            self._error = error
            raise

    def _read(self) -> Request | None:
        try:
            head = self._scanner.scan()
        except _HeadTooLarge as error:
            raise HandshakeRejected(Violation.HEAD_TOO_LARGE, str(error)) from None
        if head is None:
            return None
        request = parse_request(head)
        self._raw = head
        return request

    def eof(self) -> None:
        """The stream has ended.

        Raises:
            HandshakeRejected: before the end of the head.
        """
        if self._error is None and not self._raw:
            where = "inside of the head" if self._scanner.buffer else "without a request"
            self._error = HandshakeRejected(Violation.BAD_REQUEST, f"stream ended {where}")
        if self._error is not None:
            raise self._error


class ResponseReader:
    """Reads the response to a request for an upgrade, in whatever segments it arrives.

    A 101 is complete with its head. Other responses are read with their bodies (Content-Length, chunked, or up to the
    end of the stream). Informational responses before it are skipped.

    Args:
        max_field_size: the longest status line or field, in bytes.
        max_fields: the most fields; a folded line counts as one.
        max_head_size: the longest head, in bytes.
        max_body_size: how much of a body is kept, in bytes; the response is complete when this is passed.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_connection",
        "_error",
        "_informational",
        "_max_body_size",
        "_response",
        "_scanner",
    )

    def __init__(
        self,
        *,
        max_field_size: int = MAX_FIELD_SIZE,
        max_fields: int = MAX_FIELDS,
        max_head_size: int = MAX_HEAD_SIZE,
        max_body_size: int = MAX_BODY_SIZE,
    ) -> None:
        self._scanner = _HeadScanner(max_field_size, max_fields, max_head_size)
        self._max_body_size = max_body_size
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_head_size)
        # h11 has to know what is being answered.
        self._connection.send(h11.Request(method="GET", target="/", headers=[("Host", "-"), ("Upgrade", "websocket")]))
        self._connection.send(h11.EndOfMessage())
        self._informational = 0
        self._response: Response | None = None
        self._body = bytearray()
        self._complete = False
        self._error: ResponseRejected | None = None

    @property
    def trailing(self) -> bytes:
        """What came behind the head of a 101: frames of a server that did not wait."""
        return bytes(self._scanner.buffer) if self._complete else b""

    def feed(self, data: bytes) -> Response | None:
        """Takes what arrived.

        Returns:
            The response when it is complete, once. What is fed after a 101 goes to :attr:`trailing`.

        Raises:
            ResponseRejected: it is malformed or too large; the same one again for all that is fed afterwards.
        """
        if self._error is not None:
            raise self._error
        self._scanner.buffer += data
        if self._complete:
            return None
        try:
            return self._read_head() if self._response is None else self._read_body()
        except ResponseRejected as error:
            self._error = error
            raise

    def eof(self) -> Response | None:
        """The stream has ended.

        Returns:
            The response, if its body was to end like this or has been cut off by it; ``None`` if it was complete.

        Raises:
            ResponseRejected: before the end of the head.
        """
        if self._complete:
            return None
        if self._error is None and self._response is None:
            where = "inside of the head" if self._scanner.buffer else "without a response"
            self._error = ResponseRejected(Violation.BAD_RESPONSE, f"stream ended {where}")
        if self._error is not None:
            raise self._error
        self._connection.receive_data(b"")  # h11's end of stream
        return self._read_body()

    def _read_head(self) -> Response | None:
        buffer = self._scanner.buffer
        while True:
            # No use in waiting for the end of a line that another protocol may never end.
            if not b"HTTP/".startswith(buffer[:5]):
                raise ResponseRejected(Violation.BAD_RESPONSE, "not HTTP")
            try:
                head = self._scanner.scan()
            except _HeadTooLarge as error:
                raise ResponseRejected(Violation.RESPONSE_TOO_LARGE, str(error)) from None
            if head is None:
                return None
            event = self._parse(head)
            if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS or event.status_code >= HTTPStatus.OK:
                break
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                raise ResponseRejected(Violation.BAD_RESPONSE, "too many informational responses")
        version = event.http_version.decode()
        if not version.startswith("1."):
            raise ResponseRejected(Violation.BAD_RESPONSE, f"HTTP/{version}")
        response = Response(event.status_code, event.reason.decode("latin-1"), _headers(event), version=version)
        if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._complete = True
            return response
        self._response = response
        return self._read_body()

    def _parse(self, head: bytes) -> h11.InformationalResponse | h11.Response:
        if _find_control(head) is not None:
            raise ResponseRejected(Violation.BAD_RESPONSE, "control character")
        try:
            self._connection.receive_data(head)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise ResponseRejected(Violation.BAD_RESPONSE, _complaint(error)) from None
        assert isinstance(event, h11.InformationalResponse | h11.Response)
        return event

    def _read_body(self) -> Response | None:
        """Goes on with the body. A broken one is cut off where it breaks: the status is what matters."""
        response, buffer = self._response, self._scanner.buffer
        assert response is not None
        if buffer:
            self._connection.receive_data(bytes(buffer))
            buffer.clear()
        try:
            while len(self._body) <= self._max_body_size:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    return None
                if isinstance(event, h11.Data):
                    self._body += event.data
                else:  # EndOfMessage
                    break
            else:
                response.body_truncated = True
        except h11.RemoteProtocolError:
            response.body_truncated = True
        response.body = bytes(self._body[: self._max_body_size])
        self._complete = True
        return response
