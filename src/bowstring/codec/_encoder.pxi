# Part of _cython.pyx: messages and frames in, bytes out.

cdef struct Source:
    # A frame to build: its first byte, and its payload: memory, or (not NULL) a str that is not ASCII.
    uint8_t first
    const uint8_t *data
    Py_ssize_t size
    PyObject *text


cdef inline int point_to_text(Source *source, object text) except -1:
    if PyUnicode_IS_COMPACT_ASCII(text):
        source.data = PyUnicode_1BYTE_DATA(text)
        source.size = PyUnicode_GET_LENGTH(text)
        source.text = NULL
    else:
        source.size = bow_text_size(text)
        source.text = <PyObject *>text
    return 0


cdef inline void point_to_bytes(Source *source, const void *data, Py_ssize_t size) noexcept:
    source.data = <const uint8_t *>data
    source.size = size
    source.text = NULL


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
    if source.text != NULL:
        bow_text_write(target, <object>source.text)
        if masking_key != NULL:
            bow_mask(target, target, size, key)
    else:
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
        point_to_bytes(&source, view.buf, view.len)
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
            point_to_bytes(source, PyBytes_AS_STRING(frame._payload), PyBytes_GET_SIZE(frame._payload))
            source.first = first_byte(frame._opcode, source.size, frame._fin, frame._rsv)
        else:
            if not PyBytes_CheckExact(item):
                item = copy_item(item, source - sources)
                if copies is None:
                    copies = []
                copies.append(item)
            source.first = WHOLE_BINARY
            point_to_bytes(source, PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item))
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
        if masking_keys is not None and <uint64_t>keys.len != 4 * <uint64_t>count:
            raise ValueError(f"masking_keys must be {4 * count} bytes (4 for each frame), not {keys.len}")
        sources = <Source *>PyMem_Calloc(count, sizeof(Source))
        if sources == NULL:
            raise MemoryError
        kept = find_sources(sources, items)
        return write_frames(sources, count, <const uint8_t *>keys.buf)
    finally:
        PyMem_Free(sources)
        PyBuffer_Release(&keys)
