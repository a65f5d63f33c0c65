"""The contract of both twins: this stub is checked against ``_cython`` and against ``_python``.

Buffers: every parameter of type ``BytesLike`` takes any C-contiguous buffer (bytes, bytearray, memoryview, array,
mmap, numpy) and reads its raw bytes; no view of it is kept after the call. Anything else is a ``TypeError``:
``"data must be a bytes-like object, not 'str'"``, and for a buffer that is not C-contiguous,
``"data must be C-contiguous"`` (with the parameter's own name).

A masking key is a buffer of exactly 4 bytes, or ``ValueError: masking_key must be 4 bytes, not 3``.
"""

from collections.abc import Iterable
from typing import Final, final

from bowstring.exceptions import ProtocolError
from bowstring.typing import BytesLike

IMPLEMENTATION: Final[str]  # "cython" or "python"

def simd_level() -> str: ...  # the loop in use: "avx512" | "avx2" | "sse2" | "neon" | "portable"; pure twin: "none"
def simd_levels() -> tuple[str, ...]: ...  # what this machine can run, best first; pure twin: ("none",)
def set_simd_level(name: str) -> None: ...  # for tests and benchmarks; ValueError names the levels that there are
def apply_mask(data: BytesLike, masking_key: BytesLike) -> bytes: ...
def mask_in_place(buffer: BytesLike, masking_key: BytesLike, offset: int = 0) -> None: ...

@final
class Utf8Validator:
    """Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629)."""

    def __init__(self) -> None: ...
    def feed(self, data: BytesLike) -> bool: ...  # False from the first impossible byte on, until reset()
    @property
    def at_boundary(self) -> bool: ...  # valid so far, and not inside of a character
    def reset(self) -> None: ...

@final
class Frame:
    """One frame. Immutable, hashable, equal by value, not picklable."""

    def __init__(self, opcode: int, payload: BytesLike = b"", *, fin: bool = True, rsv: int = 0) -> None: ...
    @property
    def opcode(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def fin(self) -> bool: ...
    @property
    def rsv(self) -> int: ...  # made of RSV1, RSV2, RSV3
    @property
    def rsv1(self) -> bool: ...
    @property
    def rsv2(self) -> bool: ...
    @property
    def rsv3(self) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FrameDecoder:
    """Turns bytes into messages and frames."""

    def __init__(
        self,
        *,
        expect_masked: bool,
        max_message_size: int | None = 1048576,
        max_fragments: int | None = 16384,
        allowed_rsv: int = 0,
        decode: bool = True,
    ) -> None: ...
    def feed(self, data: BytesLike) -> list[str | bytes | Frame | ProtocolError]: ...
    def feed_buffer(self, buffer: BytesLike, nbytes: int) -> list[str | bytes | Frame | ProtocolError]: ...
    @property
    def error(self) -> ProtocolError | None: ...
    @property
    def buffered(self) -> int: ...  # bytes of a partly arrived frame, its header included
    @property
    def in_message(self) -> bool: ...  # between the first and the last frame of a fragmented message
    @property
    def expect_masked(self) -> bool: ...
    @property
    def max_message_size(self) -> int | None: ...
    @property
    def max_fragments(self) -> int | None: ...
    @property
    def allowed_rsv(self) -> int: ...
    @property
    def decode(self) -> bool: ...

def encode_frame(
    opcode: int,
    payload: str | BytesLike = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masking_key: BytesLike | None = None,
) -> bytes: ...
def encode_frames(frames: Iterable[str | BytesLike | Frame], *, masking_keys: BytesLike | None = None) -> bytes: ...
