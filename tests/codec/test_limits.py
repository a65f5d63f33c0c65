"""Limits of messages: judged by the header, before anything of the payload is held."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from bowstring.exceptions import ProtocolError, Violation

from .wire import BINARY, CONTINUATION, KEY, PING, RSV1, RSV3, TEXT, feed_all, frame, header, single_bytes

SIZES = [0, 1, 2, 100, 125, 126, 127, 1000, 65535, 65536, 1 << 20]


def too_big(size: int, limit: int) -> ProtocolError:
    return ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=limit)


def too_many(count: int, limit: int) -> ProtocolError:
    return ProtocolError(Violation.TOO_MANY_FRAGMENTS, size=count, limit=limit)


@pytest.mark.parametrize("limit", SIZES)
def test_exactly_the_limit(twin: Any, limit: int) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=limit)
    for _ in range(2):  # a message is counted by itself
        assert decoder.feed(frame(BINARY, bytes(limit))) == [bytes(limit)]
        assert decoder.feed(frame(TEXT, bytes(limit))) == ["\0" * limit]


@pytest.mark.parametrize("limit", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_one_more(twin: Any, limit: int, opcode: int) -> None:
    for masked in (False, True):
        head = header(opcode, limit + 1, masked=masked)  # no masking key, no payload
        decoder = twin.FrameDecoder(expect_masked=masked, max_message_size=limit)
        assert feed_all(decoder, single_bytes(head[:-1])) == []
        assert decoder.feed(head[-1:]) == [too_big(limit + 1, limit)]
        assert decoder.error.close_code == 1009


@pytest.mark.parametrize("limit", [0, 1, 10, 1000])
def test_sum_of_the_fragments(twin: Any, limit: int) -> None:
    first = frame(BINARY, bytes(limit), fin=False)
    ping = frame(PING, bytes(125))
    whole = [twin.Frame(BINARY, bytes(limit), fin=False), twin.Frame(PING, bytes(125))]

    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=limit)
    wire = first + ping + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"")
    assert decoder.feed(wire) == [*whole, twin.Frame(CONTINUATION, b"", fin=False), twin.Frame(CONTINUATION, b"")]
    assert decoder.feed(frame(BINARY, bytes(limit))) == [bytes(limit)]

    for fin in (False, True):
        for length in (1, 126, 70000):
            decoder = twin.FrameDecoder(expect_masked=False, max_message_size=limit)
            results = decoder.feed(first + ping + header(CONTINUATION, length, fin=fin))
            assert results == [*whole, too_big(limit + length, limit)]


def test_control_frames_do_not_count(twin: Any) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=0, max_fragments=1)
    ping = frame(PING, bytes(125))
    assert decoder.feed(ping) == [twin.Frame(PING, bytes(125))]
    decoder.feed(frame(TEXT, b"", fin=False))
    assert decoder.feed(ping * 3) == [twin.Frame(PING, bytes(125))] * 3


@pytest.mark.parametrize("limit", [0, 1, 7, 8, 1000])
@pytest.mark.parametrize("rsv", [RSV1, RSV3, RSV1 | RSV3])
def test_more_room_for_what_an_extension_has_changed(twin: Any, limit: int, rsv: int) -> None:
    room = limit + (limit >> 3) + 64

    def decoder() -> Any:
        return twin.FrameDecoder(expect_masked=False, max_message_size=limit, allowed_rsv=RSV1 | RSV3)

    assert decoder().feed(frame(BINARY, bytes(room), rsv=rsv)) == [twin.Frame(BINARY, bytes(room), rsv=rsv)]
    # The error names the limit of the message, not that on the wire.
    assert decoder().feed(header(TEXT, room + 1, rsv=rsv)) == [too_big(room + 1, limit)]
    # Continuations belong to the message, though they have no bit.
    wire = frame(TEXT, b"a", rsv=rsv, fin=False) + frame(CONTINUATION, bytes(room - 1), fin=False)
    results = decoder().feed(wire + header(CONTINUATION, 1))
    assert results[2:] == [too_big(room + 1, limit)]
    # A message without a bit has no such room, also when a bit is allowed.
    assert decoder().feed(header(BINARY, limit + 1)) == [too_big(limit + 1, limit)]
    # The room ends with its message.
    one = decoder()
    one.feed(frame(BINARY, bytes(limit), rsv=rsv, fin=False) + frame(CONTINUATION, b""))
    assert one.feed(frame(BINARY, b"", fin=False) + header(CONTINUATION, limit + 1))[1:] == [too_big(limit + 1, limit)]


LENGTHS = [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 2, 2**63 - 1]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("masked", [True, False])
def test_lengths_beyond_any_memory(twin: Any, length: int, masked: bool) -> None:
    head = header(BINARY, length, masked=masked)
    assert twin.FrameDecoder(expect_masked=masked).feed(head) == [too_big(length, 1 << 20)]
    decoder = twin.FrameDecoder(expect_masked=masked, max_message_size=length - 1)
    assert decoder.feed(head) == [too_big(length, length - 1)]
    for limit in (length, length + 1, 2**63 - 1, 2**63, 2**64, 10**30, None):
        decoder = twin.FrameDecoder(expect_masked=masked, max_message_size=limit)
        assert decoder.max_message_size == limit
        assert decoder.feed(head + (KEY if masked else b"")) == []
        assert decoder.feed(b"12345") == []
        assert decoder.buffered == len(head) + (4 if masked else 0) + 5


def test_sums_beyond_64_bits(twin: Any) -> None:
    start = frame(BINARY, b"abc", fin=False)
    head = header(CONTINUATION, 2**63 - 1)
    for limit in (2**63 - 1, 2**63 + 1):
        results = twin.FrameDecoder(expect_masked=False, max_message_size=limit).feed(start + head)
        if limit < 2**63:
            assert results[1:] == [too_big(2**63 + 2, limit)]
        else:  # as good as none
            assert results[1:] == []


@pytest.mark.parametrize("limit", [2**62, 2**63 - 1, 2**63, 2**64, None])
def test_room_for_extensions_beyond_64_bits(twin: Any, limit: int | None) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=limit, allowed_rsv=RSV1)
    assert decoder.feed(header(BINARY, 2**62, rsv=RSV1)) == []
    assert decoder.buffered == 10


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_number_of_fragments(twin: Any, limit: int) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_fragments=limit)
    for _ in range(2):  # each message by itself
        assert (
            len(decoder.feed(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * (limit - 1))) == limit
        )
        if limit > 1:
            decoder = twin.FrameDecoder(expect_masked=False, max_fragments=limit)
            decoder.feed(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * (limit - 2))
            assert decoder.feed(frame(CONTINUATION)) == [twin.Frame(CONTINUATION)]
            assert not decoder.in_message
        else:
            decoder = twin.FrameDecoder(expect_masked=False, max_fragments=limit)
            assert decoder.feed(frame(TEXT, b"whole")) == ["whole"]

    for fin in (False, True):
        decoder = twin.FrameDecoder(expect_masked=True, max_fragments=limit)
        decoder.feed(frame(TEXT, fin=False, key=KEY) + frame(CONTINUATION, fin=False, key=KEY) * (limit - 1))
        decoder.feed(frame(PING, key=KEY))
        # By the first two bytes, when the length is in them.
        assert decoder.feed(header(CONTINUATION, 0, fin=fin, masked=True)) == [too_many(limit + 1, limit)]
        assert decoder.error.close_code == 1009


@pytest.mark.parametrize("limit", [2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, None])
def test_numbers_of_fragments_beyond_any_use(twin: Any, limit: int | None) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_fragments=limit)
    assert decoder.max_fragments == limit
    wire = frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 20000
    assert len(decoder.feed(wire)) == 20001
    assert decoder.in_message


def test_default_limits(twin: Any) -> None:
    decoder = twin.FrameDecoder(expect_masked=False)
    assert decoder.max_message_size == 1 << 20
    assert decoder.max_fragments == 16384
    assert decoder.feed(header(BINARY, (1 << 20) + 1)) == [too_big((1 << 20) + 1, 1 << 20)]
    decoder = twin.FrameDecoder(expect_masked=False)
    wire = frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 16384
    assert decoder.feed(wire)[-1] == too_many(16385, 16384)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_length_reserves_no_memory(twin: Any, opcode: int) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=None)
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        decoder.feed(header(opcode, 1 << 40))
        assert tracemalloc.get_traced_memory()[1] < 65536
        for _ in range(16):
            decoder.feed(chunk)
        # A buffer that grows geometrically, its old place while it moves, and copies of one chunk.
        assert tracemalloc.get_traced_memory()[1] < 4 * 16 * len(chunk)
    finally:
        tracemalloc.stop()
    assert decoder.buffered == 10 + 16 * len(chunk)


def test_an_error_drops_what_is_held(twin: Any) -> None:
    decoder = twin.FrameDecoder(expect_masked=False, max_message_size=None)
    tracemalloc.start()
    try:
        decoder.feed(header(TEXT, 1 << 30) + b"x" * (1 << 20))
        held = tracemalloc.get_traced_memory()[0]
        assert held > 1 << 20
        decoder.feed(b"\xff")
        assert tracemalloc.get_traced_memory()[0] < held - (1 << 20) + 65536
    finally:
        tracemalloc.stop()
    assert decoder.buffered == 0
