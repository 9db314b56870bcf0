/* slab_bitmap.h - bitmaps of free slots, in words of 64 bits: bit i is set when slot i is free.
 *
 * Pure functions. A caller that changes a bitmap holds the lock of the slab's class. */
#ifndef TMI_SLABS_SLAB_BITMAP_H
#define TMI_SLABS_SLAB_BITMAP_H

#include "base/base.h"

/* Number of words in a bitmap of n bits. */
static inline unsigned tmi_bitmap_words(unsigned n) { return (n + 63) / 64; }

static inline bool tmi_bitmap_get(const uint64_t *bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }

/* A mask of the bits of word w that are in [from, to]; from / 64 <= w <= to / 64. */
static inline uint64_t tmi_bitmap_range(size_t w, size_t from, size_t to)
{
    uint64_t bits = w == from / 64 ? ~tmi_low_bits(from % 64) : ~(uint64_t)0;
    return w == to / 64 ? bits & tmi_low_bits(to % 64 + 1) : bits;
}

/* Set bits 0 to n - 1 and clear the rest of the last word. */
static inline void tmi_bitmap_fill(uint64_t *bits, unsigned n)
{
    for (; n >= 64; n -= 64)
        *bits++ = ~(uint64_t)0;
    if (n > 0)
        *bits = tmi_low_bits(n);
}

/* Whether all bits in [from, to] are set; from <= to. */
static inline bool tmi_bitmap_all_set(const uint64_t *bits, size_t from, size_t to)
{
    for (size_t w = from / 64; w <= to / 64; w++) {
        uint64_t want = tmi_bitmap_range(w, from, to);
        if ((bits[w] & want) != want)
            return false;
    }
    return true;
}

/* For audits: the number of set bits among the first n; whether a bit past these is set; and whether a bit is set in a
 * word before `word`. */
size_t tmi_bitmap_count(const uint64_t *bits, unsigned n) TMI_COLD;
bool tmi_bitmap_set_past(const uint64_t *bits, unsigned n) TMI_COLD;
bool tmi_bitmap_set_before(const uint64_t *bits, unsigned word) TMI_COLD;

#endif
