"""Building frames: the very bytes, and what is refused."""

from __future__ import annotations

from collections import UserList, deque
from typing import Any

import pytest

from bowstring.constants import Opcode

from .refusal import refused
from .wire import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, RSV1, RSV2, RSV3, TEXT, frame

LENGTHS = [0, 1, 2, 7, 8, 16, 124, 125, 126, 127, 128, 1000, 65534, 65535, 65536, 65537, 200_000]

TEXTS = [
    "",
    "a",
    "ascii text",
    "é",
    "ÿ" * 100,
    "€" * 50,
    "😀" * 32,
    "mixed é€😀",
    "a" * 125,
    "é" * 63,
    "\0",
    "a" * 70_000,
]


@pytest.mark.usefixtures("simd")
class TestOneFrame:
    """encode_frame"""

    @pytest.mark.parametrize("key", [None, KEY], ids=["unmasked", "masked"])
    def test_lengths(self, twin: Any, key: bytes | None) -> None:
        for length in LENGTHS:
            payload = bytes(i & 0xFF for i in range(length))
            for opcode in (CONTINUATION, TEXT, BINARY):
                built = twin.encode_frame(opcode, payload, masking_key=key)
                assert built == frame(opcode, payload, key=key)
                assert type(built) is bytes

    @pytest.mark.parametrize("key", [None, KEY], ids=["unmasked", "masked"])
    def test_text(self, twin: Any, key: bytes | None) -> None:
        for text in TEXTS:
            for opcode in (TEXT, CONTINUATION):
                assert twin.encode_frame(opcode, text, masking_key=key) == frame(opcode, text.encode(), key=key)

    @pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
    def test_control_frames(self, twin: Any, opcode: int) -> None:
        for length in (0, 1, 2, 124, 125):
            payload = bytes(length)
            assert twin.encode_frame(opcode, payload) == frame(opcode, payload)
            assert twin.encode_frame(opcode, payload, masking_key=KEY) == frame(opcode, payload, key=KEY)

    def test_bits(self, twin: Any) -> None:
        for opcode in (CONTINUATION, TEXT, BINARY):
            for rsv in range(0, 0x80, 0x10):
                for fin in (True, False):
                    built = twin.encode_frame(opcode, b"abc", fin=fin, rsv=rsv)
                    assert built == frame(opcode, b"abc", fin=fin, rsv=rsv)


def test_defaults(twin: Any) -> None:
    assert twin.encode_frame(Opcode.PING) == b"\x89\0"
    assert twin.encode_frame(opcode=TEXT, payload="a", fin=1, rsv=0, masking_key=None) == b"\x81\x01a"


