# cython: language_level=3, binding=True, freethreading_compatible=True, auto_pickle=False
# cython: boundscheck=False, wraparound=False, cdivision=True
"""The fast twin of the codec: what ``_python`` does, in C and in the same order of definitions.

Theory of operation
-------------------
A chunk goes through one loop (:meth:`FrameDecoder.decode_chunk`) that reads a header and judges it. A whole message
of one frame that lies complete in the chunk, the common case, is unmasked from there into the ``str`` or ``bytes``
that the caller gets: nothing in between. All other payloads go through one second path (``_receive``), which takes a
payload in as many pieces as it comes in; one that is complete is the case of a single piece.

A header that the chunk's end cuts off is kept, completed in place, and judged again from its first byte: judging
changes no state.
"""

cimport cython
from cpython.buffer cimport PyBUF_FULL_RO, PyBuffer_IsContiguous, PyBuffer_Release
from cpython.buffer cimport PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.number cimport PyNumber_Index
from cpython.object cimport PyObject
from cpython.ref cimport Py_CLEAR, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import os

from bowstring.constants import Opcode
from bowstring.exceptions import ProtocolError, Violation

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    uint8_t *PyUnicode_1BYTE_DATA(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "_mask.h" nogil:
    uint32_t bow_key(const uint8_t *data)
    uint32_t bow_key_at(uint32_t key, size_t offset)
    uint8_t bow_mask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
    const int BOW_SIMD_LEVELS
    int bow_simd_level
    const char *bow_simd_name(int level)
    bint bow_simd_available(int level)
    void bow_simd_select(int level)

cdef extern from "_utf8.h" nogil:
    const uint32_t BOW_UTF8_BOUNDARY
    const uint32_t BOW_UTF8_INVALID
    uint32_t bow_utf8_feed(uint32_t state, const uint8_t *data, size_t size)

cdef extern from "_bytes.h":
    void bow_borrow(Py_buffer *view, PyObject *bytes)
    uint8_t *bow_payload_data(PyObject *payload)
    PyObject *bow_payload_new(bint is_str, Py_ssize_t size) except NULL
    int bow_payload_grow(PyObject **payload, Py_ssize_t used, Py_ssize_t size) except -1

# RFC 6455 §5.2, as C sees it.
cdef enum:
    FIN = 0x80
    RSV_BITS = 0x70
    RSV1 = 0x40
    RSV2 = 0x20
    RSV3 = 0x10
    OPCODE_BITS = 0x0F
    MASK = 0x80
    LENGTH_BITS = 0x7F
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    MAX_CONTROL_PAYLOAD = 125
    # The first bytes of messages of one frame without RSV bits.
    WHOLE_TEXT = 0x81
    WHOLE_BINARY = 0x82

IMPLEMENTATION = "cython"


def simd_level():
    """The loop that masks: ``"avx512"``, ``"avx2"``, ``"sse2"``, ``"neon"``, ``"portable"``, or ``"none"`` in pure Python."""
    return bow_simd_name(bow_simd_level).decode()


def simd_levels():
    """What this machine can run, best first. The first one is in use unless ``BOWSTRING_SIMD`` names another."""
    cdef int level
    return tuple([bow_simd_name(level).decode() for level in range(BOW_SIMD_LEVELS) if bow_simd_available(level)])


def set_simd_level(name):
    """Takes another loop for masking, in the whole process: for tests and benchmarks.

    Args:
        name: one of :func:`simd_levels`.

    Raises:
        ValueError: this machine has no such level.
    """
    cdef int level
    levels = simd_levels()
    if name not in levels:
        raise ValueError(f"SIMD level must be one of {', '.join(levels)}, not {name!r}")
    for level in range(BOW_SIMD_LEVELS):
        if bow_simd_name(level).decode() == name:
            bow_simd_select(level)


cdef int acquire_other(object value, Py_buffer *view, str name, str wanted) except -1:
    if not PyObject_CheckBuffer(value):
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__!r}")
    # Everything is asked for, so that exporters do not refuse for reasons of their own; what is needed is looked at.
    PyObject_GetBuffer(value, view, PyBUF_FULL_RO)
    if not PyBuffer_IsContiguous(view, b"C"):
        PyBuffer_Release(view)
        raise TypeError(f"{name} must be C-contiguous")
    return 0


