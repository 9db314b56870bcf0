/* Huge pages where they cost nothing.
 *
 * A huge page is a segment. The kernel makes one when a program first touches a segment in which nothing is resident,
 * and its own thread (khugepaged) makes one of a segment in which a single page is resident. Either undoes what
 * purging has done. So:
 *
 * S5  Where the kernel makes huge pages on its own (applies), a segment is *small* if pages of it have been purged
 *     since it was last free or dense: the kernel has been told to make no huge page of it. A segment is dense when all
 *     its units are: units of slabs that have been full since their last purge, and of extents.
 *
 * A small segment that becomes dense, or whose units are all free when one is taken, may be huge again. While the heap
 * is small, its segments are *small* from the start: a process of a few hundred KiB must not cost 2 MiB. */
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "segments/segment_impl.h"

#define LITTLE ((size_t)16 << 20)

bool tmi_huge_applies;

void tmi_huge_init(void)
{
    tmi_thp_t mode = tmi_os_thp();
    tmi_huge_applies = mode == TMI_THP_ALWAYS || (mode != TMI_THP_NEVER && tmi_options.huge);
}

/* One call may cover several segments. If the kernel refuses (too many mappings), there are no further attempts. */
static void tell(char *segment, size_t size, bool huge)
{
    for (char *p = segment; p < segment + size; p += TMI_SEGMENT_SIZE) {
        tmi_segment_t *s = tmi_pagemap_segment(p);
        if (s != NULL) // gcc does not know that it is mapped
            tmi_store_relaxed(&s->small, !huge); // relaxed: read without the lock
    }
    (void)tmi_os_huge(segment, size, huge);
}

static bool little(void) { return !tmi_options.huge && tmi_counter(mapped_bytes) <= LITTLE; }

void tmi_huge_add(char *segments, size_t size)
{
    if (tmi_options.huge)
        (void)tmi_os_huge(segments, size, true);
    else if (tmi_huge_applies && little())
        tell(segments, size, false);
}

/* The units of one segment that [addr, end) touches, as bits. */
static uint32_t units_in(const char *segment, const char *addr, const char *end)
{
    size_t from = addr > segment ? (size_t)(addr - segment) >> TMI_UNIT_SHIFT : 0;
    size_t to = tmi_min((size_t)(end - segment) + TMI_UNIT_SIZE - 1, TMI_SEGMENT_SIZE) >> TMI_UNIT_SHIFT;
    return (uint32_t)(tmi_low_bits((unsigned)to) & ~tmi_low_bits((unsigned)from));
}

#define FOR_SEGMENTS(segment, addr, end)                                                     \
    for (char *segment = (char *)tmi_round_down((uintptr_t)(addr), TMI_SEGMENT_SIZE);        \
         segment < (end); segment += TMI_SEGMENT_SIZE)

static void thin(char *segment, uint32_t units)
{
    tmi_segment_t *s = tmi_pagemap_segment(segment);
    tmi_store_relaxed(&s->dense, s->dense & ~units);
    if (!s->small)
        tell(segment, TMI_SEGMENT_SIZE, false);
}

void tmi_huge_forget(char *addr, size_t nunits)
{
    char *end = addr + nunits * TMI_UNIT_SIZE;
    FOR_SEGMENTS(segment, addr, end) {
        tmi_segment_t *s = tmi_pagemap_segment(segment);
        tmi_store_relaxed(&s->dense, s->dense & ~units_in(segment, addr, end));
    }
}

void tmi_huge_purged(char *addr, size_t nunits)
{
    char *end = addr + nunits * TMI_UNIT_SIZE;
    FOR_SEGMENTS(segment, addr, end) {
        uint32_t units = units_in(segment, addr, end);
        if (units != UINT32_MAX) // otherwise no other unit is left
            thin(segment, units);
    }
}

void tmi_huge_taken(const tmi_run_t *run, const char *addr, size_t nunits)
{
    const char *end = addr + nunits * TMI_UNIT_SIZE, *run_end = run->addr + run->nunits * TMI_UNIT_SIZE;
    FOR_SEGMENTS(segment, addr, end)
        if (segment >= run->addr && segment + TMI_SEGMENT_SIZE <= run_end && tmi_pagemap_segment(segment)->small &&
            !little())
            tell(segment, TMI_SEGMENT_SIZE, true);
}

void tmi_space_thin(void *addr, size_t size)
{
    if (TMI_LIKELY(!tmi_huge_applies))
        return;
    tmi_lock(&tmi_space_lock);
    FOR_SEGMENTS(segment, addr, (char *)addr + size)
        thin(segment, units_in(segment, addr, (char *)addr + size));
    tmi_unlock(&tmi_space_lock);
}

int tmi_space_purge_pages(void *addr, size_t size)
{
    tmi_space_thin(addr, size);
    return tmi_os_purge(addr, size);
}

static bool is_dense(const char *addr, const char *end)
{
    FOR_SEGMENTS(segment, addr, end) {
        uint32_t units = units_in(segment, addr, end);
        if ((tmi_load_relaxed(&tmi_pagemap_segment(segment)->dense) & units) != units)
            return false;
    }
    return true;
}

void tmi_space_fill(void *addr, size_t nunits)
{
    char *end = (char *)addr + nunits * TMI_UNIT_SIZE;
    if (is_dense(addr, end)) // the caller's span: only its purging, which is the caller's too, could say otherwise
        return;
    tmi_lock(&tmi_space_lock);
    FOR_SEGMENTS(segment, addr, end) {
        tmi_segment_t *s = tmi_pagemap_segment(segment);
        tmi_store_relaxed(&s->dense, s->dense | units_in(segment, addr, end));
        if (s->small && s->dense == UINT32_MAX)
            tell(segment, TMI_SEGMENT_SIZE, true);
    }
    tmi_unlock(&tmi_space_lock);
}
