/* Bytes: arguments that are read, and payloads that grow while they arrive. */
#ifndef BOWSTRING_BYTES_H
#define BOWSTRING_BYTES_H

#include <Python.h>
#include <string.h>

/* A view that has nothing to release: of a bytes object that somebody else keeps alive, or of nothing (NULL). */
static inline void bow_borrow(Py_buffer *view, PyObject *bytes)
{
    view->obj = NULL;
    view->buf = bytes == NULL ? NULL : PyBytes_AS_STRING(bytes);
    view->len = bytes == NULL ? 0 : PyBytes_GET_SIZE(bytes);
}

/* A payload that arrives is a bytes object, or a str object whose memory takes it as if it were ASCII; when it is not,
 * the text is decoded from there, and that str thrown away. Nobody else has a reference to it yet. */
static inline uint8_t *bow_payload_data(PyObject *payload)
{
    return PyBytes_CheckExact(payload) ? (uint8_t *)PyBytes_AS_STRING(payload) : PyUnicode_1BYTE_DATA(payload);
}

/* A payload of `size` bytes, to be filled; NULL and an exception where there is no memory. */
static inline PyObject *bow_payload_new(int is_str, Py_ssize_t size)
{
    return is_str ? PyUnicode_New(size, 127) : PyBytes_FromStringAndSize(NULL, size);
}

/* Makes `*payload`, of which `used` bytes are filled, larger. -1 and an exception where there is no memory; then
 * `*payload` is as it was, or NULL. */
static int bow_payload_grow(PyObject **payload, Py_ssize_t used, Py_ssize_t size)
{
    if (PyUnicode_CheckExact(*payload)) {
        return PyUnicode_Resize(payload, size);
    }
#ifdef Py_GIL_DISABLED
    /* _PyBytes_Resize takes only what the same thread has made; a decoder may pass from thread to thread. */
    PyObject *grown = PyBytes_FromStringAndSize(NULL, size);
    if (grown == NULL) {
        return -1;
    }
    memcpy(PyBytes_AS_STRING(grown), PyBytes_AS_STRING(*payload), (size_t)used);
    Py_SETREF(*payload, grown);
    return 0;
#else
    (void)used;
    return _PyBytes_Resize(payload, size);
#endif
}

#endif
