#include "stores/handle.h"
#include "base/dlist.h"
#include "host/meta.h"
#include "host/os.h"
#include "host/report.h"

#include <errno.h>

#define ALL_INDICES ((uint64_t)1 << 32)
#define TAGGED ((uint32_t)1 << 31) // indices from here on make handles that fault when they are dereferenced
#define FEWEST_INDICES ((uint64_t)1 << 16)
#define COMMIT_BYTES ((size_t)2 << 20) // of words, made writable at a time
#define GENERATIONS ((uint32_t)1 << 14)
enum { LEVELS = 8 };

typedef struct group {
    tmi_dlist_t link;   // in its level, or in `idle`
    uint32_t number, nfree, nretired;
    uint32_t ceiling; // no generation in it is higher, H1
    uint8_t level;
    uint64_t free[];    // H2
} group_t;

static uint64_t no_word;
uint64_t *tmi_words = &no_word; // TM_NULL finds 0 before there is a table
#undef tm_words_
extern uint64_t *tm_words_;
TM_EXPORT uint64_t *tm_words_ = &no_word; // the same for programs

tmi_lock_t tmi_handle_lock = TMI_LOCK_OF(TMI_RANK_HANDLES);
static tmi_dlist_t levels[LEVELS], idle; // idle: all indices free
static uint64_t *books;                  // H3
static uint32_t ngroups, max_groups, free_groups; // free_groups: number of the first, 0 none (group 0 always holds index 0)
static uint32_t group_words, group_shift;
static uint32_t first_index;             // TAGGED, or 0 when the table is too small for that
static size_t nidle, bytes_in_use, committed_words, committed_books;

static uint32_t index_of(uint32_t number, uint32_t i) { return first_index + (number << group_shift) + i; }
static size_t group_bytes(void) { return (size_t)group_words * sizeof(uint64_t); }
static size_t record_bytes(void) { return sizeof(group_t) + group_words / 8; }

int tmi_handle_init(void)
{
    if (books != NULL)
        return 0;
    group_words = (uint32_t)(tmi_os_page_size / sizeof(uint64_t));
    group_shift = tmi_log2(group_words);
    uint64_t n = ALL_INDICES;
    size_t share = tmi_os_address_limit() / 16;
    while (n > FEWEST_INDICES && n * sizeof(uint64_t) > share)
        n /= 2;
    void *words = NULL, *records = NULL;
    int err = ENOMEM;
    for (; n >= FEWEST_INDICES && err != 0; n /= 2)
        err = tmi_os_reserve(n * sizeof(uint64_t), &words);
    if (err != 0)
        return err;
    n *= 2; // what succeeded
    first_index = n == ALL_INDICES ? TAGGED : 0;
    n = n == ALL_INDICES ? n - TAGGED - (1 << 16) : n; // the highest would not fault
    err = tmi_os_reserve(n / group_words * sizeof(uint64_t), &records);
    if (err != 0) {
        (void)tmi_os_unmap(words, first_index != 0 ? ALL_INDICES * sizeof(uint64_t) : n * sizeof(uint64_t));
        return err;
    }
    for (unsigned l = 0; l < LEVELS; l++)
        tmi_dlist_init(&levels[l]);
    tmi_dlist_init(&idle);
    max_groups = (uint32_t)(n >> group_shift);
    books = records;
    tmi_words = words;
    tmi_store_release(&tm_words_, words); // readers that come before find no_word, and no handle is out yet
    return 0;
}

uint32_t tmi_handle_limit(void) { return (uint32_t)(first_index + (uint64_t)max_groups * group_words - 1); }

static bool commit(void *base, size_t *committed, size_t needed, size_t all)
{
    if (needed <= *committed)
        return true;
    size_t wanted = tmi_min(tmi_round_up(needed, COMMIT_BYTES), all);
    if (tmi_os_commit((char *)base + *committed, wanted - *committed) != 0)
        return false;
    *committed = wanted;
    return true;
}

enum { IN_NONE = LEVELS, IN_IDLE };

static unsigned list_for(const group_t *g)
{
    if (g->nfree + g->nretired == group_words) // never the first group: index 0 is in use
        return IN_IDLE;
    return g->nfree == 0 ? IN_NONE : (unsigned)tmi_min(g->nfree * LEVELS / group_words, LEVELS - 1);
}

