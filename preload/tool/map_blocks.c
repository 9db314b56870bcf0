/* Assigning cached blocks, and objects that are pinned or locked, to their rows by address. */
#include "map.h"
#include "tool.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 4096 };

static void count_block(map_t *m, uintptr_t p)
{
    map_row_t *r = map_row_at(m, p);
    if (r == NULL)
        return;
    r->cached_blocks++;
    if (r->part->kind == PART_MIXED)
        r->cached += tmi_mixed_length(r->part->record, tmi_mixed_index((const void *)p)) << TMI_MIXED_SHIFT;
}

/* Count the n blocks whose pointers are in an array at address `from` of the process. */
static void count_pointers(map_t *m, uintptr_t from, size_t n)
{
    uintptr_t pointers[AT_ONCE];
    for (size_t done = 0; done < n; done += AT_ONCE) {
        size_t some = tmi_min(AT_ONCE, n - done);
        (void)target_read(m->t, from + done * sizeof(uintptr_t), pointers, some * sizeof(uintptr_t));
        for (size_t i = 0; i < some; i++)
            count_block(m, pointers[i]);
    }
}

/* Rows may change meanwhile: no more are followed than a depot can have. */
static void count_rows(map_t *m, const tmi_row_t *first)
{
    enum { ROWS_MAX = 64 };
    uintptr_t at = (uintptr_t)first;
    tmi_row_t row;
    for (unsigned i = 0; i < ROWS_MAX && at != 0 && target_read(m->t, at, &row, sizeof row); i++) {
        count_pointers(m, at + offsetof(tmi_row_t, slots), tmi_min(row.count, (size_t)1 << TMI_ROW_LOG_MAX));
        at = (uintptr_t)row.next;
    }
}

static void count_magazines(map_t *m, const tmi_cache_t *cache)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        const tmi_magazine_info_t *info = &cache->info[c];
        size_t n = tmi_max(tmi_cache_count(cache, c), info->nreturning);
        if (n == 0)
            continue;
        count_pointers(m, (uintptr_t)(info->buffer + 1), n - info->nreturning);
        count_pointers(m, (uintptr_t)tmi_cache_returning(info), info->nreturning);
    }
}

static void count_shelf(map_t *m, const tmi_shelf_t *shelf)
{
    for (unsigned i = 0; i < shelf->count && i < TMI_SHELF_BLOCKS; i++) {
        map_row_t *r = map_row_at(m, (uintptr_t)shelf->blocks[i]);
        if (r != NULL)
            r->cached_blocks++;
    }
}

/* ---- handles ------------------------------------------------------------------------------------------------- */

/* Read the words of n handles. They hold the addresses of their objects or slots. */
static void read_words(const map_t *m, const tm_handle_t *handles, uint64_t *words, size_t n)
{
    uintptr_t table;
    bool ok[AT_ONCE];
    struct iovec pieces[AT_ONCE];
    void *to[AT_ONCE];
    memset(words, 0, n * sizeof *words);
    if (!target_read(m->t, m->t->place[TMI_PLACE_tmi_words], &table, sizeof table))
        return;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t index = tmi_handle_index(handles[i]);
        if (!tmi_handle_readable(index))
            continue;
        pieces[k] = (struct iovec){(void *)(table + index * sizeof(uint64_t)), sizeof(uint64_t)}; // NOLINT: there
        to[k++] = &words[i];
    }
    target_read_many(m->t, pieces, to, ok, k);
}

static void count_handles(map_t *m, const tmi_hmagazines_t *magazines)
{
    tm_handle_t handles[AT_ONCE];
    uint64_t words[AT_ONCE];
    tmi_hcache_t cache = {.own = (tmi_hmagazines_t *)(uintptr_t)magazines};
    for (unsigned c = TMI_MCLASS_FIRST; c <= TMI_MCLASS_LAST; c++) {
        size_t n = tmi_min(tmi_hcache_count(&cache, c), AT_ONCE);
        if (n == 0 || !target_read(m->t, (uintptr_t)(magazines->buffers[c] + 1), handles, n * sizeof handles[0]))
            continue;
        read_words(m, handles, words, n);
        for (size_t i = 0; i < n; i++) {
            map_row_t *r = map_row_at(m, (uintptr_t)tmi_word_address(words[i]));
            if (r != NULL)
                r->cached_blocks++;
        }
    }
}

void map_count_cached(map_t *m)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++) {
        count_rows(m, tmi_depots[c].full);
        count_rows(m, tmi_depots[c].part);
    }
    for (const tmi_thread_t *t = tmi_thread_records; t != NULL; t = t->next) {
        count_magazines(m, &t->cache);
        count_shelf(m, &t->shelf);
        if (t->handles.own != NULL)
            count_handles(m, t->handles.own);
    }
}

/* ---- pins and locks ------------------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
    tm_handle_t x = *(const tm_handle_t *)a, y = *(const tm_handle_t *)b;
    return (x > y) - (x < y);
}

/* An object that a thread has pinned twice counts once. */
static void count_pins(map_t *m, const tm_pins_t_ *pins)
{
    tm_handle_t handles[TM_PIN_SLOTS_];
    uint64_t words[TM_PIN_SLOTS_];
    size_t n = tmi_min(pins->top, TM_PIN_SLOTS_), k = 0;
    memcpy(handles, pins->slot + 1, n * sizeof handles[0]);
    qsort(handles, n, sizeof handles[0], by_number);
    for (size_t i = 0; i < n; i++)
        if (handles[i] != TM_NULL && (k == 0 || handles[i] != handles[k - 1]))
            handles[k++] = handles[i];
    read_words(m, handles, words, k);
    for (size_t i = 0; i < k; i++) {
        map_row_t *r = map_row_at(m, (uintptr_t)tmi_word_address(words[i]));
        if (r != NULL && (words[i] & TMI_WORD_LIVE))
            r->pinned++;
    }
}

static void count_locks(map_t *m, map_row_t *r)
{
    if (r->part->kind == PART_MOVABLE_LARGE)
        r->pinned += (r->part->span->attributes & TMI_LOCKS_MASK) != 0;
    const tmi_movable_slab_t *s = r->part->kind == PART_MOVABLE ? r->part->record : NULL;
    if (s == NULL || s->attributes == NULL || s->watched == 0)
        return;
    uint32_t *attributes = tool_alloc(r->slots * sizeof *attributes);
    (void)target_read(m->t, (uintptr_t)s->attributes, attributes, r->slots * sizeof *attributes);
    for (size_t i = 0; i < r->slots; i++)
        r->pinned += (attributes[i] & TMI_LOCKS_MASK) != 0;
    free(attributes);
}

void map_count_pinned(map_t *m)
{
    m->scopes = 0;
    for (const tmi_thread_t *t = tmi_thread_records; t != NULL; t = t->next) {
        count_pins(m, &t->pins);
        m->scopes += (t->pins.scope & UINT16_MAX) != 0; // the lower half is the depth of nested scopes
    }
    for (size_t i = 0; i < m->nrows; i++)
        count_locks(m, &m->rows[i]);
}
