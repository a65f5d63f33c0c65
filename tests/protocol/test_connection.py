"""The states of an open connection, without I/O."""

from __future__ import annotations

from typing import Any

import pytest

from bowstring import codec
from bowstring.constants import RSV1, RSV2, Opcode, State
from bowstring.exceptions import ConnectionClosedError, ConnectionClosedOK, ProtocolError, Violation
from bowstring.protocol import Connection, HangUp, Role

KEY = b"\x12\x34\x56\x78"


def server(**options: Any) -> Connection:
    return Connection(Role.SERVER, **options)


def client(**options: Any) -> Connection:
    return Connection(Role.CLIENT, masking_keys=lambda count: KEY * count, **options)


def frame(opcode: int, payload: bytes = b"", **flags: Any) -> bytes:
    """A frame as a client sends it."""
    return codec.encode_frame(opcode, payload, masking_key=KEY, **flags)


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())


def sent(connection: Connection) -> list[Any]:
    """What a connection has to write, as its peer reads it: messages, and frames as pairs of opcode and payload."""
    decoder = codec.FrameDecoder(expect_masked=connection.role is Role.CLIENT, max_message_size=None)
    items = decoder.feed(connection.data_to_send())
    return [item if isinstance(item, (str, bytes)) else (item.opcode, item.payload) for item in items]  # type: ignore[union-attr]


def taken(connection: Connection) -> list[Any]:
    messages = []
    while (message := connection.take()) is not None:
        messages.append(message)
    return messages


class Reverse:
    """An extension that turns payloads round, and says so by RSV2."""

    name = "reverse"
    rsv = RSV2
    all_messages = False

    def __init__(self) -> None:
        self.closed = 0

    def encode(self, frame: Any, *, compress: bool | None = None) -> Any:
        bit = RSV2 if frame.opcode else 0
        return codec.Frame(frame.opcode, frame.payload[::-1], fin=frame.fin, rsv=frame.rsv | bit)

    def decode(self, frame: Any, *, max_size: int | None) -> Any:
        if max_size is not None and len(frame.payload) > max_size:
            raise ProtocolError(Violation.MESSAGE_TOO_BIG, size=len(frame.payload), limit=max_size)
        return codec.Frame(frame.opcode, frame.payload[::-1], fin=frame.fin, rsv=frame.rsv & ~RSV2)

    def close(self) -> None:
        self.closed += 1


class Prefix:
    """An extension that wants every message and uses no bit."""

    name = "prefix"
    rsv = 0
    all_messages = True

    def encode(self, frame: Any, *, compress: bool | None = None) -> Any:
        return codec.Frame(frame.opcode, (b">" if frame.opcode else b"") + frame.payload, fin=frame.fin, rsv=frame.rsv)

    def decode(self, frame: Any, *, max_size: int | None) -> Any:
        if frame.opcode and not frame.payload.startswith(b">"):
            raise ProtocolError(Violation.INVALID_DEFLATE, "no prefix")
        payload = frame.payload[1:] if frame.opcode else frame.payload
        return codec.Frame(frame.opcode, payload, fin=frame.fin, rsv=frame.rsv)

    def close(self) -> None:
        pass


def test_masking_keys_belong_to_clients() -> None:
    with pytest.raises(ValueError, match="masking_keys"):
        Connection(Role.CLIENT)
    with pytest.raises(ValueError, match="masking_keys"):
        Connection(Role.SERVER, masking_keys=lambda count: KEY * count)


# ---------------------------------------------------------------------- messages


def test_messages_go_both_ways() -> None:
    ours, theirs = client(), server()
    for message in ("", "text", "Grüße 🎻", b"", b"\x00\xff", "x" * 70_000):
        ours.send(message)
        theirs.send(message)
    theirs.receive_data(ours.data_to_send())
    ours.receive_data(theirs.data_to_send())
    assert taken(ours) == taken(theirs) == ["", "text", "Grüße 🎻", b"", b"\x00\xff", "x" * 70_000]


def test_buffers_are_copied_and_may_be_sent_as_text() -> None:
    connection = server()
    data = bytearray(b"one")
    connection.send(data)
    connection.send(data, text=True)
    data[:] = b"two"
    connection.send("text", text=False)
    assert sent(connection) == [b"one", "one", b"text"]


