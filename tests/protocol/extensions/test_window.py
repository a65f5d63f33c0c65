"""Shared deflate: what a connection keeps is its windows, and nobody at the other end can tell."""

from __future__ import annotations

import gc
import json
import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowstring import codec
from bowstring.protocol.extensions.permessage_deflate import Compression, CompressionPool, PerMessageDeflate
from bowstring.protocol.extensions.window import slide

from .peer import BINARY, TEXT, Peer, cut, encode, make, message, receive, same_bytes, text

# ---------------------------------------------------------------------- the window


@pytest.mark.one_twin
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 1300), max_size=12), bits=st.integers(8, 10))
def test_the_window_is_the_end_of_all_text(sizes: list[int], bits: int) -> None:
    rnd = random.Random(1)
    everything = window = b""
    for size in sizes:
        plain = rnd.randbytes(size)
        everything += plain
        window = slide(window, plain, 1 << bits)
        assert window == everything[-(1 << bits) :]


# ---------------------------------------------------------------------- the same bytes


def compare(ours: PerMessageDeflate, private: Peer, rnd: random.Random, count: int, *, same: bool) -> None:
    bits = ours.terms.compress_bits
    inflater = Peer(inflate_bits=bits)
    everything = b""
    for _ in range(count):
        plain = message(rnd, 20_000)
        data = ours.encode(codec.Frame(BINARY, plain)).payload
        assert inflater.inflate(data) == plain
        assert same_bytes(data, private.compress(plain)) or not same
        everything = (everything + plain)[-(1 << bits) :]
        assert ours._sent == everything
        if rnd.random() < 0.5:
            ours._pool.take(ours)  # put out


@pytest.mark.one_twin
@pytest.mark.parametrize("level", [-1, *range(10)])
@pytest.mark.parametrize(("bits", "mem_level"), [(9, 1), (10, 3), (12, 1), (12, 5), (13, 6), (15, 5), (15, 8), (9, 9)])
def test_a_compressor_made_again_goes_on_with_the_same_bytes(level: int, bits: int, mem_level: int) -> None:
    """For the settings of which the module says so; for the others, with the same text."""
    rnd = random.Random(f"{level} {bits} {mem_level}")
    ours = make(level=level, compress_bits=bits, mem_level=mem_level)
    private = Peer(level=level, bits=bits, mem_level=mem_level)
    lazy = level < 1 or level > 3
    compare(ours, private, rnd, 60, same=lazy and 1 << (mem_level + 6) < (1 << bits) - 262)


@pytest.mark.one_twin
def test_3000_messages_with_the_default_settings() -> None:
    rnd = random.Random(3000)
    ours = Compression(binary=True, threshold=0).accept([], [])
    compare(ours, Peer(), rnd, 3000, same=True)


# ---------------------------------------------------------------------- many connections, small pools


class Pair:
    """A connection of ours, what is at its other end, and a twin of it that never loses its compressor."""

    def __init__(self, pool: CompressionPool, takeover: bool) -> None:
        self.ours = make(pool, compress_takeover=takeover, inflate_takeover=takeover)
        self.theirs = Peer(takeover=takeover, inflate_takeover=takeover)
        self.steady = make(compress_takeover=takeover)

    def ours_send(self, plain: bytes, rnd: random.Random, pieces: int) -> None:
        parts = cut(plain, rnd, pieces)
        data = b"".join(frame.payload for frame in encode(self.ours, parts, opcode=BINARY))
        assert same_bytes(data, b"".join(frame.payload for frame in encode(self.steady, parts, opcode=BINARY)))
        assert self.theirs.inflate(data) == plain

    def theirs_send(self, plain: bytes, rnd: random.Random, pieces: int) -> None:
        assert receive(self.ours, cut(self.theirs.compress(plain), rnd, pieces)) == plain


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([0, 1, 2, 128]),
    kinds=st.lists(st.booleans(), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["send", "receive", "put out"]), st.integers(1, 4)),
        min_size=5,
        max_size=50,
    ),
)
def test_connections_that_share_a_pool(
    seed: int, size: int, kinds: list[bool], steps: list[tuple[int, str, int]]
) -> None:
    rnd = random.Random(seed)
    pool = CompressionPool(size)
    pairs = [Pair(pool, takeover) for takeover in kinds]
    for number, step, pieces in steps:
        pair = pairs[number % len(pairs)]
        match step:
            case "send":
                pair.ours_send(message(rnd), rnd, pieces)
            case "receive":
                pair.theirs_send(message(rnd), rnd, pieces)
            case _:
                pool.take(pair.ours)
        assert pool.live <= size
    for pair in pairs:
        pair.ours.close()
    assert pool.live == 0


def test_messages_of_other_connections_come_between_fragments() -> None:
    pool = CompressionPool(1)
    rnd = random.Random(1)
    pairs = [Pair(pool, takeover) for takeover in (True, True, False)]
    for _ in range(20):
        plains = [text(rnd, 900) for _ in pairs]
        sent = [b""] * len(pairs)
        for part, (start, end) in enumerate([(0, 300), (300, 300), (300, 600), (600, 900)]):
            for i, pair in enumerate(pairs):
                frame = codec.Frame(TEXT if part == 0 else 0, plains[i][start:end], fin=part == 3)
                sent[i] += pair.ours.encode(frame).payload
        for i, pair in enumerate(pairs):
            assert pair.theirs.inflate(sent[i]) == plains[i]


