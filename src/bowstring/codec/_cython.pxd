"""What the fast twin offers to other Cython code: ``from bowstring.codec._cython cimport FrameDecoder``.

:meth:`FrameDecoder.decode_chunk` is ``feed`` for plain memory, which it only reads. Frames are built by the functions
that Python sees. Names with a leading underscore are private.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class Utf8Validator:
    cdef uint32_t _state


cdef class Frame:
    cdef bytes _payload
    cdef uint8_t _opcode
    cdef uint8_t _rsv
    cdef bint _fin
    cdef bint _built

    cdef tuple _values(self)


cdef class FrameDecoder:
    # How it was set up.
    cdef object _max_message_size
    cdef object _max_fragments
    cdef uint64_t _limit
    cdef uint64_t _fragment_limit
    cdef uint8_t _allowed_rsv
    cdef uint8_t _mask_bit
    cdef bint _decode
    # How it ended.
    cdef object _error
    # A header that has partly arrived.
    cdef uint8_t[14] _header
    cdef int _held
    # The frame whose payload is arriving.
    cdef bint _receiving
    cdef bint _checked
    cdef bint _ascii
    cdef bint _is_str
    cdef uint8_t _first
    cdef int _header_size
    cdef uint32_t _key
    cdef Py_ssize_t _size
    cdef Py_ssize_t _got
    cdef Py_ssize_t _capacity
    cdef PyObject *_payload
    # The message that has begun and not ended.
    cdef uint64_t _fragments
    cdef uint64_t _message_size
    cdef uint8_t _message_rsv
    cdef bint _message_text
    cdef uint32_t _utf8

    cdef list decode_chunk(self, const uint8_t *data, Py_ssize_t nbytes)
    cdef int _hold(self, const uint8_t *header, Py_ssize_t have) except -1
    cdef bint _judge(self, list results, int first, int second) except -1
    cdef bint _judge_length(self, list results, uint64_t length, int width) except -1
    cdef bint _judge_size(self, list results, int first, uint64_t length) except -1
    cdef int _expect(self, int first, Py_ssize_t header_size, Py_ssize_t size, uint32_t key) except -1
    cdef Py_ssize_t _receive(self, list results, const uint8_t *data, Py_ssize_t nbytes) except -1
    cdef int _make_room(self, Py_ssize_t needed) except -1
    cdef int _complete(self, list results) except -1
    cdef void _end_message(self) noexcept
    cdef void _forget(self) noexcept
    cdef bint _fail(self, list results, object error) except -1