@pytest.mark.parametrize("data", [b"\xff", b"abc\xc3"])
def test_bytes_sent_as_text_must_be_utf8(data: bytes) -> None:
    connection = server()
    with pytest.raises(ValueError, match="UTF-8"):
        connection.send(data, text=True)
    connection.send_fragment(data, fin=False, text=True) if data != b"\xff" else None
    with pytest.raises(ValueError, match="UTF-8"):
        connection.send_fragment(b"" if data != b"\xff" else data, fin=True, text=True)


def test_fragments_of_text_may_be_cut_inside_of_a_character() -> None:
    connection = server()
    connection.send_fragment(b"\xc3", fin=False, text=True)
    connection.ping(b"between")
    with pytest.raises(ValueError, match="must end first"):
        connection.send("another message")
    connection.send_fragment(b"\xa9", fin=True)
    connection.send("then")
    peer = client()
    assert [f.payload for f in peer.receive_data(connection.data_to_send())] == [b"between"]
    assert taken(peer) == ["é", "then"]


def test_fragments_are_joined() -> None:
    connection = server()
    connection.receive_data(frame(Opcode.TEXT, b"a\xc3", fin=False) + frame(Opcode.CONTINUATION, b"", fin=False))
    assert connection.take() is None
    connection.receive_data(frame(Opcode.PING, b"p") + frame(Opcode.CONTINUATION, b"\xa9"))
    connection.receive_data(frame(Opcode.BINARY, b"b", fin=False) + frame(Opcode.CONTINUATION, b"c"))
    assert taken(connection) == ["aé", b"bc"]
    assert sent(connection) == [(Opcode.PONG, b"p")]


def test_text_can_stay_bytes() -> None:
    connection = server(decode=False)
    connection.receive_data(frame(Opcode.TEXT, "é".encode()) + frame(Opcode.TEXT, b"a", fin=False))
    connection.receive_data(frame(Opcode.CONTINUATION, b"b"))
    assert taken(connection) == ["é".encode(), b"ab"]


def test_a_reused_buffer() -> None:
    connection, buffer = server(), bytearray(64)
    for text in (b"one", b"two"):
        data = frame(Opcode.TEXT, text)
        buffer[: len(data)] = data
        connection.receive_buffer(buffer, len(data))
    assert taken(connection) == ["one", "two"]


def test_text_that_cannot_be_encoded_takes_nothing_along() -> None:
    connection = server()
    connection.send("before")
    with pytest.raises(UnicodeEncodeError):
        connection.send("\ud800")
    connection.send("after")
    assert sent(connection) == ["before", "after"]


def test_what_is_queued_is_counted() -> None:
    connection = server()
    connection.send("é")
    connection.send("abc")
    connection.send(b"12345")
    connection.ping(b"6")
    assert connection.buffered_amount == 2 + 3 + 5 + 1
    connection.data_to_send()
    assert connection.buffered_amount == 0
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("method", ["ping", "pong"])
def test_control_payloads_have_at_most_125_bytes(method: str) -> None:
    connection = server()
    getattr(connection, method)(bytes(125))
    with pytest.raises(ValueError, match="at most 125 bytes, not 126"):
        getattr(connection, method)(bytes(126))
    assert len(sent(connection)) == 1


# ---------------------------------------------------------------------- pings


def test_every_ping_is_answered_in_order() -> None:
    connection = server()
    pings = b"".join(frame(Opcode.PING, b"%d" % n) for n in range(10))
    controls = connection.receive_data(pings + frame(Opcode.PONG, b"x"))
    assert [f.payload for f in controls] == [*(b"%d" % n for n in range(10)), b"x"]
    assert sent(connection) == [(Opcode.PONG, b"%d" % n) for n in range(10)]


def test_while_writing_is_paused_only_the_latest_ping_is_kept() -> None:
    connection = server()
    connection.pause_writing()
    for n in range(1000):
        connection.receive_data(frame(Opcode.PING, b"%d" % n))
    assert connection.buffered_amount == 0
    connection.resume_writing()
    assert sent(connection) == [(Opcode.PONG, b"999")]
    connection.pause_writing()
    connection.resume_writing()
    assert sent(connection) == []


# ---------------------------------------------------------------------- closing


