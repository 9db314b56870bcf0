/* One look: copying the variables and the thread records, and finding out whether they changed meanwhile. */
#include "replica_impl.h"
#include "heap/layout.h"
#include "heap/object.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/options.h"
#include "os/os.h"
#include "compaction/compact.h"
#include "threads/request.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- memory of a look ---------------------------------------------------------------------------------------- */

typedef struct chunk {
    struct chunk *next;
    size_t taken, size;
    char bytes[] TMI_ALIGNED(TMI_CACHE_LINE);
} chunk_t;

static chunk_t *chunks;

void *replica_alloc(size_t nbytes)
{
    nbytes = tmi_round_up(tmi_max(nbytes, 1), TMI_CACHE_LINE);
    if (chunks == NULL || chunks->size - chunks->taken < nbytes) {
        size_t size = tmi_max(nbytes, TMI_MIB);
        chunk_t *c = aligned_alloc(TMI_CACHE_LINE, sizeof *c + size);
        if (c == NULL)
            tool_fail("no memory: %zu bytes", size);
        *c = (chunk_t){.next = chunks, .size = size};
        chunks = c;
    }
    void *p = chunks->bytes + chunks->taken;
    chunks->taken += nbytes;
    return memset(p, 0, nbytes);
}

static void forget_all(void)
{
    while (chunks != NULL) {
        chunk_t *next = chunks->next;
        free(chunks);
        chunks = next;
    }
}

/* ---- variables ----------------------------------------------------------------------------------------------- */

typedef struct variable {
    unsigned place;
    void *here;
    size_t size;
} variable_t;

#define USE_COPIED(symbol) {TMI_PLACE_##symbol, &symbol, sizeof symbol},
#define USE_FOUND(symbol)
#define TMI_PLACE(use, symbol) USE_##use(symbol)
#define TMI_FIELD(type, member)
static const variable_t variables[] = {
#include "heap/layout.def"
};
#undef TMI_PLACE
#undef TMI_FIELD

enum { NVARIABLES = TMI_COUNT_OF(variables) };

/* The sum of the sizes of all variables. */
static size_t variables_bytes(void)
{
    size_t n = 0;
    for (unsigned i = 0; i < NVARIABLES; i++)
        n += variables[i].size;
    return n;
}

static void read_variables(const target_t *t, char *to)
{
    struct iovec pieces[NVARIABLES];
    void *places[NVARIABLES];
    bool ok[NVARIABLES];
    for (unsigned i = 0; i < NVARIABLES; i++) {
        pieces[i] = (struct iovec){(void *)t->place[variables[i].place], variables[i].size}; // NOLINT: an address there
        places[i] = to;
        to += variables[i].size;
    }
    target_read_many(t, pieces, places, ok, NVARIABLES);
    for (unsigned i = 0; i < NVARIABLES; i++)
        if (!ok[i])
            tool_fail("process %d: its records cannot be read: it has ended, or runs another program now", (int)t->pid);
}

static void reset_lock(tmi_lock_t *lock, bool *held)
{
    *held |= lock->word != 0;
    *lock = (tmi_lock_t){0};
}

/* Overwrite our variables with the copies, and reset the locks in them. Returns whether a lock was held: its holder may
 * have been changing a record. */
static bool enter_variables(const char *from)
{
    bool held = false;
    for (unsigned i = 0; i < NVARIABLES; i++) {
        memcpy(variables[i].here, from, variables[i].size);
        from += variables[i].size;
    }
    for (unsigned c = 0; c < TMI_CLASS_COUNT; c++) {
        reset_lock(&tmi_raw_classes[c].lock, &held);
        reset_lock(&tmi_depots[c].lock, &held);
    }
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++)
        reset_lock(&tmi_medium_classes[c].lock, &held);
    for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
        reset_lock(&tmi_movable_classes[c].lock, &held);
    reset_lock(&tmi_mixed.lock, &held);
    reset_lock(&tmi_space_lock, &held);
    return held;
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

/* Read a thread record: up to its pins, and the pins in use. */
static void read_thread(const target_t *t, uintptr_t from, tmi_thread_t *to)
{
    size_t pins = offsetof(tmi_thread_t, pins);
    (void)target_read(t, from, to, pins + offsetof(tm_pins_t_, slot) + sizeof(tm_handle_t));
    size_t top = tmi_min(to->pins.top, TM_PIN_SLOTS_);
    (void)target_read(t, from + pins + offsetof(tm_pins_t_, slot), to->pins.slot, (top + 1) * sizeof(tm_handle_t));
}

