"""The ``compression`` option, as every driver understands it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from bowstring.protocol.extensions.base import ClientExtensionFactory, ServerExtensionFactory
from bowstring.protocol.extensions.permessage_deflate import Compression, CompressionPool

__all__ = ["CompressionOption", "client_factories", "server_factories"]

CompressionOption: TypeAlias = Literal["deflate"] | Compression | None
"""``"deflate"`` is permessage-deflate with the defaults, a :class:`Compression` has settings, ``None`` is none."""


def _compression(option: CompressionOption, pool: CompressionPool | None) -> list[Compression]:
    if option is None:
        return []
    if option == "deflate":
        option = Compression()
    if not isinstance(option, Compression):
        raise ValueError(f'compression must be "deflate", a Compression or None, not {option!r}')
    return [option if pool is None or option.pool is not None else option.with_pool(pool)]


def server_factories(
    option: CompressionOption, extensions: Sequence[ServerExtensionFactory], pool: CompressionPool | None
) -> list[ServerExtensionFactory]:
    """The factories of a server: its own extensions, then compression, whose live states stand in ``pool``."""
    return [*extensions, *_compression(option, pool)]


def client_factories(
    option: CompressionOption, extensions: Sequence[ClientExtensionFactory], pool: CompressionPool | None
) -> list[ClientExtensionFactory]:
    """The factories of a client, in the same order."""
    return [*extensions, *_compression(option, pool)]
