/* sizeclass.h - the sizes of slots.
 *
 *   class 0        nothing of ours
 *   class 1        8 bytes
 *   class 2..33    16, 32 ... 512 bytes
 *   class 34..97   sixteen to a doubling up to 8 KiB: at most 1/17 is lost to rounding, 1/33 on average
 *   class 98..113  eight to a doubling up to 32 KiB
 *   LARGE          first unit of an extent;  LARGE_TAIL: its other units
 *   MEDIUM         a unit of a slab of medium objects, see medium.h
 *   MIXED          a unit of a slab of slots of several classes, see mixed.h
 *   WATCHED        what the page map says about a unit in which a sampled block begins, so that frees there take the
 *                  slow path: see segment.h
 *
 * C1  size(c) is the least class size >= every request that is mapped to c.
 * C2  size(c) is a multiple of 16 for c > 1, and the classes hold every power of two from 8 to 32 KiB, so that a slot
 *     of a power-of-two class is aligned to its size (a slab starts at a unit boundary).
 * C3  slot_index is exact for every offset inside a slab: off * ceil(2^40/size) >> 40 errs by less than off / 2^40 of a
 *     slot, and off < 2^18. */
#ifndef TMI_SEGMENTS_SIZECLASS_H
#define TMI_SEGMENTS_SIZECLASS_H

#include "base/base.h"

enum {
    TMI_CLASS_NONE = 0,
    TMI_CLASS_FIRST = 1,
    TMI_CLASS_LAST = 113,
    TMI_CLASS_LARGE = 114,
    TMI_CLASS_LARGE_TAIL = 115,
    TMI_CLASS_MEDIUM = 116,
    TMI_CLASS_MIXED = 117,
    TMI_CLASS_WATCHED = 118,
    TMI_CLASS_COUNT = 119,
};

typedef struct tmi_class_info {
    uint64_t reciprocal; // ceil(2^40 / size)
    uint32_t size;       // bytes of a slot
    uint32_t slots;      // of a slab
    uint32_t start;      // bytes before the first slot
    uint8_t units;       // of a slab
    uint8_t end_page;    // OS page of a slab in which its last slot ends
} tmi_class_info_t;

extern tmi_class_info_t tmi_classes[TMI_CLASS_COUNT];

/* Needs the size of OS pages. */
void tmi_sizeclass_init(void);

/* Class of a request of at most TMI_SMALL_MAX bytes. */
static inline unsigned tmi_class_of(size_t size)
{
    if (size <= 512)
        return size <= 8 ? 1 : (unsigned)((size + 15) / 16 + 1);
    unsigned doubling = tmi_log2(size - 1); // 9 for 513..1024
    if (size <= 8192)                       // the shift leaves 16 to 31
        return 34 - 9 * 16 - 16 + doubling * 16 + (unsigned)((size - 1) >> (doubling - 4));
    return 98 - 13 * 8 - 8 + doubling * 8 + (unsigned)((size - 1) >> (doubling - 3));
}

/* Smallest class whose slots hold `size` bytes and are aligned to `align`; size and align at most TMI_SMALL_MAX. */
unsigned tmi_class_of_aligned(size_t size, size_t align);

static inline size_t tmi_slot_index(const tmi_class_info_t *c, size_t offset)
{
    return (size_t)((offset * c->reciprocal) >> 40); // C3
}

#endif
