# cython: language_level=3, binding=True, freethreading_compatible=True, auto_pickle=False, autotestdict=False
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

The signature before the docstring of a class is taken out by Python: it is what ``inspect.signature`` has to say
about a class that is written in C.
"""

cimport cython
from cpython.buffer cimport PyBUF_FULL_RO, PyBuffer_IsContiguous, PyBuffer_Release
from cpython.buffer cimport PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.mem cimport PyMem_Calloc, PyMem_Free
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

cdef extern from "_mask.h" nogil:
    uint32_t bow_key(const uint8_t *data)
    uint32_t bow_key_at(uint32_t key, size_t offset)
    uint8_t bow_mask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
    const int BOW_SIMD_LEVELS
    int bow_simd_level
    const char *bow_simd_name(int level)
    bint bow_simd_available(int level)
    void bow_simd_select(int level)

cdef extern from "_text.h":
    Py_ssize_t bow_text_size(object text) except -1
    void bow_text_write(uint8_t *target, object text)

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
    """The loop that masks.

    One of ``"avx512"``, ``"avx2"``, ``"sse2"``, ``"neon"`` and ``"portable"``; ``"none"`` in pure Python.
    """
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
    """Utf8Validator()\n--\n
    Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629).

    Overlong forms, surrogates and what is above U+10FFFF are invalid, as RFC 3629 §4 draws it.
    """

    def __init__(self):
        self._state = BOW_UTF8_BOUNDARY

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
    cdef int overflow
    cdef object number = PyNumber_Index(opcode)
    cdef long value = PyLong_AsLongAndOverflow(number, &overflow)  # -1 where it does
    if value in (0, 1, 2, 8, 9, 10):
        return <int>value
    raise ValueError(f"opcode must be 0, 1, 2, 8, 9 or 10, not {number}")


cdef int check_rsv(object rsv, str name) except -1:
    cdef int overflow
    cdef object number = PyNumber_Index(rsv)
    cdef long value = PyLong_AsLongAndOverflow(number, &overflow)  # -1 where it does
    if value & ~<long>RSV_BITS == 0:
        return <int>value
    raise ValueError(f"{name} must be made of RSV1, RSV2 and RSV3, not {number:#x}")


@cython.final
@cython.freelist(64)
cdef class Frame:
    """Frame(opcode, payload=b"", *, fin=True, rsv=0)\n--\n
    One frame (RFC 6455 §5.2). Immutable, hashable, equal by value, not picklable.

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


include "_decoder.pxi"
include "_encoder.pxi"

try:
    set_simd_level(os.environ.get("BOWSTRING_SIMD") or simd_levels()[0])
except ValueError as exc:
    raise ImportError(f"BOWSTRING_SIMD: {exc}") from None
