#include "compaction/compact.h"
#include "base/probe.h"
#include "os/meta.h"
#include "os/options.h"
#include "compaction/compact_impl.h"

#include <string.h>

#define SCOPE_WAIT_NS UINT64_C(2000000)

tmi_lock_t tmi_compact_lock = TMI_LOCK_OF(TMI_RANK_MOVER);
tmi_compact_figures_t tmi_compact_figures;
batch_t tmi_batch;
static bool stopped; // permanently: the kernel refuses every fence that reaches other threads

#if TMI_TEST_HOOKS
void (*tmi_compact_hook)(const char *step);
bool tmi_compact_no_scan;
#endif

enum { ENTRIES_BYTES = BATCH_OBJECTS * sizeof(entry_t), SOURCES_BYTES = BATCH_SOURCES * sizeof(source_t) };

bool tmi_compact_ready(void)
{
    if (tmi_batch.entries == NULL) {
        char *p = tmi_meta_pages(ENTRIES_BYTES + SOURCES_BYTES);
        if (p == NULL)
            return false;
        memset(p, 0, ENTRIES_BYTES + SOURCES_BYTES); // fault its pages in now, and not in the middle of a step
        tmi_batch.entries = (entry_t *)(void *)p;
        tmi_batch.sources = (source_t *)(void *)(p + ENTRIES_BYTES);
    }
    return true;
}

void tmi_compact_purge_records(void)
{
    if (tmi_batch.entries != NULL && tmi_batch.state == IDLE && tmi_batch.nsources == 0)
        tmi_meta_purge(tmi_batch.entries, ENTRIES_BYTES + SOURCES_BYTES);
}

static void begin_batch(batch_t *b)
{
    source_t *last = b->nsources > 0 ? &b->sources[b->nsources - 1] : NULL;
    bool carried = last != NULL && !last->exhausted;
    if (carried)
        b->sources[0] = *last;
    b->nsources = carried;
    b->n = b->bytes = b->cursor = b->offset = b->given = 0;
    b->id++;
    b->started_ns = tmi_os_now_ns();
    b->state = MARK;
}

static void enter(batch_t *b, state_t state)
{
    b->cursor = b->offset = 0;
    b->state = state;
}

/* The end of a batch, whose slabs have been given back. */
static void finish(batch_t *b)
{
    uint64_t ns = tmi_os_now_ns() - b->started_ns;
    TMI_PROBE3(tinymem, batch_end, b->id, b->n, b->nsources);
    tmi_own_add(&tmi_compact_figures.batches, 1);
    if (ns > tmi_compact_figures.longest_batch_ns)
        tmi_store_relaxed(&tmi_compact_figures.longest_batch_ns, ns);
    b->state = IDLE;
}

void tmi_batch_sort_out(batch_t *b)
{
    size_t scanned = 0;
#if TMI_TEST_HOOKS
    if (!tmi_compact_no_scan)
#endif
        scanned = tmi_pin_scan(tmi_os_now_ns());
    for (size_t i = 0; i < b->n; i++) {
        entry_t *e = &b->entries[i];
        bool locked = e->word != 0 && tmi_load_relaxed(&tmi_entry_source(b, e)->slab->attributes) != NULL &&
                      tmi_pin_locks(tmi_entry_from(e)) > 0;
        if (!locked && tmi_entry_untouched(e))
            continue;
        if (locked)
            tmi_own_add(&tmi_compact_figures.by_lock, 1);
        size_t before = tmi_compact_figures.by_touch;
        tmi_entry_give_up(b, e);
        if (locked || (tmi_compact_figures.by_touch != before && scanned > 0)) {
            scanned -= scanned > 0;
            tmi_store_relaxed(&tmi_compact_figures.by_touch, before);
            tmi_own_add(&tmi_compact_figures.by_scan, 1);
        }
    }
}

static void go_on(batch_t *b)
{
    TMI_STEP("fenced");
    tmi_batch_sort_out(b);
    TMI_STEP("scanned");
    b->marked_ns = tmi_os_now_ns();
    enter(b, SCOPES);
}

