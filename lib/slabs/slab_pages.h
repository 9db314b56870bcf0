/* slab_pages.h - sets of a slab's OS pages: bit p stands for the page that begins p pages after the start of the slab.
 * A slab has at most 64 pages. */
#ifndef TMI_SLABS_SLAB_PAGES_H
#define TMI_SLABS_SLAB_PAGES_H

#include "os/os.h"
#include "segments/sizeclass.h"
#include "slabs/slab_bitmap.h"

/* The pages that bytes [from, to) of a slab touch; from < to. */
static inline uint64_t tmi_pages_of_bytes(size_t from, size_t to)
{
    unsigned first = (unsigned)(from >> tmi_os_page_shift), last = (unsigned)((to - 1) >> tmi_os_page_shift);
    return tmi_low_bits(last + 1) & ~tmi_low_bits(first);
}

/* The pages that slot i touches; slot 0 starts at byte `start` of the slab. */
static inline uint64_t tmi_pages_of_slot(const tmi_class_info_t *c, size_t start, size_t i)
{
    size_t from = start + i * c->size;
    return tmi_pages_of_bytes(from, from + c->size);
}

/* All pages of a slab of that many units. */
static inline uint64_t tmi_pages_of_units(size_t units)
{
    return tmi_low_bits((unsigned)(units * TMI_UNIT_SIZE >> tmi_os_page_shift));
}

static inline size_t tmi_pages_bytes(uint64_t pages) { return (size_t)tmi_popcount(pages) << tmi_os_page_shift; }

/* Whether all slots that touch the page are free; slot 0 starts at byte `start`. Also true if no slot touches the page,
 * since it lies before the first slot or behind the last. */
static inline bool tmi_page_is_free(const tmi_class_info_t *c, size_t start, const uint64_t *free, unsigned page)
{
    size_t begin = (size_t)page << tmi_os_page_shift, end = begin + tmi_os_page_size - 1;
    if (end < start)
        return true;
    size_t from = begin > start ? tmi_slot_index(c, begin - start) : 0;
    size_t to = tmi_min(tmi_slot_index(c, end - start), c->slots - 1);
    return from > to || tmi_bitmap_all_set(free, from, to);
}

#endif
