"""Masking, decoding, building and UTF-8: each group is one table, with the contenders side by side.

Every contender's result is compared with what it has to be before it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .contenders import KEY, Message, stream

Benchmark = Callable[..., Any]

SIZES = {"16 B": 16, "1 KiB": 1 << 10, "64 KiB": 1 << 16, "1 MiB": 1 << 20}

#: How many messages of which kind are read or written at once: as under load, and one large one.
TRAFFIC: dict[str, list[Message]] = {
    "1000 texts of 16 B": ["0123456789abcdef"] * 1000,
    "1000 texts of 64 B": ['{"id": 1234, "user": "somebody", "text": "hello out there, you"}'] * 1000,
    "1000 texts of 64 B, not ASCII": ["naïve café, déjà vu: €5, 😀 für die Größe der Wörter"[:50] + "…"] * 1000,
    "100 binaries of 1 KiB": [bytes(range(256)) * 4] * 100,
    "one binary of 1 MiB": [bytes(range(256)) * 4096],
}

TEXTS = {
    "ASCII": "The quick brown fox jumps over the lazy dog. " * 1456,
    "two bytes each": "Съешь ещё этих мягких французских булок " * 900,
    "mixed": "naïve café, déjà vu: €5, 😀 für die Größe; " * 1300,
}

masked_or_not = pytest.mark.parametrize("masked", [True, False], ids=["masked", "unmasked"])


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_masking(benchmark: Any, masker: Any, size: int, request: pytest.FixtureRequest) -> None:
    benchmark.group = f"masking: {request.node.callspec.id.rsplit('-', 1)[-1]}"
    mask = masker()
    data = bytes(range(256)) * (size // 256) or bytes(range(size))
    expected = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(data))
    assert bytes(mask(data)) in {expected, data}  # `memcpy` leaves it as it is
    benchmark(mask, data)


@masked_or_not
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_decoding(benchmark: Any, decoder: Any, traffic: str, masked: bool) -> None:
    benchmark.group = f"decoding: {traffic}, {'masked' if masked else 'unmasked'}"
    messages = TRAFFIC[traffic]
    chunks = stream(messages, masked)
    decode = decoder(masked)
    assert decode(chunks) == messages
    benchmark(decode, chunks)


@masked_or_not
@pytest.mark.parametrize("traffic", TRAFFIC)
def test_building(benchmark: Any, builder: Any, traffic: str, masked: bool) -> None:
    benchmark.group = f"building: {traffic}, {'masked' if masked else 'unmasked'}"
    messages = TRAFFIC[traffic]
    build = builder(masked)
    built = build(messages)
    expected = b"".join(stream(messages, masked))
    wire = built if isinstance(built, bytes) else b"".join(built)
    assert len(wire) == len(expected)
    assert masked or wire == expected
    benchmark(build, messages)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_utf8(benchmark: Any, utf8: Any, text: str, request: pytest.FixtureRequest) -> None:
    benchmark.group = f"UTF-8: {request.node.callspec.id.rsplit('-', 1)[-1]}, 64 KiB in pieces of 4 KiB"
    data = text.encode()[: 1 << 16].decode(errors="ignore").encode()
    pieces = [data[at : at + 4096] for at in range(0, len(data), 4096)]
    check = utf8()
    assert check(pieces)
    assert not check([*pieces, b"\xe2\x82"])
    benchmark(check, pieces)