@pytest.mark.parametrize(
    ("code", "kind"), [(1000, ConnectionClosedOK), (1001, ConnectionClosedOK), (4000, ConnectionClosedError)]
)
def test_the_peer_closes(code: int, kind: type[Exception]) -> None:
    connection = server()
    connection.receive_data(frame(Opcode.TEXT, b"last") + close_frame(code, "bye") + b"garbage")
    assert connection.ended and connection.state is State.OPEN
    assert connection.close_code == code and connection.close_reason == "bye" and connection.closed_by == "remote"
    assert taken(connection) == ["last"]
    connection.send("reply")  # our Close has not been sent yet
    assert connection.hang_up is HangUp.NO
    connection.finish()
    assert sent(connection) == ["reply", (Opcode.CLOSE, code.to_bytes(2, "big"))]
    assert connection.state is State.CLOSED and connection.hang_up is HangUp.CLOSE
    error = connection.closed()
    assert type(error) is kind and error.closed_by == "remote" and error.rcvd_then_sent is True
    connection.finish()
    connection.close()
    assert sent(connection) == []
    with pytest.raises(kind):
        connection.send("too late")


def test_we_close() -> None:
    ours, theirs = client(), server()
    ours.close(3001, "enough")
    assert ours.state is State.CLOSING and ours.close_code is None and ours.close_reason is None
    with pytest.raises(ConnectionClosedError):
        ours.ping()
    theirs.send("crossing")
    ours.receive_data(theirs.data_to_send())
    assert taken(ours) == []  # it came behind our Close
    theirs.receive_data(ours.data_to_send())
    theirs.close(1000)  # what is owed goes instead: the peer's code
    ours.receive_data(theirs.data_to_send())
    assert theirs.hang_up is HangUp.CLOSE
    assert ours.hang_up is HangUp.AWAIT_EOF  # RFC 6455 §7.1.1: the server closes the stream
    assert ours.close_code == 3001 and ours.closed_by == "local" and theirs.closed_by == "remote"
    assert ours.closed().rcvd_then_sent is False
    ours.receive_eof()
    assert ours.hang_up is HangUp.CLOSE


def test_an_empty_close_is_answered_by_an_empty_close() -> None:
    connection = server()
    connection.receive_data(frame(Opcode.CLOSE))
    connection.finish()
    assert sent(connection) == [(Opcode.CLOSE, b"")]
    assert connection.close_code == 1005 and type(connection.closed()) is ConnectionClosedOK


def test_a_close_inside_of_a_fragmented_message() -> None:
    connection = server()
    connection.receive_data(frame(Opcode.TEXT, b"half", fin=False) + close_frame(1000))
    connection.finish()
    assert taken(connection) == [] and sent(connection) == [(Opcode.CLOSE, b"\x03\xe8")]


def test_pings_behind_our_close_are_not_answered() -> None:
    connection = server()
    connection.close()
    connection.receive_data(frame(Opcode.PING, b"?") + frame(Opcode.TEXT, b"a", fin=False))
    assert sent(connection) == [(Opcode.CLOSE, b"\x03\xe8")]


@pytest.mark.parametrize(("code", "reason"), [(999, ""), (1006, ""), ("1000", ""), (1000, "x" * 124)])
def test_arguments_of_close_are_checked(code: Any, reason: str) -> None:
    connection = server()
    with pytest.raises((TypeError, ValueError)):
        connection.close(code, reason)
    assert connection.state is State.OPEN


# ---------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("data", "violation"),
    [
        (b"\x81\x00", Violation.UNMASKED_FRAME),
        (frame(Opcode.CONTINUATION, b"x"), Violation.UNEXPECTED_CONTINUATION),
        (frame(Opcode.TEXT, b"\xff"), Violation.INVALID_UTF8),
        (frame(Opcode.BINARY, bytes(200)), Violation.MESSAGE_TOO_BIG),
        (frame(Opcode.TEXT, b"x", rsv=RSV1), Violation.RESERVED_BITS),
        (frame(Opcode.CLOSE, b"\x03"), Violation.CLOSE_LENGTH),
        (close_frame(1005), Violation.CLOSE_CODE),
        (frame(Opcode.CLOSE, b"\x03\xe8\xff"), Violation.CLOSE_REASON),
    ],
)
def test_replies_to_what_came_before_stand_before_the_close(data: bytes, violation: Violation) -> None:
    connection = server(max_message_size=100)
    before = frame(Opcode.TEXT, b"before") + frame(Opcode.PING, b"p")
    connection.receive_data(before + data + frame(Opcode.TEXT, b"after"))
    connection.receive_data(frame(Opcode.TEXT, b"and more"))
    assert connection.ended and connection.state is State.OPEN
    assert taken(connection) == ["before"]
    connection.send("reply")
    connection.finish()
    *replies, (opcode, body) = sent(connection)
    assert replies == [(Opcode.PONG, b"p"), "reply"]
    assert opcode == Opcode.CLOSE and int.from_bytes(body[:2], "big") == violation.close_code
    # The peer may still be sending: its Close would be lost by a reset.
    assert connection.hang_up is HangUp.HALF_CLOSE and connection.state is State.CLOSED
    error = connection.closed()
    assert type(error) is ConnectionClosedError and error.code == 1006 and error.closed_by == "local"
    assert isinstance(error.error, ProtocolError) and error.error.violation is violation
    assert error.__cause__ is error.error and error.sent is not None and error.sent.code == violation.close_code
    connection.receive_eof()
    assert connection.hang_up is HangUp.CLOSE


