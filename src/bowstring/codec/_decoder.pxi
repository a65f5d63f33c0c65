# Part of _cython.pyx: bytes in, messages and frames out.

cdef inline Frame new_frame(int first, bytes payload):
    """A received frame: its header has been judged, there is nothing to check."""
    cdef Frame frame = Frame.__new__(Frame)
    frame._opcode = first & OPCODE_BITS
    frame._payload = payload
    frame._fin = first & FIN != 0
    frame._rsv = first & RSV_BITS
    frame._built = True
    return frame


cdef inline bytes new_bytes(const uint8_t *data, Py_ssize_t size, uint32_t key):
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
    bow_mask(<uint8_t *>PyBytes_AS_STRING(payload), data, size, key)
    return payload


cdef inline str new_text(const uint8_t *data, Py_ssize_t size, uint32_t key):
    """The text of a payload, or ``None`` where it is not valid UTF-8."""
    if size == 0:
        return ""
    # Taken for ASCII, until a byte shows that it is not: then the same memory holds the bytes to decode.
    cdef str text = PyUnicode_New(size, 127)
    cdef uint8_t *target = PyUnicode_1BYTE_DATA(text)
    if bow_mask(target, data, size, key) < 0x80:
        return text
    return decode_utf8(target, size)


cdef str decode_utf8(const uint8_t *data, Py_ssize_t size):
    try:
        return PyUnicode_DecodeUTF8(<const char *>data, size, NULL)
    except UnicodeDecodeError:
        return None


cdef bytes new_checked_bytes(const uint8_t *data, Py_ssize_t size, uint32_t key):
    """The payload of a text, or ``None`` where it is not valid UTF-8."""
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *target = <uint8_t *>PyBytes_AS_STRING(payload)
    if (
        bow_mask(target, data, size, key) < 0x80
        or bow_utf8_feed(BOW_UTF8_BOUNDARY, target, size) == BOW_UTF8_BOUNDARY
    ):
        return payload
    return None


cdef uint64_t check_limit(object value, str name, int least) except? 0:
    """A limit as C sees it; UINT64_MAX is none."""
    if value is None:
        return UINT64_MAX
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return UINT64_MAX if value >= 1 << 63 else value


cdef inline uint64_t read_length(const uint8_t *data, int width) noexcept:
    """An extended payload length, in network byte order."""
    cdef uint64_t length = 0
    cdef int i
    for i in range(width):
        length = length << 8 | data[i]
    return length


