"""The multi-mapping of header fields, and the grammars of the handshake's fields."""

from __future__ import annotations

import contextlib
import copy
import itertools
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowstring.protocol.headers import (
    HeaderFormatError,
    Headers,
    MultipleValuesError,
    build_extensions,
    build_subprotocols,
    excerpt,
    is_token,
    parse_extensions,
    parse_host,
    parse_subprotocols,
    parse_tokens,
    parse_upgrade,
)

pytestmark = pytest.mark.one_twin

TCHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
tokens = st.text(TCHARS, min_size=1, max_size=8)


class TestMapping:
    def test_finds_names_in_any_case_and_keeps_the_case_given(self) -> None:
        headers = Headers({"X-One": "1"})
        assert headers["x-one"] == headers["X-ONE"] == headers.get("x-One") == "1"
        assert "x-ONE" in headers
        assert list(headers.raw_items()) == [("X-One", "1")]

    def test_an_absent_name(self) -> None:
        headers = Headers()
        with pytest.raises(KeyError):
            headers["X-One"]
        assert headers.get("X-One") is None
        assert headers.get("X-One", "default") == "default"
        assert headers.get_all("X-One") == []
        assert "X-One" not in headers
        assert 1 not in headers

    def test_a_repeated_name(self) -> None:
        headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
        assert headers.get_all("A") == ["1", "3"]
        with pytest.raises(MultipleValuesError):
            headers["A"]
        with pytest.raises(LookupError):  # as with the websockets package
            headers.get("A")
        assert headers["b"] == "2"

    def test_setting_adds(self) -> None:
        headers = Headers({"A": "1"})
        headers["a"] = "2"
        assert list(headers.raw_items()) == [("A", "1"), ("a", "2")]

    def test_replace_leaves_only_the_new_one_at_the_end(self) -> None:
        headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])
        headers.replace("A", "4")
        assert list(headers.raw_items()) == [("B", "2"), ("A", "4")]
        headers.replace("C", "5")
        assert headers["C"] == "5"

    def test_replace_with_a_bad_value_leaves_the_old_one(self) -> None:
        headers = Headers({"A": "1"})
        with pytest.raises(ValueError, match="'A'"):
            headers.replace("A", "\n")
        assert headers["A"] == "1"

    def test_deleting_takes_all_of_the_name_away(self) -> None:
        headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])
        del headers["a"]
        assert list(headers.raw_items()) == [("B", "2")]
        with pytest.raises(KeyError):
            del headers["a"]

    def test_goes_over_distinct_names(self) -> None:
        headers = Headers([("B", "1"), ("A", "2"), ("b", "3")])
        assert list(headers) == ["b", "a"]
        assert len(headers) == 2

    @pytest.mark.parametrize(
        "fields",
        [
            {"A": "1", "B": "2"},
            [("A", "1"), ("B", "2")],
            (pair for pair in [("A", "1"), ("B", "2")]),
            Headers({"A": "1", "B": "2"}),
        ],
        ids=["mapping", "pairs", "iterator", "Headers"],
    )
    def test_is_made_from(self, fields: Any) -> None:
        assert list(Headers(fields).raw_items()) == [("A", "1"), ("B", "2")]

    def test_extend_update_and_clear(self) -> None:
        headers = Headers([("A", "1"), ("A", "2")])
        headers.extend(headers)
        assert headers.get_all("A") == ["1", "2", "1", "2"]
        headers.update(Headers([("B", "1"), ("B", "2")]), C="3")
        assert headers.get_all("B") == ["1", "2"]
        assert headers["C"] == "3"
        headers.clear()
        assert len(headers) == 0
        assert list(headers.raw_items()) == []

    def test_is_equal_by_names_and_values(self) -> None:
        assert Headers([("A", "1"), ("B", "2")]) == Headers([("b", "2"), ("a", "1")])
        assert Headers([("A", "1"), ("A", "2")]) != Headers([("A", "2"), ("A", "1")])
        assert Headers() != {}

    def test_is_not_hashable(self) -> None:
        with pytest.raises(TypeError):
            hash(Headers())

    @pytest.mark.parametrize(
        "duplicate",
        [Headers.copy, copy.copy, copy.deepcopy, lambda headers: pickle.loads(pickle.dumps(headers))],
        ids=["copy()", "copy.copy", "copy.deepcopy", "pickle"],
    )
    def test_copies_are_independent(self, duplicate: Any) -> None:
        headers = Headers([("A", "1"), ("a", "2")])
        other = duplicate(headers)
        assert list(other.raw_items()) == list(headers.raw_items())
        other["A"] = "3"
        assert headers.get_all("A") == ["1", "2"]

    def test_changing_what_get_all_returned_changes_nothing(self) -> None:
        headers = Headers({"A": "1"})
        headers.get_all("A").append("2")
        assert headers.get_all("A") == ["1"]

    def test_repr(self) -> None:
        assert repr(Headers({"A": "1"})) == "Headers([('A', '1')])"


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "a\x00", "(a)", " a"])
    def test_names_that_are_no_tokens(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not a token"):
            Headers([(name, "1")])

    @pytest.mark.parametrize("character", ["\r", "\n", "\x00", "\x01", "\x0b", "\x0c", "\x1f", "\x7f", "\u0100", "😀"])
    def test_values_with(self, character: str) -> None:
        with pytest.raises(ValueError, match=r"value of header 'X-Token' has .* at position 6") as caught:
            Headers({"X-Token": f"secret{character}x"})
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("value", ["\x80\xff", "a\tb", "", "~ !"])
    def test_values_that_are_fine(self, value: str) -> None:
        assert Headers({"A": value})["A"] == value

    def test_spaces_around_a_value_are_no_part_of_it(self) -> None:
        assert Headers({"A": " \t1 2\t "})["A"] == "1 2"

    def test_other_types(self) -> None:
        with pytest.raises(TypeError, match="value of header 'A' must be a str, not 'int'"):
            Headers({"A": 1})  # type: ignore[dict-item]
        with pytest.raises(TypeError, match="header name must be a str, not 'bytes'"):
            Headers({b"A": "1"})  # type: ignore[dict-item]


class TestLists:
    @pytest.mark.parametrize(
        ("value", "elements"),
        [
            ("a", ["a"]),
            ("keep-alive, Upgrade", ["keep-alive", "Upgrade"]),
            ("a,b ,\tc", ["a", "b", "c"]),
            (" a ", ["a"]),
            (",, a ,, b ,", ["a", "b"]),  # RFC 9110 §5.6.1.2: empty elements are ignored
            (TCHARS, [TCHARS]),
        ],
    )
    def test_tokens(self, value: str, elements: list[str]) -> None:
        assert parse_tokens(value) == elements
        assert parse_subprotocols(value) == elements

    @pytest.mark.parametrize("value", ["", " ", ",", "a b", "a;b", '"a"', "a, é", "a/b", "a=b", "a\x00", "a\u00a0,b"])
    def test_lists_that_are_none(self, value: str) -> None:
        with pytest.raises(HeaderFormatError):
            parse_tokens(value)

    def test_upgrade_has_versions(self) -> None:
        assert parse_upgrade("h2c, websocket, TLS/1.0") == ["h2c", "websocket", "TLS/1.0"]

    @pytest.mark.parametrize("value", ["", "a/", "/a", "a/b/c", "a b"])
    def test_upgrades_that_are_none(self, value: str) -> None:
        with pytest.raises(HeaderFormatError):
            parse_upgrade(value)

    def test_an_error_says_where(self) -> None:
        with pytest.raises(HeaderFormatError, match="unexpected character at 3"):
            parse_tokens("a, (b)")
        with pytest.raises(HeaderFormatError, match="empty"):
            parse_tokens(", ")


class TestExtensions:
    @pytest.mark.parametrize(
        ("value", "extensions"),
        [
            ("permessage-deflate", [("permessage-deflate", [])]),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10",
                [("permessage-deflate", [("client_max_window_bits", None), ("server_max_window_bits", "10")])],
            ),
            ('x; a="10"', [("x", [("a", "10")])]),
            ('x; a="\\1\\0"', [("x", [("a", "10")])]),
            ('x ;\ta = "1" ; b\t, , y', [("x", [("a", "1"), ("b", None)]), ("y", [])]),
            ("x; a; a, x; a=1", [("x", [("a", None), ("a", None)]), ("x", [("a", "1")])]),
        ],
    )
    def test_parse(self, value: str, extensions: Any) -> None:
        assert parse_extensions(value) == extensions

    def test_every_order_of_kinds_of_parameters(self) -> None:
        kinds = {"": None, "=token": "token", '="quoted"': "quoted"}
        for chosen in itertools.product(kinds, repeat=4):
            value = "x" + "".join(f"; a{kind}" for kind in chosen)
            assert parse_extensions(value) == [("x", [("a", kinds[kind]) for kind in chosen])]

    @pytest.mark.parametrize(
        "value",
        [
            "",
            ";a",
            "x;",
            "x; ;a",
            "x; a=",
            "x; =1",
            "x a",
            'x; a=""',  # not a token when unquoted
            'x; a="1 0"',
            'x; a="1,0"',
            'x; a="1',
            'x; a="1\\"',
            'x; a="\\ "',
            'x; a="1"2',
            "x; a=1=2",
            '"x"',
            'x; "a"=1',
            "x/1",
            "x, ;",
        ],
    )
    def test_what_is_no_list_of_extensions(self, value: str) -> None:
        with pytest.raises(HeaderFormatError):
            parse_extensions(value)

    @settings(deadline=None)
    @given(st.lists(st.tuples(tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=4)), min_size=1))
    def test_build_and_parse(self, extensions: Any) -> None:
        assert parse_extensions(build_extensions(extensions)) == extensions

    @settings(deadline=None)
    @given(tokens)
    def test_quoting_means_the_same(self, value: str) -> None:
        escaped = "".join(f"\\{character}" for character in value)
        assert parse_extensions(f'x; a="{value}", x; a="{escaped}"') == [("x", [("a", value)])] * 2

    @settings(deadline=None)
    @given(st.text(' \t,;="\\ax10\x00é'))
    def test_nothing_else_is_raised(self, value: str) -> None:
        for parse in (parse_tokens, parse_upgrade, parse_extensions, parse_host):
            with contextlib.suppress(HeaderFormatError):
                parse(value)

    @pytest.mark.parametrize(
        "extension",
        [("a b", []), ("x", [("a b", None)]), ("x", [("a", "1 0")]), ("x", [("a", "")]), ("x", [("", None)])],
    )
    def test_what_cannot_be_said(self, extension: Any) -> None:
        with pytest.raises(ValueError, match="is not a token"):
            build_extensions([extension])

    def test_build_subprotocols(self) -> None:
        assert build_subprotocols(["chat", "superchat"]) == "chat, superchat"
        with pytest.raises(ValueError, match="subprotocol is not a token: 'a b'"):
            build_subprotocols(["chat", "a b"])


