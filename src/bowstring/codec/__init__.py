"""Frames: bytes in, messages out, and back (RFC 6455 §5).

The one door to the codec's two twins: ``_cython`` for speed, ``_python`` with the same behaviour. Which one is behind
it, and why, is in :data:`IMPLEMENTATION` and :data:`FALLBACK_REASON`. ``BOWSTRING_NO_EXTENSIONS=1`` forces the pure
one, ``BOWSTRING_REQUIRE_EXTENSIONS=1`` forbids it. It knows no role, no HTTP and no negotiation, and needs only the
standard library.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .mask_keys import MaskKeys

__all__ = [
    "FALLBACK_REASON",
    "IMPLEMENTATION",
    "Frame",
    "FrameDecoder",
    "MaskKeys",
    "Utf8Validator",
    "apply_mask",
    "encode_frame",
    "encode_frames",
    "mask_in_place",
    "set_simd_level",
    "simd_level",
    "simd_levels",
]


def _wanted(variable: str) -> bool:
    """Whether a switch of the environment is on: ``1``; off is ``0``, an empty string, or nothing at all."""
    value = os.environ.get(variable, "")
    if value not in {"", "0", "1"}:
        raise ImportError(f"{variable} must be 0 or 1, not {value!r}")
    return value == "1"


_pure = _wanted("BOWSTRING_NO_EXTENSIONS")
_required = _wanted("BOWSTRING_REQUIRE_EXTENSIONS")
if _pure and _required:
    raise ImportError("BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set")

_reason = "BOWSTRING_NO_EXTENSIONS is set" if _pure else ""
if not _pure:
    try:
        from ._cython import (
            IMPLEMENTATION,
            Frame,
            FrameDecoder,
            Utf8Validator,
            apply_mask,
            encode_frame,
            encode_frames,
            mask_in_place,
            set_simd_level,
            simd_level,
            simd_levels,
        )
    except ImportError as exc:
        if _required:
            raise ImportError(
                f"BOWSTRING_REQUIRE_EXTENSIONS is set, and the extension cannot be loaded: {exc}"
            ) from exc
        _reason = f"the extension cannot be loaded: {exc}"
if _reason and not TYPE_CHECKING:
    from ._python import (
        IMPLEMENTATION,
        Frame,
        FrameDecoder,
        Utf8Validator,
        apply_mask,
        encode_frame,
        encode_frames,
        mask_in_place,
        set_simd_level,
        simd_level,
        simd_levels,
    )

#: Why the pure twin is in use; empty when it is not.
FALLBACK_REASON: str = _reason
