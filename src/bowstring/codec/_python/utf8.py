"""UTF-8 that comes in pieces."""

from __future__ import annotations

import codecs
from typing import NoReturn, final

from bowstring.typing import BytesLike

from .buffers import raw_bytes
from .refusals import refuse_pickle, refuse_subclass


@final
class Utf8Validator:
    """Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629).

    Overlong forms, surrogates and what is above U+10FFFF are invalid, as RFC 3629 §4 draws it.
    """

    __slots__ = ("_held", "_valid")

    _held: bytes  # the beginning of a character
    _valid: bool

    def __init__(self) -> None:
        self.reset()

    def __init_subclass__(cls) -> None:
        refuse_subclass(cls)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(self)

    def feed(self, data: BytesLike) -> bool:
        """Checks the next piece.

        Args:
            data: the piece, of any length; any C-contiguous buffer.

        Returns:
            Whether what has come so far can still become valid text: ``False`` from the first impossible byte on,
            until :meth:`reset`.

        Raises:
            TypeError: ``data`` is not a C-contiguous buffer.
        """
        text = self._held + raw_bytes(data, "data")
        if self._valid:
            try:
                self._held = text[codecs.utf_8_decode(text, "strict", False)[1] :]
            except UnicodeDecodeError:
                self._valid = False
            else:
                # Of all that is impossible, Python's decoder waits for the end of a surrogate only.
                self._valid = not b"\xed\xa0" <= self._held < b"\xee"
        return self._valid

    @property
    def at_boundary(self) -> bool:
        """Whether the text may end here: valid so far, and not inside of a character."""
        return self._valid and not self._held

    def reset(self) -> None:
        """Forgets what has come: the next piece begins a new text."""
        self._held = b""
        self._valid = True
