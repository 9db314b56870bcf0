/* States COPY, PUBLISH and GIVE. */
#include "compaction/compact_impl.h"

#define FAULT_NS 3000
#define NO_FAULT_NS 1500 // a chunk that takes longer had a page fault
// OBJECT_COST: bytes that each object counts for beside its own
enum { CHUNK = 1024, OBJECT_COST = 256, TARGETS_AT_ONCE = 8, PUBLISHED_PER_LOOK = 8 };

static void count_failure(const entry_t *e, uint64_t w)
{
    bool same = (w & ~TMI_WORD_MOVING) == e->word;
    if (!same)
        tmi_own_add(&tmi_compact_figures.by_free, 1);
    else if ((w & TMI_WORD_MOVING) == 0)
        tmi_own_add(&tmi_compact_figures.by_touch, 1);
}

void tmi_entry_give_up(batch_t *b, entry_t *e)
{
    if (e->word == 0)
        return;
    uint64_t w = e->word | TMI_WORD_MOVING;
    if (tmi_cas_relaxed(tmi_word(e->index), &w, e->word)) // [model: mover_drop] nothing was published
        w = e->word | TMI_WORD_MOVING;
    count_failure(e, w);
    if ((w & ~TMI_WORD_MOVING) == e->word)
        tmi_entry_source(b, e)->kept = true;
    if (e->to != NULL)
        tmi_movable_return(tmi_entry_class(b, e), &e->to, 1);
    e->word = 0;
    e->to = NULL;
}

/* Find target slots for the entry at `first` and those after it of the same class. False: there are none. */
static bool find_targets(batch_t *b, size_t first)
{
    char *slots[TARGETS_AT_ONCE];
    unsigned cls = tmi_entry_class(b, &b->entries[first]);
    size_t wanted = 0, last = first;
    for (; last < b->n && wanted < TARGETS_AT_ONCE && tmi_entry_class(b, &b->entries[last]) == cls; last++)
        wanted += tmi_entry_untouched(&b->entries[last]);
    // a hint: other threads may fault pages in at the same time
    size_t touched = tmi_load_relaxed(&tmi_movable_classes[cls].touched_bytes), k = 0;
    size_t got = tmi_movable_take(cls, slots, wanted, true);
    if (got < wanted)
        got += tmi_movable_take_below(tmi_entry_source(b, &b->entries[first])->slab, slots + got, wanted - got);
    b->fresh = tmi_load_relaxed(&tmi_movable_classes[cls].touched_bytes) > touched;
    for (size_t i = first; i < last && k < got; i++)
        if (i == first || tmi_entry_untouched(&b->entries[i]))
            b->entries[i].to = slots[k++];
    if (k < got)
        tmi_movable_return(cls, slots + k, got - k);
    return got > 0;
}

/* Copy some of the entry at the cursor, to one page. True: the entry is done. */
static bool copy_one(batch_t *b)
{
    entry_t *e = &b->entries[b->cursor];
    if (!tmi_entry_untouched(e) || (e->to == NULL && !find_targets(b, b->cursor))) {
        tmi_entry_give_up(b, e);
        return true;
    }
    if (b->cursor + 1 < b->n)
        __builtin_prefetch(tmi_entry_from(e + 1));
    char *to = e->to + b->offset;
    size_t size = tmi_mclasses[tmi_entry_class(b, e)].size, n = tmi_min(size - b->offset, CHUNK);
    n = tmi_min(n, tmi_os_page_size - ((uintptr_t)to & (tmi_os_page_size - 1)));
    tmi_copy_racing(to, tmi_entry_from(e) + b->offset, n); // [model: mover_copy]
    b->offset += n;
    return b->offset == size;
}

/* Whether the time is too short for another chunk, with a page fault if one is to be expected. `since`: when the clock
 * was read last. */
