"""WebSocket URIs, and the rules of redirects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowstring.drivers._shared.uri import Redirect, WebSocketURI, parse_uri
from bowstring.exceptions import InvalidURI, ResponseRejected, Violation
from bowstring.protocol.handshake.client import ClientHandshake
from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import Response, encode_request

pytestmark = pytest.mark.one_twin


class TestParts:
    @pytest.mark.parametrize(
        ("uri", "parts"),
        [
            ("ws://example.com", WebSocketURI(secure=False, host="example.com", port=80)),
            ("wss://example.com", WebSocketURI(secure=True, host="example.com", port=443)),
            ("WSS://EXAMPLE.com:8443/A?B", WebSocketURI(True, "example.com", 8443, "/A", "B")),
            ("ws://example.com:", WebSocketURI(False, "example.com", 80)),
            ("ws://example.com/", WebSocketURI(False, "example.com", 80, "/")),
            ("ws://example.com?a=b", WebSocketURI(False, "example.com", 80, "", "a=b")),
            ("ws://example.com/?", WebSocketURI(False, "example.com", 80, "/")),
            ("ws://127.0.0.1:1", WebSocketURI(False, "127.0.0.1", 1)),
            ("ws://a_b-c.example.:65535", WebSocketURI(False, "a_b-c.example.", 65535)),
            ("ws://[::1]:8765/x", WebSocketURI(False, "::1", 8765, "/x")),
            ("ws://[FE80:0::1%25eth0]", WebSocketURI(False, "fe80::1%eth0", 80)),
            ("ws://user:pw@example.com", WebSocketURI(False, "example.com", 80, "", "", "user", "pw")),
            ("ws://u%40s:p%3Aw%2F%20@example.com", WebSocketURI(False, "example.com", 80, "", "", "u@s", "p:w/ ")),
            ("ws://user:p:w@example.com", WebSocketURI(False, "example.com", 80, "", "", "user", "p:w")),
            ("ws://token@example.com", WebSocketURI(False, "example.com", 80, "", "", "token", "")),
            ("ws://:pw@example.com", WebSocketURI(False, "example.com", 80, "", "", "", "pw")),
            ("ws://@example.com", WebSocketURI(False, "example.com", 80)),
            # IRIs.
            (
                "ws://bücher.example/ä?ö=€",
                WebSocketURI(False, "xn--bcher-kva.example", 80, "/%C3%A4", "%C3%B6=%E2%82%AC"),
            ),
            ("ws://example.com/😀", WebSocketURI(False, "example.com", 80, "/%F0%9F%98%80")),
            # What is escaped stays, what has to be is.
            ("ws://example.com/%41%2f?%20+&=", WebSocketURI(False, "example.com", 80, "/%41%2f", "%20+&=")),
            ('ws://example.com/"<>\\^`{|}', WebSocketURI(False, "example.com", 80, "/%22%3C%3E%5C%5E%60%7B%7C%7D")),
            ("ws://example.com/a@b:c//d?e[]=f?/", WebSocketURI(False, "example.com", 80, "/a@b:c//d", "e[]=f?/")),
            ("ws://example.com/a/../b/./c", WebSocketURI(False, "example.com", 80, "/a/../b/./c")),
        ],
    )
    def test_of(self, uri: str, parts: WebSocketURI) -> None:
        assert parse_uri(uri) == parts

    @pytest.mark.parametrize(
        ("uri", "host_header"),
        [
            ("ws://example.com", "example.com"),
            ("ws://example.com:80", "example.com"),
            ("ws://example.com:443", "example.com:443"),
            ("wss://example.com:443", "example.com"),
            ("wss://example.com:80", "example.com:80"),
            ("ws://[::1]", "[::1]"),
            ("ws://[::1]:8765", "[::1]:8765"),
            ("ws://[fe80::1%25eth0]:8765", "[fe80::1]:8765"),
        ],
    )
    def test_host_header(self, uri: str, host_header: str) -> None:
        assert parse_uri(uri).host_header == host_header

    @pytest.mark.parametrize(
        ("uri", "target"),
        [("ws://a", "/"), ("ws://a?b", "/?b"), ("ws://a/b", "/b"), ("ws://a/b/?c", "/b/?c"), ("ws://a//b", "//b")],
    )
    def test_target(self, uri: str, target: str) -> None:
        assert parse_uri(uri).target == target

    def test_authorization(self) -> None:
        # RFC 7617 §2
        assert parse_uri("ws://Aladdin:open%20sesame@a").authorization == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        assert parse_uri("ws://test:123%C2%A3@a").authorization == "Basic dGVzdDoxMjPCow=="
        assert parse_uri("ws://a").authorization is None

    def test_nothing_shows_the_password(self) -> None:
        uri = parse_uri("ws://user:secret@example.com:81/a?b")
        assert "secret" not in repr(uri)
        assert str(uri) == "ws://example.com:81/a?b"
        assert str(parse_uri("wss://[fe80::1%25eth0]")) == "wss://[fe80::1%25eth0]/"


class TestRefused:
    @pytest.mark.parametrize(
        ("uri", "problem"),
        [
            ("", "scheme"),
            ("example.com", "scheme"),
            ("//example.com", "scheme"),
            ("http://example.com", "scheme"),
            ("https://example.com", "scheme"),
            ("wsss://example.com", "scheme"),
            ("ws:", "host is missing"),
            ("ws:example.com", "host is missing"),
            ("ws:/example.com", "host is missing"),
            ("ws://", "host is missing"),
            ("ws:///path", "host is missing"),
            ("ws://:80", "host is missing"),
            ("ws://user:pw@", "host is missing"),
            ("ws://example.com/#", "fragment"),
            ("ws://example.com/#a", "fragment"),
            ("ws://example.com#a", "fragment"),
            ("ws://example.com:0", "port is 0"),
            ("ws://example.com:65536", "port"),
            ("ws://example.com:-1", "port"),
            ("ws://example.com:+1", "port"),
            ("ws://example.com:1_0", "port"),
            ("ws://example.com:x", "port"),
            ("ws://example.com:80:80", "port"),
            ("ws://example.com:٨٠", "port"),
            ("ws://exa mple.com", "white space"),
            (" ws://example.com", "white space"),
            ("ws://example.com/a b", "white space"),
            ("ws://example.com/a\u00a0b", "white space"),
            ("ws://example.com/\r\nX: 1", "control"),
            ("ws://example.com/\n", "control"),
            ("ws://example.com/\x00", "control"),
            ("ws://exam\tple.com/", "control"),
            ("ws://example.com/\x7f", "control"),
            ("ws://example.com/%", "percent"),
            ("ws://example.com/%4", "percent"),
            ("ws://example.com/?%zz", "percent"),
            ("ws://ex%41mple.com/", "not a name"),
            ("ws://exa!mple.com/", "not a name"),
            ("ws://a..b/", "not a name"),
            ("ws://.a/", "not a name"),
            ("ws://./", "not a name"),
            (f"ws://{'a' * 64}.com/", "not a name"),
            (f"ws://{'a.' * 127}com/", "not a name"),
            ("ws://\u2100.com/", "malformed host"),
            ("ws://\ud800.com/", "not a name"),
            ("ws://\u00ad/", "host"),
            ("ws://example.com\\@evil.example/", "user information"),
            ("ws://[::1", "host|IPv6"),
            ("ws://::1/", "host"),
            ("ws://[]/", "host|IPv6"),
            ("ws://[g::]/", "host|IPv6"),
            ("ws://[1::2::3]/", "host|IPv6"),
            ("ws://[::1]x/", "host"),
            ("ws://x[::1]/", "host"),
            ("ws://[v1.a]/", "host|IPv6"),
            ("ws://[fe80::1%eth0]/", "percent"),
            ("ws://[fe80::1%25]/", "host"),
            ("ws://a@b@example.com", "user information"),
            ("ws://us%3Aer:pw@example.com", "colon"),
            ("ws://user%0d:pw@example.com", "control"),
            ("ws://user:p%00w@example.com", "control"),
            ("ws://user:%ff@example.com", "encoded"),
            ("ws://example.com/\ud800", "encoded"),
        ],
    )
    def test_for(self, uri: str, problem: str) -> None:
        with pytest.raises(InvalidURI, match=problem) as caught:
            parse_uri(uri)
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("uri", [None, b"ws://example.com", 1])
    def test_other_types(self, uri: Any) -> None:
        with pytest.raises(TypeError, match="uri must be a str"):
            parse_uri(uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "ws://user:secret@example.com/#a",
            "http://user:secret@a",
            "ws://user:secret@\u2100",
            "ws://u:secr/secret@a b",
        ],
    )
    def test_without_showing_the_password(self, uri: str) -> None:
        with pytest.raises(InvalidURI) as caught:
            parse_uri(uri)
        assert "secret" not in str(caught.value)
        assert "secret" not in caught.value.uri
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    @settings(deadline=None)
    @given(
        st.text().map(lambda text: f"ws://{text}")
        | st.text(":/?#[]@%.a1\u00fc\ud800\\ \r").map(lambda text: f"ws://{text}")
    )
    def test_whatever_passes_can_be_sent(self, text: str) -> None:
        try:
            uri = parse_uri(text)
        except InvalidURI:
            return
        handshake = ClientHandshake(host=uri.host_header, target=uri.target, nonce=b"the sample nonce")
        assert encode_request(handshake.request).count(b"\r\n\r\n") == 1
        again = parse_uri(str(uri))
        assert again.has_same_origin(uri)
        assert again.target == uri.target


def redirect(uri: str, location: str | list[str], status: int = 302, *, user: str = "") -> tuple[str, bool]:
    """Where a response leads, and whether credentials may go along."""
    locations = [location] if isinstance(location, str) else location
    headers = Headers([("Location", one) for one in locations])
    found = Redirect.of(parse_uri(uri), Response(status, "", headers))
    assert found is not None
    return str(found.uri), found.same_origin


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_statuses(self, status: int) -> None:
        assert redirect("ws://a/", "/b", status) == ("ws://a/b", True)

    @pytest.mark.parametrize("status", [101, 200, 201, 300, 304, 305, 306, 400, 503])
    def test_other_statuses(self, status: int) -> None:
        assert Redirect.of(parse_uri("ws://a"), Response(status, "", Headers({"Location": "/b"}))) is None

    def test_without_a_location(self) -> None:
        assert Redirect.of(parse_uri("ws://a"), Response(302, "")) is None

    @pytest.mark.parametrize(
        ("uri", "location", "result"),
        [
            ("ws://a/b/c?d", "/x", ("ws://a/x", True)),
            ("ws://a/b/c?d", "x", ("ws://a/b/x", True)),
            ("ws://a/b/c?d", "../x", ("ws://a/x", True)),
            ("ws://a/b/c?d", "?x", ("ws://a/b/c?x", True)),
            ("ws://a/b/c?d", "", ("ws://a/b/c?d", True)),
            ("ws://a/b", "//a/x", ("ws://a/x", True)),
            ("ws://a/b", "//c/x", ("ws://c/x", False)),
            ("ws://a/b", "ws://a:80/x", ("ws://a/x", True)),
            ("ws://a/b", "ws://A/x", ("ws://a/x", True)),
            ("ws://a/b", "ws://a:81/x", ("ws://a:81/x", False)),
            ("ws://a/b", "ws://b/x", ("ws://b/x", False)),
            ("ws://a/b", "wss://a/x", ("wss://a/x", False)),
            ("wss://a/b", "wss://a/x", ("wss://a/x", True)),
            ("wss://a/b", "wss://b/x", ("wss://b/x", False)),
            # From servers that know nothing of WebSocket.
            ("ws://a/b", "http://a/x", ("ws://a/x", True)),
            ("ws://a/b", "https://a/x", ("wss://a/x", False)),
            ("wss://a/b", "HTTPS://a:443/x", ("wss://a/x", True)),
            # RFC 9110 §10.2.2: a fragment is allowed there.
            ("ws://a/b", "/x#y", ("ws://a/x", True)),
            # UTF-8, which arrives as ISO-8859-1.
            ("ws://a/b", "/\xc3\xa4", ("ws://a/%C3%A4", True)),
            ("ws://[fe80::1%25eth0]:81/b", "/x", ("ws://[fe80::1%25eth0]:81/x", True)),
        ],
    )
    def test_leads_to(self, uri: str, location: str, result: tuple[str, bool]) -> None:
        assert redirect(uri, location) == result

    @pytest.mark.parametrize("location", ["ws://a/x", "http://a/x", "ws://a:443/x", "ws://b/", "HTTP://a"])
    def test_never_from_wss_to_ws(self, location: str) -> None:
        with pytest.raises(ResponseRejected, match="from wss to ws") as caught:
            redirect("wss://a/", location)
        assert caught.value.violation is Violation.REDIRECT

    @pytest.mark.parametrize(
        "location",
        [
            "ftp://a/",
            "javascript:alert(1)",
            "data:,x",
            "ws://[",
            "http:",
            "ws://a:99999/",
            "/a b",
            "/a\tb",
            "/\xff",
            "/%zz",
            "//[::1",
        ],
    )
    def test_to_what_is_no_uri(self, location: str) -> None:
        with pytest.raises(ResponseRejected, match="redirect cannot be followed") as caught:
            redirect("ws://a/", location)
        assert caught.value.violation is Violation.REDIRECT

    def test_a_repeated_location(self) -> None:
        with pytest.raises(ResponseRejected, match="repeated"):
            redirect("ws://a/", ["/b", "/b"])

    def test_user_information_stays_within_its_origin(self) -> None:
        uri = parse_uri("ws://user:pw@a/")
        for location, user in (
            ("/b", "user"),
            ("ws://a/b", "user"),
            ("ws://evil:x@a/b", "user"),
            ("ws://b/", None),
            ("wss://a/", None),
            ("ws://evil:x@b/", None),
        ):
            found = Redirect.of(uri, Response(302, "", Headers({"Location": location})))
            assert found is not None
            assert found.uri.username == user
            assert found.uri.password == (user and "pw")

    def test_user_information_does_not_come_back(self) -> None:
        away = Redirect.of(parse_uri("ws://user:pw@a/"), Response(302, "", Headers({"Location": "ws://b/"})))
        assert away is not None
        back = Redirect.of(away.uri, Response(302, "", Headers({"Location": "ws://a/"})))
        assert back is not None
        assert (back.uri.username, back.same_origin) == (None, False)
