/* mixed_impl.h - what the files of the mixed module share: ranges of granules, and the pages of one slab. */
#ifndef TMI_SLABS_MIXED_IMPL_H
#define TMI_SLABS_MIXED_IMPL_H

#include "os/os.h"
#include "slabs/mixed.h"

#define TMI_MIXED_GRANULES ((size_t)TMI_MIXED_WORDS * 64)

static inline tmi_mixed_slab_t *tmi_mixed_slab_of(const void *p) { return tmi_span_of(p)->owner; }
static inline size_t tmi_mixed_index(const void *p) { return ((uintptr_t)p % TMI_UNIT_SIZE) >> TMI_MIXED_SHIFT; }
static inline size_t tmi_granules_of_page(void) { return tmi_os_page_size >> TMI_MIXED_SHIFT; }

/* OS pages that the granules [from, from + n) lie on. */
static inline uint64_t tmi_mixed_pages(size_t from, size_t n)
{
    unsigned shift = tmi_os_page_shift - TMI_MIXED_SHIFT;
    return tmi_low_bits((unsigned)((from + n - 1) >> shift) + 1) & ~tmi_low_bits((unsigned)(from >> shift));
}

static inline bool tmi_granule(const uint64_t *bits, size_t i)
{
    return tmi_load_relaxed(&bits[i / 64]) >> (i % 64) & 1; // other bits of the word may change during an owner's read
}

/* Set or clear the bits [from, from + n), n > 0. */
void tmi_granules_set(uint64_t *bits, size_t from, size_t n, bool on);

/* The first granule >= from whose bit is set in `bits`, or clear if `flip` is ~0; TMI_MIXED_GRANULES if there is none.
 */
size_t tmi_granules_next(const uint64_t *bits, uint64_t flip, size_t from);

/* The number of granules of the block that starts at granule i. */
static inline size_t tmi_mixed_length(const tmi_mixed_slab_t *slab, size_t i)
{
    return tmi_granules_next(slab->last, 0, i) + 1 - i;
}

/* Make a run of granules one block, or free (X1, X2). */
void tmi_mixed_set(tmi_mixed_slab_t *slab, size_t from, size_t n, bool taken);

/* Change the state of pages that hold no block: from touched to not touched, or back. Keeps X1, X2, X4, nfree and the
 * counters of tmi_mixed. */
void tmi_mixed_pages_leave(tmi_mixed_slab_t *slab, uint64_t pages);
void tmi_mixed_pages_return(tmi_mixed_slab_t *slab, uint64_t pages);

/* Record those of `pages` that have become empty (X4). */
void tmi_mixed_note_empty(tmi_mixed_slab_t *slab, uint64_t pages);

/* Turn a slab that has no blocks and is not being purged into a free span. */
void tmi_mixed_release(tmi_mixed_slab_t *slab);

#endif
