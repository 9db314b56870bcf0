#include "segments/sizeclass_movable.h"

tmi_class_info_t tmi_mclasses[TMI_MCLASS_COUNT];

enum { UNITS_MAX = 4 };         // a slab's pages have a bit each in one word
#define UNIT_MAX ((size_t)512) // slots up to here have slabs of one unit

static size_t size_of(unsigned cls)
{
    if (cls <= 32)
        return cls * 16;
    if (cls <= 128)
        return ((size_t)512 << (cls - 33) / 16) + ((size_t)32 << (cls - 33) / 16) * ((cls - 33) % 16 + 1);
    return 32768 + (size_t)1024 * (cls - 128);
}

/* Where the slots of a slab with that many slots start: behind its metadata, if that is inside, and aligned (C5). */
static size_t start_of(size_t size, size_t slots, size_t record_bytes)
{
    if (size > TMI_MOVABLE_INLINE_MAX)
        return 0;
    return tmi_round_up(tmi_round_up(slots * 4, 8) + record_bytes + (slots + 63) / 64 * 8, size & -size);
}

/* How many slots fit. */
static size_t slots_of(size_t size, size_t bytes, size_t record_bytes)
{
    size_t slots = bytes / size;
    while (start_of(size, slots, record_bytes) + slots * size > bytes)
        slots--;
    return slots;
}

void tmi_sizeclass_movable_init(size_t record_bytes)
{
    for (unsigned cls = TMI_MCLASS_FIRST; cls <= TMI_MCLASS_LAST; cls++) {
        size_t size = size_of(cls), units = size <= UNIT_MAX ? 1 : UNITS_MAX,
               slots = slots_of(size, units * TMI_UNIT_SIZE, record_bytes);
        tmi_mclasses[cls] = (tmi_class_info_t){
            .reciprocal = (((uint64_t)1 << 40) + size - 1) / size,
            .size = (uint32_t)size,
            .slots = (uint32_t)slots,
            .start = (uint32_t)start_of(size, slots, record_bytes),
            .units = (uint8_t)units,
        };
    }
}

unsigned tmi_mclass_of_aligned(size_t size, size_t align)
{
    unsigned cls = tmi_mclass_of(tmi_round_up(size, align));
    while (tmi_mclasses[cls].size % align != 0) // ends at the next power of two at the latest
        cls++;
    return cls;
}
