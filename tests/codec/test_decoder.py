"""What comes out of a decoder, whatever pieces go in."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import pytest

from bowstring.exceptions import ProtocolError, Violation

from .refusal import refused
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
    mask,
    pieces,
    single_bytes,
)


@pytest.fixture(params=[True, False], ids=["masked", "unmasked"])
def key(request: pytest.FixtureRequest) -> bytes | None:
    return KEY if request.param else None


def traffic(twin: Any, key: bytes | None) -> tuple[bytes, list[Any]]:
    """Frames of every kind and length form, and what they come out as."""
    parts: list[tuple[bytes, Any]] = [
        (frame(TEXT, b"", key=key), ""),
        (frame(TEXT, b"ascii", key=key), "ascii"),
        (frame(BINARY, b"", key=key), b""),
        (frame(BINARY, b"\xff\0", key=key), b"\xff\0"),
        (frame(TEXT, "é€😀".encode(), key=key), "é€😀"),
        (frame(PING, b"", key=key), twin.Frame(PING)),
        (frame(PONG, bytes(125), key=key), twin.Frame(PONG, bytes(125))),
        (frame(TEXT, "é".encode()[:1], fin=False, key=key), twin.Frame(TEXT, b"\xc3", fin=False)),
        (frame(PING, b"\xff", key=key), twin.Frame(PING, b"\xff")),
        (frame(CONTINUATION, "é".encode()[1:], fin=False, key=key), twin.Frame(CONTINUATION, b"\xa9", fin=False)),
        (frame(CONTINUATION, b"", key=key), twin.Frame(CONTINUATION)),
        (frame(BINARY, b"", fin=False, key=key), twin.Frame(BINARY, fin=False)),
        (frame(CONTINUATION, b"x" * 300, key=key), twin.Frame(CONTINUATION, b"x" * 300)),
        (frame(TEXT, b"\xff\xff", rsv=RSV1, key=key), twin.Frame(TEXT, b"\xff\xff", rsv=RSV1)),
        (frame(BINARY, b"a", rsv=RSV1 | RSV3, key=key), twin.Frame(BINARY, b"a", rsv=RSV1 | RSV3)),
        (frame(TEXT, b"\xff", rsv=RSV3, fin=False, key=key), twin.Frame(TEXT, b"\xff", rsv=RSV3, fin=False)),
        (frame(CONTINUATION, b"\xfe", key=key), twin.Frame(CONTINUATION, b"\xfe")),
        (frame(TEXT, b"a" * 125, key=key), "a" * 125),
        (frame(TEXT, b"b" * 126, key=key), "b" * 126),
        (frame(CLOSE, b"\x03\xe8bye", key=key), twin.Frame(CLOSE, b"\x03\xe8bye")),
        (frame(BINARY, b"after", key=key), b"after"),  # order behind a Close is not for the codec to judge
    ]
    return b"".join(wire for wire, _ in parts), [result for _, result in parts]


def decoder(twin: Any, key: bytes | None, **settings: Any) -> Any:
    return twin.FrameDecoder(expect_masked=key is not None, allowed_rsv=RSV1 | RSV3, **settings)


@pytest.mark.usefixtures("simd")
class TestPieces:
    """The same results for any cut."""

    def test_all_at_once(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        results = decoder(twin, key).feed(wire)
        assert results == expected
        assert [type(result) for result in results] == [type(result) for result in expected]

    def test_cut_once(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        for cut in range(len(wire) + 1):
            assert feed_all(decoder(twin, key), pieces(wire, [cut])) == expected

    def test_pieces_of_one_size(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        for size in (*range(1, 40), 100, 127):
            assert feed_all(decoder(twin, key), pieces(wire, range(size, len(wire), size))) == expected

    def test_pieces_of_random_sizes_with_empty_ones(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        chance = random.Random(6455)
        for _ in range(50):
            cuts = [chance.randrange(len(wire) + 1) for _ in range(chance.randrange(60))]
            assert feed_all(decoder(twin, key), pieces(wire, cuts)) == expected

    def test_feed_buffer(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        for size in (1, 2, 7, 64, 1000, len(wire)):
            one = decoder(twin, key)
            buffer = bytearray(b"\xff" * (size + 3))
            results = []
            for piece in pieces(wire, range(size, len(wire), size)):
                buffer[: len(piece)] = piece
                results += one.feed_buffer(buffer, len(piece))
            assert results == expected

    def test_large_messages(self, twin: Any, key: bytes | None) -> None:
        chance = random.Random(7692)
        for length in (65535, 65536, 300_000):
            payload = chance.randbytes(length)
            text = "".join(chr(33 + byte % 90) for byte in payload)
            wire = frame(BINARY, payload, key=key) + frame(TEXT, text.encode(), key=key)
            for size in (1000, 65536, len(wire)):
                assert feed_all(decoder(twin, key), pieces(wire, range(size, len(wire), size))) == [payload, text]

    def test_bytes_that_are_not_text(self, twin: Any, key: bytes | None) -> None:
        wire, expected = traffic(twin, key)
        expected = [result.encode() if isinstance(result, str) else result for result in expected]
        assert decoder(twin, key, decode=False).feed(wire) == expected
        results = feed_all(decoder(twin, key, decode=False), single_bytes(wire))
        assert results == expected
        assert [type(result) for result in results] == [type(result) for result in expected]


def test_buffered_counts_what_is_held_of_a_frame(twin: Any, key: bytes | None) -> None:
    one = decoder(twin, key)
    wire, _ = traffic(twin, key)
    assert one.buffered == 0
    held = 0
    for byte in single_bytes(wire):
        held = 0 if one.feed(byte) else held + 1
        assert one.buffered == held
    assert one.buffered == 0
    # Of several frames in a chunk, only the last is held.
    one.feed(frame(BINARY, b"abc", key=key) + frame(PING, b"1234", key=key)[:-1])
    assert one.buffered == (9 if key else 5)
    one.feed(b"4")
    assert one.buffered == 0


def test_in_message_from_the_first_to_the_last_fragment(twin: Any, key: bytes | None) -> None:
    one = decoder(twin, key)
    assert one.in_message is False
    steps = [
        (frame(TEXT, b"whole", key=key), False),
        (frame(TEXT, b"start", fin=False, key=key), True),
        (frame(PING, b"", key=key), True),
        (frame(CONTINUATION, b"more", fin=False, key=key), True),
        (frame(CONTINUATION, b"", fin=False, key=key), True),
        (frame(CONTINUATION, b"end", key=key), False),
        (frame(BINARY, b"", fin=False, key=key), True),
        (frame(CONTINUATION, b"", key=key), False),
        (frame(TEXT, b"\xff", rsv=RSV1, fin=False, key=key), True),
        (frame(CONTINUATION, b"", key=key), False),
        (frame(CLOSE, b"", key=key), False),
    ]
    before = False
    for wire, after in steps:
        one.feed(wire[:-1])
        assert one.in_message is before
        one.feed(wire[-1:])
        assert one.in_message is after
        before = after


def test_results_are_new_objects(twin: Any) -> None:
    one = twin.FrameDecoder(expect_masked=False)
    first = one.feed(frame(BINARY, b"abc"))
    second = one.feed(b"")
    assert first is not second
    assert second == []
    first.append("mine")
    assert one.feed(frame(BINARY, b"abc")) == [b"abc"]


@pytest.mark.parametrize("size", [1, 100, 10_000, 100_003])
def test_results_are_sized_exactly(twin: Any, size: int) -> None:
    payload = b"x" * size
    exact = sys.getsizeof(bytes(size)), sys.getsizeof("x" * size)
    for chunk in (7, 1000, 65536):
        for wire, expected, memory in (
            (frame(BINARY, payload), payload, exact[0]),
            (frame(TEXT, payload), payload.decode(), exact[1]),
        ):
            results = feed_all(twin.FrameDecoder(expect_masked=False), pieces(wire, range(chunk, len(wire), chunk)))
            assert results == [expected]
            assert sys.getsizeof(results[0]) == memory


def test_single_bytes_cost_no_more_than_their_number(twin: Any, key: bytes | None) -> None:
    payload = b"x" * (1 << 19)
    wire = frame(TEXT, payload, key=key)
    chunks = single_bytes(wire)
    one = decoder(twin, key)
    began = time.process_time()
    results = feed_all(one, chunks)
    # Some tenths of a second. Copying what is held at every byte would move 137 GB.
    assert time.process_time() - began < 8
    assert results == [payload.decode()]


def test_settings_are_kept(twin: Any) -> None:
    one = twin.FrameDecoder(expect_masked=True)
    assert one.expect_masked is True
    assert one.max_message_size == 1048576
    assert one.max_fragments == 16384
    assert one.allowed_rsv == 0
    assert one.decode is True
    assert one.error is None
    one = twin.FrameDecoder(
        expect_masked=False, max_message_size=None, max_fragments=None, allowed_rsv=RSV2, decode=False
    )
    assert one.expect_masked is False
    assert one.max_message_size is None
    assert one.max_fragments is None
    assert one.allowed_rsv == RSV2
    assert one.decode is False


@pytest.mark.parametrize(
    "name",
    ["expect_masked", "max_message_size", "max_fragments", "allowed_rsv", "decode", "error", "buffered", "in_message"],
)
def test_attributes_are_read_only(twin: Any, name: str) -> None:
    one = twin.FrameDecoder(expect_masked=True)
    with pytest.raises(AttributeError):
        setattr(one, name, 1)


WRONG_SETTINGS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_message_size": -1}, ValueError, "max_message_size must be at least 0, not -1"),
    ({"max_message_size": -(10**30)}, ValueError, f"max_message_size must be at least 0, not -{10**30}"),
    ({"max_message_size": "1"}, TypeError, "max_message_size must be an int or None, not 'str'"),
    ({"max_message_size": 1.0}, TypeError, "max_message_size must be an int or None, not 'float'"),
    ({"max_fragments": 0}, ValueError, "max_fragments must be at least 1, not 0"),
    ({"max_fragments": -5}, ValueError, "max_fragments must be at least 1, not -5"),
    ({"max_fragments": b"1"}, TypeError, "max_fragments must be an int or None, not 'bytes'"),
    ({"allowed_rsv": 1}, ValueError, "allowed_rsv must be made of RSV1, RSV2 and RSV3, not 0x1"),
    ({"allowed_rsv": 0xC0}, ValueError, "allowed_rsv must be made of RSV1, RSV2 and RSV3, not 0xc0"),
    ({"allowed_rsv": -1}, ValueError, "allowed_rsv must be made of RSV1, RSV2 and RSV3, not -0x1"),
    ({"allowed_rsv": 1 << 70}, ValueError, f"allowed_rsv must be made of RSV1, RSV2 and RSV3, not {1 << 70:#x}"),
    ({"allowed_rsv": "RSV1"}, TypeError, "'str' object cannot be interpreted as an integer"),
    ({"allowed_rsv": None}, TypeError, "'NoneType' object cannot be interpreted as an integer"),
]


@pytest.mark.parametrize(("settings", "error", "text"), WRONG_SETTINGS, ids=[text for _, _, text in WRONG_SETTINGS])
def test_wrong_settings(twin: Any, settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with refused(error, text):
        twin.FrameDecoder(expect_masked=True, **settings)


def test_settings_are_keywords(twin: Any) -> None:
    with pytest.raises(TypeError):
        twin.FrameDecoder(True)
    with pytest.raises(TypeError):
        twin.FrameDecoder()


def test_every_combination_of_allowed_bits(twin: Any) -> None:
    for allowed in range(0, 0x80, 0x10):
        assert twin.FrameDecoder(expect_masked=True, allowed_rsv=allowed).allowed_rsv == allowed


class TestFeedBuffer:
    """The form for a buffer of the caller's."""

    def test_nothing(self, twin: Any) -> None:
        one = twin.FrameDecoder(expect_masked=False)
        assert one.feed_buffer(bytearray(8), 0) == []
        assert one.buffered == 0

    def test_only_the_first_bytes(self, twin: Any) -> None:
        one = twin.FrameDecoder(expect_masked=False)
        assert one.feed_buffer(bytearray(frame(TEXT, b"abc") + b"\xff" * 10), 5) == ["abc"]
        assert one.buffered == 0

    @pytest.mark.parametrize("nbytes", [-1, 9, 10, 2**31, 2**63, 2**64, -(2**63), -(2**70)])
    def test_more_or_less_than_there_are(self, twin: Any, nbytes: int) -> None:
        one = twin.FrameDecoder(expect_masked=False)
        one.feed(b"\x82")
        buffer = bytearray(8)
        with refused(ValueError, f"nbytes must be between 0 and 8, not {nbytes}"):
            one.feed_buffer(buffer, nbytes)
        buffer.clear()  # nothing exports it
        assert one.buffered == 1
        assert one.feed(b"\x01a") == [b"a"]

    @pytest.mark.parametrize("nbytes", [None, "1", 1.0, b"1"], ids=repr)
    def test_nbytes_is_an_int(self, twin: Any, nbytes: Any) -> None:
        one = twin.FrameDecoder(expect_masked=False)
        with refused(TypeError, f"{type(nbytes).__name__!r} object cannot be interpreted as an integer"):
            one.feed_buffer(bytearray(8), nbytes)

    def test_lengths_are_bytes_not_items(self, twin: Any) -> None:
        wire = frame(BINARY, b"123456")
        assert twin.FrameDecoder(expect_masked=False).feed_buffer(memoryview(wire).cast("i"), 8) == [b"123456"]
        assert twin.FrameDecoder(expect_masked=False).feed_buffer(memoryview(wire).cast("B", (2, 4)), 8) == [b"123456"]


