# cython: language_level=3, binding=True, freethreading_compatible=True, auto_pickle=False, boundscheck=False, wraparound=False
"""The fast twin: names, behaviour and texts of ``_python``, in C."""

cimport cython
from cpython.buffer cimport PyBUF_FULL_RO, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
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
    int bow_simd_levels(const char **names)
    int bow_simd_select(const char *name)
    const char *bow_simd_level()

cdef extern from "_utf8.h" nogil:
    const uint32_t BOW_UTF8_BOUNDARY
    const uint32_t BOW_UTF8_INVALID
    uint32_t bow_utf8_feed(uint32_t state, const uint8_t *data, size_t size)

IMPLEMENTATION = "cython"


def simd_level():
    """The loop that masks: ``"avx512"``, ``"avx2"``, ``"sse2"``, ``"neon"``, ``"portable"``, or ``"none"`` in pure Python."""


def simd_levels():
    """What this machine can run, best first. The first one is in use unless ``BOWSTRING_SIMD`` names another."""


def set_simd_level(name):
    """Takes another loop for masking, in the whole process: for tests and benchmarks.

    Args:
        name: one of :func:`simd_levels`.

    Raises:
        ValueError: this machine has no such level.
    """


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


@cython.final
cdef class Utf8Validator:
    """Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629).

    Overlong forms, surrogates and what is above U+10FFFF are invalid, as RFC 3629 §4 draws it.
    """

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

    @property
    def at_boundary(self):
        """Whether the text may end here: valid so far, and not inside of a character."""

    def reset(self):
        """Forgets what has come: the next piece begins a new text."""


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

    @property
    def opcode(self):
        """What the frame carries: 0, 1, 2, 8, 9 or 10 (RFC 6455 §5.2)."""

    @property
    def payload(self):
        """The data, not masked."""

    @property
    def fin(self):
        """Whether this is the last fragment of its message."""

    @property
    def rsv(self):
        """The reserved bits that are set: made of ``RSV1``, ``RSV2`` and ``RSV3``."""

    @property
    def rsv1(self):
        """Whether the first reserved bit is set: a compressed message, with permessage-deflate (RFC 7692 §6)."""

    @property
    def rsv2(self):
        """Whether the second reserved bit is set."""

    @property
    def rsv3(self):
        """Whether the third reserved bit is set."""


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

    @property
    def error(self):
        """The rule that the peer broke, or ``None``: the same object that ended a list of :meth:`feed`."""

    @property
    def buffered(self):
        """How many bytes of a partly arrived frame are held, its header included; 0 after an error."""

    @property
    def in_message(self):
        """Whether a fragmented message is open: its first frame is complete, its last one is not; no after an error."""

    @property
    def expect_masked(self):
        """Whether the peer has to mask its frames, as it was given."""

    @property
    def max_message_size(self):
        """How many bytes a message may have, or ``None``, as it was given."""

    @property
    def max_fragments(self):
        """How many frames a message may have, or ``None``, as it was given."""

    @property
    def allowed_rsv(self):
        """The reserved bits that the first frame of a message may have, as they were given."""

    @property
    def decode(self):
        """Whether text comes as ``str``, as it was given."""


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
