"""An open WebSocket connection without any I/O: bytes in, messages out, and back.

Theory of operation
-------------------
A :class:`Connection` starts OPEN: the handshake is over. It knows bytes, the end of the stream and a reset; never a
socket, an address, a loop or a clock. Who drives it (a *driver*) does four things:

1. hands in what arrives: :meth:`~Connection.receive_data` or :meth:`~Connection.receive_buffer`,
   :meth:`~Connection.receive_eof`, :meth:`~Connection.receive_reset`;
2. takes messages with :meth:`~Connection.take` while :attr:`~Connection.messages` has any;
3. writes what :meth:`~Connection.data_to_send` returns, after each of these and each sending method;
4. does with the stream what :attr:`~Connection.hang_up` says.

The order of things at the end. A Close, a broken rule and the end of the stream all *end the incoming side*: nothing
behind them is looked at. What was received before still reaches the application first, which can go on sending. Our
answer (the echoed Close, or the Close that says what was wrong) is owed until the driver calls
:meth:`~Connection.finish`: when the reader has taken all messages and comes back for more, when nobody reads, or when
the driver's time for it is up. Replies to the messages before a bad frame thereby stand before the Close on the wire.

::

    incoming side            our Close     state      hang_up
    open                     not sent      OPEN       NO
    open                     sent          CLOSING    NO           data is checked and dropped
    Close, error or EOF      owed          OPEN       NO           finish() sends what is owed
    Close                    sent          CLOSED     CLOSE        (server; a client: AWAIT_EOF, RFC 6455 §7.1.1)
    error                    sent          CLOSED     HALF_CLOSE   the peer may still be sending: see HangUp
    EOF                      any           CLOSED     CLOSE
    reset                    any           CLOSED     CLOSE
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from bowstring import codec
from bowstring.constants import MAX_CONTROL_PAYLOAD, CloseCode, Opcode, State
from bowstring.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
)
from bowstring.typing import BytesLike, Close, Data, Message

from .close import build_close, check_close, parse_close, reason_for
from .messages import Assembly, PackedMessage, data_frame

if TYPE_CHECKING:
    from bowstring.codec import Frame

    from .extensions.base import Extension

__all__ = ["Connection", "HangUp", "Role"]

_OK = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD})
_CONTINUATION, _TEXT, _BINARY = int(Opcode.CONTINUATION), int(Opcode.TEXT), int(Opcode.BINARY)
_CLOSE, _PING, _PONG = int(Opcode.CLOSE), int(Opcode.PING), int(Opcode.PONG)


class Role(enum.Enum):
    """Which side of the connection this is: a client masks what it sends (RFC 6455 §5.1)."""

    CLIENT = "client"
    SERVER = "server"


class HangUp(enum.Enum):
    """What the driver has to do with the stream, after it has written everything."""

    NO = "no"
    """Go on."""

    AWAIT_EOF = "await_eof"
    """Wait for the peer to close the stream, within the time for closing; then close it."""

    HALF_CLOSE = "half_close"
    """End the outgoing side, and read to the end, within the time for closing; then close. Closing a socket with
    unread data resets it, which would take our Close from a peer that is still sending."""

    CLOSE = "close"
    """Close the stream."""


class Connection:
    """The state of one open connection.

    Args:
        role: which side this is.
        extensions: as negotiated, in the order of the server's answer.
        max_message_size: in bytes, after unpacking; larger messages fail the connection with 1009. ``None``: no limit.
        max_fragments: how many frames one message may have; more fail the connection with 1009. ``None``: no limit.
        decode: whether text arrives as ``str``; otherwise as ``bytes`` that are checked to be UTF-8.
        masking_keys: for a client: ``masking_keys(count)`` returns ``4 * count`` unpredictable bytes
            (``codec.MaskKeys().take``). The layer has no randomness of its own.

    Attributes:
        state: OPEN, CLOSING (our Close is sent) or CLOSED.
        messages: the receive queue, oldest first; take from it with :meth:`take` only.
        hang_up: what to do with the stream.
        close_rcvd, close_sent: the Close of either side, once there is one.
        closed_by: who ended the connection first: ``"local"``, ``"remote"``, or ``None`` while it is open.
        error: what broke the connection, if something did.
        cost: what taking a message comes to, beside a plain one's 1: extensions may have to unpack it.
    """

    __slots__ = (
        "_assembly",
        "_decoder",
        "_eof",
        "_extensions",
        "_incoming",
        "_masking_keys",
        "_outgoing_fragment",
        "_outgoing_text",
        "_owed",
        "_pack_all",
        "_pong",
        "_released",
        "_writing_paused",
        "close_rcvd",
        "close_sent",
        "closed_by",
        "cost",
        "error",
        "hang_up",
        "messages",
        "output",
        "role",
        "state",
    )

    def __init__(
        self,
        role: Role,
        *,
        extensions: Sequence[Extension] = (),
        max_message_size: int | None = 1 << 20,
        max_fragments: int | None = 16_384,
        decode: bool = True,
        masking_keys: Callable[[int], bytes] | None = None,
    ) -> None:
        if (role is Role.CLIENT) is (masking_keys is None):
            raise ValueError("masking_keys must be given for a client, and only for a client")
        allowed_rsv = 0
        for extension in extensions:
            allowed_rsv |= extension.rsv
        self.role = role
        self.state = State.OPEN
        self.messages: deque[Message | PackedMessage] = deque()
        self.output: list[Message | Frame] = []
        self.hang_up = HangUp.NO
        self.close_rcvd: Close | None = None
        self.close_sent: Close | None = None
        self.closed_by: Literal["local", "remote"] | None = None
        self.error: BaseException | None = None
        self._decoder = codec.FrameDecoder(
            expect_masked=role is Role.SERVER,
            max_message_size=max_message_size,
            max_fragments=max_fragments,
            allowed_rsv=allowed_rsv,
            decode=decode,
        )
        self._assembly = Assembly(extensions, max_message_size, decode)
        self._pack_all = any(extension.all_messages for extension in extensions)
        self.cost = 16 if extensions else 1
        self._masking_keys = masking_keys
        self._extensions = tuple(extensions)
        self._incoming = True  # whether what arrives is still looked at
        self._eof = False
        self._owed: Close | None = None  # our Close, once the incoming side has ended
        self._outgoing_fragment = False  # whether a fragmented message of ours is open
        self._outgoing_text: codec.Utf8Validator | None = None  # and what checks it, if it is text
        self._writing_paused = False
        self._pong: Frame | None = None  # the latest, while writing is paused
        self._released = False  # whether the extensions have been told that it is over

    # ------------------------------------------------------------------ what arrives

    def receive_data(self, data: BytesLike) -> Sequence[Frame]:
        """Takes bytes from the peer.

        Returns:
            The pings and pongs among them. Pings are already answered; pongs are for who has sent pings.
        """
        return self._receive(self._decoder.feed(data)) if self._incoming else ()

    def receive_buffer(self, buffer: BytesLike, nbytes: int) -> Sequence[Frame]:
        """Like :meth:`receive_data`, from the first ``nbytes`` bytes of a buffer that the caller will use again."""
        return self._receive(self._decoder.feed_buffer(buffer, nbytes)) if self._incoming else ()

    def receive_eof(self) -> None:
        """The peer has ended its side of the stream. Without a Close before it that is an abnormal end (1006)."""
        self._eof = True
        if self._incoming:
            self._end_incoming("remote", None)
        if self.state is not State.OPEN:  # else finish() hangs up, after the replies
            self._hang_up(HangUp.CLOSE)

    def receive_reset(self, error: BaseException | None = None, *, by: Literal["local", "remote"] = "remote") -> None:
        """The stream is gone in both directions. What was received before can still be taken.

        Args:
            error: what the operating system said of it, or what made this side give up.
            by: which side has reset it.
        """
        if self.error is None and self.close_rcvd is None:
            self.error = error
        self._end_incoming(by, None)
        self._owed = None
        self._eof = True
        self.output.clear()
        self._hang_up(HangUp.CLOSE)

    def _receive(self, items: Sequence[Message | Frame | ProtocolError]) -> Sequence[Frame]:
        messages = self.messages
        controls: list[Frame] = []
        closing = self.state is not State.OPEN
        for item in items:
            kind = type(item)
            if kind is str or kind is bytes:
                if closing:
                    continue  # RFC 6455 §1.4: what comes behind our Close is not wanted any more
                messages.append(self._assembly.pack(item) if self._pack_all else item)  # type: ignore[arg-type]
            elif kind is ProtocolError:
                self._fail(item)  # type: ignore[arg-type]
            elif item.opcode < _CLOSE:  # type: ignore[union-attr]
                if not closing and (message := self._assembly.add(item)) is not None:  # type: ignore[arg-type]
                    messages.append(message)
            elif item.opcode == _CLOSE:  # type: ignore[union-attr]
                self._receive_close(item.payload)  # type: ignore[union-attr]
                break  # RFC 6455 §5.5.1: nothing comes behind a Close
            else:
                controls.append(item)  # type: ignore[arg-type]
                if item.opcode == _PING and not closing:  # type: ignore[union-attr]
                    self._answer_ping(item.payload)  # type: ignore[union-attr]
        return controls

    def _receive_close(self, payload: bytes) -> None:
        try:
            self.close_rcvd = parse_close(payload)
        except ProtocolError as error:
            self._fail(error)
            return
        # RFC 6455 §5.5.1: the answer repeats the code; a reason of the peer's is not ours to repeat.
        self._end_incoming("remote", Close(self.close_rcvd.code))
        if self.state is not State.OPEN:
            self._hang_up(self._orderly)

    def _answer_ping(self, payload: bytes) -> None:
        pong = codec.Frame(_PONG, payload)
        if self._writing_paused:
            # RFC 6455 §5.5.3: an endpoint may answer only the most recent ping. A peer that does not read gets just
            # that, so that its pings cannot pile up as our pongs.
            self._pong = pong
        else:
            self.output.append(pong)

    def _fail(self, error: ProtocolError) -> None:
        """RFC 6455 §7.1.7: a rule is broken; nothing that follows is looked at."""
        self.error = error
        self._end_incoming("local", reason_for(error))
        if self.state is State.CLOSING:
            self._hang_up(HangUp.HALF_CLOSE)

    def _end_incoming(self, by: Literal["local", "remote"], owed: Close | None) -> None:
        self._incoming = False
        self._assembly.drop()
        self._pong = None
        if self.closed_by is None:
            self.closed_by = by
        if self.state is State.OPEN:
            self._owed = owed

    # ------------------------------------------------------------------ taking messages

    @property
    def ended(self) -> bool:
        """Whether the incoming side is over: once :attr:`messages` is empty, nothing more comes."""
        return not self._incoming

    def take(self) -> Message | None:
        """The oldest message in the queue.

        Returns:
            ``None`` when the queue is empty, or when the message could not be unpacked: the connection has then
            failed, and what stood behind it in the queue is gone.
        """
        if not self.messages:
            return None
        message = self.messages.popleft()
        taken = self._unpack(message) if type(message) is PackedMessage else message
        if self.state is State.CLOSED:
            self._release()
        return taken  # type: ignore[return-value]

    def _unpack(self, message: PackedMessage) -> Message | None:
        try:
            return self._assembly.unpack(message)
        except ProtocolError as error:
            self.messages.clear()
            self.close_rcvd = None  # it stood behind the message that broke the connection
            if self.state is State.OPEN:
                self.closed_by = None
            self._fail(error)
            return None

    # ------------------------------------------------------------------ sending

    def send(self, data: Data, *, text: bool | None = None, compress: bool | None = None) -> None:
        """Queues one message.

        Args:
            data: ``str`` goes as text, any C-contiguous buffer as binary; a mutable buffer is copied now.
            text: overrides that: ``True`` sends the bytes of a buffer as text (they must be UTF-8), ``False`` sends
                a ``str`` as binary.
            compress: whether an extension should compress it; ``None`` leaves that to the extension's settings.

        Raises:
            ConnectionClosed: our Close has been sent, or the stream is gone.
            TypeError, ValueError: the arguments do not fit.
        """
        if self.state is not State.OPEN:
            raise self.closed()
        if self._outgoing_fragment:
            raise ValueError("a fragmented message is being sent: it must end first")
        kind = type(data)
        if (kind is str or kind is bytes) and text is None and not self._extensions:
            # What is beyond ASCII is encoded now: whoever sends a lone surrogate is to be told, not whoever flushes.
            self.output.append(data if kind is bytes or data.isascii() else data_frame(data, None))  # type: ignore[arg-type, union-attr]
            return
        self._send_frame(data_frame(data, text), compress)

    def send_fragment(self, data: Data, *, fin: bool, text: bool | None = None, compress: bool | None = None) -> None:
        """Queues one fragment of a message (RFC 6455 §5.4). The first one says whether the message is text.

        Args:
            data: as for :meth:`send`. Fragments of text may be cut inside of a character only as buffers.
            fin: whether it is the last fragment.
            text, compress: as for :meth:`send`; looked at in the first fragment (``compress``: in each, the same).

        Raises:
            ConnectionClosed, TypeError, ValueError: as for :meth:`send`.
        """
        if self.state is not State.OPEN:
            raise self.closed()
        opcode = _CONTINUATION
        if not self._outgoing_fragment:
            is_text = text or (text is None and isinstance(data, str))
            opcode = _TEXT if is_text else _BINARY
            self._outgoing_text = codec.Utf8Validator() if is_text else None
        frame = codec.Frame(opcode, data.encode() if isinstance(data, str) else data, fin=fin)
        if (check := self._outgoing_text) and not (check.feed(frame.payload) and (check.at_boundary or not fin)):
            # RFC 6455 §8.1: the peer would have to fail the connection.
            raise ValueError("fragments of a text message must be UTF-8 when they are joined")
        self._outgoing_fragment = not fin
        self._send_frame(frame, compress)

    def _send_frame(self, frame: Frame, compress: bool | None) -> None:
        for extension in self._extensions:
            frame = extension.encode(frame, compress=compress)
        self.output.append(frame)

    def ping(self, payload: BytesLike = b"") -> None:
        """Queues a ping (RFC 6455 §5.5.2) with a payload of at most 125 bytes, which its pong repeats.

        Raises:
            ConnectionClosed: our Close has been sent, or the stream is gone.
            ValueError: the payload is too long.
        """
        self._send_control(_PING, payload)

    def pong(self, payload: BytesLike = b"") -> None:
        """Queues a pong that answers nothing (RFC 6455 §5.5.3): a heartbeat in one direction. Raises as ping."""
        self._send_control(_PONG, payload)

    def _send_control(self, opcode: int, payload: BytesLike) -> None:
        if self.state is not State.OPEN:
            raise self.closed()
        frame = codec.Frame(opcode, payload)
        if len(frame.payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"payload of a control frame must be at most 125 bytes, not {len(frame.payload)}")
        self.output.append(frame)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Queues our Close, unless it has been sent before.

        When the incoming side has ended, the answer that is owed goes instead: the peer's code, or the rule that it
        broke.

        Args:
            code: 1000, or any other that may be sent (RFC 6455 §7.4); 1005 sends an empty Close.
            reason: at most 123 bytes of UTF-8.

        Raises:
            TypeError, ValueError: the arguments do not fit.
        """
        close = check_close(code, reason)
        if self.state is not State.OPEN:
            return
        if self._incoming:
            self.closed_by = "local"
            self._assembly.drop()
            self._send_close(close)
        else:
            self.finish()

    def fail(self, error: BaseException, code: int, reason: str = "") -> None:
        """Gives the connection up for a reason of our own, such as a keepalive that was not answered.

        Sends a Close and ends the stream without waiting for the peer's.
        """
        if self.state is State.OPEN and self._incoming:
            self.error = error
            self.closed_by = "local"
            self._end_incoming("local", check_close(code, reason))
        self.finish()

    def finish(self) -> None:
        """Sends what is owed once the incoming side has ended, and hangs up. Does nothing before that, or twice."""
        if self._incoming or self.state is not State.OPEN:
            return
        if self._owed is None:
            self._hang_up(HangUp.CLOSE)
            return
        owed, self._owed = self._owed, None
        self._send_close(owed)
        self._hang_up(HangUp.HALF_CLOSE if self.error is not None else self._orderly)

    def _send_close(self, close: Close) -> None:
        self.output.append(codec.Frame(_CLOSE, build_close(close)))
        self.close_sent = close
        self.state = State.CLOSING

    @property
    def _orderly(self) -> HangUp:
        """Both have sent a Close. RFC 6455 §7.1.1: the server is the one to close the stream."""
        return HangUp.CLOSE if self.role is Role.SERVER else HangUp.AWAIT_EOF

    def _hang_up(self, how: HangUp) -> None:
        self.state = State.CLOSED
        self.hang_up = HangUp.CLOSE if self._eof else how
        self._release()

    def _release(self) -> None:
        """Tells the extensions that it is over, once nothing is left for them to unpack."""
        if not self.messages and not self._released:
            self._released = True
            for extension in self._extensions:
                extension.close()

    # ------------------------------------------------------------------ output

    def pause_writing(self) -> None:
        """The driver's write buffer is over its limit: from now on only the latest ping is answered."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The driver's write buffer has drained."""
        self._writing_paused = False
        pong, self._pong = self._pong, None
        if pong is not None and self.state is State.OPEN:
            self.output.append(pong)

    @property
    def buffered_amount(self) -> int:
        """Bytes of payload that are queued and not yet taken by :meth:`data_to_send`."""
        amount = 0
        for item in self.output:
            if isinstance(item, str):
                amount += len(item) if item.isascii() else len(item.encode())
            else:
                amount += len(item if isinstance(item, bytes) else item.payload)
        return amount

    def data_to_send(self) -> bytes:
        """Everything queued, as the bytes to write, in order; empty if there is nothing."""
        output = self.output
        if not output:
            return b""
        keys = None if self._masking_keys is None else self._masking_keys(len(output))
        data = codec.encode_frames(output, masking_keys=keys)
        self.output = []
        return data

    # ------------------------------------------------------------------ how it ended

    @property
    def close_code(self) -> int | None:
        """The peer's code, 1005 for an empty Close, 1006 when none came; ``None`` while that is open."""
        if self.close_rcvd is not None:
            return self.close_rcvd.code
        return CloseCode.ABNORMAL_CLOSURE if self.state is State.CLOSED else None

    @property
    def close_reason(self) -> str | None:
        """The peer's reason; empty when there was none; ``None`` while that is open."""
        if self.close_rcvd is not None:
            return self.close_rcvd.reason
        return "" if self.state is State.CLOSED else None

    def closed(self) -> ConnectionClosed:
        """The exception that says how this connection has ended, or is ending; a new one at each call."""
        rcvd, sent = self.close_rcvd, self.close_sent
        orderly = rcvd is not None and rcvd.code in _OK and (sent is None or sent.code in _OK) and self.error is None
        kind = ConnectionClosedOK if orderly else ConnectionClosedError
        return kind(rcvd, sent, self.closed_by or "remote", error=self.error)
