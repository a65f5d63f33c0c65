"""The body of a Close frame, both ways (RFC 6455 §5.5.1, §7.4)."""

from __future__ import annotations

import pytest

from bowstring.exceptions import ProtocolError, Violation
from bowstring.protocol.close import build_close, check_close, parse_close, reason_for
from bowstring.typing import Close

MAY_BE_SENT = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]
MAY_NOT = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", MAY_BE_SENT)
def test_a_valid_code_passes_both_ways(code: int) -> None:
    assert parse_close(code.to_bytes(2, "big")) == Close(code, "")
    assert build_close(check_close(code, "é")) == code.to_bytes(2, "big") + b"\xc3\xa9"


@pytest.mark.parametrize("code", MAY_NOT)
def test_an_invalid_code_breaks_a_rule(code: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_close(code.to_bytes(2, "big") + b"reason")
    assert caught.value == ProtocolError(Violation.CLOSE_CODE, str(code))
    assert caught.value.close_code == 1002


@pytest.mark.parametrize("code", [-1, *sorted(set(MAY_NOT) - {1005}), 1 << 70])
def test_an_invalid_code_is_refused_from_the_application(code: int) -> None:
    with pytest.raises(ValueError, match="code must be"):
        check_close(code, "")


def test_an_empty_body_is_1005_both_ways() -> None:
    assert parse_close(b"") == Close(1005, "")
    assert build_close(check_close(1005, "")) == b""
    with pytest.raises(ValueError, match="reason must be empty"):
        check_close(1005, "why")


def test_one_byte_breaks_a_rule() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_close(b"\x03")
    assert caught.value.violation is Violation.CLOSE_LENGTH


@pytest.mark.parametrize("reason", [b"\xff", b"abc\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_a_reason_must_be_utf8(reason: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_close(b"\x03\xe8" + reason)
    assert caught.value.violation is Violation.CLOSE_REASON
    assert caught.value.close_code == 1007


def test_a_reason_has_at_most_123_bytes() -> None:
    assert len(build_close(check_close(1000, "é" * 61 + "e"))) == 125
    with pytest.raises(ValueError, match="reason must be at most 123 bytes of UTF-8, not 124"):
        check_close(1000, "é" * 62)


@pytest.mark.parametrize(("code", "reason", "name"), [("1000", "", "code"), (None, "", "code"), (1000, b"", "reason")])
def test_wrong_types_are_named(code: object, reason: object, name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be"):
        check_close(code, reason)  # type: ignore[arg-type]


def test_the_answer_to_a_broken_rule_fits() -> None:
    close = reason_for(ProtocolError(Violation.MESSAGE_TOO_BIG, "é" * 200, size=2, limit=1))
    assert close.code == 1009
    assert close.reason.startswith("message is too big: 2 over the limit of 1: é")
    assert 121 <= len(close.reason.encode()) <= 123
    assert check_close(*close) == close
