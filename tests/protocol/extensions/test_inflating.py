"""What a peer can do to our inflater: bombs, corrupt data, wrong ends, streams without end."""

from __future__ import annotations

import functools
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowstring import codec
from bowstring.constants import RSV1
from bowstring.exceptions import ProtocolError, Violation
from bowstring.protocol.extensions import permessage_deflate, window
from bowstring.protocol.extensions.permessage_deflate import PerMessageDeflate

from .peer import TEXT, Peer, cut, make, message, receive, text

pytestmark = pytest.mark.one_twin


def outcome(parts: list[bytes], limit: int | None = None) -> bytes | Violation:
    try:
        return receive(make(), parts, max_size=limit)
    except ProtocolError as error:
        return error.violation


def refused(extension: PerMessageDeflate, parts: list[bytes], *, max_size: int | None = None) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        receive(extension, parts, max_size=max_size)
    return caught.value


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize("size", [0, 1, 5, 4095, 65535, 65536, 65537, 131072, 300_000])
@pytest.mark.parametrize("kind", ["text", "noise", "run"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_the_limit_is_exact(size: int, kind: str, pieces: int) -> None:
    rnd = random.Random(size)
    plain = text(rnd, size) if kind == "text" else rnd.randbytes(size) if kind == "noise" else b"r" * size
    data = Peer().compress(plain)
    parts = cut(data, rnd, pieces)
    for limit in (None, size, size + 1, 10 * size + 10):
        extension = make()
        assert receive(extension, parts, max_size=limit) == plain
        # And the window is right after it.
        assert extension._received == plain[-4096:]
    if size:
        error = refused(make(), parts, max_size=size - 1)
        assert error.violation is Violation.MESSAGE_TOO_BIG
        if pieces == 1:
            assert (error.size, error.limit) == (size, size - 1)
            assert "inflating stopped there" in str(error)


def test_a_fragment_gives_all_that_it_has() -> None:
    """Also where zlib has room for no more, and has had all of the input."""
    data = Peer().compress(b"r" * 3 * window.CHUNK)
    for end in range(1, len(data)):
        plain = make().decode(codec.Frame(TEXT, data[:end], fin=False, rsv=RSV1), max_size=None).payload
        assert plain == zlib.decompressobj(-12).decompress(data[:end])


@functools.cache
def bomb() -> bytes:
    data = Peer(level=9, bits=15).compress(bytes(96 << 20))
    assert len(data) < 110_000
    return data


@pytest.mark.parametrize("limit", [0, 1000, 1 << 20])
@pytest.mark.parametrize("pieces", [1, 4])
def test_a_bomb_costs_no_more_than_the_limit(limit: int, pieces: int) -> None:
    parts = cut(bomb(), random.Random(1), pieces)
    extension = make(inflate_bits=15)
    tracemalloc.start()
    try:
        error = refused(extension, parts, max_size=limit)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.violation is Violation.MESSAGE_TOO_BIG
    # The limit, the fragments before it as the caller joins them, and what zlib works with.
    assert peak < limit * (1 if pieces == 1 else 2.2) + 600_000


def test_a_large_message_is_built_once() -> None:
    plain = text(random.Random(1), 1 << 20) * 8
    data = Peer().compress(plain)
    tracemalloc.start()
    try:
        assert len(receive(make(), [data])) == len(plain)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Growing it by an eighth at a time, and the input twice: with its tail, and without what has been inflated.
    assert peak < 1.2 * len(plain) + 3 * len(data) + 600_000


# ---------------------------------------------------------------------- corrupt data


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ("ff", "invalid block type"),
        ("f2 48 cd c9 c9", None),  # cut inside of a block
        ("f2 48 cd c9 c9 07", None),  # the block is there, the header of the empty one is not
        ("f2 48 cd c9 c9 07 00 00 00 ff ff", None),  # the tail has not been taken off
        ("", None),  # RFC 7692 §7.2.3.6: an empty message is 00
        ("f3 48 cd c9 c9 07 00", None),  # RFC 7692 §7.2.3.4: 00 is missing behind the final block
        ("f3 48 cd c9 c9 07 00 00 ff", None),
        ("f2 00 11 00 00", "invalid distance too far back"),  # refers to a message that has not been
        ("00 ff 00 00 ff 48 65", "message is incomplete"),  # inside of a block without compression
        ("04 c0 01 00 00", None),
    ],
)
def test_corrupt_data(data: str, detail: str | None) -> None:
    raw = bytes.fromhex(data)
    for parts in ([raw], [raw[:1], raw[1:]], [raw, b""]):
        error = refused(make(), parts)
        assert error.violation is Violation.INVALID_DEFLATE
        assert error.close_code == 1007
        assert error.detail
        assert detail is None or error.detail == detail


