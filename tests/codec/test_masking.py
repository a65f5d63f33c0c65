"""Masking: right at every length, offset and alignment, and never outside of the payload."""

from __future__ import annotations

from typing import Any

import pytest

from .refusal import refused
from .wire import BINARY, KEY, TEXT, frame, mask

pytestmark = pytest.mark.usefixtures("simd")

#: Every length up to four of the widest vectors, and around the sizes at which implementations change their ways.
LENGTHS = [*range(260), 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4099, 65535, 65536, 65537]

DATA = bytes(i * 167 + (i >> 8) & 0xFF for i in range(LENGTHS[-1] + 64))
MASKED = mask(DATA)


def test_every_length(twin: Any) -> None:
    for length in LENGTHS:
        assert twin.apply_mask(DATA[:length], KEY) == MASKED[:length]


def test_every_alignment(twin: Any) -> None:
    view = memoryview(DATA)
    for start in range(65):
        key = KEY[start % 4 :] + KEY[: start % 4]
        for length in (0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 200, 1000):
            assert twin.apply_mask(view[start : start + length], key) == MASKED[start : start + length]


@pytest.mark.parametrize("key", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0", b"\0\0\0\1", b"\x80\x7f\0\xff"])
def test_keys(twin: Any, key: bytes) -> None:
    for length in (1, 2, 3, 4, 5, 63, 64, 65, 1000):
        assert twin.apply_mask(DATA[:length], key) == mask(DATA[:length], key)
        assert twin.apply_mask(twin.apply_mask(DATA[:length], key), key) == DATA[:length]


def test_the_result_is_new_and_the_data_is_left_alone(twin: Any) -> None:
    for data in (DATA[:100], bytearray(DATA[:100])):
        before = bytes(data)
        masked = twin.apply_mask(data, b"\0\0\0\0")
        assert type(masked) is bytes
        assert masked == before
        twin.apply_mask(data, KEY)
        assert data == before


def test_in_place_writes_the_payload_and_nothing_else(twin: Any) -> None:
    canary = bytes(range(1, 65))
    for length in [*range(132), 255, 256, 257, 511, 512, 513, 4099]:
        for start in (*range(17), 31, 33, 63):
            memory = bytearray(canary + DATA[: start + length] + canary)
            with memoryview(memory) as view:
                assert twin.mask_in_place(view[64 + start : 64 + start + length], KEY) is None
            assert memory == canary + DATA[:start] + mask(DATA[start : start + length]) + canary


def test_in_place_in_pieces(twin: Any) -> None:
    for size in (1, 2, 3, 5, 7, 64, 100, 1023):
        memory = bytearray(DATA[:3000])
        for at in range(0, 3000, size):
            with memoryview(memory) as view:
                twin.mask_in_place(view[at : at + size], KEY, at)
        assert memory == MASKED[:3000]


@pytest.mark.parametrize(
    "offset", [0, 1, 2, 3, 4, 5, 2**31 - 1, 2**31, 2**32 + 1, 2**63 - 1, 2**63, 2**64 + 3, 10**30 + 2]
)
def test_offsets(twin: Any, offset: int) -> None:
    for length in (0, 1, 2, 3, 4, 5, 63, 64, 65, 700):
        memory = bytearray(DATA[:length])
        twin.mask_in_place(memory, KEY, offset=offset)
        assert memory == mask(DATA[:length], KEY, offset)


def test_an_empty_payload(twin: Any) -> None:
    assert twin.apply_mask(b"", KEY) == b""
    memory = bytearray()
    twin.mask_in_place(memory, KEY, 7)
    assert memory == b""


@pytest.mark.parametrize("offset", [-1, -4, -(2**31), -(2**64)])
def test_negative_offsets(twin: Any, offset: int) -> None:
    memory = bytearray(b"abc")
    with refused(ValueError, f"offset must not be negative: {offset}"):
        twin.mask_in_place(memory, KEY, offset)
    assert memory == b"abc"


@pytest.mark.parametrize("length", [0, 1, 3, 5, 8])
def test_keys_of_other_lengths(twin: Any, length: int) -> None:
    memory = bytearray(b"abc")
    for call in (
        lambda key: twin.apply_mask(b"abc", key),
        lambda key: twin.mask_in_place(memory, key),
        lambda key: twin.encode_frame(BINARY, b"abc", masking_key=key),
    ):
        with refused(ValueError, f"masking_key must be 4 bytes, not {length}"):
            call(bytes(length))
    assert memory == b"abc"


def test_the_decoder_unmasks_every_length(twin: Any) -> None:
    decoder = twin.FrameDecoder(expect_masked=True)
    for length in LENGTHS:
        payload = DATA[:length]
        assert decoder.feed(frame(BINARY, payload, key=KEY)) == [payload]
        text = bytes(byte & 0x7F for byte in payload[:1100])
        assert decoder.feed(frame(TEXT, text, key=KEY)) == [text.decode()]


def test_the_encoder_masks_every_length(twin: Any) -> None:
    for length in LENGTHS:
        payload = DATA[:length]
        wire = frame(BINARY, payload, key=KEY)
        assert twin.encode_frame(BINARY, payload, masking_key=KEY) == wire
        assert twin.encode_frames([payload, payload], masking_keys=KEY + KEY) == wire + wire


def test_the_decoder_unmasks_pieces(twin: Any) -> None:
    wire = frame(BINARY, DATA[:5000], key=KEY)
    for size in (1, 2, 3, 5, 7, 13, 64, 100, 1023, 4096):
        decoder = twin.FrameDecoder(expect_masked=True)
        results = [result for at in range(0, len(wire), size) for result in decoder.feed(wire[at : at + size])]
        assert results == [DATA[:5000]]


def test_the_level_is_one_of_those_that_there_are(twin: Any, simd: str) -> None:
    levels = twin.simd_levels()
    assert type(levels) is tuple
    assert simd in levels
    assert twin.simd_level() == simd
    assert (levels == ("none",)) is (twin.IMPLEMENTATION == "python")
    assert levels[-1] in {"none", "portable"}


@pytest.mark.parametrize("name", ["", "AVX2", "mmx", "portable\0"])
def test_other_levels(twin: Any, simd: str, name: str) -> None:
    with refused(ValueError, f"SIMD level must be one of {', '.join(twin.simd_levels())}, not {name!r}"):
        twin.set_simd_level(name)
    assert twin.simd_level() == simd