@cython.final
cdef class FrameDecoder:
    """FrameDecoder(*, expect_masked, max_message_size=1048576, max_fragments=16384, allowed_rsv=0, decode=True)\n--\n
    Turns bytes into messages and frames, and checks every rule of RFC 6455 §5 and §8.1 that concerns frames.

    One decoder reads one direction of one connection.

    Args:
        expect_masked: what the peer has to do: ``True`` where a client is the peer, ``False`` where a server is
            (RFC 6455 §5.1).
        max_message_size: how many bytes the payloads of a message may have together; ``None`` is no limit. It is
            held against what a header announces, before the payload is waited for. A message with a reserved bit
            may have an eighth and 64 bytes more on the wire: what it becomes is for the extension to limit.
        max_fragments: how many frames a message may have; ``None`` is no limit.
        allowed_rsv: the reserved bits that the first frame of a message may have; made of ``RSV1``, ``RSV2`` and
            ``RSV3`` of :mod:`bowstring.constants`.
        decode: whether text comes as ``str``; otherwise as ``bytes`` that are valid UTF-8.

    Raises:
        TypeError: a limit is not an int or ``None``, or ``allowed_rsv`` is not an int.
        ValueError: ``max_message_size`` is negative, ``max_fragments`` is less than 1, or ``allowed_rsv`` has
            other bits.
    """

    def __init__(
        self, *, expect_masked, max_message_size=1048576, max_fragments=16384, allowed_rsv=0, decode=True
    ):
        cdef bint masked = bool(expect_masked)
        cdef uint64_t limit = check_limit(max_message_size, "max_message_size", 0)
        cdef uint64_t fragments = check_limit(max_fragments, "max_fragments", 1)
        cdef int rsv = check_rsv(allowed_rsv, "allowed_rsv")
        self._decode = bool(decode)
        self._mask_bit = MASK if masked else 0
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._limit = limit
        self._fragment_limit = fragments
        self._allowed_rsv = rsv
        self._error = None
        self._forget()

    def __dealloc__(self):
        Py_XDECREF(self._payload)

    def __reduce__(self):
        raise TypeError("cannot pickle 'FrameDecoder' object")

    def feed(self, data):
        """Takes what has arrived, in pieces of any size.

        Args:
            data: the next bytes of the stream; any C-contiguous buffer. It is only read, and only during the call.

        Returns:
            What these bytes completed, in order: ``str`` or ``bytes`` for a whole message without reserved bits,
            a :class:`Frame` for a control frame, a fragment, and every frame of a message with a reserved bit
            (whose text is not checked). When the peer broke a rule, the last item is a
            :exc:`~bowstring.exceptions.ProtocolError`; nothing behind it is looked at, then or later.

        Raises:
            TypeError: ``data`` is not a C-contiguous buffer. Nothing the peer sends raises.
        """
        cdef Py_buffer view
        acquire(data, &view, "data")
        try:
            return self.decode_chunk(<const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    def feed_buffer(self, buffer, nbytes):
        """Takes what has arrived in a buffer that the caller owns and uses again.

        Args:
            buffer: any C-contiguous buffer, for example that of an ``asyncio.BufferedProtocol``. It is only read,
                and only during the call.
            nbytes: how many of its bytes have arrived, from its first on.

        Returns:
            The same as :meth:`feed`.

        Raises:
            TypeError: ``buffer`` is not a C-contiguous buffer, or ``nbytes`` is not an int.
            ValueError: ``nbytes`` is negative, or more than the buffer has.
        """
        cdef Py_buffer view
        cdef Py_ssize_t size
        acquire(buffer, &view, "buffer")
        try:
            nbytes = PyNumber_Index(nbytes)
            if not 0 <= nbytes <= view.len:
                raise ValueError(f"nbytes must be between 0 and {view.len}, not {nbytes}")
            size = nbytes
            return self.decode_chunk(<const uint8_t *>view.buf, size)
        finally:
            PyBuffer_Release(&view)

    cdef list decode_chunk(self, const uint8_t *data, Py_ssize_t nbytes):
        """What :meth:`feed` does, for callers in C."""
        cdef list results = []
        cdef const uint8_t *end = data + nbytes
        cdef const uint8_t *header
        cdef Py_ssize_t have, size
        cdef uint64_t length
        cdef uint32_t key = 0
        cdef int first, second
        cdef bint simple
        cdef object item

        if self._error is not None or nbytes == 0:
            return results
        if self._receiving:
            data += self._receive(results, data, nbytes)
        while data < end and self._error is None:
            header = data
            have = end - data
            if self._held:
                have = self._held + min(have, <Py_ssize_t>sizeof(self._header) - self._held)
                memcpy(self._header + self._held, data, have - self._held)
                header = self._header
            if have < 2:
                self._hold(header, have)
                break
            first = header[0]
            second = header[1]
            # A message of one frame, with the right mask bit and outside of another message, breaks no rule so far.
            simple = (
                (first == WHOLE_TEXT or first == WHOLE_BINARY)
                and second & MASK == self._mask_bit
                and self._fragments == 0
            )
            if not simple and not self._judge(results, first, second):
                break
            size = 2
            length = second & LENGTH_BITS
            if length >= 126:
                size = 4 if length == 126 else 10
                if have < size:
                    self._hold(header, have)
                    break
                length = read_length(header + 2, size - 2)
                if not self._judge_length(results, length, size - 2):
                    break
            if not simple or length > self._limit or length > PY_SSIZE_T_MAX:
                if not self._judge_size(results, first, length):
                    break
            if self._mask_bit:
                size += 4
                if have < size:
                    self._hold(header, have)
                    break
                key = bow_key(header + size - 4)
            data += size - self._held
            self._held = 0
            if not simple or length > <uint64_t>(end - data):
                self._expect(first, size, <Py_ssize_t>length, key)
                data += self._receive(results, data, end - data)
                continue
            size = <Py_ssize_t>length
            if first == WHOLE_BINARY:
                item = new_bytes(data, size, key)
            elif self._decode:
                item = new_text(data, size, key)
            else:
                item = new_checked_bytes(data, size, key)
            if item is None:
                self._fail(results, ProtocolError(Violation.INVALID_UTF8))
                break
            results.append(item)
            data += size
        return results

    cdef int _hold(self, const uint8_t *header, Py_ssize_t have) except -1:
        """Keeps a header that is not complete yet."""
        if header != self._header:
            memcpy(self._header, header, have)
        self._held = <int>have
        return 0

    cdef bint _judge(self, list results, int first, int second) except -1:
        """Whether the first two bytes of a header keep the rules."""
        cdef int opcode = first & OPCODE_BITS
        # RFC 6455 §5.2: "MUST be 0 unless an extension is negotiated"; RFC 7692 §6: on the first frame of a message.
        cdef int allowed = self._allowed_rsv if opcode == TEXT or opcode == BINARY else 0
        if first & RSV_BITS & ~allowed:
            return self._fail(results, ProtocolError(Violation.RESERVED_BITS))
        # RFC 6455 §5.2: "If an unknown opcode is received, the receiving endpoint MUST fail the connection".
        if opcode not in (0, 1, 2, 8, 9, 10):
            return self._fail(results, ProtocolError(Violation.RESERVED_OPCODE, f"0x{opcode:X}"))
        if opcode >= CLOSE:
            # RFC 6455 §5.5: control frames are not fragmented and have at most 125 bytes.
            if not first & FIN:
                return self._fail(results, ProtocolError(Violation.FRAGMENTED_CONTROL))
            if second & LENGTH_BITS > MAX_CONTROL_PAYLOAD:
                return self._fail(results, ProtocolError(Violation.CONTROL_TOO_LONG))
        # RFC 6455 §5.4: the fragments of one message come one after the other.
        elif opcode == CONTINUATION:
            if not self._fragments:
                return self._fail(results, ProtocolError(Violation.UNEXPECTED_CONTINUATION))
        elif self._fragments:
            return self._fail(results, ProtocolError(Violation.EXPECTED_CONTINUATION))
        # RFC 6455 §5.1: a client masks every frame, a server none.
        if second & MASK != self._mask_bit:
            violation = Violation.UNMASKED_FRAME if self._mask_bit else Violation.MASKED_FRAME
            return self._fail(results, ProtocolError(violation))
        return True

    cdef bint _judge_length(self, list results, uint64_t length, int width) except -1:
        """RFC 6455 §5.2: the shortest form has to be used, and the top bit of the 64-bit form is 0."""
        if length >> 63:
            return self._fail(results, ProtocolError(Violation.LENGTH_TOP_BIT))
        if length < (126 if width == 2 else 65536):
            return self._fail(
                results, ProtocolError(Violation.LENGTH_NOT_MINIMAL, f"{length} in {width * 8} bits")
            )
        return True

    cdef bint _judge_size(self, list results, int first, uint64_t length) except -1:
        """The limits of a message, before anything of the payload is held (RFC 6455 §10.4)."""
        cdef uint64_t limit = self._limit
        # Cannot overflow, both are less than 2**63: the one by its header, the other because it has arrived.
        cdef uint64_t size = self._message_size + length
        if first & OPCODE_BITS >= CLOSE:
            return True
        if self._fragments >= self._fragment_limit:
            return self._fail(
                results,
                ProtocolError(Violation.TOO_MANY_FRAGMENTS, size=self._fragments + 1, limit=self._max_fragments),
            )
        # An extension may have made the message longer than it was: deflate does that to what it cannot compress.
        if limit != UINT64_MAX and (self._message_rsv or first & RSV_BITS):
            limit += (limit >> 3) + 64
        if size > limit:
            return self._fail(
                results, ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=self._max_message_size)
            )
        # Where addresses have 32 bits: what no object can hold.
        if length > PY_SSIZE_T_MAX:
            return self._fail(results, ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=PY_SSIZE_T_MAX))
        return True

    cdef int _expect(self, int first, Py_ssize_t header_size, Py_ssize_t size, uint32_t key) except -1:
        """Gets ready for the payload of a frame whose header has been judged."""
        cdef int opcode = first & OPCODE_BITS
        self._receiving = True
        self._first = first
        self._header_size = <int>header_size
        self._size = size
        self._got = 0
        self._key = key
        self._ascii = True
        self._is_str = self._decode and first == WHOLE_TEXT
        # RFC 6455 §8.1: text is UTF-8; what an extension has changed is none yet.
        self._checked = first & RSV_BITS == 0 if opcode == TEXT else opcode == CONTINUATION and self._message_text
        return 0

    cdef Py_ssize_t _receive(self, list results, const uint8_t *data, Py_ssize_t nbytes) except -1:
        """Takes what is there of the payload that is expected, and returns how many bytes that was."""
        cdef Py_ssize_t size = min(nbytes, self._size - self._got)
        cdef uint8_t *target
        cdef uint8_t seen
        if size:
            self._make_room(self._got + size)
            target = bow_payload_data(self._payload) + self._got
            seen = bow_mask(target, data, size, self._key)
            self._key = bow_key_at(self._key, size)
            self._got += size
            if self._checked and (seen >= 0x80 or self._utf8 != BOW_UTF8_BOUNDARY):
                self._ascii = False
                self._utf8 = bow_utf8_feed(self._utf8, target, size)
        if self._got == self._size:
            self._complete(results)
        elif self._utf8 == BOW_UTF8_INVALID:
            self._fail(results, ProtocolError(Violation.INVALID_UTF8))
        return size

    cdef int _make_room(self, Py_ssize_t needed) except -1:
        """Lets the payload grow with what arrives, whatever its header claims."""
        if self._payload == NULL:
            self._payload = bow_payload_new(self._is_str, needed)
            self._capacity = needed
        elif needed > self._capacity:
            self._capacity = max(needed, self._capacity + min(self._capacity, self._size - self._capacity))
            try:
                bow_payload_grow(&self._payload, self._got, self._capacity)
            except MemoryError:
                self._forget()  # no memory
                raise  # no memory
        return 0

    cdef int _complete(self, list results) except -1:
        """Delivers a payload that is complete, and moves the message on that it belongs to."""
        cdef int first = self._first
        cdef object payload
        if self._checked and (self._utf8 == BOW_UTF8_INVALID or (first & FIN and self._utf8 != BOW_UTF8_BOUNDARY)):
            self._fail(results, ProtocolError(Violation.INVALID_UTF8))
            return 0
        if self._payload == NULL:
            payload = "" if self._is_str else b""
        elif self._is_str and not self._ascii:
            payload = PyUnicode_DecodeUTF8(<const char *>bow_payload_data(self._payload), self._size, NULL)
        else:
            payload = <object>self._payload
        Py_CLEAR(self._payload)
        self._receiving = False
        if first == WHOLE_TEXT or first == WHOLE_BINARY:
            results.append(payload)
            return 0
        results.append(new_frame(first, payload))
        if first & OPCODE_BITS < CLOSE:
            if first & FIN:
                self._end_message()
            else:
                if not self._fragments:
                    self._message_text = self._checked
                    self._message_rsv = first & RSV_BITS
                self._message_size += self._size
                self._fragments += 1
        return 0

    cdef void _end_message(self) noexcept:
        self._fragments = 0
        self._message_size = 0
        self._message_rsv = 0
        self._message_text = False
        self._utf8 = BOW_UTF8_BOUNDARY

    cdef void _forget(self) noexcept:
        """Drops all that is held."""
        Py_CLEAR(self._payload)
        self._held = 0
        self._receiving = False
        self._end_message()

    cdef bint _fail(self, list results, object error) except -1:
        """The peer broke a rule: nothing more is looked at. Returns ``False``."""
        self._forget()
        self._error = error
        results.append(error)
        return False

    @property
    def error(self):
        """The rule that the peer broke, or ``None``: the same object that ended a list of :meth:`feed`."""
        return self._error

    @property
    def buffered(self):
        """How many bytes of a partly arrived frame are held, its header included; 0 after an error."""
        return self._header_size + self._got if self._receiving else self._held

    @property
    def in_message(self):
        """Whether a fragmented message is open: its first frame is complete, its last one is not; no after an error."""
        return self._fragments != 0

    @property
    def expect_masked(self):
        """Whether the peer has to mask its frames, as it was given."""
        return self._mask_bit != 0

    @property
    def max_message_size(self):
        """How many bytes a message may have, or ``None``, as it was given."""
        return self._max_message_size

    @property
    def max_fragments(self):
        """How many frames a message may have, or ``None``, as it was given."""
        return self._max_fragments

    @property
    def allowed_rsv(self):
        """The reserved bits that the first frame of a message may have, as they were given."""
        return self._allowed_rsv

    @property
    def decode(self):
        """Whether text comes as ``str``, as it was given."""
        return self._decode