def test_a_distance_over_the_negotiated_window() -> None:
    noise = random.Random(1).randbytes(300)
    parts = [noise, random.Random(2).randbytes(600), noise]
    wide, ours = Peer(bits=15), make(inflate_bits=9)
    for plain in parts[:2]:
        assert receive(ours, [wide.compress(plain)]) == plain
    error = refused(ours, [wide.compress(parts[2])])
    assert (error.violation, error.detail) == (Violation.INVALID_DEFLATE, "invalid distance too far back")


def test_without_takeover_nothing_before_can_be_referred_to() -> None:
    theirs, ours = Peer(), make(inflate_takeover=False)
    plain = text(random.Random(1), 500)
    assert receive(ours, [theirs.compress(plain)]) == plain
    assert refused(ours, [theirs.compress(plain)]).violation is Violation.INVALID_DEFLATE
    ours, theirs = make(inflate_takeover=False), Peer()
    assert receive(ours, cut(theirs.compress(plain), random.Random(1), 3)) == plain
    assert refused(ours, [theirs.compress(plain)]).violation is Violation.INVALID_DEFLATE


@pytest.mark.parametrize("size", [10, 500, 70_000])
def test_a_message_that_is_cut_short_is_refused(size: int) -> None:
    data = Peer().compress(text(random.Random(size), size))
    for end in range(0, len(data), max(1, len(data) // 300)):
        assert outcome([data[:end]]) is Violation.INVALID_DEFLATE


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    noise=st.binary(max_size=40),
    limit=st.sampled_from([None, 0, 100, 70_000]),
)
def test_whatever_comes_is_a_message_or_a_protocol_error(seed: int, noise: bytes, limit: int | None) -> None:
    rnd = random.Random(seed)
    data = bytearray(Peer().compress(message(rnd, 9000)))
    for _ in range(rnd.randrange(4)):
        data[rnd.randrange(len(data))] ^= 1 << rnd.randrange(8)
    place = rnd.randrange(len(data) + 1)
    data[place : place + rnd.choice([0, 0, len(noise)])] = noise
    whole = outcome([bytes(data)], limit)
    pieces = outcome(cut(bytes(data), rnd, 4), limit)
    if isinstance(whole, bytes):
        assert pieces == whole
        assert limit is None or len(whole) <= limit
    else:
        # In pieces the one or the other may be seen first.
        assert {whole, pieces} <= {Violation.INVALID_DEFLATE, Violation.MESSAGE_TOO_BIG}


# ---------------------------------------------------------------------- final blocks


def final(plain: bytes, dictionary: bytes = b"") -> bytes:
    """A stream that ends with a final block, as Z_FINISH makes it."""
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -12, 5, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return compressor.compress(plain) + compressor.flush()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_the_inflater_goes_on_after_final_blocks(pieces: int) -> None:
    """RFC 7692 §7.2.3.4 and .5: any number of them, and what follows may refer to what was before them."""
    rnd = random.Random(pieces)
    ours = make()
    before = b""
    for _ in range(30):
        parts = [message(rnd, 5000) for _ in range(rnd.randint(1, 4))]
        data = b""
        for part in parts:
            data += final(part, before)
            before = (before + part)[-4096:]
        assert receive(ours, cut(data + b"\x00", rnd, pieces)) == b"".join(parts)


def test_final_blocks_between_others() -> None:
    ours, theirs = make(), Peer()
    plain = text(random.Random(9), 3000)
    assert receive(ours, [theirs.compress(plain)]) == plain
    compressor = zlib.compressobj(-1, zlib.DEFLATED, -12)
    head = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH) + compressor.flush()
    assert receive(ours, [head + Peer().compress(b"behind it")]) == plain + b"behind it"


