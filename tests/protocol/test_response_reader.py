"""Reading responses: with frames behind them, with bodies of every framing, and malformed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowstring.exceptions import ResponseRejected, Violation
from bowstring.protocol.http11 import Response, ResponseReader

from .heads import SWITCHING, changed, cut

pytestmark = pytest.mark.one_twin


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

    @settings(deadline=None)
    @given(st.lists(st.integers(0, 1000), max_size=10))
    def test_segments_do_not_matter(self, places: list[int]) -> None:
        reader = ResponseReader()
        responses = [reader.feed(segment) for segment in cut(SWITCHING + b"frames", places)]
        assert [response for response in responses if response] == [read_response(SWITCHING)]
        assert reader.trailing == b"frames"

    @settings(deadline=None)
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

    @settings(deadline=None)
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
