#include "heap/account.h"
#include "compaction/compact.h"
#include "heap/object.h"
#include "os/counters.h"
#include "os/meta.h"
#include "slabs/medium.h"
#include "slabs/mixed.h"
#include "slabs/raw.h"
#include "threads/thread.h"

#include <string.h>

typedef struct account {
    tm_heap_stats_t *out;
    void (*each)(void *context, const tm_heap_class_t *row);
    void *context;
} account_t;

/* a - b, or 0: a may be the smaller one if other threads changed the counters between two reads. */
static size_t less(size_t a, size_t b) { return a > b ? a - b : 0; }

/* Set the counts of blocks. `taken` includes the `cached` ones. */
static TMI_COLD void set_blocks(tm_heap_class_t *row, size_t taken, size_t cached, size_t nfree)
{
    row->cached_blocks = tmi_min(cached, taken);
    row->live_blocks = taken - row->cached_blocks;
    row->free_blocks = nfree;
    row->live = row->live_blocks * row->size;
    row->cached = row->cached_blocks * row->size;
}

static TMI_COLD void enter(account_t *a, tm_heap_class_t *row)
{
    tm_heap_part_t *part = row->heap == TM_HEAP_RAW ? &a->out->raw : &a->out->movable;
    row->resident = row->live + row->cached + row->stranded + row->slack + row->books + row->empty;
    part->live += row->live;
    part->cached += row->cached;
    part->stranded += row->stranded;
    part->slack += row->slack;
    part->books += row->books;
    part->empty += row->empty;
    part->resident += row->resident;
    part->live_blocks += row->live_blocks;
    part->cached_blocks += row->cached_blocks;
    a->out->nclasses++;
    if (a->each != NULL)
        a->each(a->context, row);
}

/* ---- the raw heap ---------------------------------------------------------------------------------------------- */

static TMI_COLD void enter_small(account_t *a, unsigned cls)
{
    tmi_raw_figures_t f = tmi_raw_figures(cls);
    size_t cached = tmi_depot_count(cls), elsewhere = tmi_load_relaxed(&tmi_mixed.taken[cls]);
    if (f.slabs == 0 && elsewhere == 0)
        return;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        cached += tmi_cache_count(&t->cache, cls);
    size_t size = tmi_classes[cls].size;
    tm_heap_class_t row = {.heap = TM_HEAP_RAW, .kind = TM_CLASS_SMALL, .size = size, .slabs = f.slabs};
    set_blocks(&row, f.taken + elsewhere, cached, f.nfree);
    size_t used = f.used + elsewhere * size;
    row.slack = tmi_min(f.slack, less(used, row.live + row.cached));
    row.stranded = less(used, row.live + row.cached + row.slack);
    row.empty = f.empty;
    enter(a, &row);
}

/* Add the row of mixed slabs: the bytes that are in no block. The blocks are in the rows of their classes. */
static TMI_COLD void enter_mixed(account_t *a)
{
    tmi_mixed_figures_t f = tmi_mixed_figures();
    size_t blocks = 0;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        blocks += tmi_load_relaxed(&tmi_mixed.taken[c]) * (size_t)tmi_classes[c].size;
    tm_heap_class_t row = {.heap = TM_HEAP_RAW, .kind = TM_CLASS_MIXED, .slabs = f.slabs, .empty = f.empty};
    row.stranded = less(f.used, blocks);
    if (f.slabs > 0)
        enter(a, &row);
}

/* Add the row of a medium class. Returns the bytes of its taken slots. */
static TMI_COLD size_t enter_medium(account_t *a, unsigned cls)
{
    tmi_medium_figures_t f = tmi_medium_figures(cls);
    size_t shelved = 0;
    if (f.slabs == 0)
        return 0;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        shelved += tmi_shelf_count(&t->shelf, cls);
    size_t size = tmi_medium_size(cls);
    tm_heap_class_t row = {.heap = TM_HEAP_RAW, .kind = TM_CLASS_MEDIUM, .size = size, .slabs = f.slabs};
    set_blocks(&row, f.taken, shelved, less(f.slots, f.taken));
    row.empty = f.empty * size;
    enter(a, &row);
    return row.live + row.cached;
}

static TMI_COLD void enter_large(account_t *a, size_t heap, size_t bytes, size_t blocks, size_t slack)
{
    tm_heap_class_t row = {.heap = heap, .kind = TM_CLASS_LARGE, .live_blocks = blocks, .live = bytes, .slack = slack};
    if (blocks > 0 || bytes > 0)
        enter(a, &row);
}

static TMI_COLD void enter_raw(account_t *a)
{
    size_t medium = 0;
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        enter_small(a, c);
    enter_mixed(a);
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++)
        medium += enter_medium(a, c);
    size_t medium_blocks = 0, bytes = tmi_counter(large_bytes), blocks = tmi_counter(large_count);
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++)
        medium_blocks += tmi_medium_figures(c).taken;
    bytes = less(bytes, medium) + tmi_counter(guarded_bytes);
    blocks = less(blocks, medium_blocks) + tmi_counter(guarded_count);
    enter_large(a, TM_HEAP_RAW, bytes, blocks, tmi_counter(large_slack_bytes));
    a->out->raw.requested = TM_UNKNOWN;
}

