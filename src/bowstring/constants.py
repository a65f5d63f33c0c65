"""The numbers of RFC 6455, by the names that the RFC gives them."""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "FIN",
    "GUID",
    "MASK",
    "MAX_CONTROL_PAYLOAD",
    "RSV1",
    "RSV2",
    "RSV3",
    "VERSION",
    "CloseCode",
    "Opcode",
    "State",
]

#: Bits of a frame's first byte (RFC 6455 §5.2). The RSV bits are also what ``rsv`` and ``allowed_rsv`` are made of.
FIN: Final = 0x80
RSV1: Final = 0x40
RSV2: Final = 0x20
RSV3: Final = 0x10

#: Bit of a frame's second byte: a masking key follows the length.
MASK: Final = 0x80

#: RFC 6455 §5.5: the longest payload of a control frame, in bytes.
MAX_CONTROL_PAYLOAD: Final = 125

#: RFC 6455 §1.3: what is appended to Sec-WebSocket-Key before hashing.
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: RFC 6455 §4.1: the only value of Sec-WebSocket-Version.
VERSION: Final = "13"


class Opcode(enum.IntEnum):
    """What a frame carries (RFC 6455 §5.2). Values of 8 and more are control frames."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class State(enum.IntEnum):
    """The states of a connection, with the numbers of the browser's ``readyState``."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class CloseCode(enum.IntEnum):
    """Why a connection was closed (RFC 6455 §7.4.1 and the IANA registry).

    1005, 1006 and 1015 are never on the wire: they stand for an empty Close, for none, and for a failed TLS handshake.
    """

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
