"""Every rule that a peer can break, in every place; which one is named when several are broken at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from bowstring.exceptions import ProtocolError, Violation

from .wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    feed_all,
    frame,
    header,
    pieces,
    single_bytes,
)


class Breach(NamedTuple):
    """A frame that breaks a rule.

    Attributes:
        violation: the rule.
        wire: the frame, from a server; ``masked`` makes it one from a client.
        seen_after: bytes of it after which the breach has to be noticed.
        detail: what the error says about it.
        inside: whether it is a breach only inside of a fragmented message.
    """

    violation: Violation
    wire: bytes
    seen_after: int = 2
    detail: str = ""
    inside: bool = False

    def as_seen_by(self, expect_masked: bool) -> bytes:
        if not expect_masked:
            return self.wire
        head = self.wire[: {126: 4, 127: 10}.get(self.wire[1] & 0x7F, 2)]
        payload = self.wire[len(head) :]
        return bytes([head[0], head[1] ^ 0x80, *head[2:], *KEY, *(b ^ KEY[i % 4] for i, b in enumerate(payload))])


BREACHES = {
    **{
        f"RSV {rsv:#x} on opcode {opcode}": Breach(Violation.RESERVED_BITS, frame(opcode, b"abc", rsv=rsv))
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for rsv in (RSV1, RSV2, RSV3, RSV1 | RSV3)
    },
    "RSV1 on a continuation": Breach(Violation.RESERVED_BITS, frame(CONTINUATION, b"abc", rsv=RSV1), inside=True),
    **{
        f"opcode {opcode:#x}": Breach(Violation.RESERVED_OPCODE, frame(opcode, b"abc"), detail=f"0x{opcode:X}")
        for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    **{
        f"fragmented {opcode:#x}": Breach(Violation.FRAGMENTED_CONTROL, frame(opcode, b"abc", fin=False))
        for opcode in (CLOSE, PING, PONG)
    },
    **{
        f"{length} bytes in {opcode:#x}": Breach(Violation.CONTROL_TOO_LONG, frame(opcode, bytes(length)))
        for opcode in (CLOSE, PING, PONG)
        for length in (126, 65536)
    },
    "continuation first": Breach(Violation.UNEXPECTED_CONTINUATION, frame(CONTINUATION, b"abc")),
    "continuation first, not final": Breach(Violation.UNEXPECTED_CONTINUATION, frame(CONTINUATION, b"abc", fin=False)),
    "text inside": Breach(Violation.EXPECTED_CONTINUATION, frame(TEXT, b"abc"), inside=True),
    "binary inside": Breach(Violation.EXPECTED_CONTINUATION, frame(BINARY, b"abc", fin=False), inside=True),
    "125 in 16 bits": Breach(
        Violation.LENGTH_NOT_MINIMAL, frame(BINARY, bytes(125), bits=16), seen_after=4, detail="125 in 16 bits"
    ),
    "0 in 16 bits": Breach(Violation.LENGTH_NOT_MINIMAL, frame(TEXT, bits=16), seen_after=4, detail="0 in 16 bits"),
    "65535 in 64 bits": Breach(
        Violation.LENGTH_NOT_MINIMAL, frame(BINARY, bytes(65535), bits=64), seen_after=10, detail="65535 in 64 bits"
    ),
    "0 in 64 bits, continuation": Breach(
        Violation.LENGTH_NOT_MINIMAL,
        frame(CONTINUATION, bits=64),
        seen_after=10,
        detail="0 in 64 bits",
        inside=True,
    ),
    "2**63": Breach(Violation.LENGTH_TOP_BIT, header(BINARY, 1 << 63), seen_after=10),
    "2**64 - 1": Breach(Violation.LENGTH_TOP_BIT, header(TEXT, (1 << 64) - 1), seen_after=10),
    "not UTF-8": Breach(Violation.INVALID_UTF8, frame(TEXT, b"\xff"), seen_after=3),
    "ends inside of a character": Breach(Violation.INVALID_UTF8, frame(TEXT, b"a\xc3"), seen_after=4),
    "message ends inside of a character": Breach(
        Violation.INVALID_UTF8, frame(CONTINUATION, b"\xe2\x82"), seen_after=4, inside=True
    ),
}

SIDES = pytest.mark.parametrize("expect_masked", [True, False], ids=["from client", "from server"])


@SIDES
@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
class TestBreach:
    """One broken frame in the places where it can be."""

    def decoder(self, twin: Any, expect_masked: bool) -> Any:
        return twin.FrameDecoder(expect_masked=expect_masked, max_message_size=1 << 20)

    def before(self, breach: Breach, expect_masked: bool) -> bytes:
        key = KEY if expect_masked else None
        good = frame(BINARY, b"good", key=key) + frame(PING, b"ping", key=key)
        return good + frame(TEXT, b"start", fin=False, key=key) if breach.inside else good

    def check(self, decoder: Any, results: list[Any], breach: Breach) -> None:
        error = results[-1]
        assert error == ProtocolError(breach.violation, breach.detail)
        assert decoder.error is error
        assert error.close_code == breach.violation.close_code
        assert decoder.buffered == 0
        assert not decoder.in_message

    def test_at_the_beginning(self, twin: Any, breach: Breach, expect_masked: bool) -> None:
        decoder = self.decoder(twin, expect_masked)
        if breach.inside:
            decoder.feed(frame(TEXT, b"start", fin=False, key=KEY if expect_masked else None))
        results = decoder.feed(breach.as_seen_by(expect_masked))
        assert len(results) == 1
        self.check(decoder, results, breach)

    def test_behind_good_frames_and_before_others(self, twin: Any, breach: Breach, expect_masked: bool) -> None:
        decoder = self.decoder(twin, expect_masked)
        before = self.before(breach, expect_masked)
        after = frame(TEXT, b"never seen", key=KEY if expect_masked else None)
        results = decoder.feed(before + breach.as_seen_by(expect_masked) + after)
        good = [b"good", twin.Frame(PING, b"ping")]
        assert results[:-1] == ([*good, twin.Frame(TEXT, b"start", fin=False)] if breach.inside else good)
        self.check(decoder, results, breach)
        error = decoder.error
        assert decoder.feed(after) == []
        assert decoder.feed_buffer(bytearray(after), len(after)) == []
        assert decoder.error is error
        assert decoder.buffered == 0

    def test_noticed_with_the_byte_that_breaks_the_rule(self, twin: Any, breach: Breach, expect_masked: bool) -> None:
        decoder = self.decoder(twin, expect_masked)
        decoder.feed(self.before(breach, expect_masked))
        wire = breach.as_seen_by(expect_masked)
        # Only what is in the payload needs the masking key.
        seen_after = breach.seen_after + (4 if expect_masked and breach.violation is Violation.INVALID_UTF8 else 0)
        assert feed_all(decoder, single_bytes(wire[: seen_after - 1])) == []
        assert decoder.error is None
        results = decoder.feed(wire[seen_after - 1 : seen_after])
        assert len(results) == 1
        self.check(decoder, results, breach)

    def test_cut_anywhere(self, twin: Any, breach: Breach, expect_masked: bool) -> None:
        before = self.before(breach, expect_masked)
        wire = before + breach.as_seen_by(expect_masked)[:40]
        expected = self.decoder(twin, expect_masked).feed(wire)
        assert isinstance(expected[-1], ProtocolError)
        for cut in range(1, len(wire)):
            decoder = self.decoder(twin, expect_masked)
            results = feed_all(decoder, pieces(wire, [cut]))
            assert results == expected
            self.check(decoder, results, breach)


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_mask_bit_wrong_for_the_direction(twin: Any, opcode: int) -> None:
    for expect_masked, violation in ((True, Violation.UNMASKED_FRAME), (False, Violation.MASKED_FRAME)):
        for position in range(2):
            decoder = twin.FrameDecoder(expect_masked=expect_masked)
            if opcode == CONTINUATION:
                decoder.feed(frame(TEXT, b"a", fin=False, key=KEY if expect_masked else None))
            wire = frame(opcode, b"", key=None if expect_masked else KEY)
            if position:
                assert decoder.feed(wire[:1]) == []
            assert decoder.feed(wire[position:]) == [ProtocolError(violation)]


# Headers that break several rules; the first of them in the order of the contract has to be named.
PRECEDENCE = [
    # First two bytes from a server: RSV, reserved opcode, masked.
    ("c3ff", False, Violation.RESERVED_BITS),
    ("83ff", False, Violation.RESERVED_OPCODE),
    ("0bff", False, Violation.RESERVED_OPCODE),
    # RSV before the rules of control frames and of continuations.
    ("49ff", False, Violation.RESERVED_BITS),
    ("c0ff", False, Violation.RESERVED_BITS),
    # Control frames: not fragmented, then the length, then the mask.
    ("08ff", False, Violation.FRAGMENTED_CONTROL),
    ("0880", False, Violation.FRAGMENTED_CONTROL),
    ("89fe", False, Violation.CONTROL_TOO_LONG),
    ("897e", True, Violation.CONTROL_TOO_LONG),
    ("8980", False, Violation.MASKED_FRAME),
    # Order of fragments before the mask.
    ("80ff", False, Violation.UNEXPECTED_CONTINUATION),
    ("007f", True, Violation.UNEXPECTED_CONTINUATION),
    ("81fe0000", False, Violation.MASKED_FRAME),
    # The mask before the form of the length, the top bit before the limits.
    ("827e0001", True, Violation.UNMASKED_FRAME),
    ("827f8000000000000000", False, Violation.LENGTH_TOP_BIT),
    ("827f00000000000003ff", False, Violation.LENGTH_NOT_MINIMAL),
    ("827f0000000000010000", False, Violation.MESSAGE_TOO_BIG),
]


@pytest.mark.parametrize(("wire", "expect_masked", "violation"), PRECEDENCE)
def test_precedence(twin: Any, wire: str, expect_masked: bool, violation: Violation) -> None:
    for chunks in ([bytes.fromhex(wire)], single_bytes(bytes.fromhex(wire))):
        decoder = twin.FrameDecoder(expect_masked=expect_masked, max_message_size=10)
        results = feed_all(decoder, chunks)
        assert [error.violation for error in results] == [violation]


@pytest.mark.parametrize(
    ("wire", "violation"),
    [
        ("c1ff", Violation.RESERVED_BITS),
        ("81ff", Violation.EXPECTED_CONTINUATION),
        ("80ff", Violation.MASKED_FRAME),
        ("807e0001", Violation.LENGTH_NOT_MINIMAL),
        ("807fffffffffffffffff", Violation.LENGTH_TOP_BIT),
        ("807e0100", Violation.TOO_MANY_FRAGMENTS),  # and over the size
    ],
)
def test_precedence_inside_of_a_message(twin: Any, wire: str, violation: Violation) -> None:
    for chunks in ([bytes.fromhex(wire)], single_bytes(bytes.fromhex(wire))):
        decoder = twin.FrameDecoder(expect_masked=False, max_message_size=10, max_fragments=1)
        decoder.feed(frame(TEXT, b"abc", fin=False))
        assert [error.violation for error in feed_all(decoder, chunks)] == [violation]


def test_allowed_rsv_is_for_the_first_frame_of_a_message(twin: Any) -> None:
    every_bit = RSV1 | RSV2 | RSV3
    for allowed in (0, RSV1, RSV2, RSV3, RSV1 | RSV2, every_bit):
        for rsv in range(0x10, 0x80, 0x10):
            for opcode in (TEXT, BINARY):
                results = twin.FrameDecoder(expect_masked=False, allowed_rsv=allowed).feed(frame(opcode, b"a", rsv=rsv))
                if rsv & ~allowed:
                    assert results == [ProtocolError(Violation.RESERVED_BITS)]
                else:
                    assert results == [twin.Frame(opcode, b"a", rsv=rsv)]
            for opcode in (CLOSE, PING, PONG):
                decoder = twin.FrameDecoder(expect_masked=False, allowed_rsv=allowed)
                assert decoder.feed(frame(opcode, b"", rsv=rsv)) == [ProtocolError(Violation.RESERVED_BITS)]
            decoder = twin.FrameDecoder(expect_masked=False, allowed_rsv=allowed)
            results = decoder.feed(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", rsv=rsv))
            assert results == [twin.Frame(TEXT, b"", fin=False), ProtocolError(Violation.RESERVED_BITS)]


def test_the_error_holds_nothing_of_the_data(twin: Any) -> None:
    (error,) = twin.FrameDecoder(expect_masked=False).feed(frame(TEXT, b"\xff"))
    assert error.__traceback__ is None
    assert error.__context__ is None
    assert error.__cause__ is None