/* ---- the movable heap ------------------------------------------------------------------------------------------ */

static TMI_COLD void enter_movable_class(account_t *a, unsigned cls, const tmi_movable_survey_t *survey)
{
    const tmi_movable_class_t *s = &tmi_movable_classes[cls];
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    size_t slabs = tmi_load_relaxed(&s->nslabs), nfree = tmi_movable_unused(cls), cached = 0; // statistics
    size_t touched = tmi_load_relaxed(&s->touched_bytes);
    if (slabs == 0)
        return;
    for (tmi_thread_t *t = tmi_thread_list(); t != NULL; t = t->next)
        cached += tmi_hcache_count(&t->handles, cls);
    tm_heap_class_t row = {.heap = TM_HEAP_MOVABLE, .kind = TM_CLASS_SMALL, .size = c->size, .slabs = slabs};
    set_blocks(&row, less(slabs * c->slots, nfree), cached, nfree);
    size_t rest = less(touched, row.live + row.cached);
    row.books = tmi_min(slabs * c->start, rest);
    row.empty = tmi_min(tmi_movable_survey_empty(survey, cls), rest - row.books);
    row.slack = tmi_min(tmi_movable_survey_slack(survey, cls), rest - row.books - row.empty);
    row.stranded = rest - row.books - row.empty - row.slack;
    enter(a, &row);
}

static TMI_COLD void enter_movable(account_t *a)
{
    tmi_movable_survey_t survey;
    if (!tmi_object_ready())
        return;
    tmi_movable_survey(&survey);
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++)
        enter_movable_class(a, c, &survey);
    size_t bytes = tmi_counter(extent_bytes), slack = tmi_counter(extent_slack_bytes);
    enter_large(a, TM_HEAP_MOVABLE, bytes, tmi_counter(extent_count), slack);
    tm_heap_part_t *m = &a->out->movable;
    m->requested = m->live - (size_t)((double)m->live * tmi_object_rounding());
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

static TMI_COLD void enter_whole(tm_heap_stats_t *out)
{
    out->spans.empty = out->spans.resident = tmi_counter(dirty_bytes);
    out->purged = tmi_counter(purged_bytes);
    out->spans.purged = tmi_counter(purged_span_bytes);
    out->movable.purged = tmi_counter(purged_movable_bytes);
    out->raw.purged = less(out->purged, out->spans.purged + out->movable.purged);
    out->regretted = tmi_counter(regretted_bytes);
    out->spans.regretted = tmi_counter(regretted_spans);
    out->raw.regretted = less(out->regretted, out->spans.regretted);
    out->growth_paid = tmi_counter(growth_paid_bytes);
    out->failures = tmi_counter(failures);
    out->moved = tmi_compact_figure(moved_bytes);
    out->batches = tmi_compact_figure(batches);
    out->mover_mode = tmi_compact_figure(mode);
    out->mover_paused = tmi_compact_figure(paused);
    out->mapped = tmi_counter(mapped_bytes) + tmi_counter(guarded_bytes);
    out->metadata = tmi_meta_touched();
    out->table = tmi_handle_bytes();
    out->resident = out->raw.resident + out->movable.resident + out->spans.resident + out->metadata + out->table;
}

void tmi_account(tm_heap_stats_t *out, void (*each)(void *context, const tm_heap_class_t *row), void *context)
{
    account_t a = {out, each, context};
    *out = (tm_heap_stats_t){.struct_size = sizeof *out};
    enter_raw(&a);
    enter_movable(&a);
    enter_whole(out);
}

static TMI_COLD void give_row(void *context, const tm_heap_class_t *row)
{
    tm_heap_stats_t *to = context;
    size_t own = tmi_min(to->class_size, sizeof *row);
    if (to->nclasses < to->max_classes) {
        char *at = (char *)to->classes + to->nclasses * to->class_size;
        memcpy(at, row, own);
        memset(at + own, 0, to->class_size - own);
    }
    to->nclasses++;
}

void tmi_account_read(tm_heap_stats_t *out)
{
    tm_heap_stats_t mine, asked = {.classes = NULL};
    memcpy(&asked, out, tmi_min(out->struct_size, offsetof(tm_heap_stats_t, nclasses)));
    if (asked.struct_size < offsetof(tm_heap_stats_t, nclasses))
        asked.classes = NULL;
    tmi_account(&mine, asked.classes != NULL ? give_row : NULL, &asked);
    mine.struct_size = asked.struct_size;
    mine.classes = asked.classes;
    mine.class_size = asked.class_size;
    mine.max_classes = asked.max_classes;
    size_t known = tmi_min(asked.struct_size, sizeof mine);
    memcpy(out, &mine, known);
    memset((char *)out + known, 0, asked.struct_size - known);
}
