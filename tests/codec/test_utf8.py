"""UTF-8, alone and in text frames: against Python's strict decoder, and at the first impossible byte."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import pytest

from bowstring.exceptions import ProtocolError, Violation

from .wire import BINARY, CONTINUATION, KEY, PING, RSV1, TEXT, feed_all, frame, header, pieces, single_bytes

INVALID = ProtocolError(Violation.INVALID_UTF8)

#: Edges of RFC 3629's ranges: where the length of a character changes, and around what is left out.
CODE_POINTS = [
    0x0, 0x1, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF,
    0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF,
]  # fmt: skip

#: What is never valid, as far as the byte that makes it so.
IMPOSSIBLE = [
    *(bytes([byte]) for byte in (0x80, 0xBF, 0xC0, 0xC1, 0xF5, 0xF8, 0xFC, 0xFE, 0xFF)),  # never the first byte
    *map(bytes.fromhex, ("c27f", "c2c0", "c2c2", "dfff", "eebfc0", "e18041", "f39080c0", "f1808041", "f180c2", "f1ff")),
    *map(bytes.fromhex, ("e080", "e09f", "f080", "f08f")),  # overlong
    *map(bytes.fromhex, ("eda0", "edbf")),  # surrogates
    *map(bytes.fromhex, ("f490", "f4bf")),  # above U+10FFFF
]


@functools.cache
def decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


#: For every beginning of a character one of these completes it, if anything does.
ENDINGS = [bytes([first, *[0x80] * more]) for first in (0x80, 0x90, 0xA0) for more in range(3)]


@functools.cache
def possible(data: bytes) -> bool:
    """Whether valid text can begin like this: an oracle made of Python's decoder for whole texts."""
    return decodes(data) or any(decodes(data + ending) for ending in ENDINGS)


def check(validator: Any, data: bytes) -> None:
    """Feeds byte by byte; every answer on the way has to be right."""
    validator.reset()
    for end in range(1, len(data) + 1):
        start = data[:end]
        assert validator.feed(data[end - 1 : end]) is possible(start), start
        assert validator.at_boundary is decodes(start), start


def test_a_new_validator(twin: Any) -> None:
    validator = twin.Utf8Validator()
    assert validator.at_boundary is True
    assert validator.feed(b"") is True
    assert validator.at_boundary is True


@pytest.mark.parametrize("code_point", CODE_POINTS, ids=hex)
def test_characters_at_the_edges(twin: Any, code_point: int) -> None:
    character = chr(code_point).encode()
    for text in (character, b"a" * 15 + character + b"z" * 17, character * 5):
        for cuts in itertools.chain.from_iterable(itertools.combinations(range(1, len(text)), n) for n in (0, 1, 2)):
            validator = twin.Utf8Validator()
            done = b""
            for piece in pieces(text, cuts):
                done += piece
                assert validator.feed(piece) is True
                assert validator.at_boundary is decodes(done)


@pytest.mark.parametrize("data", IMPOSSIBLE, ids=bytes.hex)
def test_the_first_impossible_byte(twin: Any, data: bytes) -> None:
    for before in (b"", b"a", "é€😀".encode(), b"a" * 16, b"a" * 31, "€".encode() * 11):
        validator = twin.Utf8Validator()
        assert validator.feed(before + data[:-1]) is True
        assert validator.feed(data[-1:]) is False
        assert twin.Utf8Validator().feed(before + data) is False
        assert twin.Utf8Validator().feed(before + data + b"a" * 40) is False


def test_invalid_stays_invalid_until_reset(twin: Any) -> None:
    validator = twin.Utf8Validator()
    validator.feed(b"\xff")
    for data in (b"", b"a", "é".encode()):
        assert validator.feed(data) is False
        assert validator.at_boundary is False
    validator.reset()
    assert validator.at_boundary is True
    assert validator.feed(b"\xe2\x82") is True
    validator.reset()  # also inside of a character
    assert validator.feed(b"a") is True
    assert validator.at_boundary is True


def test_every_sequence_of_two_bytes(twin: Any) -> None:
    validator = twin.Utf8Validator()
    for first in range(256):
        for second in range(256):
            check(validator, bytes([first, second]))


