"""Both twins on the same random and mutated traffic, cut anywhere: the same results, errors and states."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowstring.exceptions import ProtocolError

from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, header, pieces

pytestmark = pytest.mark.one_twin

thorough = settings(
    max_examples=400,
    deadline=None,
    # `both` only names two modules, and is the same for every example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

OPCODES = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)

keys = st.binary(min_size=4, max_size=4)
bits = st.sampled_from(range(0, 0x80, 0x10))
texts = st.text(max_size=40).map(str.encode)
payloads = st.one_of(
    st.binary(max_size=40),
    texts,
    texts.flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),  # cut inside of a character
    st.sampled_from([0, 15, 16, 17, 124, 125, 126, 127, 128, 255, 65535, 65536]).map(lambda size: b"x" * size),
)


def plain(value: Any) -> Any:
    """A result that can be compared across twins, its type included."""
    if isinstance(value, str | bytes):
        return type(value), value
    if isinstance(value, ProtocolError):
        return value, str(value), value.close_code
    return type(value).__name__, value.opcode, value.payload, value.fin, value.rsv, repr(value)


@st.composite
def messages(draw: st.DrawFn, masked: bool) -> list[bytes]:
    """The frames of a message as it should be, with control frames in between."""
    text = draw(st.booleans())
    payload = draw(texts if text else st.binary(max_size=60))
    rsv = draw(st.sampled_from([0, 0, 0, 0x40]))
    parts = pieces(payload, draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    wire = []
    for index, part in enumerate(parts):
        first, last = index == 0, index == len(parts) - 1
        opcode = (TEXT if text else BINARY) if first else CONTINUATION
        key = draw(keys) if masked else None
        wire.append(frame(opcode, part, fin=last, rsv=rsv if first else 0, key=key))
        if draw(st.integers(0, 4)) == 0:
            control = draw(st.sampled_from([CLOSE, PING, PONG]))
            wire.append(frame(control, draw(st.binary(max_size=20)), key=key))
    return wire


@st.composite
def any_frames(draw: st.DrawFn, masked: bool) -> list[bytes]:
    """One frame with everything at random, its length form and its mask bit included, or only its header."""
    right_mask = draw(st.integers(0, 15)) != 0
    key = draw(keys) if masked is right_mask else None
    opcode = draw(st.one_of(st.sampled_from(OPCODES), st.integers(0, 15)))
    fin, rsv = draw(st.booleans()), draw(st.one_of(st.just(0), bits))
    if draw(st.integers(0, 7)) == 0:
        length = draw(st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63])))
        smallest = 16 if length < 65536 else 64
        wide = draw(st.sampled_from([smallest, 64]))
        return [
            header(opcode, length, fin=fin, rsv=rsv, masked=key is not None, bits=wide) + draw(st.binary(max_size=20))
        ]
    payload = draw(payloads)
    form = draw(st.sampled_from([None, None, None, 16, 64])) if len(payload) < 65536 else None
    return [frame(opcode, payload, fin=fin, rsv=rsv, key=key, bits=form)]


@st.composite
def streams(draw: st.DrawFn, masked: bool) -> bytes:
    """Good messages, then and now a frame of any kind, or bytes that are no frame; flipped bits over all of it."""
    good = messages(masked)
    parts = draw(st.lists(st.one_of(good, good, good, any_frames(masked), st.binary(max_size=20).map(lambda b: [b]))))
    wire = bytearray(b"".join(frame for part in parts for frame in part))
    if wire:
        for position in draw(st.lists(st.integers(0, len(wire) - 1), max_size=draw(st.sampled_from([0, 0, 0, 1, 3])))):
            wire[position] ^= 1 << draw(st.integers(0, 7))
    return bytes(wire)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[dict[str, Any], list[bytes]]:
    """Settings of a decoder, and the chunks that it gets."""
    masked = draw(st.booleans())
    small = st.integers(0, 200)
    chosen = {
        "expect_masked": masked,
        "max_message_size": draw(st.one_of(st.just(1 << 20), st.none(), small, st.integers(0, 2**65))),
        "max_fragments": draw(st.one_of(st.just(16384), st.none(), st.integers(1, 5), st.integers(1, 2**65))),
        "allowed_rsv": draw(st.one_of(st.just(0x40), bits)),
        "decode": draw(st.booleans()),
    }
    wire = draw(streams(masked))
    if draw(st.integers(0, 3)) == 0 and len(wire) < 2000:
        return chosen, [wire[i : i + 1] for i in range(len(wire))]
    return chosen, pieces(wire, draw(st.lists(st.integers(0, len(wire)), max_size=12)))


@thorough
@given(conversation=conversations())
def test_decoding(both: tuple[Any, Any], conversation: tuple[dict[str, Any], list[bytes]]) -> None:
    chosen, chunks = conversation
    pure, fast = (module.FrameDecoder(**chosen) for module in both)
    at_once = both[0].FrameDecoder(**chosen).feed(b"".join(chunks))
    everything = []
    for index, chunk in enumerate(chunks):
        expected = pure.feed(chunk)
        # The other form of feeding is another way into the same.
        results = fast.feed_buffer(bytearray(chunk + b"\xff\xff"), len(chunk)) if index % 2 else fast.feed(chunk)
        assert [plain(result) for result in results] == [plain(result) for result in expected]
        assert (fast.buffered, fast.in_message) == (pure.buffered, pure.in_message)
        assert fast.error == pure.error
        everything += expected
    assert everything == at_once


@thorough
@given(data=st.one_of(st.binary(), texts, payloads), more=st.lists(st.binary(max_size=6)))
def test_utf8(both: tuple[Any, Any], data: bytes, more: list[bytes]) -> None:
    pure, fast = (module.Utf8Validator() for module in both)
    for piece in [data, *more]:
        assert fast.feed(piece) is pure.feed(piece)
        assert fast.at_boundary is pure.at_boundary


@thorough
@given(data=st.binary(max_size=300), key=keys, offset=st.one_of(st.integers(0, 9), st.integers(0, 2**70)))
def test_masking(both: tuple[Any, Any], data: bytes, key: bytes, offset: int) -> None:
    pure, fast = both
    assert fast.apply_mask(data, key) == pure.apply_mask(data, key)
    one, other = bytearray(data), bytearray(data)
    pure.mask_in_place(one, key, offset)
    fast.mask_in_place(other, key, offset)
    assert one == other


def outcome(function: Any, *arguments: Any, **flags: Any) -> Any:
    """What a call returns, or what it raises."""
    try:
        return function(*arguments, **flags)
    except (TypeError, ValueError) as exc:
        return type(exc), str(exc)


anything = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=20),  # surrogates too
    payloads,
    payloads.map(bytearray),
    st.none(),
    st.integers(),
)


@thorough
@given(
    opcode=st.one_of(st.sampled_from(OPCODES), st.integers(-(2**65), 2**65)),
    payload=anything,
    fin=st.booleans(),
    rsv=st.one_of(st.just(0), bits, st.integers(-(2**65), 2**65)),
    key=st.one_of(st.none(), keys, st.binary(max_size=6)),
)
def test_building_one(both: tuple[Any, Any], opcode: int, payload: Any, fin: bool, rsv: int, key: bytes | None) -> None:
    results = [outcome(module.encode_frame, opcode, payload, fin=fin, rsv=rsv, masking_key=key) for module in both]
    assert results[0] == results[1]
    pure, fast = (outcome(module.Frame, opcode, payload, fin=fin, rsv=rsv) for module in both)
    assert repr(fast) == repr(pure)
    if not isinstance(pure, tuple):
        assert plain(fast) == plain(pure)


@thorough
@given(
    items=st.lists(
        st.one_of(
            st.text(max_size=20),
            payloads,
            anything,
            st.tuples(st.sampled_from(OPCODES), payloads, st.booleans(), bits),
        ),
        max_size=8,
    ),
    masked=st.booleans(),
    surplus=st.sampled_from([0, 0, 0, 0, 1, 4]),
    seed=keys,
)
def test_building_many(both: tuple[Any, Any], items: list[Any], masked: bool, surplus: int, seed: bytes) -> None:
    masking_keys = (seed * len(items)) + bytes(surplus) if masked else None
    results = []
    for module in both:
        own = [
            module.Frame(item[0], item[1], fin=item[2], rsv=item[3]) if isinstance(item, tuple) else item
            for item in items
        ]
        results.append(outcome(module.encode_frames, own, masking_keys=masking_keys))
    assert results[0] == results[1]


@thorough
@given(
    items=st.lists(st.one_of(st.text(max_size=200), payloads, st.binary(max_size=300)), max_size=10),
    seed=st.one_of(st.none(), keys),
    cuts=st.lists(st.integers(0, 5000), max_size=5),
)
def test_there_and_back(both: tuple[Any, Any], items: list[Any], seed: bytes | None, cuts: list[int]) -> None:
    """Built by either, read by either."""
    masking_keys = None if seed is None else b"".join(bytes([*seed[:3], index]) for index in range(len(items)))
    for builder in both:
        wire = builder.encode_frames(items, masking_keys=masking_keys)
        for reader in both:
            decoder = reader.FrameDecoder(expect_masked=seed is not None, max_message_size=None)
            chunks = pieces(wire, [min(cut, len(wire)) for cut in cuts])
            assert [result for chunk in chunks for result in decoder.feed(chunk)] == items
            assert decoder.buffered == 0