static void copy_handles(const target_t *t, tmi_hcache_t *cache)
{
    if (cache->own == NULL)
        return;
    tmi_hmagazines_t *copy = replica_alloc(sizeof *copy);
    target_read_present(t, (uintptr_t)cache->own, copy, sizeof *copy); // purged magazines read as zero, which is empty
    cache->own = copy;
}

/* Copy the list of threads. The copies are linked with each other. pins.more_, which is not used here, holds the
 * address of the original. */
static void copy_threads(const target_t *t)
{
    tmi_thread_t **link = &tmi_thread_records;
    uintptr_t mark = 0;
    for (size_t n = 0; *link != NULL; n++) {
        uintptr_t there = (uintptr_t)*link;
        if (there == mark)
            tool_fail("process %d: its list of threads has no end: its records have been overwritten", (int)t->pid);
        if (tmi_is_pow2(n))
            mark = there;
        tmi_thread_t *copy = replica_alloc(sizeof *copy);
        read_thread(t, there, copy);
        copy->pins.more_ = (struct tm_more_pins_ *)there;
        copy_handles(t, &copy->handles);
        *link = copy;
        link = &copy->next;
    }
    *link = NULL;
}

/* Whether the threads' magazines and shelves are unchanged. Threads change them without writing to any variable. */
static bool same_threads(const target_t *t)
{
    static tmi_thread_t again;
    for (const tmi_thread_t *c = tmi_thread_records; c != NULL; c = c->next) {
        if (c->cache.busy || c->shelf.busy || c->handles.busy != 0)
            return false;
        (void)target_read(t, (uintptr_t)c->pins.more_, &again, offsetof(tmi_thread_t, pins));
        if (memcmp(&again.cache, &c->cache, sizeof c->cache) != 0 ||
            memcmp(&again.shelf, &c->shelf, sizeof c->shelf) != 0)
            return false;
        if (c->handles.own == NULL)
            continue;
        static tmi_hmagazines_t magazines;
        target_read_present(t, (uintptr_t)again.handles.own, &magazines, sizeof magazines);
        if (memcmp(&magazines, c->handles.own, sizeof magazines) != 0)
            return false;
    }
    return true;
}

static void copy_meta_run(const target_t *t)
{
    if (tmi_meta_use.run == NULL)
        return;
    tmi_meta_run_t *copy = replica_alloc(sizeof *copy);
    (void)target_read(t, (uintptr_t)tmi_meta_use.run, copy, sizeof *copy);
    tmi_meta_use.run = copy;
}

/* ---- a look -------------------------------------------------------------------------------------------------- */

static void look(replica_t *r, void (*inside)(void *context), void *context)
{
    size_t nbytes = variables_bytes();
    forget_all();
    char *before = replica_alloc(nbytes), *after = replica_alloc(nbytes);
    read_variables(r->t, before);
    bool held = enter_variables(before);
    copy_threads(r->t);
    copy_meta_run(r->t);
    r->parts = NULL;
    r->nparts = r->left_out = 0;
    if (tmi_nwindows > 0) {
        replica_map(r->t);
        replica_parts(r, inside != NULL);
    }
    if (inside != NULL)
        inside(context);
    read_variables(r->t, after);
    r->steady = !held && r->left_out == 0 && memcmp(before, after, nbytes) == 0 && same_threads(r->t);
}

void replica_take_all(replica_t *r, const target_t *t, unsigned looks, void (*inside)(void *context), void *context)
{
    *r = (replica_t){.t = t};
    tmi_os_page_size = t->page_size;
    tmi_os_page_shift = tmi_log2(t->page_size);
    tmi_sizeclass_init(); // the tables of classes depend only on the page size, so they are the same there
    tmi_movable_init();
    tmi_medium_init();
    do {
        if (r->looks > 0)
            usleep(2000u << r->looks);
        look(r, inside, context);
        r->looks++;
    } while (!r->steady && r->looks < looks);
}

void replica_take(replica_t *r, const target_t *t, unsigned looks) { replica_take_all(r, t, looks, NULL, NULL); }

void replica_sheet(const replica_t *r, tmi_sheet_t *sheet)
{
    tmi_account(&sheet->all, tmi_sheet_add, sheet);
    sheet->version = r->t->facts.version;
    sheet->pid = (uint32_t)r->t->pid;
    sheet->clock_ms = tmi_os_now_ms();
}
