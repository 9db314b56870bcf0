#include "evict.h"
#include "aggregate.h"
#include "hash.h"
#include "snapshot.h"
#include "watch.h"
#include "work.h"

enum { DISCARDED = 64, LFU_START = 5, LFU_FACTOR = 10, PIECE = 64, STEP_NS = 250 * 1000, STEP_MOST = 8192, TRIES = 32 };

static struct table discarded[DISCARDED];
static unsigned discards;
static uint64_t cursors[DATABASES];
static unsigned turn;

static inline uint32_t minutes(void) { return (uint32_t)(server.now / 60000) & 0xffff; }

/* The counter, less one for each minute since it was last counted. */
static uint32_t frequency(const struct entry *e)
{
    uint32_t passed = (minutes() - (e->clock >> 8)) & 0xffff, counter = e->clock & 0xff;
    return counter > passed ? counter - passed : 0;
}

void evict_born(struct entry *e)
{
    e->saved = server.epoch;
    e->clock = server.policy == ALLKEYS_LFU ? minutes() << 8 | LFU_START : (uint32_t)(server.now / 1000) & 0xffffff;
}

void evict_touch(struct entry *e)
{
    if (server.policy != ALLKEYS_LFU) {
        e->clock = (uint32_t)(server.now / 1000) & 0xffffff;
        return;
    }
    uint32_t counter = frequency(e), base = counter > LFU_START ? counter - LFU_START : 0;
    if (counter < 255 && hash_random() % (base * LFU_FACTOR + 1) == 0)
        counter++;
    e->clock = minutes() << 8 | counter;
}

/* How much better than others the entry may go. */
static uint64_t badness(const struct entry *e)
{
    switch (server.policy) {
    case ALLKEYS_LRU: return (((uint32_t)(server.now / 1000) - e->clock) & 0xffffff) + 1;
    case ALLKEYS_LFU: return 256 - frequency(e);
    case VOLATILE_TTL: return e->expires ? (uint64_t)INT64_MAX - (uint64_t)entry_expiry(e) : 0;
    default: return 0;
    }
}

static bool evict_one(void)
{
    struct table *from = NULL;
    place *best = NULL;
    uint64_t worst = 0;
    unsigned seen = 0;
    for (unsigned i = 0; i < TRIES && seen < server.samples; i++) {
        struct table *t = &server.db[hash_random() % DATABASES];
        for (unsigned d = 0; d < DATABASES && t->count == 0; d++)
            t = &server.db[d];
        place *p = table_random(t);
        uint64_t bad = p == NULL ? 0 : badness(store_at(*p));
        seen += bad > 0;
        if (bad > worst) {
            worst = bad;
            best = p;
            from = t;
        }
    }
    if (best == NULL)
        return false;
    snapshot_keep(from, store_at(*best));
    watch_touch_entry(from, store_at(*best));
    table_remove(from, best);
    server.evicted++;
    return true;
}

static bool volatiles(void)
{
    for (unsigned d = 0; d < DATABASES; d++) {
        if (server.db[d].volatiles > 0)
            return true;
    }
    return false;
}

/* Over the limit by more than what one command may evict, the next commands go on; only with nothing to evict they
 * fail. */
bool evict_for_command(void)
{
    if (server.maxmemory == 0)
        return true;
    for (unsigned i = 0; i < EVICT_MOST && server_used() > server.maxmemory; i++) {
        if (server.policy == NO_EVICTION || (server.policy == VOLATILE_TTL && !volatiles()))
            return false;
        if (!evict_one())
            return server.policy == VOLATILE_TTL; // the samples had none: there are some
    }
    return true;
}

bool evict_discard(struct table *t)
{
    if (discards == DISCARDED)
        return false;
    if (t->buckets > 0)
        discarded[discards++] = *t;
    *t = (struct table){0};
    return true;
}

static bool is_over(void *db, struct entry *e)
{
    bool over = e->expires && entry_expiry(e) <= server.now;
    server.expired += over;
    if (over)
        watch_touch_entry(db, e);
    return over;
}

/* A piece: either of what was discarded, or a few buckets of one database. True: it found something to do. */
static bool piece(void)
{
    if (aggregate_free(PIECE))
        return true;
    if (discards > 0) {
        if (table_destroy(&discarded[discards - 1], PIECE))
            discards--;
        return true;
    }
    uint64_t before = server.expired;
    struct table *t = &server.db[turn];
    for (unsigned i = 0; i < PIECE && t->volatiles > 0; i++) {
        cursors[turn] = table_sweep(t, cursors[turn], is_over, t);
        if (cursors[turn] == 0)
            break;
    }
    if (t->volatiles == 0 || cursors[turn] == 0)
        turn = (turn + 1) % DATABASES;
    return server.expired > before + PIECE / 16;
}

bool evict_step(void)
{
    uint64_t end = clock_ns() + STEP_NS, most = work_done + STEP_MOST;
    bool more = true, any = false;
    do {
        more = piece();
        any |= more;
    } while ((more || volatiles()) && work_done < most && clock_ns() < end);
    return discards > 0 || any;
}

unsigned evict_waiting(void) { return discards; }

void evict_everything(void)
{
    store_begin();
    for (unsigned d = 0; d < DATABASES; d++)
        db_flush(&server.db[d]);
    while (discards > 0 || aggregate_free(PIECE))
        (void)piece();
    store_end();
}