/* A fence that was registered fails only if the program has installed a filter of system calls since. From here on each
 * pin has a fence of its own. Pins without one may still be under way; they are over when every thread has executed one
 * last fence. That fence is made without membarrier. If it fails, too, nothing can ever be moved safely. */
static void lose_fence(void)
{
    tmi_compact_drop();
    if (!tmi_pin_asymmetric())
        return; // another thread was first
    tmi_pin_end_asymmetric();
    if (tmi_os_fence(TMI_FENCE_GLOBAL) != 0 && tmi_os_fence_by_walk() != 0)
        tmi_store_relaxed(&stopped, true);
}

void tmi_compact_fenced(uint64_t id, tmi_fence_t kind, int err)
{
    batch_t *b = &tmi_batch;
    bool current = b->id == id && b->state == FENCE;
    if (err != 0) {
        lose_fence();
        return;
    }
    tmi_own_add(kind == TMI_FENCE_GLOBAL ? &tmi_compact_figures.fences_global : &tmi_compact_figures.fences_expedited,
                1);
    if (current)
        go_on(b);
}

bool tmi_compact_idle(void) { return tmi_batch.state == IDLE; }
bool tmi_compact_marking(void) { return tmi_batch.state <= MARK; }

uint64_t tmi_compact_batch(void) { return tmi_batch.id; }

void tmi_compact_fence(const tm_pins_t_ *self)
{
    batch_t *b = &tmi_batch;
    if (b->state != FENCE)
        return;
    // In the second case pins have fences of their own, and tmi_pin_alone has just executed ours.
    if (tmi_pin_alone(self) || !tmi_pin_asymmetric()) {
        tmi_own_add(&tmi_compact_figures.fences_none, 1);
        go_on(b);
        return;
    }
    // [model: mover_fence] pairs: pin_slot, scope_enter
    tmi_compact_fenced(b->id, TMI_FENCE_EXPEDITED, tmi_os_fence(TMI_FENCE_EXPEDITED));
}

static tmi_compact_result_t wait_for_scopes(batch_t *b)
{
    if (!tmi_pin_scopes_open()) {
        enter(b, COPY);
        return TMI_COMPACT_MORE;
    }
    if (tmi_os_now_ns() - b->marked_ns < SCOPE_WAIT_NS)
        return TMI_COMPACT_WAIT;
    tmi_compact_drop();
    return TMI_COMPACT_MORE;
}

static tmi_compact_result_t mark_piece(batch_t *b, const tmi_compact_limits_t *limits)
{
    TMI_STEP("mark");
    if (!tmi_batch_mark(b, limits)) {
        b->state = IDLE;
        return TMI_COMPACT_NOTHING;
    }
    TMI_STEP("marked");
    if (b->nsources == 0)
        return TMI_COMPACT_MORE; // the time was over before a source was found
    TMI_PROBE3(tinymem, batch_begin, b->id, b->n, b->nsources);
    tmi_own_add(&tmi_compact_figures.marked, b->n);
    enter(b, b->n > 0 ? FENCE : GIVE);
    return b->n > 0 ? TMI_COMPACT_FENCE : TMI_COMPACT_MORE;
}

/* For when nothing can be moved: purge empty pages of partly used slabs, class after class, and pages of the handle
 * table. If a whole round over the classes finds none, there are none. */
static tmi_compact_result_t tidy(const tmi_compact_limits_t *limits)
{
    static unsigned cls = TMI_MCLASS_FIRST, clean;
    if (!limits->tidy)
        return TMI_COMPACT_NOTHING;
    for (; clean < TMI_MCLASS_COUNT; clean++, cls = cls == TMI_MCLASS_LAST ? TMI_MCLASS_FIRST : cls + 1) {
        size_t done = 0;
        if (tmi_load_relaxed(&tmi_movable_classes[cls].nslabs) == 0) // a look
            continue;
        bool more = tmi_movable_tidy(cls, limits->purge_pages, &done);
        if (more || done > 0)
            clean = 0;
        if (more || tmi_over(limits))
            return TMI_COMPACT_MORE;
    }
    clean = 0;
    if (!limits->purge_table)
        return TMI_COMPACT_NOTHING;
    return tmi_handle_purge(0, tmi_min(limits->purge_pages, 32)) > 0 ? TMI_COMPACT_MORE : TMI_COMPACT_NOTHING;
}

