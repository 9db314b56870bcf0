/* sizeclass_movable.h - the sizes of movable slots.
 *
 * Idea: a compacted class wastes half a page on average, while rounding wastes a share of every object. So for larger
 * slots finer steps pay.
 *
 *   class 0         nothing of ours
 *   class 1..32     16, 32 ... 512 bytes
 *   class 33..128   16 to a doubling up to 32 KiB: at most 1/17 is lost to rounding, 1/49 on average
 *   class 129..160  32 to a doubling up to 64 KiB: at most 1/33 and 1/97
 *   LARGE           an extent
 *   WATCHED + c     what the page map says about a slab of class c that has attributes (locks, requested alignments),
 *                   so that frees in it take the slow path
 *
 * C4  size(c) is the least class size >= every request that is mapped to c, and a multiple of 16.
 * C5  A slab starts at a unit boundary, and its first slot at a multiple of every power of two that divides the size:
 *     so is every slot. */
#ifndef TMI_SEGMENTS_SIZECLASS_MOVABLE_H
#define TMI_SEGMENTS_SIZECLASS_MOVABLE_H

#include "segments/sizeclass.h"

#define TMI_MOVABLE_MAX ((size_t)64 << 10)
#define TMI_MOVABLE_ALIGN_MAX ((size_t)2 << 20)

enum {
    TMI_MCLASS_NONE = 0,
    TMI_MCLASS_FIRST = 1,
    TMI_MCLASS_LAST = 160,
    TMI_MCLASS_LARGE = 161,
    TMI_MCLASS_WATCHED = 161,
    TMI_MCLASS_COUNT = 162,
    TMI_MCODE_COUNT = TMI_MCLASS_WATCHED + TMI_MCLASS_LAST + 1, // what the page map may say
};

extern tmi_class_info_t tmi_mclasses[TMI_MCLASS_COUNT];

/* Slabs of small slots keep their metadata before the first slot, so that it is purged with the slab. For large slots
 * that would cost a page a slab. */
#define TMI_MOVABLE_INLINE_MAX ((size_t)2 << 10)

/* `record_bytes`: the fixed part of a slab's metadata, which also has 4 bytes and a bit for each slot. */
void tmi_sizeclass_movable_init(size_t record_bytes);

/* Class of a request of 1 to TMI_MOVABLE_MAX bytes. */
static inline unsigned tmi_mclass_of(size_t size)
{
    if (size <= 512)
        return (unsigned)((size + 15) / 16);
    unsigned doubling = tmi_log2(size - 1); // 9 for 513..1024
    if (size <= 32768)                      // the shift leaves 16 to 31
        return 33 - 9 * 16 - 16 + doubling * 16 + (unsigned)((size - 1) >> (doubling - 4));
    return 129 - 32 + (unsigned)((size - 1) >> 10);
}

/* Smallest class whose slots hold `size` bytes (> 0) and are aligned to `align`; both at most TMI_MOVABLE_MAX. */
unsigned tmi_mclass_of_aligned(size_t size, size_t align);

#endif