cdef inline int acquire(object value, Py_buffer *view, str name, str wanted="a bytes-like object") except -1:
    """The raw bytes of an argument, until PyBuffer_Release."""
    if PyBytes_CheckExact(value):
        bow_borrow(view, <PyObject *>value)  # the caller holds a reference
        return 0
    return acquire_other(value, view, name, wanted)


cdef int read_key(object masking_key, uint8_t *key) except -1:
    cdef Py_buffer view
    acquire(masking_key, &view, "masking_key")
    try:
        if view.len != 4:
            raise ValueError(f"masking_key must be 4 bytes, not {view.len}")
        memcpy(key, view.buf, 4)
    finally:
        PyBuffer_Release(&view)
    return 0


def apply_mask(data, masking_key):
    """Masks a payload, or unmasks it, which is the same (RFC 6455 §5.3).

    Args:
        data: the payload; any C-contiguous buffer. It is only read.
        masking_key: 4 bytes; any C-contiguous buffer.

    Returns:
        As many bytes, each XOR the key's byte at its position modulo 4.

    Raises:
        TypeError: an argument is not a C-contiguous buffer.
        ValueError: the key does not have 4 bytes.
    """
    cdef uint8_t key[4]
    cdef Py_buffer view
    cdef bytes masked
    acquire(data, &view, "data")
    try:
        read_key(masking_key, key)
        masked = PyBytes_FromStringAndSize(NULL, view.len)
        bow_mask(<uint8_t *>PyBytes_AS_STRING(masked), <const uint8_t *>view.buf, view.len, bow_key(key))
    finally:
        PyBuffer_Release(&view)
    return masked


def mask_in_place(buffer, masking_key, offset=0):
    """Masks or unmasks a payload, or a piece of one, where it stands (RFC 6455 §5.3).

    Args:
        buffer: what to mask; any writable C-contiguous buffer.
        masking_key: 4 bytes; any C-contiguous buffer.
        offset: the position of the buffer's first byte in the payload, in bytes.

    Raises:
        TypeError: an argument is not a C-contiguous buffer, ``buffer`` is read-only, ``offset`` is not an int.
        ValueError: the key does not have 4 bytes, or ``offset`` is negative.
    """
    cdef uint8_t key[4]
    cdef Py_buffer view
    if isinstance(buffer, bytes):
        raise TypeError("buffer must be writable")
    acquire_other(buffer, &view, "buffer", "a bytes-like object")
    try:
        if view.readonly:
            raise TypeError("buffer must be writable")
        read_key(masking_key, key)
        offset = PyNumber_Index(offset)
        if offset < 0:
            raise ValueError(f"offset must not be negative: {offset}")
        bow_mask(<uint8_t *>view.buf, <const uint8_t *>view.buf, view.len, bow_key_at(bow_key(key), offset & 3))
    finally:
        PyBuffer_Release(&view)


@cython.final
cdef class Utf8Validator:
    """Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629).

    Overlong forms, surrogates and what is above U+10FFFF are invalid, as RFC 3629 §4 draws it.
    """

    def __reduce__(self):
        raise TypeError("cannot pickle 'Utf8Validator' object")

    def feed(self, data):
        """Checks the next piece.

        Args:
            data: the piece, of any length; any C-contiguous buffer.

        Returns:
            Whether what has come so far can still become valid text: ``False`` from the first impossible byte on,
            until :meth:`reset`.

        Raises:
            TypeError: ``data`` is not a C-contiguous buffer.
        """
        cdef Py_buffer view
        acquire(data, &view, "data")
        self._state = bow_utf8_feed(self._state, <const uint8_t *>view.buf, view.len)
        PyBuffer_Release(&view)
        return self._state != BOW_UTF8_INVALID

    @property
    def at_boundary(self):
        """Whether the text may end here: valid so far, and not inside of a character."""
        return self._state == BOW_UTF8_BOUNDARY

    def reset(self):
        """Forgets what has come: the next piece begins a new text."""
        self._state = BOW_UTF8_BOUNDARY


