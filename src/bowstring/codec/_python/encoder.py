"""From messages and frames to bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from bowstring.constants import FIN, MASK, MAX_CONTROL_PAYLOAD
from bowstring.typing import BytesLike

from .buffers import raw_bytes
from .frame import CLOSE, TEXT, WHOLE_BINARY, WHOLE_TEXT, Frame, check_opcode, check_rsv
from .masking import read_key, xor


def build(first: int, payload: bytes, key: bytes | None) -> tuple[bytes, bytes]:
    """The header and the payload of a frame as they go on the wire (RFC 6455 §5.2)."""
    size = len(payload)
    mask_bit = 0 if key is None else MASK
    if size < 126:
        header = bytes((first, mask_bit | size))
    elif size < 65536:
        header = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, size)
    return (header, payload) if key is None else (header + key, xor(payload, key))


def first_byte(opcode: int, size: int, fin: bool, rsv: int) -> int:
    """The first byte of a frame to send, or ``ValueError`` where RFC 6455 §5.5 has no such control frame."""
    if opcode >= CLOSE:
        if not fin:
            raise ValueError("control frames must not be fragmented")
        if rsv:
            raise ValueError("rsv must be 0 on control frames")
        if size > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"payload of a control frame must be at most 125 bytes, not {size}")
    return (FIN if fin else 0) | rsv | opcode


def encode_frame(
    opcode: int,
    payload: str | BytesLike = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masking_key: BytesLike | None = None,
) -> bytes:
    """Builds one frame, its length in the shortest form (RFC 6455 §5.2).

    Args:
        opcode: 0, 1, 2, 8, 9 or 10; an :class:`~bowstring.constants.Opcode` or a plain int.
        payload: any C-contiguous buffer; for text and continuation frames also ``str``, sent as UTF-8. It is only
            read: with a masking key, the copy in the frame is masked.
        fin: whether this is the last fragment of its message.
        rsv: the reserved bits to set; made of ``RSV1``, ``RSV2`` and ``RSV3`` of :mod:`bowstring.constants`.
        masking_key: 4 unpredictable bytes, which a client has to use (RFC 6455 §5.3), or ``None``, as a server must.

    Returns:
        The frame as it goes on the wire.

    Raises:
        TypeError: ``opcode`` or ``rsv`` is not an int, or another argument is not a C-contiguous buffer.
        ValueError: ``opcode`` or ``rsv`` has another value, the key does not have 4 bytes, or a control frame is
            fragmented, has a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: the text has a lone surrogate.
    """
    opcode = check_opcode(opcode)
    rsv = check_rsv(rsv, "rsv")
    raw = str.encode(payload) if isinstance(payload, str) and opcode <= TEXT else raw_bytes(payload, "payload")
    first = first_byte(opcode, len(raw), fin, rsv)
    header, raw = build(first, raw, None if masking_key is None else read_key(masking_key))
    return header + raw


def encode_frames(frames: Iterable[str | BytesLike | Frame], *, masking_keys: BytesLike | None = None) -> bytes:
    """Builds many frames in one go: what :func:`encode_frame` makes of each, joined.

    Args:
        frames: an iterable; a ``str`` goes as a text message, a C-contiguous buffer as a binary one, a
            :class:`Frame` as it is.
        masking_keys: 4 unpredictable bytes for each frame, in order, which a client has to use (RFC 6455 §5.3), or
            ``None``, as a server must.

    Returns:
        The frames as they go on the wire; no bytes for no frames.

    Raises:
        TypeError: ``frames`` or ``masking_keys`` is not what it has to be, or an item of ``frames`` is not.
        ValueError: there are not 4 bytes of ``masking_keys`` for each frame, or a control frame is fragmented, has
            a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: a text has a lone surrogate.
    """
    items = tuple(frames)
    keys = None if masking_keys is None else raw_bytes(masking_keys, "masking_keys")
    if keys is not None and len(keys) != 4 * len(items):
        raise ValueError(f"masking_keys must be {4 * len(items)} bytes (4 for each frame), not {len(keys)}")
    built: list[bytes] = []
    for index, item in enumerate(items):
        if isinstance(item, Frame):
            payload = item._payload
            first = first_byte(item._opcode, len(payload), item._fin, item._rsv)
        elif isinstance(item, str):
            first, payload = WHOLE_TEXT, str.encode(item)
        else:
            first = WHOLE_BINARY
            payload = raw_bytes(item, f"frames[{index}]", "a str, a bytes-like object or a Frame")
        built += build(first, payload, None if keys is None else keys[4 * index : 4 * index + 4])
    return b"".join(built)