static bool no_time(batch_t *b, const tmi_compact_limits_t *limits, uint64_t *since)
{
    if (limits->deadline_ns == TMI_COMPACT_NO_DEADLINE)
        return false;
    uint64_t now = tmi_os_now_ns();
    b->slow = now - *since > NO_FAULT_NS;
    *since = now;
    return now + (b->fresh || b->slow ? FAULT_NS : 0) >= limits->deadline_ns;
}

static bool copy_some(batch_t *b, const tmi_compact_limits_t *limits)
{
    size_t cost = 0;
    uint64_t since = tmi_os_now_ns();
    while (b->cursor < b->n) {
        size_t before = b->offset;
        bool done = copy_one(b);
        cost += b->offset - before;
        if (done) {
            cost += OBJECT_COST;
            b->offset = 0;
            b->cursor++;
        }
        if ((cost >= CHUNK || b->fresh || b->slow) && b->cursor < b->n) {
            cost = 0;
            if (no_time(b, limits, &since))
                return false;
        }
    }
    return true;
}

bool tmi_batch_copy(batch_t *b, const tmi_compact_limits_t *limits)
{
    bool done = copy_some(b, limits);
    tmi_copy_fence();
    return done;
}

/* Copy the requested alignment of an object to its new slot. False: no memory for it. */
static bool carry_attributes(const entry_t *e)
{
    uint32_t *from = tmi_movable_attributes(tmi_entry_from(e), false);
    uint32_t align = from == NULL ? 0 : tmi_load_relaxed(from) & ~(uint32_t)TMI_LOCKS_MASK; // no locks, B2
    if (align == 0)
        return true;
    uint32_t *to = tmi_movable_attributes(e->to, true);
    if (to == NULL)
        return false;
    tmi_store_relaxed(to, align); // published with the word
    tmi_movable_watch(e->to);
    return true;
}

/* Returns the slot that is free afterwards: the old one, or after a failure the target. */
static char *publish(batch_t *b, entry_t *e)
{
    uint64_t w = e->word | TMI_WORD_MOVING;
    uint64_t moved = (e->word & ~TMI_WORD_ADDRESS) | tmi_word_at(e->to);
    tmi_movable_set_ref(e->to, e->index); // V4: before the word
    // [model: mover_publish] the copy before the word; pairs: pin_read, scope_read
    if (!tmi_cas_acq_rel(tmi_word(e->index), &w, moved)) {
        count_failure(e, w);
        if ((w & ~TMI_WORD_MOVING) == e->word)
            tmi_entry_source(b, e)->kept = true;
        return e->to;
    }
    tmi_own_add(&tmi_compact_figures.moved_objects, 1);
    tmi_own_add(&tmi_compact_figures.moved_bytes, tmi_mclasses[tmi_entry_class(b, e)].size);
    return tmi_entry_from(e);
}

bool tmi_batch_publish(batch_t *b, const tmi_compact_limits_t *limits)
{
    while (b->cursor < b->n) {
        char *slots[PUBLISHED_PER_LOOK];
        size_t k = 0;
        unsigned cls = tmi_entry_class(b, &b->entries[b->cursor]);
        while (b->cursor < b->n && k < PUBLISHED_PER_LOOK && tmi_entry_class(b, &b->entries[b->cursor]) == cls) {
            entry_t *e = &b->entries[b->cursor++];
            if (e->word == 0)
                continue;
            if (!carry_attributes(e))
                tmi_entry_give_up(b, e);
            else
                slots[k++] = publish(b, e);
        }
        tmi_movable_return(cls, slots, k);
        if (b->cursor < b->n && tmi_over(limits))
            return false;
    }
    return true;
}

bool tmi_batch_give(batch_t *b, const tmi_compact_limits_t *limits)
{
    while (b->given < b->nsources && b->sources[b->given].exhausted) {
        const source_t *s = &b->sources[b->given];
        if (!tmi_movable_finish(s->slab, limits->purge_pages, s->moved && !s->kept, tmi_os_now_ms()))
            return false;
        b->given++;
        if (b->given < b->nsources && tmi_over(limits))
            return false;
    }
    return true;
}
