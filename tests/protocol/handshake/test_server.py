"""The server's half of the opening handshake, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from bowstring.constants import RSV1, RSV2
from bowstring.exceptions import HandshakeRejected, Violation
from bowstring.protocol.handshake.server import SERVER_HEADER, Accepted, ServerHandshake, accept_key
from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import Request, RequestReader, encode_response

from .doubles import FakeFactory

pytestmark = pytest.mark.one_twin

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = {
    "Host": ["server.example.com"],
    "Upgrade": ["websocket"],
    "Connection": ["Upgrade"],
    "Sec-WebSocket-Key": [KEY],
    "Sec-WebSocket-Version": ["13"],
}


def request(method: str = "GET", target: str = "/chat", version: str = "1.1", **fields: str | list[str]) -> Request:
    """A good request, with some fields exchanged (``_`` for ``-``); an empty list takes one away."""
    values = FIELDS | {
        name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in fields.items()
    }
    return Request(
        method, target, Headers([(name, one) for name, several in values.items() for one in several]), version
    )


def accept(req: Request, **settings: Any) -> Accepted:
    return ServerHandshake(**settings).accept(req)


def rejected(req: Request, **settings: Any) -> HandshakeRejected:
    with pytest.raises(HandshakeRejected) as caught:
        accept(req, **settings)
    return caught.value


def test_the_example_of_the_rfc_byte_for_byte() -> None:
    # RFC 6455 §1.3
    request = RequestReader().feed(
        b"GET /chat HTTP/1.1\r\n"
        b"Host: server.example.com\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Origin: http://example.com\r\n"
        b"Sec-WebSocket-Protocol: chat, superchat\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"\r\n"
    )
    assert request is not None
    handshake = ServerHandshake(origins=["http://example.com"], subprotocols=["chat"], server_header=None)
    assert encode_response(handshake.accept(request).response) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )


def test_accept_key() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class TestRequestLine:
    @pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "CONNECT", "get", "TRACE"])
    def test_method(self, method: str) -> None:
        error = rejected(request(method))
        assert (error.violation, error.status) == (Violation.METHOD, 405)

    @pytest.mark.parametrize("version", ["1.0", "1.2", "2", "3", "0.9"])
    def test_version(self, version: str) -> None:
        error = rejected(request(version=version))
        assert (error.violation, error.status) == (Violation.HTTP_VERSION, 505)

    @pytest.mark.parametrize("target", ["/", "/a/b?c=d&e", "//", "/%00", "/*"])
    def test_targets(self, target: str) -> None:
        assert accept(request(target=target))

    @pytest.mark.parametrize(
        "target", ["*", "server.example.com:80", "chat", "ws://server.example.com/", "/#", "/a#b", ""]
    )
    def test_what_is_no_target(self, target: str) -> None:
        error = rejected(request(target=target))
        assert (error.violation, error.status) == (Violation.BAD_REQUEST, 400)

    @pytest.mark.parametrize(
        "target", ["http://server.example.com/chat", "HTTPS://Server.Example.com", "http://server.example.com?a"]
    )
    def test_absolute_targets(self, target: str) -> None:
        # RFC 9112 §3.2.2: a server has to accept them.
        assert accept(request(target=target))

    @pytest.mark.parametrize(
        "target",
        ["http://other.example.com/", "http://server.example.com:80/", "http://a@server.example.com/", "http:///"],
    )
    def test_absolute_targets_of_another_host(self, target: str) -> None:
        assert rejected(request(target=target)).violation is Violation.HOST


class TestHost:
    @pytest.mark.parametrize("hosts", [[], ["a", "a"], ["a", "b"], [""], ["a b"], ["a/b"], ["a:x"], ["user@a"]])
    def test_not_exactly_one_that_is_valid(self, hosts: list[str]) -> None:
        error = rejected(request(Host=hosts))
        assert (error.violation, error.status) == (Violation.HOST, 400)


class TestBody:
    def test_a_length_of_0_is_none(self) -> None:
        assert accept(request(Content_Length="0"))

    @pytest.mark.parametrize("lengths", [["5"], ["0", "5"], ["-1"], ["x"], ["00"]])
    def test_a_length(self, lengths: list[str]) -> None:
        error = rejected(request(Content_Length=lengths))
        assert (error.violation, error.status) == (Violation.BODY, 400)

    @pytest.mark.parametrize("fields", [{}, {"Content_Length": "0"}, {"Content_Length": "5"}])
    def test_a_transfer_encoding(self, fields: dict[str, str]) -> None:
        assert rejected(request(Transfer_Encoding="chunked", **fields)).violation is Violation.BODY


class TestUpgrade:
    @pytest.mark.parametrize(
        "values", [["websocket"], ["WebSocket"], ["h2c, WEBSOCKET"], ["h2c", "websocket"], [",websocket,"]]
    )
    def test_has_websocket(self, values: list[str]) -> None:
        assert accept(request(Upgrade=values))

    @pytest.mark.parametrize(
        "values", [[], [""], ["h2c"], ["websocket2"], ["web socket"], ["websocket/13"], ['"websocket"']]
    )
    def test_has_not(self, values: list[str]) -> None:
        error = rejected(request(Upgrade=values))
        assert (error.violation, error.status) == (Violation.UPGRADE, 426)


class TestConnection:
    @pytest.mark.parametrize("values", [["Upgrade"], ["keep-alive, Upgrade"], ["keep-alive", "UPGRADE"], ["upgrade ,"]])
    def test_has_upgrade(self, values: list[str]) -> None:
        assert accept(request(Connection=values))

    @pytest.mark.parametrize("values", [[], [""], ["keep-alive"], ["Upgraded"], ["Up grade"], ["(Upgrade)"]])
    def test_has_not(self, values: list[str]) -> None:
        error = rejected(request(Connection=values))
        assert (error.violation, error.status) == (Violation.CONNECTION, 426)


class TestKey:
    @pytest.mark.parametrize(
        "key", [KEY, "AAAAAAAAAAAAAAAAAAAAAA==", "/+/+/+/+/+/+/+/+/+/+/w==", "AAAAAAAAAAAAAAAAAAAAAB=="]
    )
    def test_16_bytes(self, key: str) -> None:
        assert accept(request(Sec_WebSocket_Key=key)).response.headers["Sec-WebSocket-Accept"] == accept_key(key)

    @pytest.mark.parametrize(
        "keys",
        [
            [],
            [""],
            [KEY, KEY],
            ["x"],
            ["AAAAAAAAAAAAAAAAAAAA"],  # 15 bytes
            ["AAAAAAAAAAAAAAAAAAAAAAA="],  # 17
            ["AAAAAAAAAAAAAAAAAAAAAA"],
            ["AAAAAAAAAAAAAAAAAAAAAA==AAAA"],
            ["AAAAAAAAAAAAAAAAAAAAA-=="],
            ["AAAAAAAAAAAAAAAAAAAAA A="],
            ["é" * 24],
        ],
    )
    def test_is_none(self, keys: list[str]) -> None:
        error = rejected(request(Sec_WebSocket_Key=keys))
        assert (error.violation, error.status) == (Violation.KEY, 400)


class TestWebSocketVersion:
    @pytest.mark.parametrize(
        "versions", [[], ["8"], ["12"], ["14"], ["013"], ["13, 8"], ["13", "13"], ["13", "8"], ["x"], [""]]
    )
    def test_is_not_13(self, versions: list[str]) -> None:
        error = rejected(request(Sec_WebSocket_Version=versions))
        assert (error.violation, error.status) == (Violation.WEBSOCKET_VERSION, 426)

    def test_comes_before_the_key(self) -> None:
        error = rejected(request(Sec_WebSocket_Version="0", Sec_WebSocket_Key=[]))
        assert error.violation is Violation.WEBSOCKET_VERSION


class TestSubprotocol:
    @pytest.mark.parametrize(
        ("ours", "offered", "chosen"),
        [
            (["chat"], ["chat, superchat"], "chat"),
            (["superchat", "chat"], ["chat, superchat"], "superchat"),  # our preference
            (["chat", "superchat"], ["superchat", "chat"], "chat"),  # repeated
            (["chat"], ["Chat"], None),  # case matters
            (["chat"], ["other"], None),
            (["chat"], [], None),
            (None, ["chat"], None),
        ],
    )
    def test_is_the_first_of_ours_that_is_offered(
        self, ours: list[str] | None, offered: list[str], chosen: str | None
    ) -> None:
        accepted = accept(request(Sec_WebSocket_Protocol=offered), subprotocols=ours)
        assert accepted.subprotocol == chosen
        assert accepted.response.headers.get("Sec-WebSocket-Protocol") == chosen

    @pytest.mark.parametrize("value", ["", ",", "a b", "a;b", "a/b", '"a"', "é"])
    def test_malformed(self, value: str) -> None:
        error = rejected(request(Sec_WebSocket_Protocol=value))
        assert (error.violation, error.status) == (Violation.SUBPROTOCOL_HEADER, 400)

    def test_is_selected_by_a_function(self) -> None:
        seen = []

        def select(offered: Any) -> str | None:
            seen.append(list(offered))
            return offered[-1] if offered else None

        handshake = ServerHandshake(subprotocols=["a"], select_subprotocol=select)
        assert handshake.accept(request(Sec_WebSocket_Protocol=["a, b", "c"])).subprotocol == "c"
        assert handshake.accept(request()).subprotocol is None
        assert seen == [["a", "b", "c"], []]

    def test_the_function_of_one_request_stands_instead(self) -> None:
        handshake = ServerHandshake(select_subprotocol=lambda offered: "a")
        one = request(Sec_WebSocket_Protocol="a, b")
        assert handshake.accept(one, select_subprotocol=lambda offered: "b").subprotocol == "b"
        assert handshake.accept(one).subprotocol == "a"

    def test_a_function_may_refuse(self) -> None:
        def select(offered: Any) -> str | None:
            raise HandshakeRejected(Violation.SUBPROTOCOL_HEADER, "none that we speak")

        assert rejected(request(), select_subprotocol=select).status == 400

    def test_a_function_must_not_invent(self) -> None:
        # RFC 6455 §4.2.2
        with pytest.raises(ValueError, match="select_subprotocol returned 'b'"):
            accept(request(Sec_WebSocket_Protocol="a"), select_subprotocol=lambda offered: "b")


class TestExtensions:
    def test_unknown_ones_are_ignored(self) -> None:
        accepted = accept(request(Sec_WebSocket_Extensions="y; a=1, z"), extensions=[FakeFactory("x")])
        assert accepted.extensions == ()
        assert "Sec-WebSocket-Extensions" not in accepted.response.headers

    def test_none_is_offered(self) -> None:
        assert accept(request(), extensions=[FakeFactory("x")]).extensions == ()

    def test_parameters_come_unquoted_and_in_order(self) -> None:
        factory = FakeFactory("x")
        accepted = accept(request(Sec_WebSocket_Extensions='x; b="1"; a'), extensions=[factory])
        assert factory.asked == [([("b", "1"), ("a", None)], [])]
        assert accepted.response.headers["Sec-WebSocket-Extensions"] == "x; b=1; a"

    def test_the_clients_order_stands(self) -> None:
        first, second = FakeFactory("x", RSV1), FakeFactory("y", RSV2)
        accepted = accept(request(Sec_WebSocket_Extensions=["y", "x"]), extensions=[first, second])
        assert accepted.extensions == (*second.made, *first.made)
        assert accepted.response.headers["Sec-WebSocket-Extensions"] == "y, x"
        assert first.asked == [([], ["y"])]  # it is told what was accepted before

    def test_of_several_offers_the_first_that_suits(self) -> None:
        factory = FakeFactory("x", RSV1, declines="bad")
        accepted = accept(request(Sec_WebSocket_Extensions="x; bad, x; a, x; b"), extensions=[factory])
        assert accepted.response.headers["Sec-WebSocket-Extensions"] == "x; a"
        assert len(factory.asked) == 2

    def test_all_offers_declined(self) -> None:
        accepted = accept(request(Sec_WebSocket_Extensions="x; bad"), extensions=[FakeFactory("x", declines="bad")])
        assert accepted.extensions == ()

    def test_a_reserved_bit_belongs_to_one_only(self) -> None:
        first, second, third = FakeFactory("x", RSV1), FakeFactory("y", RSV1 | RSV2), FakeFactory("z", RSV2)
        accepted = accept(request(Sec_WebSocket_Extensions="x, y, z"), extensions=[first, second, third])
        assert accepted.response.headers["Sec-WebSocket-Extensions"] == "x, z"
        assert [second.made[0].closed, first.made[0].closed, third.made[0].closed] == [1, 0, 0]

    def test_malformed(self) -> None:
        error = rejected(request(Sec_WebSocket_Extensions="x; a="))
        assert (error.violation, error.status) == (Violation.EXTENSIONS_HEADER, 400)

    def test_when_a_factory_fails_the_others_get_everything_back(self) -> None:
        good, bad = FakeFactory("x"), FakeFactory("y", error=RuntimeError("bug"))
        with pytest.raises(RuntimeError, match="bug"):
            accept(request(Sec_WebSocket_Extensions="x, y"), extensions=[good, bad])
        assert good.made[0].closed == 1


class TestReject:
    @pytest.mark.parametrize("violation", [violation for violation in Violation if violation.status])
    def test_every_rule_has_an_answer(self, violation: Violation) -> None:
        response = ServerHandshake().reject(HandshakeRejected(violation, "canary"))
        assert response.status == violation.status
        assert response.reason
        text = response.body.decode()
        assert violation.text in text
        assert violation.section in text
        encoded = encode_response(response)
        assert b"canary" not in encoded
        assert b"Content-Type: text/plain" in encoded
        assert b"Connection: close" in encoded

    def test_426_names_websocket_and_its_version(self) -> None:
        for violation in (Violation.UPGRADE, Violation.CONNECTION, Violation.WEBSOCKET_VERSION):
            response = ServerHandshake().reject(HandshakeRejected(violation))
            assert response.headers["Upgrade"] == "websocket"
            assert response.headers["Sec-WebSocket-Version"] == "13"

    def test_405_names_get(self) -> None:
        assert ServerHandshake().reject(HandshakeRejected(Violation.METHOD)).headers["Allow"] == "GET"

    def test_403_says_why(self) -> None:
        assert b"Host header" in ServerHandshake().reject(HandshakeRejected(Violation.ORIGIN)).body

    def test_a_violation_without_a_status_is_400(self) -> None:
        assert ServerHandshake().reject(HandshakeRejected(Violation.STATUS)).status == 400


class TestOriginComesLate:
    def test_a_page_that_fetches_learns_that_this_is_websocket(self) -> None:
        assert rejected(request(Origin="http://evil.example", Upgrade=[])).status == 426
        assert rejected(request(Origin="http://evil.example")).status == 403


class TestSettings:
    def test_server_header(self) -> None:
        assert accept(request()).response.headers["Server"] == SERVER_HEADER
        handshake = ServerHandshake(server_header="other")
        assert handshake.accept(request()).response.headers["Server"] == "other"
        assert handshake.reject(HandshakeRejected(Violation.KEY)).headers["Server"] == "other"
        handshake = ServerHandshake(server_header=None)
        assert "Server" not in handshake.accept(request()).response.headers
        assert "Server" not in handshake.reject(HandshakeRejected(Violation.KEY)).headers

    async def _select(self, offered: Any) -> str | None:
        raise AssertionError("never called")

    @pytest.mark.parametrize(
        ("setting", "value", "error"),
        [
            ("server_header", "a\r\nb", ValueError),
            ("server_header", 1, TypeError),
            ("subprotocols", "chat", TypeError),
            ("subprotocols", b"other", TypeError),
            ("subprotocols", 1, TypeError),
            ("subprotocols", [1], TypeError),
            ("subprotocols", ["a b"], ValueError),
            ("subprotocols", [""], ValueError),
            ("subprotocols", ["a", "a"], ValueError),
            ("select_subprotocol", "chat", TypeError),
            ("select_subprotocol", _select, TypeError),
            ("extensions", None, TypeError),
            ("extensions", ["x"], TypeError),
            ("extensions", [FakeFactory("a b")], ValueError),
            ("extensions", [FakeFactory("x"), FakeFactory("x")], ValueError),
            ("origins", "*", ValueError),
        ],
    )
    def test_bad_ones_are_named(self, setting: str, value: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=setting):
            ServerHandshake(**{setting: value})
