/* Masking (RFC 6455 §5.3): every byte XOR the byte of the key at its position modulo 4.
 *
 * One operation does it all: bow_mask(target, source, size, key) writes `size` masked bytes to `target` and returns
 * the OR of what it wrote, so that a text can be unmasked and found to be ASCII in one pass. `target` may be `source`
 * itself, or must not overlap it. Nothing is assumed about alignment, and nothing outside of [target, target + size)
 * is written, nor outside of [source, source + size) read.
 *
 * The key is a word with its four bytes in the order of memory (see bow_key), for the phase of the first byte.
 *
 * Every loop runs over whole vectors; the last vector ends with the last byte and may overlap the one before. It is
 * loaded before the loop stores anything, because in place the loop would have changed what they share.
 */
#ifndef BOWSTRING_MASK_H
#define BOWSTRING_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BOW_SIMD_LEVELS 5 /* at most */

typedef uint8_t (*bow_mask_loop)(uint8_t *target, const uint8_t *source, size_t size, uint32_t key);

static inline uint32_t bow_key(const uint8_t *bytes)
{
    uint32_t key;

    memcpy(&key, bytes, 4);
    return key;
}

/* The key for a payload's byte at `offset`. */
static inline uint32_t bow_key_at(uint32_t key, size_t offset)
{
    uint8_t bytes[8];

    memcpy(bytes, &key, 4);
    memcpy(bytes + 4, &key, 4);
    memcpy(&key, bytes + (offset & 3), 4);
    return key;
}

static inline uint64_t bow_key_twice(uint32_t key)
{
    return (uint64_t)key << 32 | key;
}

static inline uint64_t bow_load(const uint8_t *source)
{
    uint64_t word;

    memcpy(&word, source, 8);
    return word;
}

static inline void bow_store(uint8_t *target, uint64_t word)
{
    memcpy(target, &word, 8);
}

static inline uint8_t bow_fold(uint64_t word)
{
    word |= word >> 32;
    word |= word >> 16;
    word |= word >> 8;
    return (uint8_t)word;
}

/* The portable loop, for 8 bytes and more. Every other loop has to give the same. */
static uint8_t bow_mask_portable(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    uint64_t keys = bow_key_twice(key);
    uint64_t last = bow_load(source + size - 8) ^ bow_key_twice(bow_key_at(key, size));
    uint64_t seen = last;
    size_t at = 0;

    for (; at + 32 <= size; at += 32) {
        uint64_t a = bow_load(source + at) ^ keys;
        uint64_t b = bow_load(source + at + 8) ^ keys;
        uint64_t c = bow_load(source + at + 16) ^ keys;
        uint64_t d = bow_load(source + at + 24) ^ keys;
        bow_store(target + at, a);
        bow_store(target + at + 8, b);
        bow_store(target + at + 16, c);
        bow_store(target + at + 24, d);
        seen |= a | b | c | d;
    }
    for (; at + 8 <= size; at += 8) {
        uint64_t a = bow_load(source + at) ^ keys;
        bow_store(target + at, a);
        seen |= a;
    }
    bow_store(target + size - 8, last);
    return bow_fold(seen);
}

/* In use for all but the shortest. */
static bow_mask_loop bow_mask_long = bow_mask_portable;

/* Writes `size` masked bytes to `target`, returns the OR of them. */
static inline uint8_t bow_mask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    if (size >= 8) {
        return bow_mask_long(target, source, size, key);
    }
    uint8_t bytes[4];
    uint8_t seen = 0;
    memcpy(bytes, &key, 4);
    for (size_t at = 0; at < size; at++) {
        target[at] = source[at] ^ bytes[at & 3];
        seen |= target[at];
    }
    return seen;
}

/* Names of the loops that this machine can run, best first. */
static inline int bow_simd_levels(const char **names)
{
    names[0] = "portable";
    return 1;
}

static inline int bow_simd_select(const char *name)
{
    bow_mask_long = bow_mask_portable;
    return strcmp(name, "portable") == 0;
}

static inline const char *bow_simd_level(void)
{
    return "portable";
}

#endif
