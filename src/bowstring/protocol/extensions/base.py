"""What an extension is (RFC 6455 §9): the interface that permessage-deflate is written to, and yours can be.

Theory of operation
-------------------
A *factory* is a setting: it is given to ``connect()`` or ``serve()``, lives as long as the program, and negotiates.
An *extension* is what a negotiation ends in: it lives as long as one connection and changes data frames on their way.

A client sends the offers of all its factories in order; a server answers with those that it takes, in the order in
which it applies them. Outgoing frames pass the extensions in that order, incoming ones in the reverse order
(RFC 6455 §9.1: extensions act on the data as if each wrapped the one before). An RSV bit belongs to one extension only:
a factory whose extension would claim a bit that is taken has to decline.

Control frames never reach an extension (RFC 7692 §6: they are not compressed), and neither do messages without any
RSV bit of the connection's extensions, unless the extension says so by ``all_messages``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

from bowstring.typing import ExtensionParameters

if TYPE_CHECKING:
    from bowstring.codec import Frame

__all__ = ["ClientExtensionFactory", "Extension", "ExtensionFactory", "ServerExtensionFactory"]


class Extension(Protocol):
    """One negotiated extension of one connection."""

    name: ClassVar[str]
    """The registered name, as it stands in Sec-WebSocket-Extensions."""

    rsv: int
    """The RSV bits that its messages may carry on their first frame: RSV1, RSV2, RSV3 or several, from constants."""

    all_messages: bool
    """Whether ``decode`` also wants messages that carry none of its bits (costs every message a detour)."""

    def encode(self, frame: Frame, *, compress: bool | None = None) -> Frame:
        """Changes a data frame on its way out.

        Args:
            frame: a whole message (``fin`` and not a continuation), or one fragment; fragments come in order.
            compress: the caller's wish for this message, the same for all its fragments; ``None`` leaves it open.

        Returns:
            The frame to send instead; it may be the same.
        """

    def decode(self, frame: Frame, *, max_size: int | None) -> Frame:
        """Changes a data frame on its way in.

        Args:
            frame: one frame of a message; they come in order. The extension's own bits must be cleared in the result.
            max_size: how many bytes the result may have; ``None`` is no limit.

        Raises:
            ProtocolError: the frame breaks a rule of the extension, or its result would pass ``max_size``
                (``Violation.MESSAGE_TOO_BIG``; nothing beyond the limit may have been built).
        """

    def close(self) -> None:
        """The connection has ended: gives back what was held for it. Called once."""


class ClientExtensionFactory(Protocol):
    """The client's half of a negotiation."""

    name: ClassVar[str]

    def offers(self) -> Sequence[ExtensionParameters]:
        """The parameter lists to offer, the preferred one first."""

    def accept(self, parameters: ExtensionParameters, accepted: Sequence[Extension]) -> Extension:
        """Takes the server's answer.

        Args:
            parameters: as the server sent them.
            accepted: the extensions before this one in the server's answer.

        Raises:
            NegotiationError: the answer does not fit any of the offers.
        """


class ServerExtensionFactory(Protocol):
    """The server's half of a negotiation."""

    name: ClassVar[str]

    def respond(
        self, parameters: ExtensionParameters, accepted: Sequence[Extension]
    ) -> tuple[ExtensionParameters, Extension] | None:
        """Answers one offer of a client.

        Args:
            parameters: one offer as the client sent it. They may be malformed: decline these.
            accepted: the extensions taken before this one.

        Returns:
            The parameters of the answer and the extension, or ``None`` to decline the offer.
        """


ExtensionFactory: TypeAlias = ClientExtensionFactory | ServerExtensionFactory
