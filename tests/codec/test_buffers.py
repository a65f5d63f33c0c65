"""Every parameter that takes bytes takes every kind of buffer, keeps none of them, and refuses what is none."""

from __future__ import annotations

import array
import ctypes
import mmap
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from .refusal import refused
from .wire import BINARY, KEY, TEXT, frame, mask


class Parameter(NamedTuple):
    """A place for a buffer.

    Attributes:
        call: passes the buffer there.
        value: bytes that are right there, a multiple of 4.
        name: what errors call it.
        wanted: what errors ask for.
        optional: whether ``None`` is nothing.
    """

    call: Callable[[Any, Any], Any]
    value: bytes
    name: str
    wanted: str = "a bytes-like object"
    optional: bool = False


DATA = b"0123456789abcdef" * 4
WIRE = frame(BINARY, b"x" * 30)


def in_place(twin: Any, key: Any) -> bytes:
    memory = bytearray(DATA)
    twin.mask_in_place(memory, key)
    return bytes(memory)


PARAMETERS = {
    "apply_mask(data)": Parameter(lambda twin, it: twin.apply_mask(it, KEY), DATA, "data"),
    "apply_mask(masking_key)": Parameter(lambda twin, it: twin.apply_mask(DATA, it), KEY, "masking_key"),
    "mask_in_place(masking_key)": Parameter(in_place, KEY, "masking_key"),
    "Utf8Validator.feed(data)": Parameter(lambda twin, it: twin.Utf8Validator().feed(it), DATA, "data"),
    "Frame(payload)": Parameter(lambda twin, it: twin.Frame(BINARY, it).payload, DATA, "payload"),
    "FrameDecoder.feed(data)": Parameter(
        lambda twin, it: twin.FrameDecoder(expect_masked=False).feed(it), WIRE, "data"
    ),
    "FrameDecoder.feed_buffer(buffer)": Parameter(
        lambda twin, it: twin.FrameDecoder(expect_masked=False).feed_buffer(it, len(WIRE)), WIRE, "buffer"
    ),
    "encode_frame(payload)": Parameter(lambda twin, it: twin.encode_frame(BINARY, it), DATA, "payload"),
    "encode_frame(payload), masked": Parameter(
        lambda twin, it: twin.encode_frame(BINARY, it, masking_key=KEY), DATA, "payload"
    ),
    "encode_frame(masking_key)": Parameter(
        lambda twin, it: twin.encode_frame(BINARY, DATA, masking_key=it), KEY, "masking_key", optional=True
    ),
    "encode_frames(frames)": Parameter(
        lambda twin, it: twin.encode_frames(["a", b"b", it]),
        DATA,
        "frames[2]",
        "a str, a bytes-like object or a Frame",
    ),
    "encode_frames(frames), masked": Parameter(
        lambda twin, it: twin.encode_frames(iter([it]), masking_keys=KEY),
        DATA,
        "frames[0]",
        "a str, a bytes-like object or a Frame",
    ),
    "encode_frames(masking_keys)": Parameter(
        lambda twin, it: twin.encode_frames([DATA, "a", b""], masking_keys=it), KEY * 3, "masking_keys", optional=True
    ),
}


class BytesSubclass(bytes):
    """As good as bytes."""


def in_mmap(value: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(value))
    memory[:] = value
    return memory


def in_ctypes(value: bytes) -> Any:
    return (ctypes.c_char * len(value)).from_buffer_copy(value)


def read_only(value: bytes) -> Any:
    numbers = np.frombuffer(value, dtype="u1").copy()
    numbers.flags.writeable = False
    return numbers


