/* payload.h - how much of a movable heap is payload: resident pages of the 2 MiB regions that hold blocks, or once did.
 *
 * Payload and metadata share no such region, except for metadata that the allocator keeps behind the blocks of a slab:
 * these count as payload. With malloc nothing is announced: its metadata lies among the blocks.
 *
 * P1  payload_note is called when the heap is largest and when it is quiet; between the two blocks move, and regions
 *     that were in use only meanwhile are empty again or count as metadata. */
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include "fragkit.h"

enum { REGION = 2 << 20, REGIONS = 1 << 15 };

static uint64_t *regions; /* an open hash of region numbers, 0 is free */

static inline void payload_init(void)
{
    regions = table_make(REGIONS * sizeof *regions);
}

static inline void note_region(uint64_t number)
{
    size_t i = (size_t)(number * 0x9e3779b97f4a7c15u >> 40) % REGIONS;
    while (regions[i] && regions[i] != number)
        i = (i + 1) % REGIONS;
    regions[i] = number;
}

static inline void payload_note(const block_t *block, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(uintptr_t)block_address(block[i]);
        note_region(at / REGION);
        note_region((at + block_size(block[i]) - 1) / REGION);
    }
}

static inline size_t resident_bytes(void)
{
    size_t npages = 0;
    for (size_t i = 0; i < REGIONS; i++) {
        unsigned char page[REGION / PAGE];
        /* a region that is not mapped any more as a whole has no blocks */
        if (regions[i] && mincore((void *)(uintptr_t)(regions[i] * REGION), REGION, page) == 0)
            for (size_t k = 0; k < sizeof page; k++)
                npages += page[k] & 1;
    }
    return npages * PAGE;
}

static inline void payload_announce(const char *phase)
{
#if BENCH_HANDLES
    char line[200];
    int n = snprintf(line, sizeof line, "books %s %zu %zu %zu %zu\n", phase, live_bytes, own_bytes, resident_bytes(),
                     peak_blocks);
    report_line(line, n);
    take_acknowledgement(descriptor("BENCH_ACK", -1));
#else
    (void)phase;
    (void)resident_bytes;
#endif
}

#endif
