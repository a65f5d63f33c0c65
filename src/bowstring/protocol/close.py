"""The body of a Close frame: its rules, both ways (RFC 6455 §5.5.1, §7.4)."""

from __future__ import annotations

from bowstring.constants import MAX_CONTROL_PAYLOAD, CloseCode
from bowstring.exceptions import ProtocolError, Violation
from bowstring.typing import Close

__all__ = ["build_close", "check_close", "parse_close", "reason_for"]

#: Codes that may be on the wire, below 3000 (RFC 6455 §7.4.1 and the IANA registry). 3000 to 4999 are open to all.
_REGISTERED = frozenset(CloseCode) - {
    CloseCode.NO_STATUS_RCVD,
    CloseCode.ABNORMAL_CLOSURE,
    CloseCode.TLS_HANDSHAKE,
}

#: What is left for the reason behind the two bytes of the code.
MAX_REASON = MAX_CONTROL_PAYLOAD - 2


def _may_be_sent(code: int) -> bool:
    return code in _REGISTERED or 3000 <= code <= 4999


def parse_close(payload: bytes) -> Close:
    """Reads the body of a Close frame.

    Returns:
        Code and reason; code 1005 for an empty body (RFC 6455 §7.1.5).

    Raises:
        ProtocolError: one byte, a code that may not be sent, or a reason that is not UTF-8.
    """
    if not payload:
        return Close(CloseCode.NO_STATUS_RCVD)
    if len(payload) == 1:
        raise ProtocolError(Violation.CLOSE_LENGTH)
    code = int.from_bytes(payload[:2], "big")
    if not _may_be_sent(code):
        raise ProtocolError(Violation.CLOSE_CODE, str(code))
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(Violation.CLOSE_REASON) from None
    return Close(code, reason)


def build_close(close: Close) -> bytes:
    """The body of a Close frame; empty for code 1005."""
    if close.code == CloseCode.NO_STATUS_RCVD:
        return b""
    return close.code.to_bytes(2, "big") + close.reason.encode()


def check_close(code: int, reason: str) -> Close:
    """Checks what an application wants to close with.

    Raises:
        TypeError: the code is not an int, or the reason not a str.
        ValueError: the code may not be sent (RFC 6455 §7.4), or the reason has more than 123 bytes of UTF-8.
    """
    if not isinstance(code, int):
        raise TypeError(f"code must be an int, not {type(code).__name__!r}")
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {type(reason).__name__!r}")
    if code == CloseCode.NO_STATUS_RCVD:
        if reason:
            raise ValueError("reason must be empty when code is 1005: such a Close has no body")
    elif not _may_be_sent(code):
        raise ValueError(f"code must be 1005 for none, a registered one from 1000 on, or 3000 to 4999, not {code}")
    if (size := len(reason.encode())) > MAX_REASON:
        raise ValueError(f"reason must be at most {MAX_REASON} bytes of UTF-8, not {size}")
    return Close(code, reason)


def reason_for(error: ProtocolError) -> Close:
    """The Close that answers a broken rule: its code, and its text cut to what fits."""
    reason = str(error).encode()[:MAX_REASON].decode(errors="ignore")
    return Close(error.close_code, reason)
