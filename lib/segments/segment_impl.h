/* segment_impl.h - what the files of the segment module share: free spans by length, and the supply of segments. */
#ifndef TMI_SEGMENTS_SEGMENT_IMPL_H
#define TMI_SEGMENTS_SEGMENT_IMPL_H

#include "segments/segment.h"

/* A free span outside the bins. */
typedef struct tmi_run {
    char *addr;
    size_t nunits;
    size_t bytes; // resident estimate, 0 when clean
    bool dirty;
    size_t joined; // bytes of a clean run in it
} tmi_run_t;

/* The record of a unit, or NULL if the unit is in no segment of ours. */
tmi_span_t *tmi_span_at(const void *unit);

void tmi_span_set_state(char *addr, size_t nunits, tmi_span_state_t state);

void tmi_bins_init(void);
/* Enter a free run, merged with free neighbours of the same state (S2). tmi_bins_put makes a dirty run the last to be
 * purged, tmi_bins_put_oldest the next. */
void tmi_bins_put(tmi_run_t run);
void tmi_bins_put_oldest(tmi_run_t run);
/* Take the whole of the shortest free run of at least nunits out of the bins of one state. False: there is none. */
bool tmi_bins_take(size_t nunits, bool dirty, tmi_run_t *out);
/* Take a dirty run, and as much of the clean one beside it as is missing to nunits, so that resident pages are
 * reused. */
bool tmi_bins_join(size_t nunits, tmi_run_t *out);
/* Take the free run that starts at this record out of its bin. */
tmi_run_t tmi_bins_remove(tmi_span_t *first, char *addr);
/* The dirty span that has been dirty for longest, or NULL. */
tmi_span_t *tmi_bins_oldest(void);
/* Split `run`: the head keeps nunits, the tail is returned. The estimate is divided in proportion to the pages that may
 * be resident; in a long run, to the lengths. */
tmi_run_t tmi_run_split(tmi_run_t *run, size_t nunits);

/* S6: set the bits of all pages of the units, or clear them; or set exactly `pages`, in a span of at most 64 pages. */
void tmi_resident_set_all(const char *addr, size_t nunits, bool resident);
void tmi_resident_set(const char *addr, size_t nunits, uint64_t pages);
/* How many pages of the units may be resident. */
size_t tmi_resident_count(const char *addr, size_t nunits);

/* Map segments for at least nunits and enter them as one clean run. 0 or an errno. The caller holds the space lock. */
int tmi_supply_grow(size_t nunits);
/* tmi_space_unmap under the lock. */
size_t tmi_supply_unmap(void);

/* S5, under the space lock: once; of new segments; and, where huge pages apply, of units that have become free, of a
 * run about to be purged that is in no bin, and of units taken from a run that was free. */
void tmi_huge_init(void);
void tmi_huge_add(char *segments, size_t size);
void tmi_huge_forget(char *addr, size_t nunits);
void tmi_huge_purged(char *addr, size_t nunits);
void tmi_huge_taken(const tmi_run_t *run, const char *addr, size_t nunits);

#endif