cdef int check_opcode(object opcode) except -1:
    cdef int overflow = 0
    cdef object number = PyNumber_Index(opcode)
    cdef long value = PyLong_AsLongAndOverflow(number, &overflow)
    if value in (0, 1, 2, 8, 9, 10) and not overflow:
        return <int>value
    raise ValueError(f"opcode must be 0, 1, 2, 8, 9 or 10, not {number}")


cdef int check_rsv(object rsv, str name) except -1:
    cdef object number = PyNumber_Index(rsv)
    if number & ~RSV_BITS:
        raise ValueError(f"{name} must be made of RSV1, RSV2 and RSV3, not {number:#x}")
    return number


@cython.final
@cython.freelist(64)
cdef class Frame:
    """One frame (RFC 6455 §5.2). Immutable, hashable, equal by value, not picklable.

    Args:
        opcode: 0, 1, 2, 8, 9 or 10; an :class:`~bowstring.constants.Opcode` or a plain int.
        payload: the data, not masked; any C-contiguous buffer. ``bytes`` are taken as they are, others are copied.
        fin: whether this is the last fragment of its message.
        rsv: the reserved bits that are set; made of ``RSV1``, ``RSV2`` and ``RSV3`` of :mod:`bowstring.constants`.

    Raises:
        TypeError: ``opcode`` or ``rsv`` is not an int, or ``payload`` is not a C-contiguous buffer.
        ValueError: ``opcode`` or ``rsv`` has another value.
    """

    def __cinit__(self):
        self._payload = b""

    def __init__(self, opcode, payload=b"", *, fin=True, rsv=0):
        cdef Py_buffer view
        if self._built:
            raise AttributeError("Frame is immutable")
        self._opcode = check_opcode(opcode)
        if PyBytes_CheckExact(payload):
            self._payload = payload
        else:
            acquire_other(payload, &view, "payload", "a bytes-like object")
            try:
                self._payload = PyBytes_FromStringAndSize(<char *>view.buf, view.len)
            finally:
                PyBuffer_Release(&view)
        self._fin = bool(fin)
        self._rsv = check_rsv(rsv, "rsv")
        self._built = True

    def __reduce__(self):
        raise TypeError("cannot pickle 'Frame' object")

    @property
    def opcode(self):
        """What the frame carries: 0, 1, 2, 8, 9 or 10 (RFC 6455 §5.2)."""
        return self._opcode

    @property
    def payload(self):
        """The data, not masked."""
        return self._payload

    @property
    def fin(self):
        """Whether this is the last fragment of its message."""
        return self._fin

    @property
    def rsv(self):
        """The reserved bits that are set: made of ``RSV1``, ``RSV2`` and ``RSV3``."""
        return self._rsv

    @property
    def rsv1(self):
        """Whether the first reserved bit is set: a compressed message, with permessage-deflate (RFC 7692 §6)."""
        return self._rsv & RSV1 != 0

    @property
    def rsv2(self):
        """Whether the second reserved bit is set."""
        return self._rsv & RSV2 != 0

    @property
    def rsv3(self):
        """Whether the third reserved bit is set."""
        return self._rsv & RSV3 != 0

    cdef tuple _values(self):
        return self._opcode, self._payload, self._fin, self._rsv

    def __eq__(self, other):
        return self._values() == (<Frame>other)._values() if isinstance(other, Frame) else NotImplemented

    def __hash__(self):
        return hash(self._values())

    def __repr__(self):
        payload = self._payload
        text = repr(payload) if len(payload) <= 64 else f"{payload[:64]!r}… ({len(payload)} bytes)"
        if not self._fin:
            text += ", fin=False"
        if self._rsv:
            bits = (("RSV1", RSV1), ("RSV2", RSV2), ("RSV3", RSV3))
            text += ", rsv=" + " | ".join([name for name, bit in bits if self._rsv & bit])
        return f"Frame({Opcode(self._opcode).name}, {text})"


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


