"""Reading requests: every segment, every limit, everything that is malformed."""

from __future__ import annotations

from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bowstring.exceptions import HandshakeRejected, Violation
from bowstring.protocol import http11
from bowstring.protocol.handshake.server import ServerHandshake
from bowstring.protocol.http11 import Request, RequestReader, ResponseReader, encode_response, parse_request

from .heads import REQUEST, changed, cut, request_with

pytestmark = pytest.mark.one_twin


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

    @settings(deadline=None)
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


@settings(deadline=None)
@given(
    st.one_of(st.binary(), st.lists(st.sampled_from(PIECES)).map(b"".join), changed(REQUEST)),
    st.lists(st.integers(0, 1000), max_size=10),
)
@example(REQUEST, [])
def test_whatever_arrives_gets_one_of_the_known_answers(data: bytes, places: list[int]) -> None:
    version, status, _ = answer(cut(data, places)).split(b" ", 2)
    assert version == b"HTTP/1.1"
    assert int(status) in {101, 400, 403, 405, 426, 431, 505}


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
