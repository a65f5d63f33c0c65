"""The client's half of the opening handshake, rule by rule."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bowstring.constants import RSV1
from bowstring.exceptions import InvalidStatus, NegotiationError, ResponseRejected, Violation
from bowstring.protocol.handshake.client import USER_AGENT, ClientHandshake, Negotiated
from bowstring.protocol.handshake.server import ServerHandshake
from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import Response, ResponseReader, encode_request

from .doubles import FakeFactory

pytestmark = pytest.mark.one_twin

NONCE = b"the sample nonce"
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def client(**settings: Any) -> ClientHandshake:
    return ClientHandshake(**{"host": "server.example.com", "target": "/chat", "nonce": NONCE, **settings})


def response(status: int = 101, version: str = "1.1", **fields: str | list[str]) -> Response:
    """A good response, with some fields exchanged (``_`` for ``-``); an empty list takes one away."""
    good: dict[str, list[str]] = {"Upgrade": ["websocket"], "Connection": ["Upgrade"], "Sec-WebSocket-Accept": [ACCEPT]}
    values = good | {
        name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in fields.items()
    }
    headers = Headers([(name, one) for name, several in values.items() for one in several])
    return Response(status, "Switching Protocols", headers, version=version)


def rejected(answer: Response, **settings: Any) -> ResponseRejected:
    with pytest.raises(ResponseRejected) as caught:
        client(**settings).check(answer)
    return caught.value


def test_the_example_of_the_rfc_byte_for_byte() -> None:
    # RFC 6455 §1.3
    handshake = client(origin="http://example.com", subprotocols=["chat", "superchat"], user_agent_header=None)
    assert encode_request(handshake.request) == (
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
    answer = ResponseReader().feed(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"\r\n"
    )
    assert answer is not None
    assert handshake.check(answer) == Negotiated("chat", ())


class TestRequest:
    def test_user_agent(self) -> None:
        assert client().request.headers["User-Agent"] == USER_AGENT
        assert client(user_agent_header="other").request.headers["User-Agent"] == "other"
        assert "User-Agent" not in client(user_agent_header=None).request.headers
        given = client(additional_headers={"user-agent": "mine"})
        assert given.request.headers.get_all("User-Agent") == ["mine"]

    def test_additional_headers_in_their_order_behind_ours(self) -> None:
        additional = [("X-B", "1"), ("Authorization", "Basic x"), ("Cookie", "a=b"), ("x-b", "2")]
        headers = client(additional_headers=additional, user_agent_header=None).request.headers
        assert list(headers.raw_items())[-4:] == additional

    def test_host_may_be_given(self) -> None:
        headers = client(additional_headers={"host": "other:81"}).request.headers
        assert next(headers.raw_items()) == ("Host", "other:81")
        assert headers.get_all("Host") == ["other:81"]

    def test_origin_may_be_given_in_one_place(self) -> None:
        assert client(additional_headers={"Origin": "http://a"}).request.headers["Origin"] == "http://a"
        with pytest.raises(ValueError, match="additional_headers: Origin"):
            client(origin="http://a", additional_headers={"Origin": "http://a"})

    @pytest.mark.parametrize(
        "name",
        ["Upgrade", "connection", "Sec-WebSocket-Key", "SEC-WEBSOCKET-ANYTHING", "Content-Length", "Transfer-Encoding"],
    )
    def test_headers_of_the_handshake_may_not(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"additional_headers: .* belongs to the handshake"):
            client(additional_headers={name: "1"})

    def test_two_hosts(self) -> None:
        with pytest.raises(ValueError, match="additional_headers: Host"):
            client(additional_headers=[("Host", "a"), ("host", "b")])

    def test_offers(self) -> None:
        factories = [FakeFactory("x", offered=[[("a", "1")], []]), FakeFactory("y"), FakeFactory("z", offered=[])]
        assert client(extensions=factories).request.headers["Sec-WebSocket-Extensions"] == "x; a=1, x, y"
        assert "Sec-WebSocket-Extensions" not in client(extensions=factories[2:]).request.headers
        assert "Sec-WebSocket-Extensions" not in client().request.headers

    def test_no_subprotocols(self) -> None:
        assert "Sec-WebSocket-Protocol" not in client().request.headers
        assert "Sec-WebSocket-Protocol" not in client(subprotocols=[]).request.headers

    @pytest.mark.parametrize("bad", ["\r", "\n", "\x00", "\r\nX-Evil: 1"])
    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"host": "a{}b"}, "host: value of header 'Host'"),
            ({"target": "/a{}b"}, "target"),
            ({"origin": "http://a{}b"}, "origin: value of header 'Origin'"),
            ({"subprotocols": "a{}b"}, "subprotocols"),
            ({"additional_headers": "a{}b"}, "additional_headers: value of header 'X-One'"),
            ({"user_agent_header": "a{}b"}, "user_agent_header: value of header 'User-Agent'"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_nothing_smuggles_a_line_in(self, settings: dict[str, str], named: str, bad: str) -> None:
        wrapped = {"subprotocols": lambda text: [text], "additional_headers": lambda text: {"X-One": text}}
        ((setting, template),) = settings.items()
        value: Any = wrapped.get(setting, str)(template.format(bad))
        with pytest.raises(ValueError, match=named):
            client(**{setting: value})

    @pytest.mark.parametrize("bad", ["\r", "\n", "\x00", " ", ":", ""])
    def test_nor_does_a_name(self, bad: str) -> None:
        with pytest.raises(ValueError, match=r"header name .* is not a token"):
            client(additional_headers={bad and f"A{bad}B": "1"})

    @pytest.mark.parametrize(
        ("setting", "value", "error", "named"),
        [
            ("host", "a\nb", ValueError, "host: value of header 'Host'"),
            ("host", "a b", ValueError, "host"),
            ("host", "", ValueError, "host"),
            ("target", "", ValueError, "target"),
            ("target", "chat", ValueError, "target"),
            ("target", "/a b", ValueError, "target"),
            ("target", "/a#b", ValueError, "target"),
            ("target", "/é", ValueError, "target"),
            ("origin", "a\nb", ValueError, "origin: value of header 'Origin'"),
            ("nonce", b"short", ValueError, "nonce"),
            ("subprotocols", "chat", TypeError, "subprotocols"),
            ("subprotocols", ["a", "a"], ValueError, "subprotocols"),
            ("extensions", [object()], TypeError, "extensions"),
            ("user_agent_header", "a\nb", ValueError, "user_agent_header: value of header 'User-Agent'"),
            ("additional_headers", {"X-One": "a\nb"}, ValueError, "additional_headers: value of header 'X-One'"),
        ],
    )
    def test_bad_arguments_are_named(self, setting: str, value: Any, error: type[Exception], named: str) -> None:
        with pytest.raises(error, match=named):
            client(**{setting: value})


class TestResponse:
    @pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 426, 500, 503])
    def test_another_status(self, status: int) -> None:
        answer = Response(status, "", Headers({"A": "1"}), b"body")
        with pytest.raises(InvalidStatus, match=f"HTTP {status}") as caught:
            client().check(answer)
        assert caught.value.violation is Violation.STATUS
        assert caught.value.response is answer
        assert pickle.loads(pickle.dumps(caught.value)).response == answer

    @pytest.mark.parametrize("version", ["1.0", "1.2"])
    def test_version(self, version: str) -> None:
        assert rejected(response(version=version)).violation is Violation.BAD_RESPONSE

    @pytest.mark.parametrize("values", [["websocket"], ["WebSocket"], [" websocket"]])
    def test_upgrade(self, values: list[str]) -> None:
        assert client().check(response(Upgrade=values))

    @pytest.mark.parametrize("values", [[], [""], ["h2c"], ["websocket, h2c"], ["websocket", "h2c"], ["websocket/1"]])
    def test_another_upgrade(self, values: list[str]) -> None:
        assert rejected(response(Upgrade=values)).violation is Violation.RESPONSE_UPGRADE

    @pytest.mark.parametrize("values", [["upgrade"], ["keep-alive, Upgrade"], ["keep-alive", "UPGRADE"]])
    def test_connection(self, values: list[str]) -> None:
        assert client().check(response(Connection=values))

    @pytest.mark.parametrize("values", [[], [""], ["keep-alive"], ["Up grade"]])
    def test_another_connection(self, values: list[str]) -> None:
        assert rejected(response(Connection=values)).violation is Violation.RESPONSE_CONNECTION

    @pytest.mark.parametrize(
        "values",
        [[], [""], [ACCEPT, ACCEPT], [ACCEPT[:-1]], [ACCEPT.lower()], ["dGhlIHNhbXBsZSBub25jZQ=="], [f"{ACCEPT},"]],
    )
    def test_accept(self, values: list[str]) -> None:
        assert rejected(response(Sec_WebSocket_Accept=values)).violation is Violation.ACCEPT

    def test_the_nonce_matters(self) -> None:
        assert rejected(response(), nonce=b"another nonce 16").violation is Violation.ACCEPT


class TestSubprotocol:
    def test_one_of_those_offered(self) -> None:
        answer = response(Sec_WebSocket_Protocol="b")
        assert client(subprotocols=["a", "b"]).check(answer).subprotocol == "b"

    def test_none_is_fine(self) -> None:
        assert client(subprotocols=["a", "b"]).check(response()).subprotocol is None

    @pytest.mark.parametrize("values", [["c"], ["A"], ["a, b"], [""], ["a", "a"]])
    @pytest.mark.parametrize("offered", [None, ["a", "b"]])
    def test_others(self, values: list[str], offered: list[str] | None) -> None:
        error = rejected(response(Sec_WebSocket_Protocol=values), subprotocols=offered)
        assert isinstance(error, NegotiationError)
        assert error.violation is Violation.SUBPROTOCOL_NOT_OFFERED


class TestExtensions:
    def test_those_accepted_in_the_servers_order(self) -> None:
        first, second = FakeFactory("x"), FakeFactory("y", RSV1)
        answer = response(Sec_WebSocket_Extensions='y; a="1", x')
        assert client(extensions=[first, second]).check(answer).extensions == (*second.made, *first.made)
        assert second.asked == [([("a", "1")], [])]
        assert first.asked == [([], ["y"])]

    def test_none_is_fine(self) -> None:
        assert client(extensions=[FakeFactory("x")]).check(response()).extensions == ()

    @pytest.mark.parametrize("value", ["z", "x, z", "X"])
    def test_not_offered(self, value: str) -> None:
        factory = FakeFactory("x")
        error = rejected(response(Sec_WebSocket_Extensions=value), extensions=[factory])
        assert isinstance(error, NegotiationError)
        assert error.violation is Violation.EXTENSION_NOT_OFFERED
        assert [extension.closed for extension in factory.made] == [1] * len(factory.made)

    def test_not_offered_like_that(self) -> None:
        good, bad = FakeFactory("x"), FakeFactory("y", declines="bad")
        error = rejected(response(Sec_WebSocket_Extensions="x, y; bad"), extensions=[good, bad])
        assert error.violation is Violation.EXTENSION_NOT_OFFERED
        assert good.made[0].closed == 1

    def test_twice(self) -> None:
        factory = FakeFactory("x")
        error = rejected(response(Sec_WebSocket_Extensions="x, x; a"), extensions=[factory])
        assert error.violation is Violation.EXTENSION_NOT_OFFERED
        assert factory.made[0].closed == 1

    def test_a_reserved_bit_of_another_one(self) -> None:
        first, second = FakeFactory("x", RSV1), FakeFactory("y", RSV1)
        error = rejected(response(Sec_WebSocket_Extensions="x, y"), extensions=[first, second])
        assert error.violation is Violation.EXTENSION_NOT_OFFERED
        assert (first.made[0].closed, second.made[0].closed) == (1, 1)

    @pytest.mark.parametrize("values", [[""], ["x; a="], ["x", "x"], ["x", "y"]])
    def test_malformed_or_repeated(self, values: list[str]) -> None:
        # RFC 6455 §11.3.2: the header may not be repeated in a response.
        error = rejected(response(Sec_WebSocket_Extensions=values), extensions=[FakeFactory("x"), FakeFactory("y")])
        assert isinstance(error, NegotiationError)
        assert error.violation is Violation.RESPONSE_EXTENSIONS


def test_our_server_and_our_client_agree() -> None:
    ours, theirs = [FakeFactory("x", RSV1), FakeFactory("y")], [FakeFactory("y"), FakeFactory("x", RSV1)]
    asking = client(origin="https://server.example.com", subprotocols=["a", "b"], extensions=ours)
    answer = ServerHandshake(subprotocols=["b"], extensions=theirs).accept(asking.request, secure=True)
    negotiated = asking.check(answer.response)
    assert negotiated.subprotocol == answer.subprotocol == "b"
    assert [extension.name for extension in negotiated.extensions] == ["x", "y"]
    assert [extension.name for extension in answer.extensions] == ["x", "y"]
