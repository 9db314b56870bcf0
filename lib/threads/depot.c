#include "threads/depot.h"
#include "os/meta.h"
#include "slabs/raw.h"

#include <string.h>

tmi_depot_t tmi_depots[TMI_CLASS_COUNT];

enum { SLOTS_MAX = 255, PART_FIRST = 32 };

unsigned tmi_depot_magazine_max(unsigned cls)
{
    size_t n = tmi_min(TMI_MAGAZINE_BYTES / tmi_classes[cls].size, SLOTS_MAX);
    return n < 3 ? 1 : (1u << tmi_log2(n + 1)) - 1;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static size_t row_bytes(size_t capacity) { return sizeof(tmi_row_t) + capacity * sizeof(void *); }

static tmi_row_t *new_row(size_t capacity) { return tmi_meta_alloc(row_bytes(capacity)); }

static void push_row(tmi_row_t **stack, tmi_row_t *row)
{
    row->next = *stack;
    tmi_store_relaxed(stack, row); // relaxed: a trim asks without the lock whether there is one
}

static tmi_row_t *pop_row(tmi_row_t **stack)
{
    tmi_row_t *row = *stack;
    if (row != NULL) {
        tmi_store_relaxed(stack, row->next); // relaxed: as above
        row->next = NULL;
    }
    return row;
}

static void free_row(tmi_row_t *row, size_t capacity) { tmi_meta_free(row, row != NULL ? row_bytes(capacity) : 0); }

void tmi_depot_free_rows(tmi_rows_t *rows)
{
    for (unsigned log = TMI_ROW_LOG_FIRST; log <= TMI_ROW_LOG_MAX; log++) {
        free_row(rows->empty[log], (size_t)1 << log);
        rows->empty[log] = NULL;
    }
}

/* ---- slots that are copied, under the lock ----------------------------------------------------------------------- */

static size_t take_some(tmi_depot_t *d, void **out, size_t n)
{
    size_t got = 0, whole = (size_t)1 << d->row_log;
    while (got < n) {
        if ((d->part == NULL || d->part->count == 0) && d->full != NULL) {
            if (d->part != NULL && d->part_capacity == whole)
                push_row(&d->spare, d->part);
            else
                free_row(d->part, d->part_capacity);
            d->part = pop_row(&d->full);
            d->part_capacity = (uint16_t)whole;
        }
        tmi_row_t *row = d->part;
        if (row == NULL || row->count == 0)
            break;
        size_t some = tmi_min(n - got, row->count);
        row->count -= (uint32_t)some;
        memcpy(out + got, row->slots + row->count, some * sizeof *out);
        got += some;
    }
    return got;
}

/* Let `part` have room for n slots, n <= 2^row_log, if it may become so large. False: no memory. */
static bool enlarge_part(tmi_depot_t *d, size_t n)
{
    size_t count = d->part != NULL ? d->part->count : 0, whole = (size_t)1 << d->row_log;
    if (count + n <= d->part_capacity || d->part_capacity == whole)
        return true;
    size_t capacity = tmi_min(tmi_max((size_t)2 << tmi_log2(count + n), PART_FIRST), whole);
    tmi_row_t *row = new_row(capacity);
    if (row == NULL)
        return false;
    if (d->part != NULL)
        memcpy(row, d->part, row_bytes(count));
    free_row(d->part, d->part_capacity);
    d->part = row;
    d->part_capacity = (uint16_t)capacity;
    return true;
}

static void append(tmi_row_t *row, void *const *slots, size_t n)
{
    memcpy(row->slots + row->count, slots, n * sizeof *slots);
    row->count += (uint32_t)n;
}

static bool put_some(tmi_depot_t *d, void *const *slots, size_t n)
{
    size_t whole = (size_t)1 << d->row_log;
    if (!enlarge_part(d, n))
        return false;
    size_t some = tmi_min(n, d->part_capacity - d->part->count);
    tmi_row_t *fresh = NULL;
    if (some < n) {
        fresh = d->spare != NULL ? pop_row(&d->spare) : new_row(whole);
        if (fresh == NULL)
            return false;
        fresh->count = 0;
    }
    append(d->part, slots, some);
    if (fresh == NULL)
        return true;
    append(fresh, slots + some, n - some);
    push_row(&d->full, d->part);
    d->part = fresh;
    return true;
}

/* ---- exchanges --------------------------------------------------------------------------------------------------- */

size_t tmi_depot_take(unsigned cls, void **out, size_t n, tmi_rows_t *rows)
{
    tmi_depot_t *d = &tmi_depots[cls];
    size_t whole = (size_t)1 << d->row_log, got = whole;
    if (tmi_load_relaxed(&d->count) == 0) // relaxed, without the lock: a wrong guess costs a refill from the slabs
        return 0;
    tmi_lock(&d->lock);
    tmi_row_t *row = rows != NULL && n >= whole ? pop_row(&d->full) : NULL;
    if (row == NULL)
        got = take_some(d, out, n);
    else if (rows->empty[d->row_log] != NULL)
        push_row(&d->spare, rows->empty[d->row_log]);
    tmi_store_relaxed(&d->count, d->count - (uint32_t)got); // relaxed: read without the lock, as a hint
    if (d->count < d->low)
        d->low = d->count;
    tmi_unlock(&d->lock);
    if (row != NULL) {
        memcpy(out, row->slots, got * sizeof *out);
        rows->empty[d->row_log] = row;
    }
    return got;
}

bool tmi_depot_put(unsigned cls, void *const *slots, size_t n, size_t most, tmi_rows_t *rows)
{
    tmi_depot_t *d = &tmi_depots[cls];
    size_t whole = (size_t)1 << d->row_log;
    tmi_row_t *row = NULL;
    if (n == 0)
        return true;
    if (n > whole || tmi_load_relaxed(&d->count) + n > most) // relaxed, without the lock: it is looked at again
        return false;
    if (rows != NULL && n == whole) {
        row = rows->empty[d->row_log];
        row = row != NULL ? row : new_row(whole);
        if (row == NULL)
            return false;
        row->count = 0;
        append(row, slots, n);
    }
    tmi_lock(&d->lock);
    bool fits = d->count + n <= most;
    if (fits && row != NULL) {
        push_row(&d->full, row);
        row = pop_row(&d->spare);
    } else if (fits) {
        fits = put_some(d, slots, n);
    }
    if (fits)
        tmi_store_relaxed(&d->count, d->count + (uint32_t)n); // relaxed: read without the lock, as a hint
    tmi_unlock(&d->lock);
    if (rows != NULL && n == whole)
        rows->empty[d->row_log] = row; // an empty one, or none
    return fits;
}

static bool row_holds(const tmi_row_t *row, const void *p)
{
    for (size_t i = 0; row != NULL && i < row->count; i++)
        if (row->slots[i] == p)
            return true;
    return false;
}

bool tmi_depot_holds(unsigned cls, const void *p)
{
    tmi_depot_t *d = &tmi_depots[cls];
    tmi_lock(&d->lock);
    bool found = row_holds(d->part, p);
    for (const tmi_row_t *row = d->full; row != NULL && !found; row = row->next)
        found = row_holds(row, p);
    tmi_unlock(&d->lock);
    return found;
}

size_t tmi_depot_count(unsigned cls) { return tmi_load_relaxed(&tmi_depots[cls].count); } // relaxed: a hint

void tmi_depot_trim_class(unsigned cls, bool all)
{
    enum { BATCH = 64 };
    tmi_depot_t *d = &tmi_depots[cls];
    void *batch[BATCH];
    tmi_lock(&d->lock);
    size_t left = all ? (size_t)-1 : d->low, n;
    tmi_unlock(&d->lock);
    do {
        n = tmi_depot_take(cls, batch, tmi_min(left, BATCH), NULL);
        tmi_raw_return(cls, batch, n, "free");
        left -= n;
    } while (n == BATCH && left > 0);
    tmi_lock(&d->lock);
    d->low = d->count;
    tmi_row_t *spare = d->spare;
    tmi_store_relaxed(&d->spare, NULL); // relaxed: read without the lock, as a hint
    tmi_unlock(&d->lock);
    for (tmi_row_t *row; (row = pop_row(&spare)) != NULL;)
        free_row(row, (size_t)1 << d->row_log);
}

void tmi_depot_trim(bool all)
{
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        if (tmi_depot_count(c) > 0 || tmi_load_relaxed(&tmi_depots[c].spare) != NULL) // relaxed: a hint
            tmi_depot_trim_class(c, all);
}

void tmi_depot_init(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++) {
        tmi_lock_set_place(&tmi_depots[c].lock, TMI_RANK_DEPOT, c);
        unsigned most = tmi_classes[c].size == 0 ? 1 : tmi_depot_magazine_max(c); // 0: no class of slots
        tmi_depots[c].row_log = (uint8_t)tmi_max(tmi_log2(most + 1) - 1, TMI_ROW_LOG_FIRST);
    }
}

void tmi_depot_lock_all(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock(&tmi_depots[c].lock);
}

void tmi_depot_unlock_all(void)
{
    for (unsigned c = TMI_CLASS_COUNT; c-- > 0;)
        tmi_unlock(&tmi_depots[c].lock);
}

void tmi_depot_reset_locks(void)
{
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++)
        tmi_lock_reset(&tmi_depots[c].lock);
}