static tmi_compact_result_t piece(batch_t *b, const tmi_compact_limits_t *limits)
{
    switch (b->state) {
    case IDLE:
        begin_batch(b);
        // fall through
    case MARK: {
        tmi_compact_result_t r = mark_piece(b, limits);
        return r == TMI_COMPACT_NOTHING ? tidy(limits) : r;
    }
    case FENCE:
        return TMI_COMPACT_FENCE;
    case SCOPES:
        return wait_for_scopes(b);
    case COPY:
        TMI_STEP("copy");
        if (tmi_batch_copy(b, limits))
            enter(b, PUBLISH);
        TMI_STEP("copied");
        return TMI_COMPACT_MORE;
    case PUBLISH:
        TMI_STEP("publish");
        if (tmi_batch_publish(b, limits))
            enter(b, GIVE);
        TMI_STEP("published");
        return TMI_COMPACT_MORE;
    case GIVE:
        if (tmi_batch_give(b, limits))
            finish(b);
        TMI_STEP("given");
    }
    return TMI_COMPACT_MORE;
}

/* The caller holds the lock, under which the mode and the pauses change. */
bool tmi_compact_may_move(void)
{
    return !tmi_load_relaxed(&stopped) && tmi_compact_figure(paused) == 0 &&
           tmi_option(compaction) != TMI_COMPACTION_OFF;
}

bool tmi_compact_pause(void)
{
    tmi_lock(&tmi_compact_lock);
    bool ok = tmi_compact_figures.paused < UINT32_MAX;
    tmi_own_add(&tmi_compact_figures.paused, (size_t)ok);
    tmi_compact_drop();
    tmi_unlock(&tmi_compact_lock);
    return ok;
}

bool tmi_compact_resume(void)
{
    tmi_lock(&tmi_compact_lock);
    bool ok = tmi_compact_figures.paused > 0;
    tmi_own_add(&tmi_compact_figures.paused, -(size_t)ok);
    tmi_unlock(&tmi_compact_lock);
    return ok;
}

void tmi_compact_set_mode(uint32_t mode)
{
    tmi_lock(&tmi_compact_lock);
    tmi_store_relaxed(&tmi_options.compaction, mode); // relaxed: one value by itself
    tmi_store_relaxed(&tmi_compact_figures.mode, mode);
    tmi_compact_drop();
    tmi_unlock(&tmi_compact_lock);
}

tmi_compact_result_t tmi_compact_piece(const tmi_compact_limits_t *limits)
{
    if (tmi_batch.entries == NULL || !tmi_compact_may_move())
        return TMI_COMPACT_NOTHING;
    uint64_t before = tmi_os_now_ns();
    tmi_compact_result_t r = piece(&tmi_batch, limits);
    tmi_own_add(&tmi_compact_figures.time_ns, tmi_os_now_ns() - before);
    return r;
}

void tmi_compact_drop(void)
{
    batch_t *b = &tmi_batch;
    if (b->state >= FENCE && b->state <= PUBLISH) {
        for (size_t i = b->state == PUBLISH ? b->cursor : 0; i < b->n; i++)
            tmi_entry_give_up(b, &b->entries[i]);
        tmi_own_add(&tmi_compact_figures.dropped, 1);
    }
    for (size_t i = b->given; i < b->nsources; i++)
        while (!tmi_movable_finish(b->sources[i].slab, (size_t)-1, false, tmi_os_now_ms())) {
        }
    b->nsources = 0;
    b->state = IDLE;
}
