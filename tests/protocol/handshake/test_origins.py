"""Which origins may connect."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest

from bowstring.exceptions import HandshakeRejected, Violation
from bowstring.protocol.handshake.origins import OriginPolicy
from bowstring.protocol.headers import Headers, parse_host
from bowstring.protocol.http11 import Request

pytestmark = pytest.mark.one_twin


def request(*origins: str) -> Request:
    return Request("GET", "/", Headers([("Origin", origin) for origin in origins]))


def allows(origins: Any, origin: str | None, *, host: str = "example.com", secure: bool = False) -> bool:
    policy = OriginPolicy(origins)
    try:
        policy.check(request() if origin is None else request(origin), host=parse_host(host), secure=secure)
    except HandshakeRejected as error:
        return error.violation is not Violation.ORIGIN
    return True


class TestSame:
    @pytest.mark.parametrize(
        ("origin", "host", "secure"),
        [
            ("http://example.com", "example.com", False),
            ("http://EXAMPLE.com", "Example.COM", False),
            ("http://example.com:80", "example.com", False),
            ("http://example.com", "example.com:80", False),
            ("http://example.com:8080", "example.com:8080", False),
            ("https://example.com", "example.com", True),
            ("https://example.com:443", "example.com", True),
            ("https://example.com", "example.com:443", True),
            ("https://example.com:8443", "example.com:8443", True),
            ("http://127.0.0.1:8765", "127.0.0.1:8765", False),
            ("http://[::1]:8765", "[::1]:8765", False),
            ("http://[::1]", "[0:0:0:0:0:0:0:1]", False),
            # A proxy in front ends TLS.
            ("https://example.com", "example.com", False),
            ("https://example.com", "example.com:443", False),
            ("https://example.com:8443", "example.com:8443", False),
        ],
    )
    def test_same(self, origin: str, host: str, secure: bool) -> None:
        assert allows("same", origin, host=host, secure=secure)

    @pytest.mark.parametrize(
        ("origin", "host", "secure"),
        [
            ("http://evil.example", "example.com", False),
            ("http://example.com.evil.example", "example.com", False),
            ("http://sub.example.com", "example.com", False),
            ("http://example.com:81", "example.com", False),
            ("http://example.com", "example.com:81", False),
            ("http://example.com", "example.com", True),  # an insecure page at a secure server
            ("https://example.com", "example.com:80", False),
            ("https://example.com:80", "example.com", True),
            ("null", "example.com", False),
            ("", "example.com", False),
            ("example.com", "example.com", False),
            ("//example.com", "example.com", False),
            ("file://example.com", "example.com", False),
            ("chrome-extension://example.com", "example.com", False),
            ("http://example.com/", "example.com", False),
            ("http://example.com/path", "example.com", False),
            ("http://user@example.com", "example.com", False),
            ("http://example.com:99999", "example.com", False),
            ("http://example.com http://evil.example", "example.com", False),
            ("http://[::2]", "[::1]", False),
            ("http://", "example.com", False),
        ],
    )
    def test_not_the_same(self, origin: str, host: str, secure: bool) -> None:
        assert not allows("same", origin, host=host, secure=secure)

    def test_without_an_origin(self) -> None:
        assert allows("same", None)


class TestLists:
    @pytest.mark.parametrize(
        "origin", ["https://example.com", "HTTPS://Example.com", "https://example.com:443", "http://other.example:81"]
    )
    def test_listed(self, origin: str) -> None:
        assert allows(["https://example.com", "http://other.example:81"], origin)

    @pytest.mark.parametrize(
        "origin", ["http://example.com", "https://example.com:444", "https://other.example:81", "null", "", None]
    )
    def test_not_listed(self, origin: str | None) -> None:
        assert not allows(["https://example.com", "http://other.example:81"], origin, host="self.example")

    def test_a_default_port_in_the_list(self) -> None:
        assert allows(["https://example.com:443"], "https://example.com")

    def test_absent_is_listed_as_none(self) -> None:
        assert allows(["https://example.com", None], None)
        assert not allows([], None)

    def test_null_is_an_origin(self) -> None:
        assert allows(["null"], "null")
        assert not allows(["null"], None)
        assert allows(["file://"], "file://")

    def test_other_schemes(self) -> None:
        assert allows(["chrome-extension://abcdef"], "chrome-extension://abcdef")
        assert not allows(["chrome-extension://abcdef"], "chrome-extension://abcdeg")

    def test_same_among_others(self) -> None:
        origins = ["same", "https://partner.example"]
        assert allows(origins, "https://partner.example")
        assert allows(origins, "http://example.com")
        assert allows(origins, None)
        assert not allows(origins, "https://evil.example")

    def test_a_set_and_a_tuple(self) -> None:
        assert allows({"https://example.com"}, "https://example.com")
        assert allows(("https://example.com",), "https://example.com")


class TestPatterns:
    pattern = re.compile(r"https://([a-z]+\.)?example\.com")

    def test_all_of_the_origin_has_to_match(self) -> None:
        for origins in (self.pattern, [self.pattern]):
            assert allows(origins, "https://a.example.com", host="self.example")
            assert not allows(origins, "https://a.example.com.evil.example", host="self.example")
            assert not allows(origins, "xhttps://example.com", host="self.example")
            assert not allows(origins, None)


class TestCallables:
    def test_decide(self) -> None:
        seen: list[Any] = []

        def rule(origin: str | None, request: Request) -> bool:
            seen.append((origin, request.target))
            return origin is None or origin.endswith("a")

        assert allows(rule, "http://a")
        assert allows([rule], None)
        assert not allows(rule, "http://b")
        assert seen == [("http://a", "/"), (None, "/"), ("http://b", "/")]

    def test_are_asked_when_nothing_else_fits(self) -> None:
        def rule(origin: str | None, request: Request) -> bool:
            raise AssertionError("asked")

        assert allows(["http://a", None, rule], "http://a")
        assert allows(["http://a", None, rule], None)
        with pytest.raises(AssertionError, match="asked"):
            allows(["http://a", None, rule], "http://b")

    def test_have_to_return_a_bool(self) -> None:
        async def rule(origin: str | None, request: Request) -> bool:
            return False

        with pytest.raises(TypeError, match="origins must be plain functions"):
            OriginPolicy(rule)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="function in origins must return a bool, not 'str'"):
            allows(lambda origin, request: "yes", "http://a")

    def test_partials(self) -> None:
        assert allows(functools.partial(lambda wanted, origin, request: origin == wanted, "http://a"), "http://a")


def test_none_allows_everything() -> None:
    for origin in ("http://evil.example", "null", "", None):
        assert allows(None, origin)
    OriginPolicy(None).check(request("a", "b"), host=("a", None), secure=False)


def test_a_repeated_origin() -> None:
    with pytest.raises(HandshakeRejected, match="repeated") as caught:
        OriginPolicy(["http://a"]).check(request("http://a", "http://a"), host=("a", None), secure=False)
    assert caught.value.status == 403


def test_the_detail_is_fit_for_a_log() -> None:
    with pytest.raises(HandshakeRejected) as caught:
        OriginPolicy("same").check(request("http://é" + "a" * 9000), host=("a", None), secure=False)
    assert caught.value.detail.isascii()
    assert len(caught.value.detail) < 100


@pytest.mark.parametrize(
    ("origins", "error"),
    [
        ("https://example.com", ValueError),
        ("*", ValueError),
        (["*"], ValueError),
        (["example.com"], ValueError),
        (["https://example.com/"], ValueError),
        (["https://example.com/path"], ValueError),
        (["https://"], ValueError),
        ([""], ValueError),
        (b"same", TypeError),
        ([b"same"], TypeError),
        (1, TypeError),
        ([1], TypeError),
        ([re.compile(b"a")], TypeError),
        (re.compile(b"a"), TypeError),
    ],
)
def test_what_is_no_policy(origins: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="origins"):
        OriginPolicy(origins)