def test_sequences_of_four_bytes(twin: Any) -> None:
    validator = twin.Utf8Validator()
    edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xED, 0xF4, 0xFF]
    for first in range(0xC0, 0x100):
        for rest in itertools.product(edges, repeat=3):
            data = bytes([first, *rest])
            if possible(data[:2]):  # else it is one of those of two bytes
                check(validator, data)


def test_every_character(twin: Any) -> None:
    validator = twin.Utf8Validator()
    text = "".join(map(chr, itertools.chain(range(0xD800), range(0xE000, 0x110000)))).encode()
    assert validator.feed(text) is True
    assert validator.at_boundary is True
    for chunk in range(0, len(text), 65537):  # cuts inside of characters
        assert validator.feed(text[chunk : chunk + 65537]) is True
    assert validator.at_boundary is True


@pytest.mark.usefixtures("simd")
class TestFrames:
    """UTF-8 in the text frames that a decoder takes."""

    @pytest.fixture(params=[True, False], ids=["masked", "unmasked"])
    def key(self, request: pytest.FixtureRequest) -> bytes | None:
        return KEY if request.param else None

    def decoder(self, twin: Any, key: bytes | None, *, decode: bool = True) -> Any:
        return twin.FrameDecoder(expect_masked=key is not None, decode=decode, allowed_rsv=RSV1)

    def test_a_character_at_every_place(self, twin: Any, key: bytes | None) -> None:
        decoder, undecoded = self.decoder(twin, key), self.decoder(twin, key, decode=False)
        for length in (*range(70), 127, 128, 129, 255, 300):
            for at in {0, 1, length // 2, max(length - 1, 0), length}:
                for character in ("\x7f", "\x80", "é", "ÿ", "€", "😀", "\uffff", "\U0010ffff"):
                    text = "a" * at + character + "z" * (length - at)
                    wire = frame(TEXT, text.encode(), key=key)
                    (message,) = decoder.feed(wire)
                    assert message == text
                    assert type(message) is str
                    (data,) = undecoded.feed(wire)
                    assert data == text.encode()
                    assert type(data) is bytes

    @pytest.mark.parametrize("decode", [True, False], ids=["str", "bytes"])
    def test_an_impossible_byte_at_every_place(self, twin: Any, key: bytes | None, decode: bool) -> None:
        for length in (*range(1, 70), 127, 128, 129, 255, 300):
            for at in {0, 1, length // 2, length - 1} & set(range(length)):
                for byte in (b"\x80", b"\xc1", b"\xff"):
                    payload = b"a" * at + byte + b"z" * (length - at - 1)
                    assert self.decoder(twin, key, decode=decode).feed(frame(TEXT, payload, key=key)) == [INVALID]
                    assert self.decoder(twin, key, decode=decode).feed(frame(BINARY, payload, key=key)) == [payload]

    @pytest.mark.parametrize("data", IMPOSSIBLE, ids=bytes.hex)
    @pytest.mark.parametrize("before", [b"", b"a" * 33, "€😀".encode() * 5], ids=["", "ASCII", "others"])
    def test_fails_at_the_byte_inside_of_a_frame(
        self, twin: Any, key: bytes | None, data: bytes, before: bytes
    ) -> None:
        wire = frame(TEXT, before + data + b"a" * 100, key=key)
        last = len(wire) - 100
        # Byte by byte; all but the last byte at once; and together with the header.
        for cuts in (range(1, last), [last - 1], []):
            decoder = self.decoder(twin, key)
            *good, bad = pieces(wire[:last], cuts)
            assert feed_all(decoder, good) == []
            assert decoder.error is None
            assert decoder.feed(bad) == [INVALID]
            assert decoder.feed(b"a" * 100) == []

    @pytest.mark.parametrize("data", IMPOSSIBLE, ids=bytes.hex)
    def test_fails_at_the_byte_across_fragments(self, twin: Any, key: bytes | None, data: bytes) -> None:
        decoder = self.decoder(twin, key)
        before = "a€".encode()
        frames = [frame(TEXT, before, fin=False, key=key)]
        frames += [frame(CONTINUATION, byte, fin=False, key=key) for byte in single_bytes(data)]
        ping = frame(PING, b"\xff", key=key)  # no text
        results = feed_all(decoder, [ping.join(frames[:-1])])
        assert all(isinstance(result, twin.Frame) for result in results)
        assert decoder.feed(frames[-1]) == [INVALID]

    @pytest.mark.parametrize("character", ["é", "€", "😀"])
    def test_the_end_inside_of_a_character(self, twin: Any, key: bytes | None, character: str) -> None:
        for end in range(1, len(character.encode())):
            payload = b"abc" + character.encode()[:end]
            whole = frame(TEXT, payload, key=key)
            for cut in range(1, len(whole)):
                assert feed_all(self.decoder(twin, key), pieces(whole, [cut])) == [INVALID]
            # A fragment may end there, the message may not; an empty last fragment does not help.
            start = frame(TEXT, payload, fin=False, key=key)
            for last in (b"", b"a", character.encode()):
                decoder = self.decoder(twin, key)
                assert decoder.feed(start) == [twin.Frame(TEXT, payload, fin=False)]
                assert decoder.feed(frame(CONTINUATION, last, key=key)) == [INVALID]
            decoder = self.decoder(twin, key)
            decoder.feed(start)
            rest = character.encode()[end:]
            assert decoder.feed(frame(CONTINUATION, rest, key=key)) == [twin.Frame(CONTINUATION, rest)]
            # The next message starts afresh.
            assert decoder.feed(frame(TEXT, b"abc", key=key)) == ["abc"]

    def test_what_an_extension_has_changed_is_not_text_yet(self, twin: Any, key: bytes | None) -> None:
        decoder = self.decoder(twin, key)
        wire = (
            frame(TEXT, b"\xff", rsv=RSV1, key=key)
            + frame(TEXT, b"\xfe", rsv=RSV1, fin=False, key=key)
            + frame(CONTINUATION, b"\xc3", key=key)
        )
        expected = [
            twin.Frame(TEXT, b"\xff", rsv=RSV1),
            twin.Frame(TEXT, b"\xfe", rsv=RSV1, fin=False),
            twin.Frame(CONTINUATION, b"\xc3"),
        ]
        assert decoder.feed(wire) == expected
        assert feed_all(decoder, single_bytes(wire)) == expected
        assert decoder.feed(frame(TEXT, b"\xc3\x28", key=key)) == [INVALID]

    def test_fragments_of_a_binary_message_are_not_text(self, twin: Any, key: bytes | None) -> None:
        decoder = self.decoder(twin, key)
        wire = frame(BINARY, b"\xff", fin=False, key=key) + frame(CONTINUATION, b"\xc3", key=key)
        expected = [twin.Frame(BINARY, b"\xff", fin=False), twin.Frame(CONTINUATION, b"\xc3")]
        assert decoder.feed(wire) == expected
        assert feed_all(decoder, single_bytes(wire)) == expected

    def test_a_large_text_in_pieces(self, twin: Any, key: bytes | None) -> None:
        for text in ("a" * 200_000, "aé€😀" * 20_000, "a" * 99_999 + "😀" + "b" * 99_999):
            wire = frame(TEXT, text.encode(), key=key)
            for size in (977, 4096, 65536, 65537):
                chunks = pieces(wire, range(size, len(wire), size))
                assert feed_all(self.decoder(twin, key), chunks) == [text]
                assert feed_all(self.decoder(twin, key, decode=False), chunks) == [text.encode()]

    def test_fails_early_in_a_large_text(self, twin: Any, key: bytes | None) -> None:
        decoder = self.decoder(twin, key)
        head = header(TEXT, 1 << 20, masked=key is not None) + (key or b"")
        assert decoder.feed(head) == []
        payload = b"a" * 65536
        masked = twin.apply_mask(payload, key) if key else payload
        for _ in range(3):
            assert decoder.feed(masked) == []
        bad = payload[:-1] + b"\xff"
        assert decoder.feed(twin.apply_mask(bad, key) if key else bad) == [INVALID]
