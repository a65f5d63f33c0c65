"""Requests and responses on bytes: encoders, and readers that keep limits whatever the segments."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bowstring.exceptions import HandshakeRejected, ResponseRejected, Violation
from bowstring.protocol import http11
from bowstring.protocol.handshake.server import ServerHandshake
from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import (
    Request,
    RequestReader,
    Response,
    ResponseReader,
    encode_request,
    encode_response,
    parse_request,
)

pytestmark = pytest.mark.one_twin

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def read_request(data: bytes, **limits: int) -> Request:
    request = RequestReader(**limits).feed(data)
    assert request is not None
    return request


def rejected(data: bytes, **limits: int) -> tuple[Violation, str]:
    """The violation and the detail of a request that is refused as soon as ``data`` has arrived."""
    reader = RequestReader(**limits)
    with pytest.raises(HandshakeRejected) as caught:
        reader.feed(data)
    return caught.value.violation, caught.value.detail


def request_with(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def read_response(*segments: bytes, eof: bool = False, **limits: int) -> Response:
    reader = ResponseReader(**limits)
    responses = [reader.feed(segment) for segment in segments] + ([reader.eof()] if eof else [])
    (response,) = [response for response in responses if response is not None]
    return response


def response_rejected(data: bytes, **limits: int) -> tuple[Violation, str]:
    reader = ResponseReader(**limits)
    with pytest.raises(ResponseRejected) as caught:
        reader.feed(data)
    return caught.value.violation, caught.value.detail


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


class TestEncodeRequest:
    def test_names_and_order_are_kept(self) -> None:
        headers = Headers([("x-b", "1"), ("Host", "a"), ("X-A", "\xe9"), ("x-b", "2")])
        assert encode_request(Request("GET", "/?q", headers)) == (
            b"GET /?q HTTP/1.1\r\nx-b: 1\r\nHost: a\r\nX-A: \xe9\r\nx-b: 2\r\n\r\n"
        )

    @pytest.mark.parametrize("bad", ["\r", "\n", "\x00", " ", "\x7f", "é", ""])
    def test_bad_targets(self, bad: str) -> None:
        with pytest.raises(ValueError, match=r"^target "):
            encode_request(Request("GET", bad and f"/a{bad}b", Headers()))

    @pytest.mark.parametrize("bad", ["", "GET /", "G\r\n", "É"])
    def test_bad_methods(self, bad: str) -> None:
        with pytest.raises(ValueError, match=r"^method "):
            encode_request(Request(bad, "/", Headers()))

    def test_bad_version(self) -> None:
        with pytest.raises(ValueError, match=r"^version "):
            encode_request(Request("GET", "/", Headers(), "1.0"))


class TestEncodeResponse:
    def test_names_and_order_are_kept(self) -> None:
        headers = Headers([("x-b", "1"), ("X-A", "2"), ("Connection", "Upgrade")])
        assert encode_response(Response(101, "Switching Protocols", headers)) == (
            b"HTTP/1.1 101 Switching Protocols\r\nx-b: 1\r\nX-A: 2\r\nConnection: Upgrade\r\n\r\n"
        )

    def test_101_gets_nothing(self) -> None:
        assert encode_response(Response(101, "")) == b"HTTP/1.1 101 \r\n\r\n"

    def test_others_get_length_and_close(self) -> None:
        response = Response(200, "OK", Headers({"A": "1"}), b"body")
        assert encode_response(response) == (
            b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
        )
        assert list(response.headers) == ["a"]  # the caller's own are not changed

    def test_an_empty_body_has_a_length_too(self) -> None:
        assert b"Content-Length: 0\r\n" in encode_response(Response(403, "Forbidden"))

    def test_what_is_given_stays(self) -> None:
        headers = Headers({"content-length": "4", "connection": "keep-alive"})
        assert encode_response(Response(200, "OK", headers, b"body")) == (
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\nbody"
        )

    def test_upgrade_is_named_in_connection(self) -> None:
        # RFC 9110 §7.8
        assert b"\r\nConnection: close, Upgrade\r\n" in encode_response(Response(426, "", Headers({"Upgrade": "x"})))

    @pytest.mark.parametrize("status", [204, 304])
    def test_statuses_without_a_body(self, status: int) -> None:
        assert encode_response(Response(status, "")) == b"HTTP/1.1 %d \r\nConnection: close\r\n\r\n" % status

    @pytest.mark.parametrize("status", [101, 204, 304])
    def test_a_body_where_none_may_be(self, status: int) -> None:
        with pytest.raises(ValueError, match="body must be empty"):
            encode_response(Response(status, "", body=b"x"))

    @pytest.mark.parametrize("status", [101, 204])
    def test_a_length_where_none_may_be(self, status: int) -> None:
        with pytest.raises(ValueError, match="must not have Content-Length"):
            encode_response(Response(status, "", Headers({"Content-Length": "0"})))

    def test_304_may_tell_the_length_of_what_it_stands_for(self) -> None:
        assert b"Content-Length: 9\r\n" in encode_response(Response(304, "", Headers({"Content-Length": "9"})))

    def test_head_tells_the_length_of_what_it_does_not_send(self) -> None:
        assert encode_response(Response(200, "OK", body=b"body"), head=True) == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        )
        headers = Headers({"Content-Length": "1000", "Connection": "close"})
        assert encode_response(Response(200, "OK", headers), head=True) == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"
        )

    @pytest.mark.parametrize("lengths", [["3"], ["5"], ["4", "4"], ["0x4"]])
    def test_another_length_than_the_bodys(self, lengths: list[str]) -> None:
        headers = Headers([("Content-Length", length) for length in lengths])
        with pytest.raises(ValueError, match="Content-Length other than the body's, which is 4"):
            encode_response(Response(200, "OK", headers, b"body"))

    def test_transfer_encoding(self) -> None:
        with pytest.raises(ValueError, match="Transfer-Encoding"):
            encode_response(Response(200, "OK", Headers({"Transfer-Encoding": "chunked"})))

    @pytest.mark.parametrize("status", [-1, 0, 100, 102, 199, 1000])
    def test_bad_status(self, status: int) -> None:
        with pytest.raises(ValueError, match=r"^status "):
            encode_response(Response(status, ""))

    @pytest.mark.parametrize("bad", ["\r", "\n", "\x00", "\x7f", "😀"])
    def test_bad_reason(self, bad: str) -> None:
        with pytest.raises(ValueError, match=r"^reason "):
            encode_response(Response(200, f"OK{bad}"))

    def test_bad_version(self) -> None:
        with pytest.raises(ValueError, match=r"^version "):
            encode_response(Response(200, "OK", version="2"))


class TestRequestReader:
    def test_reads_a_request(self) -> None:
        request = read_request(REQUEST)
        assert (request.method, request.target, request.version) == ("GET", "/chat?room=1", "1.1")
        assert next(request.headers.raw_items()) == ("Host", "server.example.com")
        assert request.headers["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="

    def test_what_is_behind_the_head_is_kept(self) -> None:
        reader = RequestReader()
        assert reader.feed(REQUEST + b"\x81\x00") is not None
        assert reader.raw == REQUEST
        assert reader.trailing == b"\x81\x00"
        assert reader.feed(b"\x82\x00\r\n\r\n") is None
        assert reader.trailing == b"\x81\x00\x82\x00\r\n\r\n"
        reader.eof()  # no concern of the head's

    def test_nothing_is_trailing_before_the_end(self) -> None:
        reader = RequestReader()
        assert reader.feed(REQUEST[:50]) is None
        assert reader.trailing == b""
        assert reader.raw == b""

    def test_raw_can_be_parsed_again(self) -> None:
        reader = RequestReader()
        request = reader.feed(REQUEST)
        assert parse_request(reader.raw) == request

    def test_parse_request_wants_a_whole_head(self) -> None:
        with pytest.raises(HandshakeRejected, match="incomplete"):
            parse_request(REQUEST[:-2])

    @given(st.lists(st.integers(0, 1000), max_size=10))
    def test_segments_do_not_matter(self, places: list[int]) -> None:
        reader = RequestReader()
        requests = [reader.feed(segment) for segment in cut(REQUEST + b"frames", places)]
        assert [request for request in requests if request] == [read_request(REQUEST)]
        assert (reader.raw, reader.trailing) == (REQUEST, b"frames")

    @pytest.mark.parametrize("size", [0, 50, 120])
    def test_a_stream_that_ends_early(self, size: int) -> None:
        reader = RequestReader()
        reader.feed(REQUEST[:size])
        for _ in range(2):
            with pytest.raises(HandshakeRejected, match="stream ended"):
                reader.eof()
        with pytest.raises(HandshakeRejected, match="stream ended"):
            reader.feed(REQUEST[size:])

    def test_an_error_stays(self) -> None:
        reader = RequestReader()
        for data in (b"\x00", REQUEST, b""):
            with pytest.raises(HandshakeRejected, match="does not begin with a method"):
                reader.feed(data)
        with pytest.raises(HandshakeRejected, match="does not begin with a method"):
            reader.eof()

    def test_values_are_bytes_by_latin_1(self) -> None:
        assert read_request(request_with(b"X: \xc3\xa9 \x80\xff")).headers["X"] == "Ã© \x80ÿ"

    def test_http_1_0_is_read(self) -> None:
        # Health checks still use it; the handshake refuses it.
        request = read_request(request_with(first=b"GET /health HTTP/1.0", host=None))
        assert (request.version, request.path) == ("1.0", "/health")


class TestWhereH11sReadingStands:
    def test_folded_lines_are_joined(self) -> None:
        assert read_request(request_with(b"X: a", b"  b", b"\tc")).headers["X"] == "a b c"

    def test_a_bare_lf_ends_a_line(self) -> None:
        data = REQUEST.replace(b"\r\n", b"\n")
        assert read_request(data) == read_request(REQUEST)
        mixed = REQUEST.replace(b"\r\n\r\n", b"\n\r\n")
        assert read_request(mixed) == read_request(REQUEST)

    @pytest.mark.parametrize("first", [b"\r\n", b"\n", b"\r\n\r\n"])
    def test_an_empty_line_in_front_is_refused(self, first: bytes) -> None:
        assert rejected(first + REQUEST)[0] is Violation.BAD_REQUEST


class TestMalformedRequests:
    @pytest.mark.parametrize("character", [*range(0x20), 0x7F])
    def test_control_characters_in_a_value(self, character: int) -> None:
        data = request_with(b"X: a%cb" % character)
        if character in b"\t":
            assert read_request(data).headers["X"] == "a\tb"
        elif character in b"\n":
            assert rejected(data)[0] is Violation.BAD_REQUEST  # a line without a colon
        else:
            assert rejected(data)[0] is Violation.BAD_REQUEST

    @pytest.mark.parametrize("character", [*range(0x21), 0x7F, 0x80, 0xFF])
    def test_what_no_target_has(self, character: int) -> None:
        assert rejected(request_with(first=b"GET /a%cb HTTP/1.1" % character))[0] is Violation.BAD_REQUEST

    @pytest.mark.parametrize(
        "line",
        [
            b"X : a",  # RFC 9112 §5.1: no space between name and colon
            b"X\t: a",
            b"X\r\n : a",
            b"X",
            b": a",
            b"X Y: a",
            b"X\x00: a",
            b"X(: a",
            b"\xc3\xa9: a",
            b"X: a\r",
            b"X: a\rY: b",
            b"X: a\r\r\nY: b",
            b"X: \x00",
        ],
    )
    def test_field_lines(self, line: bytes) -> None:
        assert rejected(request_with(line))[0] is Violation.BAD_REQUEST

    @pytest.mark.parametrize(
        "line",
        [
            b"GET /",
            b"GET / HTTP",
            b"GET / HTTP/1",
            b"GET / HTTP/1.",
            b"GET / HTTP/11.1",
            b"GET / HTTP/1.10",
            b"GET / http/1.1",
            b"GET / HTTP/1.1 ",
            b"GET  / HTTP/1.1",
            b"GET / HTTP/1.1 x",
            b"GET HTTP/1.1",
            b"G(T / HTTP/1.1",
            b"GET / HTTP/-.1",
        ],
    )
    def test_request_lines(self, line: bytes) -> None:
        assert rejected(request_with(first=line))[0] is Violation.BAD_REQUEST

    def test_a_fold_before_any_field(self) -> None:
        assert rejected(request_with(b" folded", host=None))[0] is Violation.BAD_REQUEST

    @pytest.mark.parametrize("line", [b"PRI * HTTP/2.0", b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/9.9"])
    def test_other_major_versions(self, line: bytes) -> None:
        assert rejected(request_with(first=line))[0] is Violation.HTTP_VERSION

    def test_the_http2_preface(self) -> None:
        assert rejected(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == (Violation.HTTP_VERSION, "HTTP/2.0")

    def test_a_tls_client_hello_is_refused_at_its_first_byte(self) -> None:
        assert rejected(b"\x16") == (Violation.BAD_REQUEST, "TLS on a port without")

    @pytest.mark.parametrize("first", [b"\x00", b" ", b"(", b"\x80", b"{", b'"'])
    def test_garbage_is_refused_at_its_first_byte(self, first: bytes) -> None:
        assert rejected(first) == (Violation.BAD_REQUEST, "does not begin with a method")

    def test_the_detail_has_nothing_of_the_request(self) -> None:
        for line in (b"canary", b"canary : a", b"X: canary\x00"):
            assert "canary" not in rejected(request_with(line))[1]
        assert "canary" not in rejected(request_with(first=b"canary"))[1]


class TestHost:
    def test_missing(self) -> None:
        assert rejected(request_with(host=None))[0] is Violation.HOST

    @pytest.mark.parametrize("second", [b"Host: a", b"host: b"])
    def test_repeated(self, second: bytes) -> None:
        assert rejected(request_with(second))[0] is Violation.HOST

    @pytest.mark.parametrize("value", [b"", b"a b", b"a/b", b"user@a", b"a:b", b"a:65536", b"[::1", b"a,b c", b"\xe9"])
    def test_invalid(self, value: bytes) -> None:
        assert rejected(request_with(host=b"Host: " + value))[0] is Violation.HOST


class TestBodies:
    """What h11 itself refuses of bodies. The rest, ``ServerHandshake`` does."""

    @pytest.mark.parametrize(
        "lines",
        [
            [b"Content-Length: x"],
            [b"Content-Length: +5"],
            [b"Content-Length: -1"],
            [b"Content-Length: 0x0"],
            [b"Content-Length: 5, 6"],
            [b"Content-Length: 0", b"Content-Length: 5"],
            [b"Content-Length: " + b"1" * 21],
            [b"Content-Length:"],
            [b"Transfer-Encoding: gzip"],
            [b"Transfer-Encoding: chunked, chunked"],
            [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
            [b"Transfer-Encoding: xchunked"],
        ],
    )
    def test_malformed_framing(self, lines: list[bytes]) -> None:
        assert rejected(request_with(*lines))[0] is Violation.BODY


class TestLimitsOfRequests:
    def test_a_line_of_8_kib(self) -> None:
        longest = b"X: " + b"a" * (8192 - 3)
        assert read_request(request_with(longest)).headers["X"] == "a" * 8189
        assert rejected(request_with(longest + b"a")) == (Violation.HEAD_TOO_LARGE, "a line of more than 8192 bytes")

    def test_the_request_line(self) -> None:
        longest = b"GET /%b HTTP/1.1" % (b"a" * (8192 - 14))
        assert len(read_request(request_with(first=longest)).target) == 8179
        assert rejected(request_with(first=longest + b"a"))[0] is Violation.HEAD_TOO_LARGE

    def test_a_line_is_refused_before_it_ends(self) -> None:
        begun = request_with()[:-2]
        reader = RequestReader()
        assert reader.feed(begun + b"X: " + b"a" * 8189) is None
        assert reader.feed(b"\r") is None  # may be its end
        with pytest.raises(HandshakeRejected, match="line of more than 8192 bytes"):
            reader.feed(b"a")

    def test_folded_lines_count_for_their_field(self) -> None:
        lines = [b"X: " + b"a" * 4093, b" " + b"b" * 4095]
        assert len(read_request(request_with(*lines)).headers["X"]) == 4093 + 1 + 4095
        assert rejected(request_with(*lines, b" c"))[0] is Violation.HEAD_TOO_LARGE

    def test_a_field_behind_a_folded_one_counts_anew(self) -> None:
        lines = [b"X: " + b"a" * 5000, b" b", b"Y: " + b"a" * 5000]
        assert len(read_request(request_with(*lines)).headers["Y"]) == 5000

    def test_128_fields(self) -> None:
        fields = [b"X: a"] * 127  # and the Host
        assert len(read_request(request_with(*fields)).headers.get_all("X")) == 127
        assert rejected(request_with(*fields, b"X: a")) == (Violation.HEAD_TOO_LARGE, "more than 128 fields")

    def test_folded_lines_are_as_many_fields(self) -> None:
        assert rejected(request_with(*[b" a"] * 128)) == (Violation.HEAD_TOO_LARGE, "more than 128 fields")

    def test_64_kib_in_all(self) -> None:
        fields = [b"X: " + b"a" * 8187] * 7  # 8192 each with their CR LF
        rest = 65536 - len(request_with(*fields)) - len(b"Y: \r\n")
        assert len(read_request(request_with(*fields, b"Y: " + b"a" * rest)).headers["Y"]) == rest
        too_much = request_with(*fields, b"Y: " + b"a" * (rest + 1))
        assert rejected(too_much) == (Violation.HEAD_TOO_LARGE, "more than 65536 bytes")
        assert rejected(request_with(*fields)[:-2] + b"Y: " + b"a" * 8189 + b"\r\n") == (
            Violation.HEAD_TOO_LARGE,
            "more than 65536 bytes",
        )

    def test_the_limit_is_not_of_what_follows(self) -> None:
        reader = RequestReader()
        assert reader.feed(REQUEST + b"a" * 1_000_000) is not None
        assert len(reader.trailing) == 1_000_000

    def test_settings(self) -> None:
        assert rejected(REQUEST, max_field_size=20)[1] == "a line of more than 20 bytes"
        assert rejected(REQUEST, max_fields=4)[1] == "more than 4 fields"
        assert rejected(REQUEST, max_head_size=100)[1] == "more than 100 bytes"
        assert read_request(REQUEST, max_fields=5, max_head_size=len(REQUEST)) == read_request(REQUEST)


class Counting(bytearray):
    """A buffer that counts the bytes that were searched."""

    searched = 0

    def find(self, what: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(what, start)
        self.searched += (len(self) if found < 0 else found + 1) - start
        return found


@pytest.mark.parametrize(
    ("reader_type", "first", "fields"),
    [(RequestReader, b"GET / HTTP/1.1", 125), (ResponseReader, b"HTTP/1.1 101 ", 12)],
)
def test_a_large_head_in_segments_of_one_byte_is_looked_at_once(
    reader_type: Any, first: bytes, fields: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    class Connection(h11.Connection):
        def receive_data(self, data: bytes) -> None:
            parsed.append(len(data))
            super().receive_data(data)

    monkeypatch.setattr(h11, "Connection", Connection)
    data = request_with(*[b"X: " + b"a" * 8000] * fields, first=first)  # the request has a million bytes
    reader = reader_type(max_head_size=1 << 20)
    counting = reader._scanner.buffer = Counting()
    for place in range(len(data) - 1):
        assert reader.feed(data[place : place + 1]) is None
    assert reader.feed(data[-1:]) is not None
    assert counting.searched == len(data)
    assert parsed == [len(data)]


PIECES = b"""GET |POST |/| HTTP/1.1| HTTP/1.0|
|Host: |a|: | |\r
|\r|Upgrade: websocket\r
|Connection: Upgrade\r
|Sec-WebSocket-Version: 13\r
|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
|Sec-WebSocket-Extensions: |x; a=1, |Sec-WebSocket-Protocol: |Origin: |http://|Content-Length: |0|
|Transfer-Encoding: chunked\r
|Expect: 100-continue\r
|#|\x00|\xff|aaaaaaaaaaaaaaaaaaaaaaaaa""".split(b"|")


