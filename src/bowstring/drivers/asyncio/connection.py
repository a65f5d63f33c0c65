"""The coroutine API of an open connection."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bowstring.constants import CloseCode, State
from bowstring.drivers._shared.options import Options
from bowstring.exceptions import ConcurrencyError, ConnectionClosedError, ConnectionClosedOK
from bowstring.typing import Data, Message

from .stream import StreamConnection

if TYPE_CHECKING:
    from bowstring.protocol import Connection as Protocol
    from bowstring.protocol.http11 import Request, Response

__all__ = ["Connection"]

#: After so many messages taken or sent without waiting, the loop's other tasks get a turn.
_TURN = 128


class Connection(StreamConnection):
    """A WebSocket connection for coroutines.

    Made by :func:`bowstring.connect` and :func:`bowstring.serve`. Attributes of your own can be set on it.

    Iterating over it gives the messages until the connection is closed in an orderly way::

        async for message in connection:
            await connection.send(message)
    """

    __slots__ = ("_fragmented", "_id", "_reader", "_sent_in_turn", "_subprotocol", "_taken_in_turn", "_was_read")

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(options, loop)
        self._reader: asyncio.Future[None] | None = None  # of the recv() that waits
        self._was_read = False  # whether anybody ever called recv()
        self._taken_in_turn = 0
        self._sent_in_turn = 0
        self._fragmented: asyncio.Future[None] | None = None  # while a fragmented message is being sent
        self._subprotocol: str | None = None
        self._id: uuid.UUID | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.state.name} id={self.id}>"

    # ------------------------------------------------------------------ receiving

    async def recv(self, decode: bool | None = None) -> Message:
        """Receives the next message.

        Cancelling it loses nothing: the message stays for the next call.

        Args:
            decode: ``True`` gives ``str`` and ``False`` gives ``bytes`` whatever the message's type; ``None`` gives
                ``str`` for text and ``bytes`` for binary, or ``bytes`` for both with the option ``decode=False``.

        Raises:
            ConnectionClosed: the connection has ended and all messages received before have been taken.
            ConcurrencyError: another call is waiting.
            UnicodeDecodeError: ``decode=True``, and a binary message is not UTF-8; it has been taken.
        """
        message = self._take()
        if message is None:
            message = await self._receive()
        if decode is None or decode is isinstance(message, str):
            return message
        return message.encode() if isinstance(message, str) else message.decode()

    def __aiter__(self) -> Self:
        """Iterates over the messages until the connection is closed with 1000, 1001 or an empty Close.

        Raises:
            ConnectionClosedError: it ended in another way.
            ConcurrencyError: another task is receiving.
        """
        return self

    async def __anext__(self) -> Message:
        message = self._take()
        if message is None:
            try:
                message = await self._receive()
            except ConnectionClosedOK:
                raise StopAsyncIteration from None
        return message

    def _take(self) -> Message | None:
        """The next message, if that needs no waiting."""
        protocol = self._ready_protocol()
        if self._reader is not None:
            raise ConcurrencyError("recv() is already waiting in another task: one at a time can receive")
        self._was_read = True
        if not protocol.messages or self._taken_in_turn >= _TURN:
            return None
        message = protocol.take()
        # Large ones, and those that have to be unpacked first, take a larger part of the turn.
        self._taken_in_turn += protocol.cost + (0 if message is None else len(message) >> 13)
        if self._reading_paused or protocol.ended:
            self._make_room()
        return message

    async def _receive(self) -> Message:
        """The next message, when there is one."""
        protocol = self._protocol
        while True:
            if protocol.messages:
                if self._taken_in_turn >= _TURN:
                    self._taken_in_turn = 0
                    await asyncio.sleep(0)
                message = self._take()
                if message is not None:
                    return message
            elif protocol.ended:
                self._meet_end()
                raise protocol.closed()
            else:
                self._flush()
                self._taken_in_turn = 0
                self._reader = self._loop.create_future()
                try:
                    await self._reader
                finally:
                    self._reader = None

    def _arrived(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
        if self._protocol.ended and not self._protocol.messages and (reader is not None or not self._was_read):
            self._meet_end()  # nobody has to be waited for: the reader is here already, or there is none

    def _meet_end(self) -> None:
        """The reader has taken everything, or there is none: what is owed to the peer can go."""
        self._incoming_ended()
        self._finish()

    # ------------------------------------------------------------------ sending

    async def send(
        self,
        message: Data | Iterable[Data] | AsyncIterable[Data],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Sends a message; waits while the write buffer is over its limit.

        The message is queued before this waits: cancelling takes nothing back. Several tasks may send at the same
        time; messages stay whole.

        Args:
            message: ``str`` goes as text, any C-contiguous buffer as binary. An iterable, or an async one, of these
                goes as one message in fragments, each sent as it comes; nothing is sent for an empty one.
            text: ``True`` sends a buffer as text (it must hold UTF-8), ``False`` a ``str`` as binary.
            compress: whether to compress it; ``None`` leaves it to the settings. Without effect where compression
                was not negotiated.

        Raises:
            ConnectionClosed: the connection has ended.
            TypeError: a type that cannot be sent; a ``dict``, because its keys alone are hardly meant.
        """
        protocol = self._ready_protocol()
        while self._fragmented is not None and protocol.state is State.OPEN:
            await asyncio.shield(self._fragmented)
        if isinstance(message, (str, bytes, bytearray, memoryview)) or not _is_iterable(message):
            protocol.send(message, text=text, compress=compress)  # type: ignore[arg-type]  # or a TypeError
            # The queue holds more: its reader comes back, and the answers to what it finds go out together.
            if protocol.messages and not self._writing_paused and self._corks(_size(message)):
                self._flush_soon()
                return
            self._flush()
            await self._sent()
        else:
            await self._send_fragments(message, text, compress)  # type: ignore[arg-type]  # it is an iterable

    async def _sent(self) -> None:
        """Waits for room in the write buffer; where there is some, lets other tasks have a turn once in a while."""
        self._sent_in_turn += 1
        if self._writing_paused:
            await self._writable()
        elif self._sent_in_turn >= _TURN:
            # Also for who sends in a loop to a stream that is gone: it is the loop that says so.
            await asyncio.sleep(0)
        else:
            return
        self._sent_in_turn = 0
        if self._lost:
            raise self._protocol.closed()

    async def _send_fragments(
        self, fragments: Iterable[Data] | AsyncIterable[Data], text: bool | None, compress: bool | None
    ) -> None:
        if isinstance(fragments, dict):
            raise TypeError("message must not be a dict: send its JSON, or its keys as a list")
        self._fragmented = self._loop.create_future()
        started = False
        try:
            # A fragment goes out when the next one is there: only then is it known not to be the last.
            previous: Data | None = None
            async for fragment in _aiter(fragments):
                if previous is not None:
                    await self._send_fragment(previous, False, text, compress)
                    started = True
                previous = fragment
            if previous is not None:
                await self._send_fragment(previous, True, text, compress)
        except BaseException:
            # RFC 6455 §5.4: a message cannot be given up half-way but with the connection. An error is not hidden
            # behind a message that looks whole.
            if started and self._protocol.state is State.OPEN:
                self._fail(
                    RuntimeError("a fragmented message could not be completed"),
                    CloseCode.INTERNAL_ERROR,
                    "incomplete message",
                )
            raise
        finally:
            fragmented, self._fragmented = self._fragmented, None
            if not fragmented.done():
                fragmented.set_result(None)

    def _wake_writers(self) -> None:
        super()._wake_writers()
        if self._fragmented is not None and not self._fragmented.done() and self.state is not State.OPEN:
            self._fragmented.set_result(None)  # who waits for the end of a fragmented message need not any more

    async def _send_fragment(self, data: Data, fin: bool, text: bool | None, compress: bool | None) -> None:
        self._protocol.send_fragment(data, fin=fin, text=text, compress=compress)
        self._flush()
        await self._sent()

    async def ping(self, data: Data | None = None) -> asyncio.Future[float]:
        """Sends a ping (RFC 6455 §5.5.2).

        Args:
            data: at most 125 bytes that the pong repeats; random ones if not given. It must differ from pings that
                still wait for their pong.

        Returns:
            A future to await for the pong; its result is the round trip in seconds::

                latency = await (await connection.ping())

        Raises:
            ConnectionClosed: the connection has ended.
            ValueError: too long, or already waited for.
        """
        self._ready_protocol()
        if data is None:
            payload = os.urandom(4)
            while self._pings and payload in self._pings:
                payload = os.urandom(4)
        else:
            payload = data.encode() if isinstance(data, str) else bytes(data)
        return self._send_ping(payload)

    async def pong(self, data: Data = b"") -> None:
        """Sends a pong that answers nothing (RFC 6455 §5.5.3). Raises as :meth:`ping`."""
        self._ready_protocol().pong(data.encode() if isinstance(data, str) else data)
        self._flush()

    # ------------------------------------------------------------------ closing

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Closes the connection, and waits until it is; within ``close_timeout``. Harmless when it is closed already.

        Args:
            code: the close code: 1000, another registered one, or 3000 to 4999; 1005 sends an empty Close.
            reason: at most 123 bytes of UTF-8.

        Raises:
            TypeError, ValueError: the arguments do not fit.
        """
        if self._protocol is not None:
            self._close(code, reason)
        elif self.transport is not None:
            self._abort()
        await self._wait_disconnected()

    def terminate(self) -> None:
        """Resets the stream at once, without a closing handshake; what is not yet written is lost."""
        self._abort()

    async def wait_closed(self) -> None:
        """Waits until the connection is closed, by whomever."""
        await self._wait_disconnected()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(CloseCode.NORMAL_CLOSURE if exc_type is None else CloseCode.INTERNAL_ERROR)

    # ------------------------------------------------------------------ what is known of it

    def _ready_protocol(self) -> Protocol:
        protocol = self._protocol
        if protocol is None:
            if self._lost:
                raise ConnectionClosedError(error=self._abort_error)
            raise RuntimeError("the connection is not open yet")
        return protocol

    @property
    def state(self) -> State:
        """CONNECTING, OPEN, CLOSING or CLOSED."""
        if self._lost:
            return State.CLOSED
        if self._protocol is None:
            return State.CONNECTING
        state = self._protocol.state
        return State.CLOSING if state is State.CLOSED else state  # the stream is still there

    @property
    def ready_state(self) -> State:
        """The same by the browser's name: CONNECTING 0, OPEN 1, CLOSING 2, CLOSED 3."""
        return self.state

    @property
    def id(self) -> uuid.UUID:
        """A random identifier, for logs."""
        if self._id is None:
            self._id = uuid.uuid4()
        return self._id

    @property
    def subprotocol(self) -> str | None:
        """The negotiated subprotocol, or ``None``."""
        return self._subprotocol

    @property
    def request(self) -> Request | None:
        """The handshake request: ``path``, ``headers``; ``None`` before it is complete."""
        raise NotImplementedError

    @property
    def response(self) -> Response | None:
        """The handshake response; ``None`` before there is one."""
        raise NotImplementedError

    @property
    def local_address(self) -> Any:
        """This side's address: ``(host, port)``, with two more for IPv6, or the path of a unix socket."""
        if self._tls_addresses is not None:
            return self._tls_addresses[0]
        return self.transport.get_extra_info("sockname") if self.transport is not None else None

    @property
    def remote_address(self) -> Any:
        """The peer's address, as above."""
        if self._tls_addresses is not None:
            return self._tls_addresses[1]
        return self.transport.get_extra_info("peername") if self.transport is not None else None

    @property
    def close_code(self) -> int | None:
        """The peer's close code, from when its Close has come; 1005 for an empty one; 1006 when it ended without."""
        if self._protocol is None:
            return CloseCode.ABNORMAL_CLOSURE if self._lost else None
        return self._protocol.close_code

    @property
    def close_reason(self) -> str | None:
        """The peer's close reason, from when its Close has come; ``None`` before."""
        if self._protocol is None:
            return "" if self._lost else None
        return self._protocol.close_reason

    @property
    def closed_by(self) -> str | None:
        """Who ended the connection first: ``"local"`` or ``"remote"``; ``None`` while it is open."""
        return None if self._protocol is None else self._protocol.closed_by


def _size(data: Any) -> int:
    """Roughly the bytes that a message comes to."""
    return len(data) if isinstance(data, (str, bytes)) else memoryview(data).nbytes


def _is_iterable(message: object) -> bool:
    """Whether to send in fragments: what is iterable but not a buffer (an array is both)."""
    if not isinstance(message, (Iterable, AsyncIterable)):
        return False
    try:
        memoryview(message)  # type: ignore[arg-type]
    except TypeError:
        return True
    return False


async def _aiter(fragments: Iterable[Data] | AsyncIterable[Data]) -> AsyncIterator[Data]:
    if isinstance(fragments, AsyncIterable):
        async for fragment in fragments:
            yield fragment
    else:
        for fragment in fragments:
            yield fragment