def test_a_failure_behind_our_close_hangs_up_at_once() -> None:
    connection = server()
    connection.close()
    connection.receive_data(b"\x81\x00")
    assert connection.hang_up is HangUp.HALF_CLOSE
    assert len(sent(connection)) == 1


def test_the_end_of_the_stream_without_a_close() -> None:
    connection = server()
    connection.receive_data(frame(Opcode.TEXT, b"last"))
    connection.receive_eof()
    assert connection.ended and taken(connection) == ["last"]
    connection.send("reply")  # the other direction is still there
    connection.finish()
    assert sent(connection) == ["reply"]
    assert connection.hang_up is HangUp.CLOSE and connection.close_code == 1006 and connection.close_reason == ""
    assert str(connection.closed()) == "no Close frame received or sent"


def test_fragments_count_in_the_queue_though_they_are_empty() -> None:
    connection = server(extensions=(Reverse(),))
    connection.receive_data(frame(Opcode.TEXT, b"", rsv=RSV2, fin=False))
    connection.receive_data(frame(Opcode.CONTINUATION, b"", fin=False) * 998 + frame(Opcode.CONTINUATION, b""))
    assert [len(message) for message in connection.messages] == [64 * 999]


@pytest.mark.parametrize("by", ["local", "remote"])
def test_who_has_reset_the_stream(by: Any) -> None:
    connection = server()
    connection.receive_reset(by=by)
    assert connection.closed_by == by


def test_a_reset_leaves_what_was_received() -> None:
    connection, error = server(), ConnectionResetError("reset")
    connection.receive_data(frame(Opcode.TEXT, b"last"))
    connection.send("never seen")
    connection.receive_reset(error)
    assert connection.state is State.CLOSED and connection.data_to_send() == b""
    assert taken(connection) == ["last"]
    assert connection.closed().__cause__ is error
    with pytest.raises(ConnectionClosedError):
        connection.send("x")


def test_a_reset_after_an_orderly_end_changes_nothing() -> None:
    connection = server()
    connection.receive_data(close_frame(1000))
    connection.finish()
    connection.receive_reset(ConnectionResetError())
    assert type(connection.closed()) is ConnectionClosedOK


def test_giving_up_while_an_answer_is_owed_sends_the_answer() -> None:
    connection = server()
    connection.receive_data(close_frame(4000))
    connection.fail(TimeoutError("too late"), 1011)
    assert sent(connection) == [(Opcode.CLOSE, (4000).to_bytes(2, "big"))]
    assert connection.error is None and connection.hang_up is HangUp.CLOSE


def test_fragments_end_with_our_close() -> None:
    connection = server()
    connection.send_fragment("a", fin=False)
    connection.close()
    with pytest.raises(ConnectionClosedError):
        connection.send_fragment("b", fin=True)


def test_giving_up_for_a_reason_of_our_own() -> None:
    connection = server()
    connection.fail(TimeoutError("no answer"), 1011, "keepalive")
    assert sent(connection) == [(Opcode.CLOSE, b"\x03\xf3keepalive")]
    assert connection.hang_up is HangUp.HALF_CLOSE
    assert str(connection.closed()) == "no answer; sent 1011 (keepalive)"
    connection.receive_data(frame(Opcode.TEXT, b"late"))
    assert taken(connection) == []


# ---------------------------------------------------------------------- extensions


def test_extensions_act_in_order() -> None:
    first, second = Prefix(), Reverse()
    ours, theirs = client(extensions=(first, second)), server(extensions=(Prefix(), Reverse()))
    ours.send("abc")
    ours.send_fragment(b"de", fin=False)
    ours.send_fragment(b"fg", fin=True)
    data = ours.data_to_send()
    raw = codec.FrameDecoder(expect_masked=True, allowed_rsv=RSV2).feed(data)
    assert [(f.payload, f.rsv) for f in raw] == [(b"cba>", RSV2), (b"ed>", RSV2), (b"gf", 0)]  # type: ignore[union-attr]
    theirs.receive_data(data)
    assert taken(theirs) == ["abc", b"defg"]