# ---------------------------------------------------------------------- broadcasts


def shared(extensions: list[PerMessageDeflate], plain: bytes) -> list[bytes]:
    """What goes out to each, compressed once for all that are on the same terms."""
    frame = codec.Frame(TEXT, plain)
    made = {extension.terms: extension.encode_shared(frame) for extension in extensions}
    for extension in extensions:
        extension.sent_shared(frame, made[extension.terms])
    return [made[extension.terms].payload for extension in extensions]


@pytest.mark.parametrize("size", [0, 128])
def test_broadcast_send_broadcast(size: int) -> None:
    """Read by ordinary inflaters. The texts repeat one another, so that a wrong window would be referred to."""
    rnd = random.Random(1)
    pool = CompressionPool(size)
    compression = Compression(threshold=0, pool=pool)
    pairs = []
    for params in ([], [("server_max_window_bits", "12")], [("client_no_context_takeover", None)]):
        for _ in range(2):
            ours = compression.accept(list(params), [])
            pairs.append((ours, Peer(inflate_bits=12, inflate_takeover=ours.terms.compress_takeover)))
    extensions = [ours for ours, _ in pairs]
    for i in range(40):
        news = text(rnd, rnd.choice([50, 700, 5000]))
        for (_, theirs), data in zip(pairs, shared(extensions, news), strict=True):
            assert theirs.inflate(data) == news
        for j, (ours, theirs) in enumerate(pairs):
            own = f"{i} {j} ".encode() + news[: 40 * j]
            for plain in (own, own) if rnd.random() < 0.7 else ():
                assert theirs.inflate(ours.encode(codec.Frame(TEXT, plain)).payload) == plain


def test_a_broadcast_puts_the_live_compressor_out() -> None:
    pool = CompressionPool()
    ours = make(pool)
    ours.encode(codec.Frame(TEXT, b"some text"))
    assert pool.live == 1
    shared([ours], b"news")
    assert pool.live == 0
    assert ours._sent == b"some textnews"


def test_a_broadcast_is_compressed_as_a_message_would_be() -> None:
    ours = make(threshold=10, binary=False)
    for frame, compress, expected in [
        (codec.Frame(TEXT, b"a" * 10), None, True),
        (codec.Frame(TEXT, b"a" * 9), None, False),
        (codec.Frame(TEXT, b""), True, True),
        (codec.Frame(BINARY, b"a" * 10), None, False),
        (codec.Frame(BINARY, b"a" * 10), True, True),
        (codec.Frame(TEXT, b"a" * 10), False, False),
    ]:
        result = ours.encode_shared(frame, compress=compress)
        assert result.rsv1 is expected
        assert (result is frame) is not expected
        assert (ours.sent_plain, ours._sent) == (0, b"")
        ours.sent_shared(frame, result)
        assert ours.sent_plain == (len(frame.payload) if expected else 0)
        assert ours.sent_compressed == (len(result.payload) if expected else 0)
        ours = make(threshold=10, binary=False)


# ---------------------------------------------------------------------- memory


def json_message(rnd: random.Random) -> bytes:
    items = [{"id": rnd.randrange(10**6), "name": rnd.choice(["ann", "bob"]), "price": rnd.random()} for _ in range(20)]
    return json.dumps({"type": "update", "items": items}).encode()


def memory_per_connection(talk: int, size: int) -> float:
    """Bytes that an idle connection holds after so many messages of so many bytes in either direction."""
    rnd = random.Random(1)
    compression = Compression(pool=CompressionPool(0))
    count = 100
    plains = [json_message(rnd)[:size] for _ in range(talk)]
    theirs = Peer()
    received = [theirs.compress(plain) for plain in plains]
    kept = []
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            extension = compression.accept([("server_max_window_bits", "12")], [])
            for plain, data in zip(plains, received, strict=True):
                # A copy each: what a connection has received or is to send is its own.
                extension.encode(codec.Frame(TEXT, bytes(bytearray(plain))))
                assert receive(extension, [data]) == plain
            kept.append(extension)
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()


@pytest.mark.one_twin
def test_an_idle_connection_holds_its_windows_and_little_else() -> None:
    assert memory_per_connection(0, 0) < 300
    assert memory_per_connection(1, 1000) < 2 * 1000 + 500
    assert memory_per_connection(9, 1000) < 2 * 4096 + 600


def test_closing_gives_everything_back() -> None:
    pool = CompressionPool()
    ours, theirs = make(pool), Peer()
    ours.encode(codec.Frame(TEXT, b"some text"))
    ours.decode(codec.Frame(TEXT, theirs.compress(b"some text"), fin=False, rsv=0x40), max_size=None)
    ours.close()
    assert (pool.live, ours._sent, ours._received, ours._inflation) == (0, b"", b"", None)
