/* Masking (RFC 6455 §5.3): every byte XOR the byte of the key at its position modulo 4.
 *
 * One operation does it all: bow_mask(target, source, size, key) writes `size` masked bytes to `target` and returns
 * the OR of them, so that a text is unmasked and found to be ASCII in one pass. `target` may be `source` itself, or
 * must not overlap it. Nothing is assumed about alignment; nothing outside of [target, target + size) is written, and
 * nothing outside of [source, source + size) read.
 *
 * A key is a word with its four bytes in the order of memory (bow_key), beginning with the one for the first byte.
 *
 * There is one loop, written once and compiled for vectors of several widths; which one runs is chosen when the module
 * is loaded (bow_simd_level).
 */
#ifndef BOWSTRING_MASK_H
#define BOWSTRING_MASK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t (*bow_mask_loop)(uint8_t *target, const uint8_t *source, size_t size, uint32_t key);

static inline uint32_t bow_key(const uint8_t *bytes)
{
    uint32_t key;

    memcpy(&key, bytes, 4);
    return key;
}

/* The key that begins with the byte for position `offset`. */
static inline uint32_t bow_key_at(uint32_t key, size_t offset)
{
    uint8_t bytes[8];

    memcpy(bytes, &key, 4);
    memcpy(bytes + 4, &key, 4);
    return bow_key(bytes + (offset & 3));
}

static inline uint64_t bow_load_64(const uint8_t *source)
{
    uint64_t word;

    memcpy(&word, source, 8);
    return word;
}

static inline void bow_store_64(uint8_t *target, uint64_t word)
{
    memcpy(target, &word, 8);
}

static inline uint64_t bow_fill_64(uint32_t key)
{
    return (uint64_t)key << 32 | key;
}

/* The OR of a word's bytes. */
static inline uint8_t bow_fold_64(uint64_t word)
{
    word |= word >> 32;
    word |= word >> 16;
    word |= word >> 8;
    return (uint8_t)word;
}

/* Payloads of less than 16 bytes. */
static inline uint8_t bow_mask_short(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    uint8_t bytes[4];
    uint8_t seen = 0;

    if (size >= 8) {
        uint64_t first = bow_load_64(source) ^ bow_fill_64(key);
        uint64_t last = bow_load_64(source + size - 8) ^ bow_fill_64(bow_key_at(key, size));
        bow_store_64(target, first);
        bow_store_64(target + size - 8, last);
        return bow_fold_64(first | last);
    }
    memcpy(bytes, &key, 4);
    for (size_t at = 0; at < size; at++) {
        target[at] = (uint8_t)(source[at] ^ bytes[at & 3]);
        seen |= target[at];
    }
    return seen;
}

/* The loop: whole vectors, four at a time, then one by one; the last vector ends with the last byte, and may overlap
 * the one before. It is loaded first, because in place the loop changes what the two share. A payload that is shorter
 * than a vector goes to the function `shorter`. */
#define BOW_MASK_LOOP(name, attribute, vector, load, store, fill, exor, ior, fold, shorter) \
    attribute static uint8_t name(uint8_t *target, const uint8_t *source, size_t size, uint32_t key) \
    { \
        const size_t width = sizeof(vector); \
        size_t at = 0; \
        \
        if (size < width) { \
            return shorter(target, source, size, key); \
        } \
        const vector keys = fill(key); \
        const vector last = exor(load(source + size - width), fill(bow_key_at(key, size))); \
        vector seen = last; \
        for (; size - at >= 4 * width; at += 4 * width) { \
            vector a = exor(load(source + at), keys); \
            vector b = exor(load(source + at + width), keys); \
            vector c = exor(load(source + at + 2 * width), keys); \
            vector d = exor(load(source + at + 3 * width), keys); \
            store(target + at, a); \
            store(target + at + width, b); \
            store(target + at + 2 * width, c); \
            store(target + at + 3 * width, d); \
            seen = ior(seen, ior(ior(a, b), ior(c, d))); \
        } \
        for (; size - at >= width; at += width) { \
            vector a = exor(load(source + at), keys); \
            store(target + at, a); \
            seen = ior(seen, a); \
        } \
        store(target + size - width, last); \
        return fold(seen); \
    }

#define BOW_XOR_64(a, b) ((a) ^ (b))
#define BOW_OR_64(a, b) ((a) | (b))

BOW_MASK_LOOP(bow_mask_portable, , uint64_t, bow_load_64, bow_store_64, bow_fill_64, BOW_XOR_64, BOW_OR_64,
              bow_fold_64, bow_mask_short)

#if defined(__x86_64__) || defined(_M_X64) || defined(__i386__) || defined(_M_IX86)
#define BOW_X86

#include <immintrin.h>

/* The compiler gets told for each function what it may use: the rest has to run on any processor. */
#if defined(_MSC_VER) && !defined(__clang__)
#define BOW_MSVC
#include <intrin.h>
#define BOW_USE(features)
#else
#include <cpuid.h>
#define BOW_USE(features) __attribute__((target(features)))
#endif

#define BOW_LOAD_128(source) _mm_loadu_si128((const __m128i *)(source))
#define BOW_STORE_128(target, vector) _mm_storeu_si128((__m128i *)(target), vector)
#define BOW_FILL_128(key) _mm_set1_epi32((int)(key))
#define BOW_LOAD_256(source) _mm256_loadu_si256((const __m256i *)(source))
#define BOW_STORE_256(target, vector) _mm256_storeu_si256((__m256i *)(target), vector)
#define BOW_FILL_256(key) _mm256_set1_epi32((int)(key))
#define BOW_LOAD_512(source) _mm512_loadu_si512((const void *)(source))
#define BOW_STORE_512(target, vector) _mm512_storeu_si512((void *)(target), vector)
#define BOW_FILL_512(key) _mm512_set1_epi32((int)(key))