def test_wrong_arguments_change_nothing(twin: Any) -> None:
    one = twin.FrameDecoder(expect_masked=False)
    one.feed(frame(TEXT, b"start", fin=False) + header(CONTINUATION, 5) + b"ab")
    for wrong in ("text", None, 1, memoryview(b"abcd")[::2]):
        with pytest.raises(TypeError):
            one.feed(wrong)
        with pytest.raises(TypeError):
            one.feed_buffer(wrong, 1)
    assert one.error is None
    assert one.in_message
    assert one.buffered == 4
    assert one.feed(b"cde") == [twin.Frame(CONTINUATION, b"abcde")]


def test_wrong_arguments_raise_also_after_an_error(twin: Any) -> None:
    one = twin.FrameDecoder(expect_masked=False)
    assert one.feed(b"\xff\xff") == [ProtocolError(Violation.RESERVED_BITS)]
    with pytest.raises(TypeError):
        one.feed("text")
    with pytest.raises(ValueError, match="nbytes"):
        one.feed_buffer(b"", 1)
    assert one.feed(b"anything") == []
    assert one.feed_buffer(bytearray(b"anything"), 8) == []


def test_masking_keys_of_their_own(twin: Any) -> None:
    keys = [bytes([i, 255 - i, i ^ 0x55, 0]) for i in range(256)]
    wire = b"".join(frame(BINARY, b"payload of some length", key=key) for key in keys)
    assert mask(b"payload", keys[1]) in wire
    for chunks in ([wire], single_bytes(wire)):
        assert feed_all(twin.FrameDecoder(expect_masked=True), chunks) == [b"payload of some length"] * 256
