#include "threads/shelf.h"
#include "base/atomic.h"
#include "host/report.h"
#include "stores/medium.h"

static void begin_change(tmi_shelf_t *shelf)
{
    tmi_store_relaxed(&shelf->busy, true);
    tmi_fence_signal(); // as in a cache's exchange: fork copies memory as this thread's stores have reached it
}

static void end_change(tmi_shelf_t *shelf) { tmi_store_release(&shelf->busy, false); } // pairs: a child of fork

/* Statistics of other threads read these two. */
static void set_books(tmi_shelf_t *shelf, unsigned count, size_t bytes)
{
    tmi_store_relaxed(&shelf->count, (uint8_t)count);
    tmi_store_relaxed(&shelf->bytes, bytes);
}

/* Take out the i-th block. */
static void *remove_at(tmi_shelf_t *shelf, unsigned i)
{
    void *p = shelf->blocks[i];
    unsigned count = shelf->count - 1u;
    set_books(shelf, count, shelf->bytes - tmi_medium_size(shelf->classes[i]));
    for (; i < count; i++) {
        shelf->blocks[i] = shelf->blocks[i + 1];
        shelf->classes[i] = shelf->classes[i + 1];
    }
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

bool tmi_shelf_holds(const tmi_shelf_t *shelf, const void *p)
{
    for (unsigned i = 0; i < shelf->count; i++)
        if (shelf->blocks[i] == p)
            return true;
    return false;
}

void tmi_shelf_put(tmi_shelf_t *shelf, void *p, const char *function)
{
    unsigned cls = tmi_medium_class_at(p);
    size_t size = tmi_medium_size(cls);
    if (TM_UNLIKELY(tmi_shelf_holds(shelf, p)))
        tmi_fatal(function, p, "double free");
    if (size > TMI_SHELF_BYTES / 2) {
        tmi_medium_return(p, function);
        return;
    }
    begin_change(shelf);
    while (shelf->count == TMI_SHELF_BLOCKS || shelf->bytes + size > TMI_SHELF_BYTES)
        tmi_medium_return(remove_at(shelf, 0), function);
    shelf->blocks[shelf->count] = p;
    shelf->classes[shelf->count] = (uint8_t)cls;
    set_books(shelf, shelf->count + 1u, shelf->bytes + size);
    end_change(shelf);
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
