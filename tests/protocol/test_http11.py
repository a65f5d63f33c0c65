"""Requests and responses as values, and the bytes that they are sent as."""

from __future__ import annotations

import pickle

import pytest

from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import Request, Response, encode_request, encode_response, parse_request

from .heads import REQUEST

pytestmark = pytest.mark.one_twin


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
        request, response = parse_request(REQUEST), Response(404, "", Headers({"A": "1"}), b"body")
        assert pickle.loads(pickle.dumps((request, response))) == (request, response)
