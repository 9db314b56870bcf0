#include "threads/shelf.h"
#include "base/atomic.h"
#include "os/report.h"
#include "slabs/medium.h"

#include <string.h>

static void begin_change(tmi_shelf_t *shelf)
{
    tmi_store_relaxed(&shelf->busy, true);
    tmi_fence_signal(); // as in a cache's exchange: fork copies memory as this thread's stores have reached it
}

static void end_change(tmi_shelf_t *shelf) { tmi_store_release(&shelf->busy, false); } // pairs: a child of fork

/* Statistics of other threads read these two, and the classes. */
static void set_counts(tmi_shelf_t *shelf, unsigned count, size_t bytes)
{
    tmi_store_relaxed(&shelf->count, (uint8_t)count);
    tmi_store_relaxed(&shelf->bytes, bytes);
}

/* Uses memmove: gcc 12 at -O1 assumes that a loop over both arrays writes nothing. */
static TMI_NOINLINE void close_gap(tmi_shelf_t *shelf, unsigned i)
{
    size_t n = shelf->count - i;
    memmove(shelf->blocks + i, shelf->blocks + i + 1, n * sizeof *shelf->blocks);
    for (; i < shelf->count; i++)
        tmi_store_relaxed(&shelf->classes[i], shelf->classes[i + 1]);
}

/* Take out the i-th block. */
static void *remove_at(tmi_shelf_t *shelf, unsigned i)
{
    void *p = shelf->blocks[i];
    set_counts(shelf, shelf->count - 1u, shelf->bytes - tmi_medium_size(shelf->classes[i]));
    if (i < shelf->count)
        close_gap(shelf, i);
    return p;
}

void *tmi_shelf_take(tmi_shelf_t *shelf, unsigned cls)
{
    for (unsigned i = shelf->count; i-- > 0;)
        if (shelf->classes[i] == cls) {
            begin_change(shelf);
            void *p = remove_at(shelf, i);
            end_change(shelf);
            return p;
        }
    return NULL;
}

/* Give back the oldest blocks until there is room for `size` more bytes. */
static TMI_NOINLINE void make_room(tmi_shelf_t *shelf, size_t size, const char *function)
{
    while (shelf->count == TMI_SHELF_BLOCKS || shelf->bytes + size > TMI_SHELF_BYTES)
        tmi_medium_return(remove_at(shelf, 0), function);
}

bool tmi_shelf_holds(const tmi_shelf_t *shelf, const void *p)
{
    for (unsigned i = 0; i < shelf->count; i++)
        if (shelf->blocks[i] == p)
            return true;
    return false;
}

bool tmi_shelf_put(tmi_shelf_t *shelf, void *p, unsigned cls, const char *function)
{
    size_t size = tmi_medium_size(cls);
    bool full = shelf->count == TMI_SHELF_BLOCKS || shelf->bytes + size > TMI_SHELF_BYTES;
    if (TMI_UNLIKELY(tmi_shelf_holds(shelf, p)))
        tmi_fatal(function, p, "double free");
    if (size > TMI_SHELF_BYTES / 2) {
        tmi_medium_return(p, function);
        return true;
    }
    begin_change(shelf);
    if (full)
        make_room(shelf, size, function);
    shelf->blocks[shelf->count] = p;
    tmi_store_relaxed(&shelf->classes[shelf->count], (uint8_t)cls);
    set_counts(shelf, shelf->count + 1u, shelf->bytes + size);
    end_change(shelf);
    return full;
}

size_t tmi_shelf_count(const tmi_shelf_t *shelf, unsigned cls)
{
    size_t n = 0, count = tmi_min(tmi_load_relaxed(&shelf->count), TMI_SHELF_BLOCKS);
    for (size_t i = 0; i < count; i++)
        n += tmi_load_relaxed(&shelf->classes[i]) == cls;
    return n;
}

void tmi_shelf_flush(tmi_shelf_t *shelf)
{
    if (shelf->count == 0)
        return;
    begin_change(shelf);
    while (shelf->count > 0)
        tmi_medium_return(remove_at(shelf, 0), "free");
    end_change(shelf);
}
