"""Frames as values: what they take, how they compare, that they cannot change."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from bowstring.constants import Opcode

from .refusal import refused
from .wire import BINARY, CLOSE, CONTINUATION, PING, PONG, RSV1, RSV2, RSV3, TEXT


def test_defaults(twin: Any) -> None:
    it = twin.Frame(TEXT)
    assert (it.opcode, it.payload, it.fin, it.rsv) == (TEXT, b"", True, 0)
    assert (it.rsv1, it.rsv2, it.rsv3) == (False, False, False)


def test_everything_given(twin: Any) -> None:
    it = twin.Frame(opcode=Opcode.BINARY, payload=bytearray(b"abc"), fin=False, rsv=RSV1 | RSV3)
    assert (it.opcode, it.payload, it.fin, it.rsv) == (BINARY, b"abc", False, RSV1 | RSV3)
    assert [type(value) for value in (it.opcode, it.payload, it.fin, it.rsv)] == [int, bytes, bool, int]


@pytest.mark.parametrize("rsv", range(0, 0x80, 0x10))
def test_reserved_bits(twin: Any, rsv: int) -> None:
    it = twin.Frame(TEXT, rsv=rsv)
    assert it.rsv == rsv
    assert (it.rsv1, it.rsv2, it.rsv3) == (rsv & RSV1 != 0, rsv & RSV2 != 0, rsv & RSV3 != 0)
    assert {type(bit) for bit in (it.rsv1, it.rsv2, it.rsv3)} == {bool}


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_opcodes(twin: Any, opcode: int) -> None:
    assert twin.Frame(opcode).opcode == opcode
    assert twin.Frame(Opcode(opcode)) == twin.Frame(opcode)
    assert type(twin.Frame(Opcode(opcode)).opcode) is int
    assert repr(twin.Frame(opcode)) == f"Frame({Opcode(opcode).name}, b'')"


@pytest.mark.parametrize("opcode", [-1, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 16, 0x81, 257, 2**31, 2**32 + 1, 2**64 + 1])
def test_other_opcodes(twin: Any, opcode: int) -> None:
    with refused(ValueError, f"opcode must be 0, 1, 2, 8, 9 or 10, not {opcode}"):
        twin.Frame(opcode)


@pytest.mark.parametrize("rsv", [1, 0x80, 0xF, 0x71, -1, -0x80, 2**32 + 0x40, 2**64 + 0x40])
def test_other_bits(twin: Any, rsv: int) -> None:
    with refused(ValueError, f"rsv must be made of RSV1, RSV2 and RSV3, not {rsv:#x}"):
        twin.Frame(TEXT, rsv=rsv)


@pytest.mark.parametrize("wrong", ["1", None, 1.0, b"1"], ids=repr)
def test_opcode_and_bits_are_ints(twin: Any, wrong: Any) -> None:
    for call in (lambda: twin.Frame(wrong), lambda: twin.Frame(TEXT, rsv=wrong)):
        with refused(TypeError, f"{type(wrong).__name__!r} object cannot be interpreted as an integer"):
            call()


def test_flags_are_keywords(twin: Any) -> None:
    with pytest.raises(TypeError):
        twin.Frame(TEXT, b"", True)
    with pytest.raises(TypeError):
        twin.Frame()


def test_a_str_is_no_payload(twin: Any) -> None:
    with refused(TypeError, "payload must be a bytes-like object, not 'str'"):
        twin.Frame(TEXT, "text")


def test_equality(twin: Any) -> None:
    it = twin.Frame(TEXT, b"abc", fin=False, rsv=RSV1)
    same = twin.Frame(TEXT, bytearray(b"abc"), fin=False, rsv=RSV1)
    assert it == same
    assert hash(it) == hash(same)
    others = [
        twin.Frame(BINARY, b"abc", fin=False, rsv=RSV1),
        twin.Frame(TEXT, b"abd", fin=False, rsv=RSV1),
        twin.Frame(TEXT, b"abc", rsv=RSV1),
        twin.Frame(TEXT, b"abc", fin=False),
        twin.Frame(TEXT, b"abc", fin=False, rsv=RSV1 | RSV2),
        (TEXT, b"abc", False, RSV1),
        b"abc",
        None,
    ]
    for other in others:
        assert it != other
        assert other != it
    assert len({it, same, *others}) == 1 + len(others)
    assert it.__eq__(1) is NotImplemented
    with pytest.raises(TypeError):
        assert it < same


def test_received_frames_are_equal_to_made_ones(twin: Any) -> None:
    (received,) = twin.FrameDecoder(expect_masked=False).feed(b"\x89\x03abc")
    made = twin.Frame(PING, b"abc")
    assert received == made
    assert hash(received) == hash(made)
    assert repr(received) == repr(made)
    assert type(received) is type(made)
    assert {type(value) for value in (received.opcode, received.rsv)} == {int}
    assert type(received.fin) is bool


@pytest.mark.parametrize(
    ("arguments", "flags", "text"),
    [
        ((TEXT, b"abc"), {"fin": False, "rsv": RSV1}, "Frame(TEXT, b'abc', fin=False, rsv=RSV1)"),
        ((BINARY, b"it's \xff"), {}, 'Frame(BINARY, b"it\'s \\xff")'),
        ((CONTINUATION,), {"fin": False}, "Frame(CONTINUATION, b'', fin=False)"),
        ((TEXT,), {"rsv": RSV1 | RSV2 | RSV3}, "Frame(TEXT, b'', rsv=RSV1 | RSV2 | RSV3)"),
        ((BINARY, b"x" * 64), {}, f"Frame(BINARY, b'{'x' * 64}')"),
        ((BINARY, b"x" * 65), {}, f"Frame(BINARY, b'{'x' * 64}'… (65 bytes))"),
        ((BINARY, bytes(1048576)), {"rsv": RSV3}, f"Frame(BINARY, {bytes(64)!r}… (1048576 bytes), rsv=RSV3)"),
    ],
)
def test_repr(twin: Any, arguments: tuple[Any, ...], flags: dict[str, Any], text: str) -> None:
    assert repr(twin.Frame(*arguments, **flags)) == text


@pytest.mark.parametrize("name", ["opcode", "payload", "fin", "rsv", "rsv1", "rsv2", "rsv3", "anything"])
def test_immutable(twin: Any, name: str) -> None:
    it = twin.Frame(TEXT, b"abc")
    with pytest.raises(AttributeError):
        setattr(it, name, 1)
    with pytest.raises(AttributeError):
        delattr(it, name)
    assert it == twin.Frame(TEXT, b"abc")
    assert not hasattr(it, "__dict__")


def test_cannot_be_made_twice(twin: Any) -> None:
    (received,) = twin.FrameDecoder(expect_masked=False).feed(b"\x89\x03abc")
    for it in (twin.Frame(PING, b"abc"), received):
        with refused(AttributeError, "Frame is immutable"):
            it.__init__(TEXT, b"other")
        assert it == twin.Frame(PING, b"abc")


def objects(twin: Any) -> list[Any]:
    return [twin.Frame(TEXT, b"abc"), twin.FrameDecoder(expect_masked=True), twin.Utf8Validator()]


def test_pickling_is_refused(twin: Any) -> None:
    for it in objects(twin):
        text = f"cannot pickle '{type(it).__name__}' object"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with refused(TypeError, text):
                pickle.dumps(it, protocol)
        for copier in (copy.copy, copy.deepcopy):
            with refused(TypeError, text):
                copier(it)


def test_subclassing_is_refused(twin: Any) -> None:
    for it in objects(twin):
        kind = type(it)
        name = f"{kind.__module__}.{kind.__qualname__}"
        with refused(TypeError, f"type '{name}' is not an acceptable base type"):
            type("Mine", (kind,), {})


def test_no_attributes_of_ones_own(twin: Any) -> None:
    for it in objects(twin):
        with pytest.raises(AttributeError):
            it.anything = 1
        assert not hasattr(it, "__dict__")