static void place(group_t *g)
{
    unsigned list = list_for(g);
    if (list == g->level)
        return;
    tmi_own_add(&nidle, (size_t)(list == IN_IDLE) - (size_t)(g->level == IN_IDLE));
    g->level = (uint8_t)list;
    tmi_dlist_remove(&g->link);
    if (list != IN_NONE)
        tmi_dlist_push_front(list == IN_IDLE ? &idle : &levels[list], &g->link);
}

static group_t *open_group(uint32_t number, uint32_t ceiling)
{
    group_t *g = tmi_meta_alloc(record_bytes());
    if (g == NULL)
        return NULL;
    tmi_dlist_init(&g->link);
    g->number = number;
    g->ceiling = ceiling;
    g->level = IN_NONE;
    g->nfree = group_words;
    for (unsigned w = 0; w < group_words / 64; w++)
        g->free[w] = ~(uint64_t)0;
    for (uint32_t i = number == 0; i < group_words; i++) // pages just made writable, or given back: all 0
        tmi_store_relaxed(tmi_word(index_of(number, i)), tmi_generation_bits(ceiling));
    if (number == 0) { // H4
        g->free[0] &= ~(uint64_t)1;
        g->nfree--;
    }
    books[number] = (uint64_t)(uintptr_t)g;
    tmi_own_add(&bytes_in_use, group_bytes()); // statistics read it
    place(g);
    return g;
}

static group_t *new_group(void)
{
    if (free_groups != 0) {
        uint32_t number = free_groups;
        uint64_t book = books[number];
        group_t *g = open_group(number, (uint32_t)(book >> 1) & (GENERATIONS - 1));
        if (g != NULL)
            free_groups = (uint32_t)(book >> 32);
        return g;
    }
    size_t all = (size_t)max_groups * group_bytes();
    if (ngroups == max_groups || !commit(tmi_words + first_index, &committed_words, (ngroups + 1) * group_bytes(), all) ||
        !commit(books, &committed_books, (ngroups + 1) * sizeof *books, max_groups * sizeof *books))
        return NULL;
    group_t *g = open_group(ngroups, GENERATIONS - 1);
    if (g != NULL)
        ngroups++;
    return g;
}

static group_t *fullest(void)
{
    for (unsigned l = 0; l < LEVELS; l++)
        if (!tmi_dlist_empty(&levels[l]))
            return TM_CONTAINER_OF(levels[l].next, group_t, link);
    for (tmi_dlist_t *n = idle.next; n != &idle; n = n->next)
        if (TM_CONTAINER_OF(n, group_t, link)->nfree > 0)
            return TM_CONTAINER_OF(n, group_t, link);
    return new_group();
}

static tm_handle_t free_handle(uint32_t index)
{
    return tmi_handle_of_word(index, tmi_load_relaxed(tmi_word(index))); // relaxed: free words belong to the holder of the lock
}

static size_t take_from(group_t *g, tm_handle_t *out, size_t n)
{
    size_t got = 0;
    for (unsigned w = 0; got < n && w < group_words / 64; w++)
        for (; g->free[w] != 0 && got < n; g->free[w] &= g->free[w] - 1)
            out[got++] = free_handle(index_of(g->number, w * 64 + tmi_lowest_bit(g->free[w])));
    g->nfree -= (uint32_t)got;
    place(g);
    return got;
}

size_t tmi_handle_take(tm_handle_t *out, size_t n)
{
    size_t got = 0;
    tmi_lock(&tmi_handle_lock);
    while (got < n) {
        group_t *g = fullest();
        if (g == NULL)
            break;
        got += take_from(g, out + got, n - got);
    }
    tmi_unlock(&tmi_handle_lock);
    return got;
}

static group_t *group_of(uint32_t index) { return (group_t *)(uintptr_t)books[(index - first_index) >> group_shift]; }

static void give(uint32_t index)
{
    group_t *g = group_of(index);
    unsigned i = index & (group_words - 1);
    TM_CHECK(!(g->free[i / 64] >> (i % 64) & 1), "H2 an index is given back once");
    g->free[i / 64] |= (uint64_t)1 << (i % 64);
    g->nfree++;
    place(g);
}

