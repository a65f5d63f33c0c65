"""The four parameters of permessage-deflate on the wire, and what both sides make of them (RFC 7692 §7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bowstring.typing import ExtensionParameters

__all__ = ["MAX_BITS", "MIN_BITS", "MIN_COMPRESS_BITS", "Parameters"]

#: Base-2 logarithms of the sizes that a sliding window can have (RFC 7692 §7.1.2).
MIN_BITS: Final = 8
MAX_BITS: Final = 15

#: zlib cannot compress with a window of 8 bits, unless a header of its own goes with it.
MIN_COMPRESS_BITS: Final = 9

# RFC 7692 §7.1.2.1: a decimal integer without leading zeros.
_BITS: Final = {str(bits): bits for bits in range(MIN_BITS, MAX_BITS + 1)}
_FLAGS: Final = ("server_no_context_takeover", "client_no_context_takeover")
_WINDOWS: Final = ("server_max_window_bits", "client_max_window_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """One offer or one answer. ``None`` stands for a size that is not named.

    In an offer ``client_max_window_bits`` without a value means the same as 15: the client can go by whatever the
    server says. It is written without the value, as browsers do.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    @classmethod
    def parse(cls, parameters: ExtensionParameters, *, answer: bool) -> Parameters:
        """Reads what the peer sent.

        Args:
            parameters: names and values in their order on the wire.
            answer: whether they are a server's answer; otherwise they are a client's offer.

        Raises:
            ValueError: a parameter is unknown, repeated, or has no valid value (RFC 7692 §7.1: decline, or fail).
        """
        found: dict[str, int | None] = {}
        for name, value in parameters:
            if name in found:
                raise ValueError(f"repeated parameter {name}")
            if name in _FLAGS:
                if value is not None:
                    raise ValueError(f"{name} has a value: {value!r}")
                found[name] = None
            elif name == "client_max_window_bits" and value is None and not answer:
                found[name] = MAX_BITS
            elif name in _WINDOWS:
                if value is None or value not in _BITS:
                    raise ValueError(f"{name} must be {MIN_BITS} to {MAX_BITS}, not {value!r}")
                found[name] = _BITS[value]
            else:
                raise ValueError(f"unknown parameter {name!r}")
        return cls(
            server_no_context_takeover="server_no_context_takeover" in found,
            client_no_context_takeover="client_no_context_takeover" in found,
            server_max_window_bits=found.get("server_max_window_bits"),
            client_max_window_bits=found.get("client_max_window_bits"),
        )

    def build(self) -> ExtensionParameters:
        """The parameters as they go on the wire."""
        built: ExtensionParameters = [(name, None) for name in _FLAGS if getattr(self, name)]
        if self.server_max_window_bits is not None:
            built.append(("server_max_window_bits", str(self.server_max_window_bits)))
        if self.client_max_window_bits is not None:
            bits = self.client_max_window_bits
            built.append(("client_max_window_bits", str(bits) if bits < MAX_BITS else None))
        return built
