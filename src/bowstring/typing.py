"""Types that several layers name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    # A name of its own below 3.12, where the standard library has no collections.abc.Buffer.
    from typing_extensions import Buffer

    BytesLike: TypeAlias = Buffer
    """Any C-contiguous buffer: bytes, bytearray, memoryview, array, mmap, numpy. Its raw bytes are taken."""

    Data: TypeAlias = str | Buffer
    """What can be sent as a message: ``str`` goes as text, a buffer as binary."""
else:
    BytesLike = object
    Data = object

Message: TypeAlias = str | bytes
"""A message as it is received: ``str`` for text, ``bytes`` for binary."""

ExtensionParameters: TypeAlias = list[tuple[str, str | None]]
"""Parameters of one extension in their order on the wire; ``None`` is a parameter without a value (RFC 6455 §9.1)."""


class Close(NamedTuple):
    """What a Close frame says (RFC 6455 §5.5.1). Code 1005 stands for an empty one."""

    code: int
    reason: str = ""

    def __str__(self) -> str:
        if not self.reason:
            return str(int(self.code))
        # The reason is the peer's: what is not printable stays escaped in logs and terminals.
        return f"{int(self.code)} ({self.reason if self.reason.isprintable() else repr(self.reason)[1:-1]})"


__all__ = ["BytesLike", "Close", "Data", "ExtensionParameters", "Message"]