BOW_USE("sse2") static inline uint8_t bow_fold_128(__m128i vector)
{
    uint64_t words[2];

    _mm_storeu_si128((__m128i *)words, vector);
    return bow_fold_64(words[0] | words[1]);
}

BOW_USE("avx2") static inline uint8_t bow_fold_256(__m256i vector)
{
    return bow_fold_128(_mm_or_si128(_mm256_castsi256_si128(vector), _mm256_extracti128_si256(vector, 1)));
}

BOW_USE("avx512f,avx2") static inline uint8_t bow_fold_512(__m512i vector)
{
    return bow_fold_256(_mm256_or_si256(_mm512_castsi512_si256(vector), _mm512_extracti64x4_epi64(vector, 1)));
}

BOW_MASK_LOOP(bow_mask_sse2, BOW_USE("sse2"), __m128i, BOW_LOAD_128, BOW_STORE_128, BOW_FILL_128, _mm_xor_si128,
              _mm_or_si128, bow_fold_128, bow_mask_short)
BOW_MASK_LOOP(bow_mask_avx2, BOW_USE("avx2"), __m256i, BOW_LOAD_256, BOW_STORE_256, BOW_FILL_256, _mm256_xor_si256,
              _mm256_or_si256, bow_fold_256, bow_mask_sse2)
BOW_MASK_LOOP(bow_mask_avx512, BOW_USE("avx512f,avx2"), __m512i, BOW_LOAD_512, BOW_STORE_512, BOW_FILL_512,
              _mm512_xor_si512, _mm512_or_si512, bow_fold_512, bow_mask_avx2)

/* One bit of what cpuid says; words are counted from EAX. */
static int bow_cpuid(unsigned leaf, int word, int bit)
{
#ifdef BOW_MSVC
    int words[4];
    __cpuid(words, 0);
    if ((unsigned)words[0] < leaf) {
        return 0;
    }
    __cpuidex(words, (int)leaf, 0);
#else
    unsigned words[4];
    if (!__get_cpuid_count(leaf, 0, &words[0], &words[1], &words[2], &words[3])) {
        return 0;
    }
#endif
    return words[word] >> bit & 1;
}

/* Whether the operating system keeps these registers when it changes from one thread to another (OSXSAVE, XCR0). */
static int bow_keeps(unsigned registers)
{
    unsigned kept = 0;

    if (bow_cpuid(1, 2, 27)) {
#ifdef BOW_MSVC
        kept = (unsigned)_xgetbv(0);
#else
        __asm__("xgetbv" : "=a"(kept) : "c"(0) : "edx");
#endif
    }
    return (kept & registers) == registers;
}

static int bow_has_sse2(void)
{
    return bow_cpuid(1, 3, 26);
}

static int bow_has_avx2(void)
{
    return bow_keeps(0x06) && bow_cpuid(7, 1, 5);
}

/* AVX512F, and VBMI2: that one is not used here, but tells the processors that do not slow down for wide registers. */
static int bow_has_avx512(void)
{
    return bow_has_avx2() && bow_keeps(0xE6) && bow_cpuid(7, 1, 16) && bow_cpuid(7, 2, 6);
}

#elif defined(__aarch64__) || defined(_M_ARM64)
#define BOW_ARM64

#include <arm_neon.h>

#define BOW_FILL_NEON(key) vreinterpretq_u8_u32(vdupq_n_u32(key))

static inline uint8_t bow_fold_neon(uint8x16_t vector)
{
    uint64x2_t words = vreinterpretq_u64_u8(vector);

    return bow_fold_64(vgetq_lane_u64(words, 0) | vgetq_lane_u64(words, 1));
}

BOW_MASK_LOOP(bow_mask_neon, , uint8x16_t, vld1q_u8, vst1q_u8, BOW_FILL_NEON, veorq_u8, vorrq_u8, bow_fold_neon,
              bow_mask_short)
#endif

static int bow_has_always(void)
{
    return 1;
}

/* The loops that there are for this kind of processor, best first. */
static const struct {
    const char *name;
    bow_mask_loop loop;
    int (*available)(void);
} bow_simd_levels[] = {
#if defined(BOW_X86)
    {"avx512", bow_mask_avx512, bow_has_avx512},
    {"avx2", bow_mask_avx2, bow_has_avx2},
    {"sse2", bow_mask_sse2, bow_has_sse2},
#elif defined(BOW_ARM64)
    {"neon", bow_mask_neon, bow_has_always},
#endif
    {"portable", bow_mask_portable, bow_has_always},
};

enum { BOW_SIMD_LEVELS = sizeof bow_simd_levels / sizeof *bow_simd_levels };

/* The one in use, as an index, and its loop. */
static int bow_simd_level = BOW_SIMD_LEVELS - 1;
static bow_mask_loop bow_mask_long = bow_mask_portable;

static const char *bow_simd_name(int level)
{
    return bow_simd_levels[level].name;
}

static int bow_simd_available(int level)
{
    return bow_simd_levels[level].available();
}

static void bow_simd_select(int level)
{
    bow_simd_level = level;
    bow_mask_long = bow_simd_levels[level].loop;
}

static inline uint8_t bow_mask(uint8_t *target, const uint8_t *source, size_t size, uint32_t key)
{
    return size < 16 ? bow_mask_short(target, source, size, key) : bow_mask_long(target, source, size, key);
}

#endif