void tmi_handle_return(const uint32_t *indices, size_t n)
{
    tmi_lock(&tmi_handle_lock);
    for (size_t i = 0; i < n; i++)
        give(indices[i]);
    tmi_unlock(&tmi_handle_lock);
}

void tmi_handle_retire(uint32_t index)
{
    tmi_store_relaxed(tmi_word(index), 0); // relaxed: not live before, not live after
    tmi_lock(&tmi_handle_lock);
    group_t *g = group_of(index);
    g->nretired++;
    place(g);
    tmi_unlock(&tmi_handle_lock);
}

static uint32_t lowest_generation(const group_t *g)
{
    uint32_t lowest = g->ceiling;
    for (uint32_t i = 0; i < group_words; i++)
        lowest = (uint32_t)tmi_min(lowest, tmi_generation_of(tmi_load_relaxed(tmi_word(index_of(g->number, i)))));
    return lowest;
}

/* Stale handles to its indices still find a word that is not live. */
static bool give_back(group_t *g)
{
    uint32_t ceiling = lowest_generation(g), number = g->number;
    if (tmi_os_purge(tmi_word(index_of(number, 0)), group_bytes()) != 0)
        return false;
    bool dead = g->nretired > 0;
    books[number] = (uint64_t)ceiling << 1 | 1 | (dead ? 0 : (uint64_t)free_groups << 32);
    if (!dead)
        free_groups = number;
    tmi_dlist_remove(&g->link);
    tmi_own_add(&nidle, -(size_t)1);
    tmi_own_add(&bytes_in_use, -group_bytes());
    tmi_meta_free(g, record_bytes());
    return true;
}

size_t tmi_handle_purge(size_t keep, size_t most)
{
    size_t n = 0;
    tmi_lock(&tmi_handle_lock);
    while (n < most && nidle > keep && give_back(TM_CONTAINER_OF(idle.prev, group_t, link)))
        n++;
    tmi_unlock(&tmi_handle_lock);
    return n * group_bytes();
}

size_t tmi_handle_bytes(void) { return tmi_load_relaxed(&bytes_in_use); } // statistics
size_t tmi_handle_idle_groups(void) { return tmi_load_relaxed(&nidle); }

static void audit_group(const group_t *g)
{
    size_t n = 0;
    for (unsigned w = 0; w < group_words / 64; w++)
        n += tmi_popcount(g->free[w]);
    tmi_audit(n == g->nfree, "H2 free indices are counted", g);
    tmi_audit(list_for(g) == g->level, "H2 a group is in the list of its level", g);
    tmi_audit(g->number != 0 || !(g->free[0] & 1), "H4 index 0 is never free", g);
    for (uint32_t i = 0; i < group_words; i++) {
        uint64_t w = tmi_load_relaxed(tmi_word(index_of(g->number, i)));
        if (g->free[i / 64] >> (i % 64) & 1)
            tmi_audit((w & (TMI_WORD_ADDRESS | TMI_WORD_LIVE)) == 0, "H2 a free index has no slot", g);
    }
}

void tmi_handle_check(void)
{
    size_t n = 0;
    for (uint32_t i = 0; i < ngroups; i++)
        if ((books[i] & 1) == 0) {
            audit_group((const group_t *)(uintptr_t)books[i]);
            n += group_bytes();
        }
    tmi_audit(n == bytes_in_use, "H3 groups in use are counted", books);
    tmi_audit(*tmi_word(0) == 0, "H4 word 0 is 0", tm_words_);
}

#if TMI_TEST_HOOKS
tm_handle_t tmi_handle_age(tm_handle_t h, uint32_t generation)
{
    uint64_t w = tmi_load_relaxed(tm_word_of_(h)); // relaxed: the caller's object
    TM_CHECK(generation <= tmi_generation_of(h), "H1 a generation never rises");
    w = (w & ~(TMI_WORD_GENERATION | TMI_WORD_MOVING)) | tmi_generation_bits(generation);
    tmi_store_relaxed(tm_word_of_(h), w);
    return tmi_handle_of_word(tmi_handle_index(h), w);
}

void tmi_handle_set_limit(uint32_t nindices) { max_groups = (uint32_t)tmi_max(nindices / group_words, 1); }
#endif