cdef object judge_length(uint64_t length, int width):
    """RFC 6455 §5.2: the shortest form has to be used, and the top bit of the 64-bit form is 0."""
    if length >> 63:
        return ProtocolError(Violation.LENGTH_TOP_BIT)
    if length < (126 if width == 2 else 65536):
        return ProtocolError(Violation.LENGTH_NOT_MINIMAL, f"{length} in {width * 8} bits")
    return None


@cython.final
cdef class FrameDecoder:
    """Turns bytes into messages and frames, and checks every rule of RFC 6455 §5 and §8.1 that concerns frames.

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

        if self._error is not None:
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
            if not simple:
                item = self._judge(first, second)
                if item is not None:
                    self._fail(results, item)
                    break
            size = 2
            length = second & LENGTH_BITS
            if length >= 126:
                size = 4 if length == 126 else 10
                if have < size:
                    self._hold(header, have)
                    break
                length = read_length(header + 2, size - 2)
                item = judge_length(length, size - 2)
                if item is not None:
                    self._fail(results, item)
                    break
            if not simple or length > self._limit or length > PY_SSIZE_T_MAX:
                item = self._judge_size(first, length)
                if item is not None:
                    self._fail(results, item)
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

    cdef object _judge(self, int first, int second):
        """The rules about the first two bytes of a header."""
        cdef int opcode = first & OPCODE_BITS
        # RFC 6455 §5.2: "MUST be 0 unless an extension is negotiated"; RFC 7692 §6: on the first frame of a message.
        cdef int allowed = self._allowed_rsv if opcode == TEXT or opcode == BINARY else 0
        if first & RSV_BITS & ~allowed:
            return ProtocolError(Violation.RESERVED_BITS)
        # RFC 6455 §5.2: "If an unknown opcode is received, the receiving endpoint MUST fail the connection".
        if opcode not in (0, 1, 2, 8, 9, 10):
            return ProtocolError(Violation.RESERVED_OPCODE, f"0x{opcode:X}")
        if opcode >= CLOSE:
            # RFC 6455 §5.5: control frames are not fragmented and have at most 125 bytes.
            if not first & FIN:
                return ProtocolError(Violation.FRAGMENTED_CONTROL)
            if second & LENGTH_BITS > MAX_CONTROL_PAYLOAD:
                return ProtocolError(Violation.CONTROL_TOO_LONG)
        # RFC 6455 §5.4: the fragments of one message come one after the other.
        elif opcode == CONTINUATION:
            if not self._fragments:
                return ProtocolError(Violation.UNEXPECTED_CONTINUATION)
        elif self._fragments:
            return ProtocolError(Violation.EXPECTED_CONTINUATION)
        # RFC 6455 §5.1: a client masks every frame, a server none.
        if second & MASK != self._mask_bit:
            return ProtocolError(Violation.UNMASKED_FRAME if self._mask_bit else Violation.MASKED_FRAME)
        return None

    cdef object _judge_size(self, int first, uint64_t length):
        """The limits of a message, before anything of the payload is held (RFC 6455 §10.4)."""
        cdef uint64_t limit = self._limit
        # Both are less than 2**63: the one by its header, the other because it has arrived.
        cdef uint64_t size = self._message_size + length
        if first & OPCODE_BITS >= CLOSE:
            return None
        if self._fragments >= self._fragment_limit:
            return ProtocolError(
                Violation.TOO_MANY_FRAGMENTS, size=self._fragments + 1, limit=self._max_fragments
            )
        # An extension may have made the message longer than it was: deflate does that to what it cannot compress.
        if limit != UINT64_MAX and (self._message_rsv or first & RSV_BITS):
            limit += (limit >> 3) + 64
        if size > limit:
            return ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=self._max_message_size)
        if length > PY_SSIZE_T_MAX:
            return ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=PY_SSIZE_T_MAX)
        return None

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
            self._capacity = min(self._size, max(needed, 2 * self._capacity))
            try:
                bow_payload_grow(&self._payload, self._got, self._capacity)
            except MemoryError:
                self._forget()
                raise
        return 0

    cdef int _complete(self, list results) except -1:
        """Delivers a payload that is complete, and moves the message on that it belongs to."""
        cdef int first = self._first
        cdef object payload
        if self._checked and (self._utf8 == BOW_UTF8_INVALID or (first & FIN and self._utf8 != BOW_UTF8_BOUNDARY)):
            return self._fail(results, ProtocolError(Violation.INVALID_UTF8))
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

    cdef int _fail(self, list results, object error) except -1:
        self._forget()
        self._error = error
        results.append(error)
        return 0

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


cdef struct Source:
    # A frame to build: its first byte, and where its payload is.
    uint8_t first
    const uint8_t *data
    Py_ssize_t size


cdef inline int point_to_text(Source *source, object text) except -1:
    if PyUnicode_IS_COMPACT_ASCII(text):
        source.data = PyUnicode_1BYTE_DATA(text)
        source.size = PyUnicode_GET_LENGTH(text)
    else:
        source.data = <const uint8_t *>PyUnicode_AsUTF8AndSize(text, &source.size)
    return 0


cdef int first_byte(int opcode, Py_ssize_t size, bint fin, int rsv) except -1:
    """The first byte of a frame to send, or ``ValueError`` where RFC 6455 §5.5 has no such control frame."""
    if opcode >= CLOSE:
        if not fin:
            raise ValueError("control frames must not be fragmented")
        if rsv:
            raise ValueError("rsv must be 0 on control frames")
        if size > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"payload of a control frame must be at most 125 bytes, not {size}")
    return (FIN if fin else 0) | rsv | opcode


cdef inline Py_ssize_t header_size(Py_ssize_t size, bint masked) noexcept:
    return (2 if size < 126 else 4 if size < 65536 else 10) + (4 if masked else 0)


cdef inline uint8_t *write_frame(uint8_t *target, const Source *source, const uint8_t *masking_key) noexcept:
    """Writes a frame, its length in the shortest form (RFC 6455 §5.2), and returns its end."""
    cdef Py_ssize_t size = source.size
    cdef int mask_bit = 0 if masking_key == NULL else MASK
    cdef int width = 0
    cdef uint32_t key = 0
    cdef int i
    target[0] = source.first
    if size < 126:
        target[1] = <uint8_t>(mask_bit | size)
    else:
        width = 2 if size < 65536 else 8
        target[1] = <uint8_t>(mask_bit | (126 if width == 2 else 127))
        for i in range(width):
            target[2 + i] = <uint8_t>(<uint64_t>size >> 8 * (width - 1 - i))
    target += 2 + width
    if masking_key != NULL:
        memcpy(target, masking_key, 4)
        target += 4
        key = bow_key(masking_key)
    if size:
        bow_mask(target, source.data, size, key)
    return target + size


cdef bytes write_frames(const Source *sources, Py_ssize_t count, const uint8_t *masking_keys):
    cdef bytes frames
    cdef uint8_t *target
    cdef uint64_t total = 0
    cdef Py_ssize_t i
    for i in range(count):
        total += header_size(sources[i].size, masking_keys != NULL) + sources[i].size
        if total > PY_SSIZE_T_MAX:
            raise MemoryError
    frames = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>total)
    target = <uint8_t *>PyBytes_AS_STRING(frames)
    for i in range(count):
        target = write_frame(target, &sources[i], masking_keys)
        if masking_keys != NULL:
            masking_keys += 4
    return frames


def encode_frame(opcode, payload=b"", *, fin=True, rsv=0, masking_key=None):
    """Builds one frame, its length in the shortest form (RFC 6455 §5.2).

    Args:
        opcode: 0, 1, 2, 8, 9 or 10; an :class:`~bowstring.constants.Opcode` or a plain int.
        payload: any C-contiguous buffer; for text and continuation frames also ``str``, sent as UTF-8. It is only
            read: with a masking key, the copy in the frame is masked.
        fin: whether this is the last fragment of its message.
        rsv: the reserved bits to set; made of ``RSV1``, ``RSV2`` and ``RSV3`` of :mod:`bowstring.constants`.
        masking_key: 4 unpredictable bytes, which a client has to use (RFC 6455 §5.3), or ``None``, as a server must.

    Returns:
        The frame as it goes on the wire.

    Raises:
        TypeError: ``opcode`` or ``rsv`` is not an int, or another argument is not a C-contiguous buffer.
        ValueError: ``opcode`` or ``rsv`` has another value, the key does not have 4 bytes, or a control frame is
            fragmented, has a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: the text has a lone surrogate.
    """
    cdef Source source
    cdef uint8_t key[4]
    cdef Py_buffer view
    cdef int number = check_opcode(opcode)
    cdef int bits = check_rsv(rsv, "rsv")
    bow_borrow(&view, NULL)
    if isinstance(payload, str) and number <= TEXT:
        point_to_text(&source, payload)
    else:
        acquire(payload, &view, "payload")
        source.data = <const uint8_t *>view.buf
        source.size = view.len
    try:
        source.first = first_byte(number, source.size, bool(fin), bits)
        if masking_key is None:
            return write_frames(&source, 1, NULL)
        read_key(masking_key, key)
        return write_frames(&source, 1, key)
    finally:
        PyBuffer_Release(&view)


cdef list find_sources(Source *sources, tuple items):
    """Fills ``sources`` for all items, and returns the copies of payloads that were made for it."""
    cdef list copies = None
    cdef Source *source = sources
    cdef object item
    cdef Frame frame
    for item in items:
        if isinstance(item, str):
            source.first = WHOLE_TEXT
            point_to_text(source, item)
        elif isinstance(item, Frame):
            frame = <Frame>item
            source.data = <const uint8_t *>PyBytes_AS_STRING(frame._payload)
            source.size = PyBytes_GET_SIZE(frame._payload)
            source.first = first_byte(frame._opcode, source.size, frame._fin, frame._rsv)
        else:
            if not PyBytes_CheckExact(item):
                item = copy_item(item, source - sources)
                if copies is None:
                    copies = []
                copies.append(item)
            source.first = WHOLE_BINARY
            source.data = <const uint8_t *>PyBytes_AS_STRING(item)
            source.size = PyBytes_GET_SIZE(item)
        source += 1
    return copies


cdef bytes copy_item(object item, Py_ssize_t index):
    cdef Py_buffer view
    acquire_other(item, &view, f"frames[{index}]", "a str, a bytes-like object or a Frame")
    try:
        return PyBytes_FromStringAndSize(<char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


def encode_frames(frames, *, masking_keys=None):
    """Builds many frames in one go: what :func:`encode_frame` makes of each, joined.

    Args:
        frames: an iterable; a ``str`` goes as a text message, a C-contiguous buffer as a binary one, a
            :class:`Frame` as it is.
        masking_keys: 4 unpredictable bytes for each frame, in order, which a client has to use (RFC 6455 §5.3), or
            ``None``, as a server must.

    Returns:
        The frames as they go on the wire; no bytes for no frames.

    Raises:
        TypeError: ``frames`` or ``masking_keys`` is not what it has to be, or an item of ``frames`` is not.
        ValueError: there are not 4 bytes of ``masking_keys`` for each frame, or a control frame is fragmented, has
            a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: a text has a lone surrogate.
    """
    # A tuple of our own: taking the buffer of an item may run code that changes a list.
    cdef tuple items = tuple(frames)
    cdef Py_ssize_t count = len(items)
    cdef Py_buffer keys
    cdef Source *sources = NULL
    bow_borrow(&keys, NULL)
    if masking_keys is not None:
        acquire(masking_keys, &keys, "masking_keys")
    try:
        if masking_keys is not None and keys.len != 4 * count:
            raise ValueError(f"masking_keys must be {4 * count} bytes (4 for each frame), not {keys.len}")
        sources = <Source *>PyMem_Malloc(count * sizeof(Source))
        if sources == NULL:
            raise MemoryError
        kept = find_sources(sources, items)
        return write_frames(sources, count, <const uint8_t *>keys.buf)
    finally:
        PyMem_Free(sources)
        PyBuffer_Release(&keys)


try:
    set_simd_level(os.environ.get("BOWSTRING_SIMD") or simd_levels()[0])
except ValueError as exc:
    raise ImportError(f"BOWSTRING_SIMD: {exc}") from None
