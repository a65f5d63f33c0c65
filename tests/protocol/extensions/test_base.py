"""The interface of extensions, by one of a user's own beside permessage-deflate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import pytest

from bowstring import codec
from bowstring.constants import RSV1, RSV2
from bowstring.exceptions import NegotiationError, Violation
from bowstring.protocol import Connection, Role
from bowstring.protocol.extensions.base import ClientExtensionFactory, Extension, ServerExtensionFactory
from bowstring.protocol.extensions.permessage_deflate import Compression

if TYPE_CHECKING:
    from bowstring.codec import Frame
    from bowstring.typing import ExtensionParameters


class Reverse:
    """Sends payloads backwards."""

    name: ClassVar[str] = "x-reverse"
    rsv: int = RSV2
    all_messages: bool = False

    def __init__(self) -> None:
        self.closed = 0

    def encode(self, frame: Frame, *, compress: bool | None = None) -> Frame:
        rsv = frame.rsv | RSV2 if frame.opcode else 0  # on the first frame of a message
        return codec.Frame(frame.opcode, frame.payload[::-1], fin=frame.fin, rsv=rsv)

    def decode(self, frame: Frame, *, max_size: int | None) -> Frame:
        return codec.Frame(frame.opcode, frame.payload[::-1], fin=frame.fin, rsv=frame.rsv & ~RSV2)

    def close(self) -> None:
        self.closed += 1


class ReverseFactory:
    """Offers it with a version, and takes the same."""

    name: ClassVar[str] = "x-reverse"

    def offers(self) -> Sequence[ExtensionParameters]:
        return [[("version", "1")]]

    def accept(self, parameters: ExtensionParameters, accepted: Sequence[Extension]) -> Reverse:
        if parameters != [("version", "1")]:
            raise NegotiationError(Violation.EXTENSION_NOT_OFFERED, self.name)
        return Reverse()

    def respond(
        self, parameters: ExtensionParameters, accepted: Sequence[Extension]
    ) -> tuple[ExtensionParameters, Reverse] | None:
        return (parameters, Reverse()) if parameters == [("version", "1")] else None


def test_factories_serve_both_roles() -> None:
    clients: list[ClientExtensionFactory] = [ReverseFactory(), Compression()]
    servers: list[ServerExtensionFactory] = [ReverseFactory(), Compression()]
    ours: list[Extension] = []
    theirs: list[Extension] = []
    for client, server in zip(clients, servers, strict=True):
        assert client.name == server.name
        answer = server.respond(list(client.offers()[0]), theirs)
        assert answer is not None
        theirs.append(answer[1])
        ours.append(client.accept(answer[0], ours))
    assert [extension.name for extension in ours] == ["x-reverse", "permessage-deflate"]


@pytest.mark.parametrize("compression_first", [True, False])
def test_extensions_wrap_one_another_in_order(compression_first: bool) -> None:
    """RFC 6455 §9.1: the first in the answer is the first on the way out, and the last on the way in."""
    settings = Compression(threshold=0)
    pairs: list[tuple[Extension, Extension]] = [
        (Reverse(), Reverse()),
        (settings.accept([], []), settings.accept([], [])),
    ]
    if compression_first:
        pairs.reverse()
    ours, theirs = zip(*pairs, strict=True)
    sender = Connection(Role.SERVER, extensions=ours)
    receiver = Connection(Role.CLIENT, extensions=theirs, masking_keys=lambda count: bytes(4 * count))
    text = "some text that goes there and back again " * 9
    for i in range(3):
        sender.send(text)
        data = sender.data_to_send()
        assert data[0] & 0x70 == RSV1 | RSV2
        # Compressed text backwards, or text backwards compressed: only the former hides it from an inflater.
        if i == 0:
            payload = data[2:]
            inflater = settings.accept([], [])
            frame = codec.Frame(1, payload[::-1] if compression_first else payload, rsv=RSV1)
            plain = inflater.decode(frame, max_size=None).payload.decode()
            assert plain == (text if compression_first else text[::-1])
        receiver.receive_data(data)
        assert receiver.take() == text
    for fragment in ("one", "two"):
        sender.send_fragment(fragment, fin=fragment == "two")
    receiver.receive_data(sender.data_to_send())
    assert receiver.take() == "onetwo"
    sender.receive_reset()
    assert [extension.closed for extension in ours if isinstance(extension, Reverse)] == [1]