@pytest.mark.parametrize("element", ["a,", "x; a,", ",", ";"])
def test_a_list_has_a_bounded_number_of_elements(element: str) -> None:
    separators = sum(element.count(separator) for separator in ",;")
    with pytest.raises(HeaderFormatError, match="more than 256 separators"):
        parse_extensions(element * (256 // separators + 1))


def test_a_list_of_many_elements() -> None:
    assert parse_tokens("a," * 255 + "b") == ["a"] * 255 + ["b"]
    assert parse_extensions("x" + ";a" * 256) == [("x", [("a", None)] * 256)]


@pytest.mark.parametrize(
    "hostile",
    ["a" * 65536 + "(", " " * 65536 + "(", "a" + " " * 65536 + "b", 'x; a="' + "\\a" * 32768, "x; a=" + " " * 65536],
    ids=["token", "spaces before", "spaces behind", "quoted", "spaces before a value"],
)
def test_hostile_values_take_linear_time(hostile: str) -> None:
    # With anything quadratic, these would be far over the suite's time limit.
    for parse in (parse_tokens, parse_upgrade, parse_extensions, parse_host):
        for _ in range(20):
            with contextlib.suppress(HeaderFormatError):
                parse(hostile)


class TestHost:
    @pytest.mark.parametrize(
        ("value", "host"),
        [
            ("example.com", ("example.com", None)),
            ("Example.COM:8080", ("example.com", 8080)),
            ("example.com:", ("example.com", None)),
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("[::1]", ("[::1]", None)),
            ("[0:0:0:0:0:0:0:1]:8080", ("[::1]", 8080)),
            ("[FE80::A]:65535", ("[fe80::a]", 65535)),
            ("a_b-c.d~e", ("a_b-c.d~e", None)),
            ("ex%41mple", ("ex%41mple", None)),
            ("a!$&'()*+,;=b", ("a!$&'()*+,;=b", None)),
        ],
    )
    def test_parse(self, value: str, host: tuple[str, int | None]) -> None:
        assert parse_host(value) == host

    @pytest.mark.parametrize(
        "value",
        [
            "",
            ":80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "user:pw@a",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:999999",
            "a:+1",
            "a:-1",
            "é",
            "a%4",
            "a%zz",
            "::1",
            "[::1",
            "[]",
            "[g::]",
            "[::1]x",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "a\t",
            "http://a",
            "a, b",
            'a"b',
            "a\\b",
        ],
    )
    def test_what_is_no_host(self, value: str) -> None:
        with pytest.raises(HeaderFormatError):
            parse_host(value)


def test_is_token() -> None:
    assert is_token("a-b")
    assert not is_token("")
    assert not is_token("a b")
    assert not is_token("a\n")


def test_excerpt_is_short_ascii_without_control_characters() -> None:
    assert excerpt("a\r\n\x1b[0mé") == "'a\\r\\n\\x1b[0m\\xe9'"
    assert excerpt("a" * 64) == f"'{'a' * 64}'"
    assert excerpt("a" * 65) == f"'{'a' * 64}'..."