def test_an_extension_may_want_every_message() -> None:
    connection = server(extensions=(Prefix(),))
    connection.receive_data(frame(Opcode.TEXT, b">a") + frame(Opcode.BINARY, b">b"))
    connection.receive_data(frame(Opcode.TEXT, b">c", fin=False) + frame(Opcode.CONTINUATION, b"d"))
    assert taken(connection) == ["a", b"b", "cd"]


def test_an_extension_with_a_bit_sees_only_messages_that_carry_it() -> None:
    connection = server(extensions=(Reverse(),))
    connection.receive_data(frame(Opcode.TEXT, b"plain") + frame(Opcode.TEXT, b"abc", rsv=RSV2))
    assert taken(connection) == ["plain", "cba"]


def test_text_that_an_extension_unpacks_must_be_utf8() -> None:
    for decode in (True, False):
        connection = server(extensions=(Reverse(),), decode=decode)
        connection.receive_data(frame(Opcode.TEXT, "é".encode()[::-1], rsv=RSV2))
        connection.receive_data(frame(Opcode.TEXT, b"\xff", rsv=RSV2))
        assert taken(connection) == ["é" if decode else "é".encode()]
        assert isinstance(connection.error, ProtocolError)
        assert connection.error.violation is Violation.INVALID_UTF8


def test_an_error_while_unpacking_drops_what_stands_behind_it() -> None:
    extension = Reverse()
    connection = server(extensions=(extension,), max_message_size=4)
    connection.receive_data(
        frame(Opcode.TEXT, b"one")
        + frame(Opcode.BINARY, b"12345", rsv=RSV2)
        + frame(Opcode.TEXT, b"two")
        + close_frame(1000)
    )
    assert taken(connection) == ["one"]
    assert connection.ended and not connection.messages
    assert connection.close_rcvd is None
    connection.finish()
    [(opcode, body)] = sent(connection)
    assert opcode == Opcode.CLOSE and body.startswith(b"\x03\xf1message is too big: 5 over the limit of 4")
    assert connection.hang_up is HangUp.HALF_CLOSE and extension.closed == 1


def test_an_error_while_unpacking_behind_our_close_hangs_up() -> None:
    connection = server(extensions=(Reverse(),), max_message_size=4)
    connection.receive_data(frame(Opcode.BINARY, b"12345", rsv=RSV2))
    assert [len(message) for message in connection.messages] == [5]
    connection.close()
    assert taken(connection) == []
    assert connection.hang_up is HangUp.HALF_CLOSE and connection.closed_by == "local"
    assert connection.closed().error == ProtocolError(Violation.MESSAGE_TOO_BIG, size=5, limit=4)


def test_the_size_of_a_fragmented_message_is_said_as_a_whole() -> None:
    connection = server(extensions=(Reverse(),), max_message_size=4)
    connection.receive_data(frame(Opcode.BINARY, b"123", rsv=RSV2, fin=False) + frame(Opcode.CONTINUATION, b"45"))
    assert taken(connection) == []
    assert connection.error == ProtocolError(Violation.MESSAGE_TOO_BIG, size=5, limit=4)


def test_extensions_unpack_what_is_left_after_a_reset() -> None:
    extension = Reverse()
    connection = server(extensions=(extension,))
    connection.receive_data(frame(Opcode.TEXT, b"ba", rsv=RSV2) + frame(Opcode.TEXT, b"dc", rsv=RSV2))
    connection.receive_data(frame(Opcode.TEXT, b"plain"))
    connection.receive_reset()
    assert extension.closed == 0
    assert taken(connection) == ["ab", "cd", "plain"]
    assert extension.closed == 1
    connection.receive_eof()
    assert extension.closed == 1


def test_an_extension_that_leaves_a_bit_breaks_the_connection() -> None:
    class Careless(Reverse):
        def decode(self, frame: Any, *, max_size: int | None) -> Any:
            return frame

    connection = server(extensions=(Careless(),))
    connection.receive_data(frame(Opcode.TEXT, b"x", rsv=RSV2))
    assert taken(connection) == []
    assert connection.error == ProtocolError(Violation.RESERVED_BITS)
