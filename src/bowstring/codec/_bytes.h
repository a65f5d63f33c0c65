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

/* Gives `*payload`, of which `used` bytes are filled, a new size; NULL stands for an empty one. The reference in
 * `*payload` must be the only one. -1 and an exception where there is no memory; the payload is gone then. */
static int bow_grow(PyObject **payload, Py_ssize_t used, Py_ssize_t size)
{
    PyObject *old = *payload;

#ifndef Py_GIL_DISABLED
    if (old != NULL) {
        (void)used;
        return _PyBytes_Resize(payload, size);
    }
#endif
    /* Free-threaded builds resize only what the same thread made, and a decoder may pass from thread to thread. */
    *payload = PyBytes_FromStringAndSize(NULL, size);
    if (*payload != NULL && old != NULL) {
        memcpy(PyBytes_AS_STRING(*payload), PyBytes_AS_STRING(old), (size_t)used);
    }
    Py_XDECREF(old);
    return *payload == NULL ? -1 : 0;
}

#endif