def changed(data: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes somewhere in ``data`` exchanged for others."""
    changes = st.tuples(st.integers(0, len(data)), st.integers(0, 20), st.binary(max_size=20))
    return changes.map(lambda change: data[: change[0]] + change[2] + data[change[0] + change[1] :])


def answer(segments: list[bytes]) -> bytes:
    """What a server with small limits answers."""
    reader = RequestReader(max_field_size=200, max_fields=8, max_head_size=400)
    handshake = ServerHandshake()
    try:
        for segment in segments:
            request = reader.feed(segment)
            if request is not None:
                return encode_response(handshake.accept(request).response)
        reader.eof()
    except HandshakeRejected as error:
        return encode_response(handshake.reject(error))
    raise AssertionError("unreachable")


@given(
    st.one_of(st.binary(), st.lists(st.sampled_from(PIECES)).map(b"".join), changed(REQUEST)),
    st.lists(st.integers(0, 1000), max_size=10),
)
@example(REQUEST, [])
def test_whatever_arrives_gets_one_of_the_known_answers(data: bytes, places: list[int]) -> None:
    version, status, _ = answer(cut(data, places)).split(b" ", 2)
    assert version == b"HTTP/1.1"
    assert int(status) in {101, 400, 403, 405, 426, 431, 505}


class TestResponseReader:
    def test_101_is_complete_with_its_head(self) -> None:
        reader = ResponseReader()
        response = reader.feed(SWITCHING + b"\x81\x00")
        assert response is not None
        assert (response.status, response.reason, response.version) == (101, "Switching Protocols", "1.1")
        assert list(response.headers.raw_items()) == [("Upgrade", "websocket"), ("Connection", "Upgrade")]
        assert (response.body, response.body_truncated) == (b"", False)
        assert reader.trailing == b"\x81\x00"
        assert reader.feed(b"\x82\x00") is None
        assert reader.trailing == b"\x81\x00\x82\x00"
        assert reader.eof() is None

    def test_101_has_no_body_whatever_it_says(self) -> None:
        # RFC 9112 §6.3
        reader = ResponseReader()
        assert reader.feed(SWITCHING[:-2] + b"Content-Length: 2\r\n\r\n\x81\x00") is not None
        assert reader.trailing == b"\x81\x00"

    @given(st.lists(st.integers(0, 1000), max_size=10))
    def test_segments_do_not_matter(self, places: list[int]) -> None:
        reader = ResponseReader()
        responses = [reader.feed(segment) for segment in cut(SWITCHING + b"frames", places)]
        assert [response for response in responses if response] == [read_response(SWITCHING)]
        assert reader.trailing == b"frames"

    @given(st.lists(st.integers(0, 1000), max_size=10))
    def test_segments_of_a_body_do_not_matter(self, places: list[int]) -> None:
        head = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = head + b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\n"
        assert read_response(*cut(data, places)).body == b"abcdefg"

    def test_a_body_of_a_given_length(self) -> None:
        response = read_response(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nbo", b"", b"dyrest")
        assert (response.status, response.body, response.body_truncated) == (403, b"body", False)

    def test_a_body_up_to_the_end(self) -> None:
        response = read_response(b"HTTP/1.0 500 Oops\r\n\r\nbo", b"dy", eof=True)
        assert (response.version, response.body, response.body_truncated) == ("1.0", b"body", False)

    def test_no_body(self) -> None:
        assert read_response(b"HTTP/1.1 204 No Content\r\n\r\n").body == b""
        assert read_response(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").reason == ""

    @pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked", b"X: by the end"])
    def test_a_long_body_is_cut(self, framing: bytes) -> None:
        body = b"a\r\n" + b"b" * 10 + b"\r\n" if b"chunked" in framing else b"b" * 10
        response = read_response(b"HTTP/1.1 400 \r\n" + framing + b"\r\n\r\n" + body, max_body_size=9)
        assert (response.body, response.body_truncated) == (b"b" * 9, True)

    def test_a_body_of_just_the_limit(self) -> None:
        data = b"HTTP/1.1 400 \r\nContent-Length: 9\r\n\r\n" + b"b" * 9
        response = read_response(data, max_body_size=9)
        assert (response.body, response.body_truncated) == (b"b" * 9, False)

    def test_a_body_that_ends_early_is_cut(self) -> None:
        response = read_response(b"HTTP/1.1 400 \r\nContent-Length: 10\r\n\r\nabc", eof=True)
        assert (response.body, response.body_truncated) == (b"abc", True)

    def test_a_broken_body_is_cut(self) -> None:
        data = b"HTTP/1.1 401 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n"
        response = read_response(data)
        assert (response.status, response.body, response.body_truncated) == (401, b"abc", True)

    def test_a_chunk_header_without_an_end_is_cut(self) -> None:
        head = b"HTTP/1.1 401 \r\nTransfer-Encoding: chunked\r\n\r\n"
        assert read_response(head + b"3;" + b"x" * 70_000).body_truncated

    def test_nothing_comes_after_the_end(self) -> None:
        reader = ResponseReader()
        assert reader.feed(b"HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n") is not None
        assert reader.feed(b"HTTP/1.1 101 \r\n\r\n") is None
        assert reader.eof() is None

    @pytest.mark.parametrize("informational", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 \r\nLink: a\r\n\r\n"])
    def test_informational_responses_are_skipped(self, informational: bytes) -> None:
        assert read_response(informational * 8 + SWITCHING).status == 101
        assert response_rejected(informational * 9) == (Violation.BAD_RESPONSE, "too many informational responses")
        # Cut in between.
        assert read_response(informational, b"HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n").status == 400

    @pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 ", SWITCHING[:-1]])
    def test_a_stream_that_ends_early(self, data: bytes) -> None:
        reader = ResponseReader()
        reader.feed(data)
        for _ in range(2):
            with pytest.raises(ResponseRejected, match="stream ended"):
                reader.eof()

    def test_an_error_stays(self) -> None:
        reader = ResponseReader()
        for data in (b"SSH-2.0", SWITCHING):
            with pytest.raises(ResponseRejected, match="not HTTP"):
                reader.feed(data)
        with pytest.raises(ResponseRejected, match="not HTTP"):
            reader.eof()

    def test_other_protocols_are_refused_at_the_first_byte(self) -> None:
        for data in (b"S", b"\x15", b"HTTQ", b"\r\n", b" "):
            assert response_rejected(data) == (Violation.BAD_RESPONSE, "not HTTP")

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 101\x00 \r\n\r\n",
            b"HTTP/1.1 10 \r\n\r\n",
            b"HTTP/1.1 099 \r\n\r\n",
            b"HTTP/1.1 1010 \r\n\r\n",
            b"HTTP/1.1 101 a\rb\r\n\r\n",
            b"HTTP/1.1  101 \r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 101 \r\nX : a\r\n\r\n",
            b"HTTP/1.1 101 \r\nX: a\x00\r\n\r\n",
            b"HTTP/1.1 101 \r\nX: a\x01\r\n\r\n",
            b"HTTP/1.1 101 \r\nX: a\rY: b\r\n\r\n",
            b"HTTP/1.1 101 \r\n X: a\r\n\r\n",
            b"HTTP/1.1 101 \r\nX\r\n\r\n",
            b"HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 \r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/2.0 101 \r\n\r\n",
        ],
    )
    def test_malformed_responses(self, data: bytes) -> None:
        assert response_rejected(data)[0] is Violation.BAD_RESPONSE

    def test_limits(self) -> None:
        line = b"X: " + b"a" * 8189
        assert read_response(SWITCHING[:-2] + line + b"\r\n\r\n").headers["X"] == "a" * 8189
        too_large = Violation.RESPONSE_TOO_LARGE
        assert response_rejected(SWITCHING[:-2] + line + b"a\r\n\r\n") == (too_large, "a line of more than 8192 bytes")
        assert response_rejected(SWITCHING[:-2] + b"X: a\r\n" * 127) == (too_large, "more than 128 fields")
        assert response_rejected(SWITCHING[:-2] + (line + b"\r\n") * 8) == (too_large, "more than 65536 bytes")
        assert response_rejected(b"HTTP/1.1 101 " + b"a" * 9000)[0] is too_large

    @given(
        st.one_of(
            st.binary(),
            st.binary().map(lambda data: b"HTTP/1.1 " + data),
            changed(SWITCHING),
            st.binary().map(lambda data: b"HTTP/1.1 400 \r\nTransfer-Encoding: chunked\r\n\r\n" + data),
        ),
        st.lists(st.integers(0, 1000), max_size=10),
    )
    def test_whatever_arrives_is_a_response_or_refused(self, data: bytes, places: list[int]) -> None:
        reader = ResponseReader(max_field_size=200, max_fields=8, max_head_size=400, max_body_size=10)
        try:
            responses = [*(reader.feed(segment) for segment in cut(data, places)), reader.eof()]
        except ResponseRejected:
            return
        (response,) = [response for response in responses if response is not None]
        assert len(response.body) <= 10


class TestValues:
    @pytest.mark.parametrize(
        ("target", "path", "authority"),
        [
            ("/a?b", "/a?b", None),
            ("http://a:80/b?c", "/b?c", "a:80"),
            ("HTTPS://a", "/", "a"),
            ("https://a?b", "/?b", "a"),
            ("*", "*", None),
            ("a:80", "a:80", None),
            ("ftp://a/b", "ftp://a/b", None),
        ],
    )
    def test_path_and_authority(self, target: str, path: str, authority: str | None) -> None:
        request = Request("GET", target, Headers())
        assert (request.path, request.authority) == (path, authority)

    def test_response_has_the_names_of_websockets_too(self) -> None:
        response = Response(404, "Not Found")
        assert (response.status_code, response.reason_phrase) == (404, "Not Found")
        assert list(response.headers) == []

    def test_can_be_pickled(self) -> None:
        request, response = read_request(REQUEST), Response(404, "", Headers({"A": "1"}), b"body")
        assert pickle.loads(pickle.dumps((request, response))) == (request, response)


def test_h11_is_asked_for_nothing_else() -> None:
    # Words of h11 that tell one broken rule from another: a new version may say it in other words.
    for data, violation in (
        (request_with(host=None), Violation.HOST),
        (request_with(b"Host: b"), Violation.HOST),
        (request_with(b"Content-Length: 1", b"Content-Length: 2"), Violation.BODY),
        (request_with(b"Content-Length: x"), Violation.BODY),
        (request_with(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), Violation.BODY),
        (request_with(b"Transfer-Encoding: x"), Violation.BODY),
    ):
        with pytest.raises(HandshakeRejected) as caught:
            parse_request(data)
        assert caught.value.violation is violation
    assert {violation.status for violation in http11._H11_COMPLAINTS.values()} == {400}
