#include "os/meta.h"
#include "os/os.h"

#include <string.h>

enum {
    FINE_GRAIN = 16,
    FINE_MAX = 1024,
    FINE_LISTS = FINE_MAX / FINE_GRAIN,  // lists[k]: blocks of (k + 1) * 16 bytes
    COARSE_LISTS = 8 * 4,                // then four per doubling, up to 256 KiB
    START_SIZE = 16 << 10,
    CHUNK_SIZE = 256 << 10,
};

typedef struct free_block {
    struct free_block *next;
} free_block_t;

tmi_lock_t tmi_meta_lock = TMI_LOCK_OF(TMI_RANK_META);
static free_block_t *lists[FINE_LISTS + COARSE_LISTS];
static char start[START_SIZE] TMI_ALIGNED(TMI_CACHE_LINE);
static char *bump = start, *bump_end = start + START_SIZE;
tmi_meta_use_t tmi_meta_use = {.taken = START_SIZE, .unused = START_SIZE};

static unsigned list_of(size_t nbytes)
{
    if (nbytes <= FINE_MAX)
        return (unsigned)((nbytes - 1) / FINE_GRAIN);
    unsigned doubling = tmi_log2(nbytes - 1); // 10 for 1025..2048
    return FINE_LISTS + (doubling - 10) * 4 + (unsigned)((nbytes - 1) >> (doubling - 2) & 3);
}

static size_t rounded(size_t nbytes)
{
    return tmi_round_up(nbytes, nbytes <= FINE_MAX ? FINE_GRAIN : (size_t)1 << (tmi_log2(nbytes - 1) - 2));
}

/* What is left of the old chunk, up to about a page, is lost. That is little: chunks are large and records small. */
static bool new_chunk(void)
{
    void *p;
    if (tmi_os_map_records(CHUNK_SIZE, &p) != 0)
        return false;
    bump = p;
    bump_end = bump + CHUNK_SIZE;
    tmi_own_add(&tmi_meta_use.taken, CHUNK_SIZE); // statistics read it without a lock
    tmi_own_add(&tmi_meta_use.unused, CHUNK_SIZE);
    return true;
}

static void *bump_alloc(size_t size)
{
    size_t align = size >= TMI_CACHE_LINE ? TMI_CACHE_LINE : FINE_GRAIN;
    char *p = (char *)tmi_round_up((uintptr_t)bump, align);
    if (p > bump_end || size > (size_t)(bump_end - p)) {
        if (!new_chunk())
            return NULL;
        p = bump;
    }
    tmi_own_add(&tmi_meta_use.unused, -(size_t)(p + size - bump));
    bump = p + size;
    return p;
}

void *tmi_meta_alloc(size_t nbytes)
{
    if (nbytes > CHUNK_SIZE)
        return NULL;
    unsigned k = list_of(nbytes);
    tmi_lock(&tmi_meta_lock);
    free_block_t *b = lists[k];
    void *p = b;
    if (b != NULL)
        lists[k] = b->next;
    else
        p = bump_alloc(rounded(nbytes)); // fresh memory is zero
    tmi_unlock(&tmi_meta_lock);
    return b != NULL ? memset(b, 0, nbytes) : p;
}

void tmi_meta_free(void *p, size_t nbytes)
{
    if (p == NULL)
        return;
    unsigned k = list_of(nbytes);
    free_block_t *b = p;
    tmi_lock(&tmi_meta_lock);
    b->next = lists[k];
    lists[k] = b;
    tmi_unlock(&tmi_meta_lock);
}

void *tmi_meta_pages(size_t nbytes)
{
    void *p;
    nbytes = tmi_round_up(nbytes, tmi_os_page_size);
    if (tmi_os_map_records(nbytes, &p) != 0)
        return NULL;
    tmi_lock(&tmi_meta_lock);
    tmi_own_add(&tmi_meta_use.taken, nbytes);
    tmi_unlock(&tmi_meta_lock);
    return p;
}

void tmi_meta_purge(void *pages, size_t nbytes)
{
    if (nbytes > 0)
        (void)tmi_os_purge(pages, tmi_round_up(nbytes, tmi_os_page_size));
}

enum { RUN_SIZE = 256 << 10, PERMANENT_MAX = 64 << 10 };

static bool new_run(tmi_meta_run_t *full)
{
    void *p;
    if (tmi_os_map_records(RUN_SIZE, &p) != 0)
        return false;
    tmi_meta_run_t *fresh = p;
    fresh->taken = TMI_CACHE_LINE;
    // the header before the run is seen; pairs: tmi_meta_permanent
    if (!tmi_cas_acq_rel(&tmi_meta_use.run, &full, fresh)) {
        (void)tmi_os_unmap(fresh, RUN_SIZE); // another thread, or a signal handler on this thread, was first
        return true;
    }
    (void)tmi_add_relaxed(&tmi_meta_use.permanent, RUN_SIZE); // a statistic
    return true;
}

bool tmi_meta_permanent_ready(void)
{
    return tmi_load_relaxed(&tmi_meta_use.run) != NULL || new_run(NULL); // relaxed: new_run checks again
}

void *tmi_meta_permanent(size_t nbytes)
{
    size_t size = tmi_round_up(nbytes, TMI_CACHE_LINE);
    // A signal handler, or a pin of TM_NULL, may be the first call of the library. Relaxed: any page size but 0 will
    // do.
    if (size > PERMANENT_MAX || (tmi_load_relaxed(&tmi_os_page_size) == 0 && !tmi_os_init()))
        return NULL;
    for (;;) {
        tmi_meta_run_t *r = tmi_load_acquire(&tmi_meta_use.run); // pairs: new_run
        if (r != NULL) {
            size_t at = tmi_add_relaxed(&r->taken, size); // relaxed: the caller owns the bytes between the two values
            if (at + size <= RUN_SIZE)
                return (char *)r + at;
        }
        if (!new_run(r))
            return NULL;
    }
}

/* Only the last run of permanent records has free room. */
size_t tmi_meta_touched(void)
{
    const tmi_meta_run_t *r = tmi_load_acquire(&tmi_meta_use.run); // pairs: new_run
    size_t rest = r == NULL ? 0 : RUN_SIZE - tmi_min(tmi_load_relaxed(&r->taken), RUN_SIZE);
    size_t all = tmi_meta_bytes(), never = tmi_load_relaxed(&tmi_meta_use.unused) + rest;
    return all > never ? all - never : 0;
}

size_t tmi_meta_bytes(void)
{
    return tmi_load_relaxed(&tmi_meta_use.taken) + tmi_load_relaxed(&tmi_meta_use.permanent); // statistics
}