def test_without_takeover_a_final_block_is_no_end_of_the_message() -> None:
    ours = make(inflate_takeover=False)
    for _ in range(2):
        assert receive(ours, [final(b"some text") + final(b"some text again", b"some text") + b"\x00"]) == (
            b"some textsome text again"
        )


def test_final_blocks_count_for_the_limit() -> None:
    data = final(b"a" * 600) + final(b"b" * 600) + b"\x00"
    assert receive(make(), [data], max_size=1200) == b"a" * 600 + b"b" * 600
    error = refused(make(), [data], max_size=1199)
    assert (error.violation, error.size, error.limit) == (Violation.MESSAGE_TOO_BIG, 1200, 1199)


EMPTY_FINAL = b"\x03\x00"


@pytest.mark.parametrize("fragments", [1, 5])
def test_streams_without_end_are_refused(fragments: int) -> None:
    allowed = window._MAX_FINAL_BLOCKS
    rnd = random.Random(1)
    assert receive(make(), cut(EMPTY_FINAL * allowed + b"\x00", rnd, fragments)) == b""
    error = refused(make(), cut(EMPTY_FINAL * (allowed + 1) + b"\x00", rnd, fragments))
    assert (error.violation, error.detail) == (
        Violation.INVALID_DEFLATE,
        f"message has more than {allowed} final blocks",
    )


# ---------------------------------------------------------------------- work


class Counting:
    """zlib's inflater, how often it was called, and how many bytes it was given."""

    calls = given = 0

    def __init__(self, *args: Any) -> None:
        self._inflater = zlib.decompressobj(*args)

    def decompress(self, data: Any, max_length: int) -> bytes:
        Counting.calls += 1
        Counting.given += len(data)
        return self._inflater.decompress(data, max_length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflater, name)


class CountingZlib:
    decompressobj = Counting
    error = zlib.error


@pytest.mark.parametrize("case", ["final blocks", "bomb", "noise", "text", "text behind a final block"])
def test_work_is_linear_in_what_was_sent(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """zlib copies what it leaves of its input: given all of a large message each time, it would copy all day."""
    rnd = random.Random(1)
    match case:
        case "final blocks":
            monkeypatch.setattr(window, "_MAX_FINAL_BLOCKS", 4000)
            plain, data = b"", EMPTY_FINAL * 4000 + b"\x00"
        case "bomb":
            plain = bytes(32 << 20)
            data = Peer(bits=15).compress(plain)
        case "noise":
            plain = rnd.randbytes(8 << 20)
            data = Peer().compress(plain)
        case _:
            plain = text(rnd, 1 << 20) * 4
            data = Peer().compress(plain)
            if case == "text behind a final block":
                data = EMPTY_FINAL + data
    monkeypatch.setattr(window, "zlib", CountingZlib)
    monkeypatch.setattr(permessage_deflate, "zlib", CountingZlib)
    monkeypatch.setattr(Counting, "calls", 0)
    monkeypatch.setattr(Counting, "given", 0)
    ours = make(inflate_bits=15)
    assert ours.decode(codec.Frame(TEXT, data, rsv=RSV1), max_size=None).payload == plain
    # The input, and for each piece of output or of input at most what zlib may leave.
    pieces = len(plain) // window.CHUNK + len(data) // window._MAX_STEP + 20
    final_blocks = 4000 if case == "final blocks" else 0
    assert Counting.calls <= pieces + final_blocks
    assert Counting.given <= 2 * len(data) + pieces * window._MAX_STEP + final_blocks * window._MIN_STEP
