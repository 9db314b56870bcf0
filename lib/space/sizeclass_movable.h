/* sizeclass_movable.h - which sizes movable slots come in: many, for a heap that compacts need not fear classes that few objects use.
 *
 *   class 0         nothing of ours
 *   class 1..64     16, 32 ... 1,024 bytes
 *   class 65..224   32 to a doubling up to 32 KiB: at most 1/33 is lost to rounding, 1/65 on average
 *   class 225..240  16 to a doubling up to 64 KiB
 *   LARGE           an extent
 *   WATCHED         what the page map says of a slab that has attributes (locks, asked alignments), so that frees in it take the slow path
 *
 * C4  size(c) is the least class size >= every request that is mapped to c, and a multiple of 16.
 * C5  A slab starts at a unit boundary, so that a slot of a class whose size is a multiple of a power of two is aligned to that. */
#ifndef TMI_SPACE_SIZECLASS_MOVABLE_H
#define TMI_SPACE_SIZECLASS_MOVABLE_H

#include "space/sizeclass.h"

#define TMI_MOVABLE_MAX ((size_t)64 << 10)
#define TMI_MOVABLE_ALIGN_MAX ((size_t)2 << 20)

enum {
    TMI_MCLASS_NONE = 0,
    TMI_MCLASS_FIRST = 1,
    TMI_MCLASS_LAST = 240,
    TMI_MCLASS_LARGE = 241,
    TMI_MCLASS_WATCHED = 242,
    TMI_MCLASS_COUNT = 243,
};

extern tmi_class_info_t tmi_mclasses[TMI_MCLASS_COUNT];

/* Slabs of small slots keep their books behind the last one, so that they go when the slab goes; for large slots that would cost a page a slab. */
#define TMI_MOVABLE_INLINE_MAX ((size_t)2 << 10)

/* `record_bytes`: fixed part of a slab's books; beside it they have 4 bytes and a bit a slot. */
void tmi_sizeclass_movable_init(size_t record_bytes);

/* Class of a request of 1 to TMI_MOVABLE_MAX bytes. */
static inline unsigned tmi_mclass_of(size_t size)
{
    if (size <= 1024)
        return (unsigned)((size + 15) / 16);
    unsigned doubling = tmi_log2(size - 1); // 10 for 1025..2048
    if (size <= 32768)
        return 65 + (doubling - 10) * 32 + ((unsigned)((size - 1) >> (doubling - 5)) & 31);
    return 225 + ((unsigned)((size - 1) >> (doubling - 4)) & 15);
}

/* Smallest class whose slots hold `size` bytes (> 0) and are aligned to `align`; both at most TMI_MOVABLE_MAX. */
unsigned tmi_mclass_of_aligned(size_t size, size_t align);

#endif
