"""A connection on an asyncio transport, without an application's API: what every asyncio API of bowstring stands on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from bowstring.constants import CloseCode, Opcode, State
from bowstring.drivers._shared.options import Options
from bowstring.drivers._shared.timer_wheel import Timer
from bowstring.protocol import Connection, HangUp

from .loop import LoopResources

if TYPE_CHECKING:
    from bowstring.codec import Frame

__all__ = ["StreamConnection"]

#: For SO_LINGER: closing a socket drops what is unsent, and resets the connection.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

#: Seconds of silence after which a peer is taken to have stopped sending, where one side alone cannot be ended (TLS).
_LINGER = 0.2


class StreamConnection(asyncio.BufferedProtocol):
    """Moves bytes between a transport and a :class:`~bowstring.protocol.Connection`, and keeps its times.

    Reading: everything in a chunk is parsed at once, and the receive queue is left to the API above, which is told by
    :meth:`_arrived`. While the queue is over its limit and more keeps coming, reading pauses; the API calls
    :meth:`_make_room` after taking.

    Writing: output is collected in the protocol and written together by :meth:`_flush`. The API says when; what it
    leaves is written by :meth:`_flush_soon` at the end of the loop's turn.

    Ending: the protocol says what to do with the stream (:class:`~bowstring.protocol.HangUp`), and :meth:`_settle`
    does it, within ``close_timeout`` for the whole.

    The opening handshake is the business of a subclass: until :meth:`_open` has been called, bytes go to
    :meth:`_opening_received`.

    Times are measured by ``time.monotonic()``: the clock of uvloop has no more than milliseconds.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_abort_error",
        "_aborted",
        "_close_timer",
        "_closed",
        "_corked",
        "_finish_timer",
        "_flush_is_due",
        "_heard",
        "_hung_up",
        "_keepalive_payload",
        "_keepalive_sent",
        "_keepalive_timer",
        "_keepalive_waits_since",
        "_latency",
        "_loop",
        "_lost",
        "_options",
        "_pings",
        "_protocol",
        "_read_buffer",
        "_reading_paused",
        "_resources",
        "_taken_at",
        "_tls_addresses",
        "_write_progress",
        "_write_timer",
        "_write_waiters",
        "_writing_paused",
        "_written",
        "transport",
    )

    transport: asyncio.Transport
    _protocol: Connection

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        self._options = options
        self._loop = loop
        self._resources = LoopResources.of(loop)
        self._read_buffer = self._resources.read_buffer
        self.transport = None  # type: ignore[assignment]  # from connection_made() on
        self._protocol = None  # type: ignore[assignment]  # from _open() on
        self._lost = False  # whether the stream is gone
        self._closed: asyncio.Event | None = None  # the same, for who waits for it
        self._hung_up = HangUp.NO
        self._aborted = False  # whether this side has reset the stream, and why
        self._abort_error: BaseException | None = None
        self._tls_addresses: tuple[Any, Any] | None = None  # of this side and the peer; set if it is TLS
        self._taken_at = 0.0  # when the last message was taken, once nothing more comes in
        self._close_timer: Timer | None = None
        self._finish_timer: Timer | None = None
        self._reading_paused = False
        # Writing
        self._flush_is_due = False
        self._corked = 0  # bytes of messages that wait for the next flush
        self._writing_paused = False
        self._write_waiters: list[asyncio.Future[None]] | None = None
        self._write_timer: Timer | None = None
        self._written = 0  # bytes given to the transport
        self._write_progress = 0  # bytes that had left it when that was last looked at
        # Pings: those of the application by payload, in order; that of the keepalive by itself
        self._pings: dict[bytes, tuple[float, asyncio.Future[float]]] | None = None
        self._keepalive_payload: bytes | None = None
        self._keepalive_sent = 0.0
        self._keepalive_waits_since: float | None = None
        self._keepalive_timer: Timer | None = None
        self._heard = False  # whether a byte has arrived since the keepalive last looked
        self._latency = 0.0

    # ------------------------------------------------------------------ what a subclass adds

    def _opening_received(self, data: bytes) -> None:
        """Bytes came before the connection was open."""
        raise NotImplementedError

    def _opening_ended(self, error: BaseException | None) -> None:
        """The stream ended before the connection was open."""
        raise NotImplementedError

    def _arrived(self) -> None:
        """There are messages in the queue, or the incoming side has ended, or both."""
        raise NotImplementedError

    def _disconnected(self) -> None:
        """The stream is gone. Called once, last of all."""

    # ------------------------------------------------------------------ asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = stream = cast("asyncio.Transport", transport)  # uvloop's are none by their class
        stream.set_write_buffer_limits(high=self._options.write_limit)
        if stream.get_extra_info("sslcontext") is not None:
            # Asked for now: at the end a TLS transport no longer knows.
            self._tls_addresses = stream.get_extra_info("sockname"), stream.get_extra_info("peername")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        protocol = self._protocol
        if protocol is None:
            self._opening_received(bytes(self._read_buffer[:nbytes]))
            return
        self._heard = True
        crowded = self._is_crowded()  # judged before: what this read brings is admitted
        controls = protocol.receive_buffer(self._read_buffer, nbytes)
        if crowded and not protocol.ended and protocol.state is State.OPEN:
            self._pause_reading()
        self._received(controls)

    def eof_received(self) -> bool:
        if self._protocol is None:
            self._opening_ended(None)
            return False
        self._protocol.receive_eof()
        self._received(())
        # Keeps the outgoing side open for the replies to what was received. TLS has no such thing.
        return self._tls_addresses is None

    def connection_lost(self, exc: BaseException | None) -> None:
        error = self._abort_error or exc
        self._lost = True
        for timer in (self._close_timer, self._finish_timer, self._write_timer, self._keepalive_timer):
            if timer is not None:
                timer.cancel()
        self._close_timer = self._finish_timer = self._write_timer = self._keepalive_timer = None
        self._hung_up = HangUp.CLOSE
        if self._protocol is None:
            self._opening_ended(error)
        else:
            self._protocol.receive_reset(error, by="local" if self._aborted else "remote")
            self._arrived()
            for _, waiter in (self._pings or {}).values():
                if not waiter.done():
                    waiter.set_exception(self._protocol.closed())
                    waiter.exception()  # nobody has to wait for a pong
            self._pings = None
        self._wake_writers()
        if self._closed is not None:
            self._closed.set()
        self._disconnected()

    # ------------------------------------------------------------------ opening

    def _open(self, protocol: Connection, trailing: bytes = b"") -> None:
        """The handshake is over: ``protocol`` takes it from here, beginning with what came behind the handshake."""
        self._protocol = protocol
        if self._writing_paused:
            protocol.pause_writing()
        if self._options.ping_interval is not None and not self._lost:
            self._keepalive_sent = time.monotonic()
            self._keepalive_timer = self._call_later(self._options.ping_interval, self._keepalive)
        if trailing:
            self._received(protocol.receive_data(trailing))
        if self._lost:  # since the handshake's last byte
            protocol.receive_reset(self._abort_error)

    def _call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        return self._resources.wheel.call_later(delay, callback)

    # ------------------------------------------------------------------ reading

    def _received(self, controls: Sequence[Frame]) -> None:
        """Everything that follows from bytes, or their end, having been taken by the protocol."""
        protocol = self._protocol
        for frame in controls:
            if frame.opcode == Opcode.PONG:
                self._pong_received(frame.payload)
        if protocol.ended:
            self._incoming_ended()
        if protocol.messages or protocol.ended:
            self._arrived()
        self._flush()
        self._settle()

    def _is_crowded(self) -> bool:
        """Whether the receive queue is over one of its limits. A single message never is: it has to be admitted."""
        messages = self._protocol.messages
        max_messages, max_bytes = self._options.queue_limits
        if max_messages is not None and len(messages) >= max_messages:
            return True
        # The places in the queue count too: empty messages are not free.
        return max_bytes is not None and len(messages) > 1 and sum(map(len, messages), 64 * len(messages)) > max_bytes

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if self._keepalive_waits_since is not None:
                self._keepalive_waits_since = time.monotonic()
            self.transport.resume_reading()

    def _make_room(self) -> None:
        """To be called after a message was taken, when reading is paused or the incoming side has ended."""
        if self._reading_paused and not self._is_crowded():
            self._resume_reading()
        if self._protocol.ended:
            self._taken_at = time.monotonic()
            self._incoming_ended()

    def _incoming_ended(self) -> None:
        """What changes once nothing more comes in; may be called again."""
        self._stop_keepalive()
        self._start_close_timer()
        if self._protocol.state is State.OPEN and self._finish_timer is None and not self._lost:
            self._finish_timer = self._call_later(self._options.finish_delay, self._finish_is_due)

    def _finish_is_due(self) -> None:
        """Finishes without the reader, if it has taken nothing for a while.

        It may be busy with a message, and its reply is to stand before our Close. What it leaves in the queue can
        still be taken after that.
        """
        self._finish_timer = None
        rest = self._taken_at + self._options.finish_delay - time.monotonic()
        if rest > 0:
            self._finish_timer = self._call_later(rest, self._finish_is_due)
        else:
            self._finish()

    def _finish(self) -> None:
        """Sends what is owed at the end of the incoming side, and hangs up."""
        self._protocol.finish()
        self._flush()
        self._settle()

    # ------------------------------------------------------------------ writing

    def _flush(self) -> None:
        """Writes everything that is queued, in one piece."""
        data = self._protocol.data_to_send()
        if data:
            self._corked = 0
            self._written += len(data)
            self.transport.write(data)

    def _corks(self, size: int) -> bool:
        """Whether a message of this size may wait for others: not once the limit of the write buffer is reached."""
        self._corked += size
        return self._corked <= self._options.write_limit

    def _flush_soon(self) -> None:
        """Sees to it that what is queued is written at the end of this turn of the loop at the latest."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_is_due = False
        self._flush()

    @property
    def buffered_amount(self) -> int:
        """Bytes that are queued here and have not been taken by the operating system yet."""
        if self._protocol is None or self._lost:
            return 0
        return self._protocol.buffered_amount + self.transport.get_write_buffer_size()

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._protocol is not None:
            self._protocol.pause_writing()
        if self._options.write_timeout is not None and self._write_timer is None:
            self._write_progress = self._left()
            self._write_timer = self._call_later(self._options.write_timeout, self._check_writing)

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self._wake_writers()
        if self._protocol is not None:
            self._protocol.resume_writing()
            self._flush()

    def _left(self) -> int:
        """How many bytes have left the write buffers so far."""
        waiting = self.transport.get_write_buffer_size()
        if self._tls_addresses is not None:
            # What asyncio's TLS has encrypted waits in the transport below it, which lets go of it in large steps.
            below = getattr(getattr(self.transport, "_ssl_protocol", None), "_transport", None)
            waiting += 0 if below is None else below.get_write_buffer_size()
        return self._written - waiting

    def _check_writing(self) -> None:
        """A peer that does not read is given up when nothing at all has left for the whole time."""
        assert self._options.write_timeout is not None
        left = self._left()
        if left == self._write_progress:
            self._write_timer = None
            self._abort(TimeoutError(f"nothing could be written for {self._options.write_timeout:g} seconds"))
        else:
            self._write_progress = left
            self._write_timer = self._call_later(self._options.write_timeout, self._check_writing)

    async def _writable(self) -> None:
        """Waits until the write buffer has drained, or the stream is gone."""
        if self._writing_paused and not self._lost:
            waiter = self._loop.create_future()
            if self._write_waiters is None:
                self._write_waiters = []
            self._write_waiters.append(waiter)
            await waiter

    def _wake_writers(self) -> None:
        waiters, self._write_waiters = self._write_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # ------------------------------------------------------------------ closing

    def _close(self, code: int, reason: str) -> None:
        """Begins the closing handshake."""
        self._protocol.close(code, reason)
        self._stop_keepalive()
        self._start_close_timer()
        self._resume_reading()  # to see the peer's Close
        self._wake_writers()
        self._flush()
        self._settle()

    def _fail(self, error: BaseException, code: int, reason: str) -> None:
        """Gives up for a reason of our own; the application is told by ``error``."""
        self._protocol.fail(error, code, reason)
        self._incoming_ended()
        self._arrived()
        self._flush()
        self._settle()

    def _abort(self, error: BaseException | None = None) -> None:
        """Resets the stream."""
        if self.transport is not None and not self._lost:
            self._aborted = True
            self._abort_error = self._abort_error or error
            sock = self.transport.get_extra_info("socket")
            if sock is not None:
                # Without this the system would go on for minutes trying to deliver what a dead peer does not take.
                with contextlib.suppress(OSError):  # the peer may have been faster
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()

    def _start_close_timer(self) -> None:
        if self._close_timer is None and not self._lost and self._options.close_timeout is not None:
            self._close_timer = self._call_later(self._options.close_timeout, self._close_timed_out)

    def _close_timed_out(self) -> None:
        self._close_timer = None
        self._abort(TimeoutError(f"closing took more than {self._options.close_timeout:g} seconds"))

    def _settle(self) -> None:
        """Does with the stream what the protocol says."""
        how = self._protocol.hang_up
        if how is self._hung_up:
            return
        self._hung_up = how
        if self._finish_timer is not None:
            self._finish_timer.cancel()
            self._finish_timer = None
        self._incoming_ended()
        self._resume_reading()
        self._wake_writers()
        if how is HangUp.HALF_CLOSE:
            self._half_close()
        elif how is HangUp.CLOSE:
            self._close_stream()

    def _close_stream(self) -> None:
        """Closes the stream, after what is written."""
        if not self.transport.is_closing():  # a second close() leaves asyncio's TLS transport unusable
            self.transport.close()

    def _half_close(self) -> None:
        """Ends the outgoing side, after what is written.

        Closing a socket with unread data would reset the stream, and take what was written last from a peer that is
        still sending.
        """
        if not self.transport.can_write_eof():  # TLS
            self._heard = True
            self._linger()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the peer has reset the stream, of which the loop has not heard yet
            self.transport.abort()

    def _linger(self) -> None:
        """Closes the stream once the peer has been silent for a moment; what comes until then is read and dropped.

        TLS cannot end one side only, and asyncio's resets the stream when data arrives behind its end.
        """
        self._finish_timer = None
        if self._heard:
            self._heard = False
            self._finish_timer = self._call_later(_LINGER, self._linger)
        else:
            self._close_stream()

    async def _wait_disconnected(self) -> None:
        if not self._lost:
            if self._closed is None:
                self._closed = asyncio.Event()
            await self._closed.wait()

    # ------------------------------------------------------------------ pings

    def _send_ping(self, payload: bytes) -> asyncio.Future[float]:
        """Sends a ping; the future's result is the seconds until its pong."""
        if self._pings is None:
            self._pings = {}
        if payload in self._pings:
            raise ValueError("payload must differ from that of a ping that still waits for its pong")
        self._protocol.ping(payload)
        waiter = self._loop.create_future()
        self._pings[payload] = time.monotonic(), waiter
        self._flush()
        return waiter

    def _pong_received(self, payload: bytes) -> None:
        now = time.monotonic()
        if payload == self._keepalive_payload:
            self._keepalive_payload = None
            self._latency = now - self._keepalive_sent
        if not self._pings or payload not in self._pings:
            return
        # RFC 6455 §5.5.3: a pong may answer the most recent ping only, and stands for those before it.
        for waiting in list(self._pings):
            sent, waiter = self._pings.pop(waiting)
            if not waiter.done():
                waiter.set_result(now - sent)
            if waiting == payload:
                self._latency = now - sent
                break

    def _keepalive(self) -> None:
        """Sends the next ping, or looks whether the last one brought a sign of life, whichever is due."""
        interval, timeout = self._options.ping_interval, self._options.ping_timeout
        assert interval is not None
        now = time.monotonic()
        self._keepalive_timer = None
        if self._heard or self._reading_paused or self._writing_paused:
            # Any byte is a sign of life. While we do not read there can be none, and a ping that still stands behind
            # our own backlog asks for none: that is a case for the write timeout.
            self._heard = False
            self._keepalive_waits_since = None
        waits_since = self._keepalive_waits_since
        if timeout is not None and waits_since is not None and now - waits_since >= timeout:
            error = TimeoutError(f"no answer to keepalive pings for {timeout:g} seconds")
            self._fail(error, CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            return
        if now - self._keepalive_sent >= interval:
            self._keepalive_payload = payload = os.urandom(4)  # no peer can answer before it has read it
            self._keepalive_sent = now
            if self._keepalive_waits_since is None:
                self._keepalive_waits_since = now
            self._protocol.ping(payload)
            self._flush()
        delay = self._keepalive_sent + interval - now
        if timeout is not None and self._keepalive_waits_since is not None:
            delay = min(delay, self._keepalive_waits_since + timeout - now)
        self._keepalive_timer = self._call_later(delay, self._keepalive)

    def _stop_keepalive(self) -> None:
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
            self._keepalive_timer = None

    @property
    def latency(self) -> float:
        """Seconds from the last ping to its pong; 0 before the first."""
        return self._latency
