"""Messages and fragments through permessage-deflate, the examples of RFC 7692 first."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bowstring import codec
from bowstring.constants import RSV1, RSV2
from bowstring.protocol.extensions.permessage_deflate import Compression

from .peer import BINARY, CONTINUATION, TEXT, Peer, cut, encode, frames, make, message, receive, same_bytes, text

HELLO = bytes.fromhex("f2 48 cd c9 c9 07 00")


# ---------------------------------------------------------------------- RFC 7692 §7.2.3


def test_rfc_one_block_in_one_frame() -> None:
    assert receive(make(), [HELLO]) == b"Hello"
    ours = make().encode(codec.Frame(TEXT, b"Hello"))
    assert (ours.opcode, ours.fin, ours.rsv) == (TEXT, True, RSV1)
    assert same_bytes(ours.payload, HELLO)
    assert same_bytes(codec.encode_frames([ours]), bytes.fromhex("c1 07") + HELLO)


def test_rfc_one_block_in_two_frames() -> None:
    assert receive(make(), [HELLO[:3], HELLO[3:]]) == b"Hello"


def test_rfc_sharing_the_window() -> None:
    second = bytes.fromhex("f2 00 11 00 00")
    extension = make()
    assert receive(extension, [HELLO]) == b"Hello"
    assert receive(extension, [second]) == b"Hello"
    extension = make()
    payloads = [extension.encode(codec.Frame(TEXT, b"Hello")).payload for _ in range(2)]
    assert same_bytes(payloads[1], second)


def test_rfc_not_sharing_the_window() -> None:
    extension = make(compress_takeover=False, inflate_takeover=False)
    assert [receive(extension, [HELLO]) for _ in range(2)] == [b"Hello"] * 2
    payloads = [extension.encode(codec.Frame(TEXT, b"Hello")).payload for _ in range(2)]
    assert payloads[0] == payloads[1]
    assert same_bytes(payloads[0], HELLO)


def test_rfc_block_without_compression() -> None:
    assert receive(make(), [bytes.fromhex("00 05 00 fa ff 48 65 6c 6c 6f 00")]) == b"Hello"


def test_rfc_block_with_bfinal() -> None:
    extension = make()
    assert receive(extension, [bytes.fromhex("f3 48 cd c9 c9 07 00 00")]) == b"Hello"
    assert receive(extension, [bytes.fromhex("f2 00 11 00 00")]) == b"Hello"  # the window outlives it


def test_rfc_two_blocks() -> None:
    assert receive(make(), [bytes.fromhex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")]) == b"Hello"


def test_rfc_empty_fragment() -> None:
    assert receive(make(), [b"\x00"]) == b""
    assert make().encode(codec.Frame(TEXT, b"")).payload == b"\x00"
    assert receive(make(), [HELLO + b"\x00\x00\xff\xff", b"\x00"]) == b"Hello"


# ---------------------------------------------------------------------- what is compressed


@pytest.mark.parametrize(
    ("opcode", "size", "compress", "binary", "expected"),
    [
        (TEXT, 127, None, False, False),
        (TEXT, 128, None, False, True),
        (TEXT, 127, True, False, True),
        (TEXT, 0, True, False, True),
        (TEXT, 9999, False, False, False),
        (BINARY, 9999, None, False, False),
        (BINARY, 127, None, True, False),
        (BINARY, 128, None, True, True),
        (BINARY, 5, True, False, True),
        (BINARY, 9999, False, True, False),
    ],
)
def test_what_is_compressed(opcode: int, size: int, compress: bool | None, binary: bool, expected: bool) -> None:
    extension = Compression(binary=binary).accept([], [])
    frame = codec.Frame(opcode, b"a" * size)
    result = extension.encode(frame, compress=compress)
    assert result.rsv1 is expected
    assert (result is frame) is not expected


@pytest.mark.parametrize("compressed", [True, False])
def test_the_first_fragment_decides(compressed: bool) -> None:
    extension = make(threshold=10)
    first, rest = (b"a" * 10, b"b") if compressed else (b"a" * 9, b"b" * 99)
    results = encode(extension, [first, rest, rest])
    assert [(frame.opcode, frame.fin, frame.rsv1) for frame in results] == [
        (TEXT, False, compressed),
        (CONTINUATION, False, False),
        (CONTINUATION, True, False),
    ]
    assert [frame.payload == part for frame, part in zip(results, [first, rest, rest], strict=True)] == [
        not compressed
    ] * 3
    # And not about the next message.
    assert extension.encode(codec.Frame(TEXT, b"a" * 10)).rsv1


def test_uncompressed_messages_pass_between_compressed_ones() -> None:
    ours, theirs = make(), Peer()
    plain = text(random.Random(1), 900)
    for _ in range(3):
        assert theirs.inflate(ours.encode(codec.Frame(TEXT, plain)).payload) == plain
        frame = codec.Frame(TEXT, b"not in the window")
        assert ours.encode(frame, compress=False) is frame
        for opcode, fin in ((TEXT, False), (CONTINUATION, True)):
            fragment = codec.Frame(opcode, b"neither", fin=fin)
            assert ours.encode(fragment, compress=False) is fragment
        assert receive(ours, [theirs.compress(plain)]) == plain
        assert ours.decode(frame, max_size=0) is frame
        for fragment in frames(TEXT, [b"a", b"b"]):
            assert ours.decode(fragment, max_size=0) is fragment


def test_a_peer_that_wants_8_bits_gets_messages_uncompressed() -> None:
    extension = Compression().accept([("client_max_window_bits", "8")], [])
    frame = codec.Frame(TEXT, b"a" * 999)
    assert extension.encode(frame) is frame
    assert extension.encode(frame, compress=True) is frame
    assert receive(extension, [HELLO]) == b"Hello"


def test_bits_of_other_extensions_stay() -> None:
    extension = make()
    for fin in (True, False):
        assert extension.encode(codec.Frame(TEXT, b"Hello", fin=fin, rsv=RSV2)).rsv == RSV1 | RSV2
        assert extension.decode(codec.Frame(TEXT, HELLO, fin=fin, rsv=RSV1 | RSV2), max_size=9).rsv == RSV2
        if not fin:
            assert extension.encode(codec.Frame(CONTINUATION, b"", rsv=RSV2)).rsv == RSV2


# ---------------------------------------------------------------------- fragments


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize(
    "parts",
    [
        [b"one", b"two", b"three"],
        [b"", b"", b""],
        [b"", b"text"],
        [b"text", b""],
        [b"text", b"", b"", b"text", b""],
        [b"text" * 2000, b"more" * 2000],
    ],
)
def test_fragments_of_ours(parts: list[bytes], takeover: bool) -> None:
    ours, theirs = make(compress_takeover=takeover), Peer(inflate_takeover=takeover)
    for _ in range(3):
        results = encode(ours, parts)
        assert [frame.rsv1 for frame in results] == [True] + [False] * (len(parts) - 1)
        assert theirs.inflate(b"".join(frame.payload for frame in results)) == b"".join(parts)


def test_the_text_of_each_fragment_is_there_when_it_arrives() -> None:
    ours, theirs = make(), make()
    parts = [b"first", b"", b"second", b"third"]
    arrived = [theirs.decode(frame, max_size=None).payload for frame in encode(ours, parts)]
    assert arrived == parts


@pytest.mark.parametrize("takeover", [True, False])
def test_fragments_of_theirs_cut_anywhere(takeover: bool) -> None:
    rnd = random.Random(5)
    ours, theirs = make(inflate_takeover=takeover), Peer(takeover=takeover)
    for _ in range(60):
        plain = message(rnd)
        assert receive(ours, cut(theirs.compress(plain), rnd, rnd.randint(1, 5))) == plain


def test_fragments_of_one_byte() -> None:
    ours, theirs = make(), Peer()
    for plain in (b"", b"a", text(random.Random(3), 700)):
        data = theirs.compress(plain)
        assert receive(ours, [data[i : i + 1] for i in range(len(data))]) == plain


# ---------------------------------------------------------------------- parameters at work


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("takeover", [True, False])
def test_windows_are_obeyed(bits: int, takeover: bool) -> None:
    """A peer whose inflater has no larger window reads us, and we read a peer that uses all of it."""
    rnd = random.Random(bits)
    ours = make(compress_bits=bits, compress_takeover=takeover, inflate_bits=bits, inflate_takeover=takeover)
    theirs = Peer(bits=bits, takeover=takeover, inflate_bits=bits, inflate_takeover=takeover)
    for _ in range(25):
        plain = message(rnd, 9000)
        assert theirs.inflate(ours.encode(codec.Frame(BINARY, plain)).payload) == plain
        assert receive(ours, [theirs.compress(plain)]) == plain


def test_a_window_of_8_bits_is_inflated() -> None:
    rnd = random.Random(8)
    ours = make(inflate_bits=8)
    theirs = Peer(bits=9)  # of which zlib uses 250 bytes
    for _ in range(25):
        plain = message(rnd)
        assert receive(ours, [theirs.compress(plain)]) == plain


def test_no_context_takeover_looks_at_no_message_before() -> None:
    plain = random.Random(1).randbytes(1000)
    ours = make(compress_takeover=False)
    first = ours.encode(codec.Frame(BINARY, plain)).payload
    encode(ours, [plain[:500], plain[500:]])
    encode(ours, [plain, b""])
    assert ours.encode(codec.Frame(BINARY, plain)).payload == first


@pytest.mark.parametrize("level", [-1, *range(10)])
def test_levels(level: int) -> None:
    rnd = random.Random(level)
    ours, theirs = make(level=level), Peer()
    for _ in range(20):
        plain = message(rnd)
        assert theirs.inflate(ours.encode(codec.Frame(BINARY, plain)).payload) == plain


def test_settings_reach_zlib() -> None:
    plain = text(random.Random(2), 3000)

    def size(**settings: Any) -> int:
        return len(Compression(**settings).accept([], []).encode(codec.Frame(TEXT, plain)).payload)

    assert size(level=0) > len(plain) > size(level=1) > size(level=9)
    assert size(mem_level=1) > size(mem_level=9)
    assert size(client_max_window_bits=9) > size(client_max_window_bits=15)


# ---------------------------------------------------------------------- counters


def test_counters_count_what_was_compressed() -> None:
    ours, theirs = make(), make()
    plain = text(random.Random(4), 2000)
    compressed = 0
    for frame in [*encode(ours, [plain]), *encode(ours, [plain[:99], plain[99:]])]:
        compressed += len(frame.payload)
        theirs.decode(frame, max_size=None)
    frame = codec.Frame(TEXT, b"uncompressed")
    theirs.decode(ours.encode(frame, compress=False), max_size=None)
    assert (ours.sent_plain, ours.sent_compressed) == (4000, compressed)
    assert (theirs.received_plain, theirs.received_compressed) == (4000, compressed)
    assert ours.received_plain == ours.received_compressed == theirs.sent_plain == theirs.sent_compressed == 0
