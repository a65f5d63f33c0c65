"""The reference twin of the codec: what ``_cython`` does, in plain Python and in the same order of definitions.

Theory of operation
-------------------
A chunk goes through one loop that reads a header, judges it, and takes the payload behind it. Two things can be cut
off by the chunk's end: a header, whose bytes are put before the next chunk and judged again from the first one (they
change no state, and there are at most 14); and a payload, which is unmasked, and checked when it is text, piece by
piece as it arrives. A broken rule leaves the loop as a ``ProtocolError``; ``feed`` makes it the last item of its list.
"""

from __future__ import annotations

from typing import Final

from .decoder import FrameDecoder as FrameDecoder
from .encoder import encode_frame as encode_frame
from .encoder import encode_frames as encode_frames
from .frame import Frame as Frame
from .masking import apply_mask as apply_mask
from .masking import mask_in_place as mask_in_place
from .masking import set_simd_level as set_simd_level
from .masking import simd_level as simd_level
from .masking import simd_levels as simd_levels
from .utf8 import Utf8Validator as Utf8Validator

IMPLEMENTATION: Final = "python"
