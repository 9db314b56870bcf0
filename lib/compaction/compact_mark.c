/* State MARK: choose the slabs that are emptied next, and mark their live objects. */
#include "os/os.h"
#include "compaction/compact_impl.h"

enum { BACKOFF_MS = 10, MARKS_PER_LOOK = 4 };

// time in ms, | 1 so that it is not 0: the class is not tried before, since none of its slabs could be chosen; 0: tried
static uint32_t backoff_until[TMI_MCLASS_COUNT];

static uint64_t skipped_in[TMI_MCLASS_COUNT]; // the last batch that could not use the class

static bool backs_off(unsigned cls, uint32_t now)
{
    if (skipped_in[cls] == tmi_batch.id)
        return true;
    if (backoff_until[cls] != 0 && (int32_t)(now - backoff_until[cls]) >= 0)
        backoff_until[cls] = 0;
    return backoff_until[cls] != 0;
}

void tmi_compact_afresh(void)
{
    tmi_movable_epoch++;
    for (unsigned cls = 0; cls < TMI_MCLASS_COUNT; cls++)
        backoff_until[cls] = 0;
}

static unsigned best_class(size_t min_gain, uint32_t now)
{
    size_t best = 0;
    unsigned result = TMI_MCLASS_NONE;
    for (unsigned cls = TMI_MCLASS_FIRST; cls <= TMI_MCLASS_LAST; cls++) {
        size_t gain = tmi_movable_gain(cls);
        if (gain > best && gain >= min_gain && !backs_off(cls, now)) {
            best = gain;
            result = cls;
        }
    }
    return result;
}

size_t tmi_compact_gain(size_t min_gain)
{
    size_t total = 0;
    for (unsigned cls = TMI_MCLASS_FIRST; cls <= TMI_MCLASS_LAST; cls++) {
        size_t gain = tmi_movable_gain(cls);
        total += gain >= min_gain ? gain : 0;
    }
    return total;
}

/* A slab to empty. NULL: there is none (*none), or the time is over. */
static source_t *new_source(batch_t *b, const tmi_compact_limits_t *limits, bool *none)
{
    uint32_t now = tmi_os_now_ms();
    do {
        unsigned cls = b->nsources < BATCH_SOURCES ? best_class(limits->min_gain, now) : TMI_MCLASS_NONE;
        *none = cls == TMI_MCLASS_NONE;
        if (*none)
            return NULL;
        tmi_movable_slab_t *slab = tmi_movable_choose(cls, now);
        if (slab != NULL) {
            b->sources[b->nsources] = (source_t){.slab = slab, .next = slab->keep};
            return &b->sources[b->nsources++];
        }
        skipped_in[cls] = b->id;
        if (!tmi_movable_busy(cls))
            backoff_until[cls] = (now + BACKOFF_MS) | 1;
    } while (!tmi_over(limits));
    return NULL;
}

/* The source that has slots left to examine, or a new one. */
static source_t *current_source(batch_t *b, const tmi_compact_limits_t *limits, bool *none)
{
    source_t *last = b->nsources > 0 ? &b->sources[b->nsources - 1] : NULL;
    *none = false;
    return last != NULL && !last->exhausted ? last : new_source(b, limits, none);
}

/* Number of the next taken slot from `i` on, or the number of slots. A free may set a bit meanwhile; then the object's
 * word tells. */
static uint32_t next_taken(const tmi_movable_slab_t *slab, uint32_t i)
{
    uint32_t slots = tmi_mclasses[slab->cls].slots;
    while (i < slots) {
        uint64_t taken = ~tmi_load_relaxed(&slab->free[i / 64]) >> (i % 64);
        if (taken != 0)
            return (uint32_t)tmi_min(i + tmi_lowest_bit(taken), slots);
        i = (i | 63) + 1;
    }
    return slots;
}

void tmi_batch_mark_slot(batch_t *b, source_t *s, uint32_t slot)
{
    const char *at = s->slab->base + (size_t)slot * tmi_mclasses[s->slab->cls].size;
    uint32_t index = tmi_load_relaxed(&s->slab->refs[slot]); // relaxed: a hint, V4
    if (!tmi_handle_readable(index))                         // the program has overwritten it
        return;
    uint64_t w = tmi_load_relaxed(tmi_word(index));          // relaxed: the compare-and-swap decides
    bool object = (w & TMI_WORD_LIVE) != 0 && tmi_word_address(w) == at;
    // a mark that a mover has left in the parent of a fork: not ours until we have set it
    if (object && TMI_UNLIKELY(w & TMI_WORD_MOVING)) {
        (void)tmi_cas_relaxed(tmi_word(index), &w, w & ~TMI_WORD_MOVING);
        w &= ~TMI_WORD_MOVING;
    }
    if (!object || !tmi_cas_relaxed(tmi_word(index), &w, w | TMI_WORD_MOVING)) // [model: mover_mark]
        return;
    b->entries[b->n++] = (entry_t){.word = w, .index = index, .source = (uint32_t)(s - b->sources)};
    s->moved = true;
    b->bytes += tmi_mclasses[s->slab->cls].size;
}

/* Mark a run of objects of one source, as far as limits allow. */
static void mark_some(batch_t *b, source_t *s, const tmi_compact_limits_t *limits)
{
    uint32_t slots = tmi_mclasses[s->slab->cls].slots, i = s->next, looks = 0;
    while ((i = next_taken(s->slab, i)) < slots && b->n < limits->objects && b->n < BATCH_OBJECTS &&
           b->bytes < limits->bytes) {
        uint32_t ahead = next_taken(s->slab, i + 1);
        if (ahead < slots)
            __builtin_prefetch(tmi_word(tmi_load_relaxed(&s->slab->refs[ahead])));
        tmi_batch_mark_slot(b, s, i++);
        if (++looks % MARKS_PER_LOOK == 0 && tmi_over(limits))
            break;
    }
    s->next = i;
    s->exhausted = next_taken(s->slab, i) >= slots;
}

bool tmi_batch_mark(batch_t *b, const tmi_compact_limits_t *limits)
{
    bool none;
    do {
        source_t *s = current_source(b, limits, &none);
        if (s == NULL)
            break;
        mark_some(b, s, limits);
    } while (b->n < limits->objects && b->n < BATCH_OBJECTS && b->bytes < limits->bytes && !tmi_over(limits));
    return b->nsources > 0 || !none;
}
