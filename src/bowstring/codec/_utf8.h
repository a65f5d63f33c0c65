/* UTF-8 that comes in pieces (RFC 3629): one state word between the pieces, resolved at the first impossible byte.
 *
 * A state is what the next byte must be. It is 0 at the boundary between two characters; inside of one, it holds how
 * many continuation bytes are still to come, and the lowest and the highest value that the next of them may have.
 * Only the second byte of a character has a range other than 80..BF; that range is what keeps out overlong forms,
 * surrogates and what is above U+10FFFF (the table of RFC 3629 §4).
 */
#ifndef BOWSTRING_UTF8_H
#define BOWSTRING_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BOW_UTF8_BOUNDARY ((uint32_t)0)
#define BOW_UTF8_INVALID (~(uint32_t)0)

#define BOW_UTF8_EXPECT(left, lowest, highest) ((uint32_t)(left) | (uint32_t)(lowest) << 8 | (uint32_t)(highest) << 16)

/* The state after a first byte of 80 or more. */
static inline uint32_t bow_utf8_lead(uint8_t byte)
{
    if (byte < 0xC2) {
        return BOW_UTF8_INVALID; /* a continuation byte, or an overlong form of ASCII */
    }
    if (byte < 0xE0) {
        return BOW_UTF8_EXPECT(1, 0x80, 0xBF);
    }
    if (byte < 0xF0) {
        /* E0: no overlong forms. ED: no surrogates. */
        return BOW_UTF8_EXPECT(2, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF);
    }
    if (byte < 0xF5) {
        /* F0: no overlong forms. F4: nothing above U+10FFFF. */
        return BOW_UTF8_EXPECT(3, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF);
    }
    return BOW_UTF8_INVALID;
}

/* The state after a byte inside of a character. */
static inline uint32_t bow_utf8_continue(uint32_t state, uint8_t byte)
{
    uint32_t left = state & 0xFF;

    if (byte < (state >> 8 & 0xFF) || byte > (state >> 16 & 0xFF)) {
        return BOW_UTF8_INVALID;
    }
    return left == 1 ? BOW_UTF8_BOUNDARY : BOW_UTF8_EXPECT(left - 1, 0x80, 0xBF);
}

/* The state after `size` more bytes at `data`. */
static uint32_t bow_utf8_feed(uint32_t state, const uint8_t *data, size_t size)
{
    if (state == BOW_UTF8_INVALID || size == 0) {
        return state;
    }
    const uint8_t *end = data + size;
    while (data < end) {
        if (state != BOW_UTF8_BOUNDARY) {
            state = bow_utf8_continue(state, *data++);
        }
        else if (*data >= 0x80) {
            state = bow_utf8_lead(*data++);
        }
        else {
            /* ASCII, the common case: 16 bytes at a time, then one by one. */
            while (end - data >= 16) {
                uint64_t words[2];
                memcpy(words, data, 16);
                if ((words[0] | words[1]) & UINT64_C(0x8080808080808080)) {
                    break;
                }
                data += 16;
            }
            while (data < end && *data < 0x80) {
                data++;
            }
        }
        if (state == BOW_UTF8_INVALID) {
            return state;
        }
    }
    return state;
}

#endif
