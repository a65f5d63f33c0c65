"""What the fuzzer feeds: each target takes bytes and fails on what must never happen.

The first bytes of an input choose the settings, the rest is traffic. Both twins get the same; a difference between
them is a failure, and so is any exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from bowstring.codec import _cython, _python
from bowstring.constants import RSV1, RSV2, RSV3, Opcode, State
from bowstring.exceptions import HandshakeRejected, InvalidHandshake, ProtocolError, ResponseRejected
from bowstring.protocol import Connection, Role
from bowstring.protocol.extensions.permessage_deflate import Compression
from bowstring.protocol.handshake.client import ClientHandshake
from bowstring.protocol.handshake.server import ServerHandshake
from bowstring.protocol.http11 import RequestReader, ResponseReader, encode_response, parse_request

__all__ = ["TARGETS"]

_LIMITS = (None, 0, 1, 125, 126, 1000, 65_535, 1 << 20)
_FRAGMENTS = (None, 1, 2, 3)


def _pieces(data: bytes, seed: int) -> Iterator[bytes]:
    """The data, cut where the seed says: in one piece, byte by byte, or in between."""
    if seed < 64:
        yield data
        return
    start, size = 0, seed - 63
    while start < len(data):
        step = 1 + (size * 7919 + start * 31) % size
        yield data[start : start + step]
        start += step


def _plain(item: Any) -> Any:
    """An item of a decoder's list in a form that both twins have in common."""
    if isinstance(item, (str, bytes)):
        return type(item), item
    if isinstance(item, ProtocolError):
        return item.args
    return item.opcode, item.payload, item.fin, item.rsv


def frames(data: bytes) -> None:
    """Both decoders give the same for the same bytes, and what they give can be built again."""
    if len(data) < 4:
        return
    settings: dict[str, Any] = {
        "expect_masked": bool(data[0] & 1),
        "decode": bool(data[0] & 2),
        "allowed_rsv": (RSV1 if data[0] & 4 else 0) | (RSV2 if data[0] & 8 else 0) | (RSV3 if data[0] & 16 else 0),
        "max_message_size": _LIMITS[data[1] % len(_LIMITS)],
        "max_fragments": _FRAGMENTS[data[2] % len(_FRAGMENTS)],
    }
    fast, pure = _cython.FrameDecoder(**settings), _python.FrameDecoder(**settings)
    seen: list[Any] = []
    for piece in _pieces(data[4:], data[3]):
        ours, theirs = fast.feed(piece), pure.feed(piece)
        assert list(map(_plain, ours)) == list(map(_plain, theirs)), (ours, theirs)
        assert (fast.buffered, fast.in_message, fast.error) == (pure.buffered, pure.in_message, pure.error)
        seen += theirs
    whole = _python.FrameDecoder(**settings).feed(data[4:])
    assert list(map(_plain, whole)) == list(map(_plain, seen)) or isinstance(pure.error, ProtocolError)
    sendable = [item for item in seen if not isinstance(item, ProtocolError)]
    keys = bytes(range(4)) * len(sendable)
    alike = [item if isinstance(item, (str, bytes)) else _twin_of(item) for item in sendable]
    for masking_keys in (None, keys):
        assert _python.encode_frames(sendable, masking_keys=masking_keys) == _cython.encode_frames(
            alike, masking_keys=masking_keys
        )


def _twin_of(frame: Any) -> _cython.Frame:
    return _cython.Frame(frame.opcode, frame.payload, fin=frame.fin, rsv=frame.rsv)


def connection(data: bytes) -> None:
    """A connection with compression takes anything from its peer, answers with frames only, and ends once."""
    if len(data) < 4:
        return
    role = Role.SERVER if data[0] & 1 else Role.CLIENT
    bits = 9 + data[0] % 7
    compression = Compression(server_max_window_bits=bits, client_max_window_bits=bits)
    offer: list[tuple[str, str | None]] = [("client_max_window_bits", None), ("server_max_window_bits", str(bits))]
    if data[0] & 2:
        offer.append(("client_no_context_takeover", None))
    answer = compression.respond(offer, ())
    assert answer is not None
    ours = Connection(
        role,
        extensions=(answer[1],),
        max_message_size=_LIMITS[data[1] % len(_LIMITS)],
        max_fragments=_FRAGMENTS[data[2] % len(_FRAGMENTS)],
        decode=bool(data[0] & 4),
        masking_keys=None if role is Role.SERVER else lambda count: bytes(4 * count),
    )
    written = b""
    for piece in _pieces(data[4:], data[3]):
        ours.receive_data(piece)
        while (message := ours.take()) is not None:
            limit = _LIMITS[data[1] % len(_LIMITS)]
            size = len(message.encode() if isinstance(message, str) else message)
            assert limit is None or size <= limit
            if ours.state is State.OPEN:
                ours.send(message)
        if ours.ended:
            ours.finish()
        written += ours.data_to_send()
    ours.receive_eof()
    ours.finish()
    written += ours.data_to_send()
    assert ours.state is State.CLOSED
    items = _python.FrameDecoder(
        expect_masked=role is Role.CLIENT, allowed_rsv=RSV1, max_message_size=None, max_fragments=None
    ).feed(written)
    closes = [place for place, item in enumerate(items) if getattr(item, "opcode", None) == Opcode.CLOSE]
    assert not any(isinstance(item, ProtocolError) for item in items)
    assert closes in ([], [len(items) - 1])  # RFC 6455 §5.5.1: nothing goes out behind our Close


def request(data: bytes) -> None:
    """Whatever a client sends as its request is answered by 101 or an error in the 400s, or 505."""
    if not data:
        return
    reader, handshake = RequestReader(), ServerHandshake(origins="same", subprotocols=["a"], extensions=[Compression()])
    try:
        for piece in _pieces(data[1:], data[0]):
            parsed = reader.feed(piece)
            if parsed is not None:
                assert parse_request(reader.raw) == parsed
                response = handshake.accept(parsed).response
                assert response.status == 101
                break
        else:
            return
    except HandshakeRejected as error:
        response = handshake.reject(error)
        assert response.status in {400, 403, 405, 426, 431, 505}
    encode_response(response)


def response(data: bytes) -> None:
    """Whatever a server sends as its response opens the connection, or is refused by name."""
    if not data:
        return
    reader = ResponseReader()
    handshake = ClientHandshake(host="localhost", target="/", nonce=bytes(16), extensions=[Compression()])
    try:
        for piece in _pieces(data[1:], data[0]):
            parsed = reader.feed(piece)
            if parsed is not None:
                handshake.check(parsed)
                return
        parsed = reader.eof()
        if parsed is not None:
            handshake.check(parsed)
    except ResponseRejected:
        pass
    except InvalidHandshake as error:
        raise AssertionError(f"a client raised {error!r}") from error


TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "connection": connection,
    "request": request,
    "response": response,
}