#: Kinds of buffers that hold the bytes they are made from; the ones in the first group can be written to.
WRITABLE: dict[str, Callable[[bytes], Any]] = {
    "bytearray": bytearray,
    "memoryview": lambda value: memoryview(bytearray(value)),
    "memoryview at an odd offset": lambda value: memoryview(bytearray(b"odd" + value + b"behind"))[3:-6],
    "memoryview of ints": lambda value: memoryview(bytearray(value)).cast("i"),
    "memoryview of 2 dimensions": lambda value: memoryview(bytearray(value)).cast("B", (2, len(value) // 2)),
    "array of bytes": lambda value: array.array("B", value),
    "array of ints": lambda value: array.array("i", value),
    "array of floats": lambda value: array.array("f", value),
    "mmap": in_mmap,
    "ctypes": in_ctypes,
    "numpy": lambda value: np.frombuffer(value, dtype="u1").copy(),
    "numpy float": lambda value: np.frombuffer(value, dtype="f4").copy(),
    "numpy big-endian": lambda value: np.frombuffer(value, dtype=">f4").copy(),
    "numpy structured": lambda value: np.frombuffer(value, dtype=[("a", "u1"), ("b", "<i2"), ("c", "u1")]).copy(),
    "numpy 2-D": lambda value: np.frombuffer(value, dtype="u1").reshape(2, -1).copy(),
    "numpy 3-D": lambda value: np.frombuffer(value, dtype="i2").reshape(1, 2, -1).copy(),
    "numpy odd offset": lambda value: np.frombuffer(b"odd" + value, dtype="u1").copy()[3:],
    "numpy rows": lambda value: np.frombuffer(b"odd " + value, dtype="i4").copy().reshape(-1, 1)[1:],
    "numpy unaligned float": lambda value: np.frombuffer(bytearray(b"o" + value), dtype="f4", offset=1),
}
READ_ONLY: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "subclass of bytes": BytesSubclass,
    "memoryview, read-only": memoryview,
    "numpy, read-only": read_only,
}
KINDS = WRITABLE | READ_ONLY

#: Not C-contiguous, over the same bytes.
SCATTERED: dict[str, Callable[[bytes], Any]] = {
    "every second byte": lambda value: memoryview(bytes(2 * len(value)))[::2],
    "backwards": lambda value: memoryview(value)[::-1],
    "numpy every second": lambda value: np.zeros(2 * len(value), dtype="u1")[::2],
    "numpy backwards": lambda value: np.frombuffer(value, dtype="u1")[::-1],
    "numpy columns": lambda value: np.zeros((4, 4), dtype="f4")[:, 1:],
    "numpy in Fortran order": lambda value: np.zeros((2, len(value) // 2), dtype="u1", order="F"),
    "numpy transposed": lambda value: np.zeros((2, len(value) // 2), dtype="u1").T,
}

OTHERS = [0, 65, 1.5, [1, 2, 3, 4], (1, 2, 3, 4), object(), int, {}, iter(b"abcd")]

parameters = pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=PARAMETERS)


@parameters
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_taken(twin: Any, parameter: Parameter, kind: Callable[[bytes], Any]) -> None:
    buffer = kind(parameter.value)
    result = parameter.call(twin, buffer)
    assert result == parameter.call(twin, parameter.value)
    assert memoryview(buffer).tobytes() == parameter.value  # only read
    if isinstance(result, bytes):
        assert type(result) is bytes


@parameters
@pytest.mark.parametrize("kind", SCATTERED.values(), ids=SCATTERED)
def test_not_contiguous(twin: Any, parameter: Parameter, kind: Callable[[bytes], Any]) -> None:
    with refused(TypeError, f"{parameter.name} must be C-contiguous"):
        parameter.call(twin, kind(parameter.value))


@parameters
def test_no_buffer(twin: Any, parameter: Parameter) -> None:
    others = [*OTHERS]
    if not parameter.optional:
        others.append(None)
    if not parameter.name.startswith("frames"):
        others += ["text", twin.Frame(TEXT)]
    for other in others:
        with refused(TypeError, f"{parameter.name} must be {parameter.wanted}, not {type(other).__name__!r}"):
            parameter.call(twin, other)


@parameters
def test_no_view_is_kept(twin: Any, parameter: Parameter) -> None:
    memory = bytearray(parameter.value)
    result = parameter.call(twin, memory)
    memory += b"can be resized: nothing exports it"
    memory.clear()
    assert result == parameter.call(twin, parameter.value)


@parameters
def test_no_view_is_kept_after_an_error(twin: Any, parameter: Parameter) -> None:
    memory = bytearray(2 * len(parameter.value))
    # Releasing these fails when the error, or its traceback, holds a view of them.
    with memoryview(memory) as view, view[::2] as scattered:
        with pytest.raises(TypeError) as caught:
            parameter.call(twin, scattered)
        assert caught.value.__traceback__ is not None
    memory.clear()


@pytest.mark.parametrize("kind", WRITABLE.values(), ids=WRITABLE)
@pytest.mark.usefixtures("simd")
def test_in_place(twin: Any, kind: Callable[[bytes], Any]) -> None:
    for length in (4, 16, 64, 1000):
        data = (DATA * 16)[:length]
        buffer = kind(data)
        assert twin.mask_in_place(buffer, KEY, 3) is None
        assert memoryview(buffer).tobytes() == mask(data, KEY, 3)


@pytest.mark.parametrize("kind", READ_ONLY.values(), ids=READ_ONLY)
def test_in_place_needs_a_writable_buffer(twin: Any, kind: Callable[[bytes], Any]) -> None:
    buffer = kind(DATA)
    with refused(TypeError, "buffer must be writable"):
        twin.mask_in_place(buffer, KEY)
    assert memoryview(buffer).tobytes() == DATA


@pytest.mark.parametrize("kind", SCATTERED.values(), ids=SCATTERED)
def test_in_place_not_contiguous(twin: Any, kind: Callable[[bytes], Any]) -> None:
    with refused(TypeError, "buffer must be C-contiguous"):
        twin.mask_in_place(kind(DATA), KEY)


@pytest.mark.parametrize("other", [*OTHERS, None, "text"], ids=repr)
def test_in_place_no_buffer(twin: Any, other: Any) -> None:
    with refused(TypeError, f"buffer must be a bytes-like object, not {type(other).__name__!r}"):
        twin.mask_in_place(other, KEY)


def test_in_place_keeps_no_view(twin: Any) -> None:
    memory = bytearray(DATA)
    twin.mask_in_place(memory, KEY)
    memory += b"grows"
    for arguments in ((b"key",), (KEY, -1), (KEY, "1"), (None,)):
        with pytest.raises((TypeError, ValueError)) as caught:
            twin.mask_in_place(memory, *arguments)
        memory += b"grows"
        assert caught.value.__traceback__ is not None
    assert memory == mask(DATA) + b"grows" * 5


EMPTY = {
    "bytes": b"",
    "bytearray": bytearray(),
    "memoryview": memoryview(b""),
    "end of a memoryview": memoryview(b"abcd")[4:],
    "array": array.array("d"),
    "numpy": np.zeros(0),
    "numpy (2, 0)": np.zeros((2, 0)),
    "numpy (0, 3)": np.zeros((0, 3), dtype=">i8"),
}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_empty(twin: Any, empty: Any) -> None:
    assert twin.apply_mask(empty, KEY) == b""
    assert twin.Utf8Validator().feed(empty) is True
    assert twin.Frame(BINARY, empty).payload == b""
    decoder = twin.FrameDecoder(expect_masked=False)
    assert decoder.feed(empty) == []
    assert decoder.feed_buffer(empty, 0) == []
    assert twin.encode_frame(BINARY, empty) == b"\x82\0"
    assert twin.encode_frames([empty]) == b"\x82\0"
    assert twin.encode_frames([], masking_keys=empty) == b""
    if not memoryview(empty).readonly:
        twin.mask_in_place(empty, KEY)


def test_numbers_without_dimension(twin: Any) -> None:
    number = np.array(1.5)
    raw = number.tobytes()
    assert twin.apply_mask(number, KEY) == mask(raw)
    assert twin.Frame(BINARY, number).payload == raw
    twin.mask_in_place(number, KEY)
    assert number.tobytes() == mask(raw)


def test_a_released_view_is_an_error(twin: Any) -> None:
    view = memoryview(b"abcd")
    view.release()
    with pytest.raises(ValueError, match="released"):
        twin.apply_mask(view, KEY)


def test_a_mutable_payload_is_copied(twin: Any) -> None:
    memory = bytearray(b"before")
    made = twin.Frame(BINARY, memory)
    wire = twin.encode_frames([memory])
    memory[:] = b"after!"
    assert made.payload == b"before"
    assert wire.endswith(b"before")


def test_bytes_are_taken_as_they_are(twin: Any) -> None:
    payload = b"x" * 100
    assert twin.Frame(BINARY, payload).payload is payload
    copied = twin.Frame(BINARY, BytesSubclass(payload)).payload
    assert copied == payload
    assert type(copied) is bytes


def test_the_caller_may_reuse_its_buffer_at_once(twin: Any) -> None:
    decoder = twin.FrameDecoder(expect_masked=True)
    buffer = bytearray(64)
    results = []
    wire = frame(TEXT, "text é".encode() * 20, key=KEY) + frame(BINARY, bytes(range(100)), key=KEY)
    for at in range(0, len(wire), 50):
        piece = wire[at : at + 50]
        buffer[: len(piece)] = piece
        results += decoder.feed_buffer(buffer, len(piece))
        buffer[:] = b"\xff" * 64
    assert results == ["text é" * 20, bytes(range(100))]