WRONG: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ((3,), {}, ValueError, "opcode must be 0, 1, 2, 8, 9 or 10, not 3"),
    ((-1,), {}, ValueError, "opcode must be 0, 1, 2, 8, 9 or 10, not -1"),
    ((2**64,), {}, ValueError, f"opcode must be 0, 1, 2, 8, 9 or 10, not {2**64}"),
    (("1",), {}, TypeError, "'str' object cannot be interpreted as an integer"),
    ((TEXT,), {"rsv": 0x80}, ValueError, "rsv must be made of RSV1, RSV2 and RSV3, not 0x80"),
    ((TEXT,), {"rsv": None}, TypeError, "'NoneType' object cannot be interpreted as an integer"),
    ((BINARY, "text"), {}, TypeError, "payload must be a bytes-like object, not 'str'"),
    ((PING, "text"), {}, TypeError, "payload must be a bytes-like object, not 'str'"),
    ((CLOSE, "text"), {}, TypeError, "payload must be a bytes-like object, not 'str'"),
    ((TEXT, None), {}, TypeError, "payload must be a bytes-like object, not 'NoneType'"),
    ((CONTINUATION, 1), {}, TypeError, "payload must be a bytes-like object, not 'int'"),
    ((CLOSE,), {"fin": False}, ValueError, "control frames must not be fragmented"),
    ((PING,), {"fin": 0}, ValueError, "control frames must not be fragmented"),
    ((PONG,), {"rsv": RSV1}, ValueError, "rsv must be 0 on control frames"),
    ((CLOSE,), {"rsv": RSV2 | RSV3}, ValueError, "rsv must be 0 on control frames"),
    ((PING, bytes(126)), {}, ValueError, "payload of a control frame must be at most 125 bytes, not 126"),
    ((PONG, bytes(70_000)), {}, ValueError, "payload of a control frame must be at most 125 bytes, not 70000"),
    ((TEXT,), {"masking_key": b""}, ValueError, "masking_key must be 4 bytes, not 0"),
    ((TEXT,), {"masking_key": b"12345"}, ValueError, "masking_key must be 4 bytes, not 5"),
    ((TEXT,), {"masking_key": "1234"}, TypeError, "masking_key must be a bytes-like object, not 'str'"),
    # Several at once: in the order of the parameters, what belongs together last.
    ((3, 1), {"rsv": 1}, ValueError, "opcode must be 0, 1, 2, 8, 9 or 10, not 3"),
    ((PING, 1), {"rsv": 1, "fin": False}, ValueError, "rsv must be made of RSV1, RSV2 and RSV3, not 0x1"),
    ((PING, 1), {"rsv": RSV1, "fin": False}, TypeError, "payload must be a bytes-like object, not 'int'"),
    ((PING, bytes(126)), {"rsv": RSV1, "fin": False}, ValueError, "control frames must not be fragmented"),
    ((PING, bytes(126)), {"rsv": RSV1}, ValueError, "rsv must be 0 on control frames"),
    (
        (PING, bytes(126)),
        {"masking_key": b""},
        ValueError,
        "payload of a control frame must be at most 125 bytes, not 126",
    ),
]


@pytest.mark.parametrize(("arguments", "flags", "error", "text"), WRONG)
def test_refused(
    twin: Any, arguments: tuple[Any, ...], flags: dict[str, Any], error: type[Exception], text: str
) -> None:
    with refused(error, text):
        twin.encode_frame(*arguments, **flags)


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "é" * 20 + "\udc80"])
def test_lone_surrogates(twin: Any, text: str) -> None:
    with pytest.raises(UnicodeEncodeError) as expected:
        text.encode()
    for call in (
        lambda: twin.encode_frame(TEXT, text),
        lambda: twin.encode_frame(TEXT, text, masking_key=KEY),
        lambda: twin.encode_frames(["fine", text]),
        lambda: twin.encode_frames([text], masking_keys=KEY),
    ):
        with pytest.raises(UnicodeEncodeError) as caught:
            call()
        assert caught.value.args == expected.value.args


