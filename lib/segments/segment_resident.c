/* Which pages of free spans may be resident (S6). A slab that is made in a dirty span learns from it which of its pages
 * will cost no page fault, and counts only those as memory that it holds. The bits of a unit belong to the unit's
 * owner: to the holder of a used span, and to the space lock when it is free. */
#include "os/os.h"
#include "segments/segment_impl.h"

static unsigned pages_of_unit(void) { return (unsigned)(TMI_UNIT_SIZE >> tmi_os_page_shift); }

static uint16_t *bits_of(const char *unit)
{
    return &tmi_pagemap_segment(unit)->resident[((uintptr_t)unit >> TMI_UNIT_SHIFT) % TMI_SEGMENT_UNITS];
}

/* The pages of the unit that bytes [from, end) touch; from is in the unit. */
static uint16_t pages_in_unit(const char *from, const char *end)
{
    const char *unit = tmi_unit_of(from);
    size_t first = (size_t)(from - unit) >> tmi_os_page_shift;
    size_t last = tmi_min((size_t)(end - unit) - 1, TMI_UNIT_SIZE - 1) >> tmi_os_page_shift;
    return (uint16_t)(tmi_low_bits((unsigned)last + 1) & ~tmi_low_bits((unsigned)first));
}

static const char *next_unit(const char *p) { return tmi_unit_of(p) + TMI_UNIT_SIZE; }

void tmi_resident_set_all(const char *addr, size_t nunits, bool resident)
{
    for (size_t u = 0; u < nunits; u++)
        *bits_of(addr + u * TMI_UNIT_SIZE) = resident ? (uint16_t)tmi_low_bits(pages_of_unit()) : 0;
}

void tmi_resident_set(const char *addr, size_t nunits, uint64_t pages)
{
    for (size_t u = 0; u < nunits; u++)
        *bits_of(addr + u * TMI_UNIT_SIZE) = (uint16_t)(pages >> u * pages_of_unit() & tmi_low_bits(pages_of_unit()));
}

size_t tmi_resident_count(const char *addr, size_t nunits)
{
    size_t n = 0;
    for (size_t u = 0; u < nunits; u++)
        n += tmi_popcount(*bits_of(addr + u * TMI_UNIT_SIZE));
    return n;
}

uint64_t tmi_space_resident(const void *addr, size_t nunits)
{
    uint64_t pages = 0;
    for (size_t u = 0; u < nunits; u++)
        pages |= (uint64_t)*bits_of((const char *)addr + u * TMI_UNIT_SIZE) << u * pages_of_unit();
    return pages;
}

bool tmi_space_may_be_resident(const void *from, size_t size)
{
    const char *end = (const char *)from + size;
    for (const char *p = from; p < end; p = next_unit(p))
        if ((*bits_of(p) & pages_in_unit(p, end)) != 0)
            return true;
    return false;
}

void tmi_space_note_clean(void *addr, size_t nunits) { tmi_resident_set_all(addr, nunits, false); }

void tmi_space_note_resident(void *from, size_t size)
{
    const char *end = (const char *)from + size;
    for (const char *p = from; p < end; p = next_unit(p))
        *bits_of(p) |= pages_in_unit(p, end);
}
