"""The examples of RFC 6455 §5.7, read and written."""

from __future__ import annotations

from typing import Any

import pytest

from .wire import BINARY, CONTINUATION, KEY, PING, PONG, TEXT, feed_all, single_bytes

pytestmark = pytest.mark.usefixtures("simd")

HELLO = bytes.fromhex("48656c6c6f")
BYTES_256 = bytes(range(256))
BYTES_64K = bytes(range(256)) * 256


def test_unmasked_text(twin: Any) -> None:
    wire = bytes.fromhex("810548656c6c6f")
    assert twin.FrameDecoder(expect_masked=False).feed(wire) == ["Hello"]
    assert twin.encode_frame(TEXT, "Hello") == wire
    assert twin.encode_frames(["Hello"]) == wire


def test_masked_text(twin: Any) -> None:
    wire = bytes.fromhex("818537fa213d7f9f4d5158")
    assert twin.FrameDecoder(expect_masked=True).feed(wire) == ["Hello"]
    assert twin.encode_frame(TEXT, "Hello", masking_key=KEY) == wire
    assert twin.encode_frames(["Hello"], masking_keys=KEY) == wire


def test_fragmented_unmasked_text(twin: Any) -> None:
    wire = bytes.fromhex("010348656c80026c6f")
    frames = [twin.Frame(TEXT, b"Hel", fin=False), twin.Frame(CONTINUATION, b"lo")]
    assert twin.FrameDecoder(expect_masked=False).feed(wire) == frames
    assert twin.encode_frames(frames) == wire


def test_unmasked_ping_and_masked_pong(twin: Any) -> None:
    ping = bytes.fromhex("890548656c6c6f")
    pong = bytes.fromhex("8a8537fa213d7f9f4d5158")
    assert twin.FrameDecoder(expect_masked=False).feed(ping) == [twin.Frame(PING, HELLO)]
    assert twin.FrameDecoder(expect_masked=True).feed(pong) == [twin.Frame(PONG, HELLO)]
    assert twin.encode_frame(PING, HELLO) == ping
    assert twin.encode_frame(PONG, HELLO, masking_key=KEY) == pong


@pytest.mark.parametrize(
    ("head", "payload"),
    [("827e0100", BYTES_256), ("827f0000000000010000", BYTES_64K)],
    ids=["256 bytes", "64 KiB"],
)
def test_binary(twin: Any, head: str, payload: bytes) -> None:
    wire = bytes.fromhex(head) + payload
    assert twin.FrameDecoder(expect_masked=False).feed(wire) == [payload]
    assert twin.encode_frame(BINARY, payload) == wire
    assert twin.encode_frames([payload]) == wire


def test_byte_by_byte(twin: Any) -> None:
    wire = bytes.fromhex("010348656c80026c6f890548656c6c6f810548656c6c6f827e0100") + BYTES_256
    expected = [
        twin.Frame(TEXT, b"Hel", fin=False),
        twin.Frame(CONTINUATION, b"lo"),
        twin.Frame(PING, HELLO),
        "Hello",
        BYTES_256,
    ]
    assert feed_all(twin.FrameDecoder(expect_masked=False), single_bytes(wire)) == expected