class TestManyFrames:
    """encode_frames"""

    def items(self, twin: Any) -> list[Any]:
        return [
            "text",
            b"bytes",
            bytearray(b"bytearray"),
            memoryview(b"view"),
            "é€😀" * 100,
            "",
            b"",
            twin.Frame(TEXT, b"start", fin=False),
            twin.Frame(PING, b"ping"),
            twin.Frame(CONTINUATION, b"end" * 30_000),
            twin.Frame(BINARY, b"\0\1", rsv=RSV1 | RSV3),
            twin.Frame(CLOSE, b"\x03\xe8"),
            "a" * 126,
            b"x" * 65536,
        ]

    def expected(self, twin: Any, items: list[Any], keys: bytes | None) -> bytes:
        """Each by itself."""
        built = []
        for index, item in enumerate(items):
            key = None if keys is None else keys[4 * index : 4 * index + 4]
            if isinstance(item, str):
                built.append(frame(TEXT, item.encode(), key=key))
            elif isinstance(item, twin.Frame):
                built.append(frame(item.opcode, item.payload, fin=item.fin, rsv=item.rsv, key=key))
            else:
                built.append(frame(BINARY, bytes(item), key=key))
        return b"".join(built)

    @pytest.mark.usefixtures("simd")
    def test_each_joined(self, twin: Any) -> None:
        items = self.items(twin)
        keys = bytes(range(100, 100 + 4 * len(items)))
        built = twin.encode_frames(items)
        assert type(built) is bytes
        assert built == self.expected(twin, items, None)
        assert twin.encode_frames(items, masking_keys=keys) == self.expected(twin, items, keys)

    def test_any_iterable(self, twin: Any) -> None:
        items = self.items(twin)
        expected = self.expected(twin, items, None)
        for iterable in (items, tuple(items), iter(items), (item for item in items), deque(items), UserList(items)):
            assert twin.encode_frames(iterable) == expected
        keys = KEY * len(items)
        assert twin.encode_frames(iter(items), masking_keys=keys) == self.expected(twin, items, keys)
        assert twin.encode_frames({"a": 1, b"b": 2}) == frame(TEXT, b"a") + frame(BINARY, b"b")

    def test_none(self, twin: Any) -> None:
        for nothing in ([], (), iter(())):
            assert twin.encode_frames(nothing) == b""
        assert twin.encode_frames([], masking_keys=b"") == b""

    def test_subclasses(self, twin: Any) -> None:
        class Text(str):
            """Text as it is: what it says it encodes to is not asked."""

            __slots__ = ()

            def encode(self, *_: Any) -> bytes:
                return b"something else"

        class Data(bytes):
            """Likewise."""

        assert twin.encode_frames([Text("a"), Data(b"b")]) == frame(TEXT, b"a") + frame(BINARY, b"b")
        assert twin.encode_frame(TEXT, Text("a")) == frame(TEXT, b"a")

    @pytest.mark.parametrize("wrong", [1, None, 1.5, [b"a"], object])
    def test_a_wrong_item(self, twin: Any, wrong: Any) -> None:
        text = f"must be a str, a bytes-like object or a Frame, not {type(wrong).__name__!r}"
        for position in range(3):
            items: list[Any] = ["a", b"b"]
            items.insert(position, wrong)
            for iterable in (items, tuple(items), iter(items)):
                with refused(TypeError, f"frames[{position}] {text}"):
                    twin.encode_frames(iterable)

    @pytest.mark.parametrize("frames", [1, None, object()], ids=["int", "None", "object"])
    def test_no_iterable(self, twin: Any, frames: Any) -> None:
        with refused(TypeError, f"{type(frames).__name__!r} object is not iterable"):
            twin.encode_frames(frames)

    def test_what_the_iterable_raises(self, twin: Any) -> None:
        def items() -> Any:
            yield "a"
            raise LookupError("of the caller's")

        with pytest.raises(LookupError, match=r"of the caller's"):
            twin.encode_frames(items())

    @pytest.mark.parametrize(("count", "size"), [(3, 8), (3, 13), (3, 0), (0, 4), (1, 3), (2, 1)])
    def test_keys_for_each(self, twin: Any, count: int, size: int) -> None:
        with refused(ValueError, f"masking_keys must be {4 * count} bytes (4 for each frame), not {size}"):
            twin.encode_frames(["a"] * count, masking_keys=bytes(size))

    @pytest.mark.parametrize(
        ("flags", "payload", "text"),
        [
            ({"fin": False}, b"", "control frames must not be fragmented"),
            ({"rsv": RSV1}, b"", "rsv must be 0 on control frames"),
            ({}, bytes(126), "payload of a control frame must be at most 125 bytes, not 126"),
        ],
    )
    def test_control_frames_that_cannot_be(self, twin: Any, flags: dict[str, Any], payload: bytes, text: str) -> None:
        for opcode in (CLOSE, PING, PONG):
            it = twin.Frame(opcode, payload, **flags)  # a value; only sending it is wrong
            with refused(ValueError, text):
                twin.encode_frames(["a", it])

    def test_the_callers_data_is_left_alone(self, twin: Any) -> None:
        memory = bytearray(b"payload")
        keys = bytearray(KEY * 2)
        text = "text" * 10
        twin.encode_frames([memory, text], masking_keys=keys)
        assert memory == b"payload"
        assert keys == KEY * 2
        assert text == "text" * 10
        memory.clear()  # nothing exports them
        keys.clear()

    def test_a_list_that_changes_meanwhile(self, twin: Any) -> None:
        items: list[Any] = ["a"]

        class Payload:
            """Iterated over as the list is read."""

            def __iter__(self) -> Any:
                for item in items:
                    yield item
                    if len(items) < 3:
                        items.append("b")

        assert twin.encode_frames(Payload()) == frame(TEXT, b"a") + frame(TEXT, b"b") * 2
