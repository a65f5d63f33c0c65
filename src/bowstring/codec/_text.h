/* A str as UTF-8: measured first, then written where it goes. Python's own PyUnicode_AsUTF8 would leave a copy in the
 * str for as long as that lives. ASCII, where the two are the same bytes, does not come here. */
#ifndef BOWSTRING_TEXT_H
#define BOWSTRING_TEXT_H

#include <Python.h>
#include <stdint.h>

/* A str's code points have 1, 2 or 4 bytes each; these are compiled for each kind. */
static inline uint32_t bow_code_point(const void *data, int kind, Py_ssize_t index)
{
    switch (kind) {
    case PyUnicode_1BYTE_KIND:
        return ((const Py_UCS1 *)data)[index];
    case PyUnicode_2BYTE_KIND:
        return ((const Py_UCS2 *)data)[index];
    default:
        return ((const Py_UCS4 *)data)[index];
    }
}

static inline uint64_t bow_measure(const void *data, int kind, Py_ssize_t length, int *surrogates)
{
    uint64_t size = (uint64_t)length;

    for (Py_ssize_t index = 0; index < length; index++) {
        uint32_t point = bow_code_point(data, kind, index);
        size += (point >= 0x80) + (point >= 0x800) + (point >= 0x10000);
        *surrogates |= (point & 0xFFFFF800) == 0xD800;
    }
    return size;
}

static inline void bow_write(uint8_t *target, const void *data, int kind, Py_ssize_t length)
{
    for (Py_ssize_t index = 0; index < length; index++) {
        uint32_t point = bow_code_point(data, kind, index);
        if (point < 0x80) {
            *target++ = (uint8_t)point;
            continue;
        }
        if (point < 0x800) {
            *target++ = (uint8_t)(0xC0 | point >> 6);
        }
        else {
            if (point < 0x10000) {
                *target++ = (uint8_t)(0xE0 | point >> 12);
            }
            else {
                *target++ = (uint8_t)(0xF0 | point >> 18);
                *target++ = (uint8_t)(0x80 | (point >> 12 & 0x3F));
            }
            *target++ = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        }
        *target++ = (uint8_t)(0x80 | (point & 0x3F));
    }
}

/* How many bytes the text has, or -1 and an exception: UnicodeEncodeError where it has a lone surrogate. */
static Py_ssize_t bow_text_size(PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        return -1;
    }
#endif
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    int surrogates = 0;
    uint64_t size;

    switch ((int)PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        size = bow_measure(data, PyUnicode_1BYTE_KIND, length, &surrogates);
        break;
    case PyUnicode_2BYTE_KIND:
        size = bow_measure(data, PyUnicode_2BYTE_KIND, length, &surrogates);
        break;
    default:
        size = bow_measure(data, PyUnicode_4BYTE_KIND, length, &surrogates);
    }
    if (surrogates) {
        Py_XDECREF(PyUnicode_AsUTF8String(text)); /* raises what str.encode() raises */
        return -1;
    }
    if (size > (uint64_t)PY_SSIZE_T_MAX) {
        PyErr_NoMemory();
        return -1;
    }
    return (Py_ssize_t)size;
}

/* Writes as many bytes as bow_text_size() has found. */
static void bow_text_write(uint8_t *target, PyObject *text)
{
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);

    switch ((int)PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        bow_write(target, data, PyUnicode_1BYTE_KIND, length);
        break;
    case PyUnicode_2BYTE_KIND:
        bow_write(target, data, PyUnicode_2BYTE_KIND, length);
        break;
    default:
        bow_write(target, data, PyUnicode_4BYTE_KIND, length);
    }
}

#endif
