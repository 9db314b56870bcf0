#include "slabs/handle.h"
#include "base/dlist.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/os.h"
#include "os/report.h"
#include "segments/regret.h"

#include <errno.h>

#define ALL_INDICES ((uint64_t)1 << 32)
#define TAGGED ((uint32_t)1 << 31) // handles of indices from here on fault when a program dereferences them
#define FEWEST_INDICES ((uint64_t)1 << 16)
#define EXTENSION ((uint64_t)1 << 29) // how many indices' words are reserved at a time: 4 GiB
#define COMMIT_BYTES ((size_t)2 << 20) // of words that are made writable at a time
#define GENERATIONS ((uint32_t)1 << 14)
#define RETIRED ((uint64_t)1 << 16)  // the word of a retired index: an address without an owner
enum { LEVELS = 8 };

typedef struct group {
    tmi_dlist_t link;   // in its level, in `idle` or `spent`, or on its way to the kernel
    tmi_dlist_t worn;   // in worn_groups, if it has retired indices
    uint32_t number, nfree, nretired;
    uint32_t ceiling; // when its page is purged: the lowest generation in it, H1
    uint32_t worn_at; // H5
    uint8_t level;
    uint64_t free[];    // H2
} group_t;

static uint64_t no_word;
uint64_t *tmi_words = &no_word; // the word of TM_NULL reads as 0 before the table exists
#undef tm_words_
extern uint64_t *tm_words_;
TMI_EXPORT uint64_t *tm_words_ = &no_word; // the same for programs
uint32_t tmi_handle_first, tmi_handle_count = 1; // index 0: TAGGED, or 0 when the table is too small for that

tmi_lock_t tmi_handle_lock = TMI_LOCK_OF(TMI_RANK_HANDLES);
static tmi_dlist_t levels[LEVELS], idle; // idle: some indices free, the others retired
static tmi_dlist_t spent;                // all indices retired
static tmi_dlist_t worn_groups;          // H5
static uint64_t *group_states;                  // H3
static uint32_t ngroups, max_groups, all_groups; // made so far; with reserved words; the most that can exist
static uint32_t free_groups; // number of the first free group; 0: none (group 0 always has index 0)
static uint32_t spent_first, spent_last; // H5; 0: none
static uint32_t group_words, group_shift;
static uint32_t retirements;             // modulo 2^31
static size_t nidle, nrevived, committed_words, committed_states;
size_t tmi_handle_bytes_in_use;

static uint32_t index_of(uint32_t number, uint32_t i) { return tmi_handle_first + (number << group_shift) + i; }
static size_t group_bytes(void) { return (size_t)group_words * sizeof(uint64_t); }
static size_t record_bytes(void) { return sizeof(group_t) + group_words / 8; }

/* ---- address space ------------------------------------------------------------------------------------------- */

/* The words of indices from TAGGED on, and of the indices that a number which is not a handle is likely to have: an
 * address, a small number or a negative one. All are reserved together, so that they lie at the right distances. The
 * address space between them is given back. */
static int reserve_tagged(void)
{
    size_t all = ALL_INDICES * sizeof(uint64_t), ends = TMI_HANDLE_ENDS * sizeof(uint64_t);
    size_t from = TAGGED * sizeof(uint64_t), to = from + EXTENSION * sizeof(uint64_t);
    char *words;
    int err = tmi_os_reserve(all, (void **)&words);
    if (err != 0)
        return err;
    (void)tmi_os_unmap(words + ends, from - ends);
    (void)tmi_os_unmap(words + to, all - ends - to);
    tmi_os_exclude_from_dumps(words + from, to - from);
    tmi_store_release(&tmi_words, (uint64_t *)(void *)words); // as tm_words_ below
    tmi_handle_first = TAGGED;
    max_groups = (uint32_t)(EXTENSION >> group_shift);
    all_groups = (uint32_t)((ALL_INDICES - TAGGED - TMI_HANDLE_ENDS) >> group_shift); // the highest would not fault
    return 0;
}

static int reserve_few(size_t bytes)
{
    uint64_t n = EXTENSION;
    void *words = NULL;
    int err = ENOMEM;
    while (n > FEWEST_INDICES && n * sizeof(uint64_t) > bytes)
        n /= 2;
    for (; n >= FEWEST_INDICES && err != 0; n /= 2)
        err = tmi_os_reserve(n * sizeof(uint64_t), &words);
    if (err != 0)
        return err;
    n *= 2; // the last size, which could be reserved
    tmi_os_exclude_from_dumps(words, n * sizeof(uint64_t));
    tmi_store_release(&tmi_words, (uint64_t *)words); // as tm_words_ below
    max_groups = all_groups = (uint32_t)(n >> group_shift);
    return 0;
}

int tmi_handle_init(void)
{
    void *records;
    if (group_states != NULL)
        return 0;
    group_words = (uint32_t)(tmi_os_page_size / sizeof(uint64_t));
    group_shift = tmi_log2(group_words);
    size_t share = tmi_os_address_limit() / 16;
    if (max_groups == 0 && (share < EXTENSION * sizeof(uint64_t) || reserve_tagged() != 0)) {
        int err = reserve_few(share);
        if (err != 0)
            return err;
    }
    int err = tmi_os_reserve(all_groups * sizeof *group_states, &records);
    if (err != 0)
        return err; // the words stay reserved for the next try
    for (unsigned l = 0; l < LEVELS; l++)
        tmi_dlist_init(&levels[l]);
    tmi_dlist_init(&idle);
    tmi_dlist_init(&spent);
    tmi_dlist_init(&worn_groups);
    group_states = records;
    tmi_store_relaxed(&tmi_handle_count, max_groups << group_shift); // relaxed: no index is out yet
    tmi_store_release(&tm_words_, tmi_words); // earlier readers find no_word, and no handle is out yet
    return 0;
}

/* Reserve more address space for words, behind the existing ones. Called when all indices are retired or in use. */
static bool extend(void)
{
    uint32_t more = (uint32_t)tmi_min(EXTENSION >> group_shift, all_groups - max_groups);
    char *at = (char *)tmi_word(index_of(max_groups, 0));
    if (more == 0 || tmi_os_reserve_at(at, more * group_bytes()) != 0)
        return false;
    tmi_os_exclude_from_dumps(at, more * group_bytes());
    max_groups += more;
    // relaxed: a thread that has one of the new indices got it after this store
    tmi_store_relaxed(&tmi_handle_count, max_groups << group_shift);
    return true;
}

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

/* ---- groups -------------------------------------------------------------------------------------------------- */

enum { IN_NONE = LEVELS, IN_IDLE, IN_SPENT, LEAVING };

static unsigned list_for(const group_t *g)
{
    if (g->nretired == group_words) // never the first group: index 0 is in use
        return IN_SPENT;
    if (g->nfree + g->nretired == group_words)
        return IN_IDLE;
    return g->nfree == 0 ? IN_NONE : (unsigned)tmi_min(g->nfree * LEVELS / group_words, LEVELS - 1);
}

static void place(group_t *g)
{
    unsigned list = list_for(g);
    if (list == g->level)
        return;
    tmi_own_add(&nidle, (size_t)(list >= IN_IDLE) - (size_t)(g->level >= IN_IDLE));
    g->level = (uint8_t)list;
    tmi_dlist_remove(&g->link);
    if (list != IN_NONE)
        tmi_dlist_push_front(list == IN_SPENT ? &spent : list == IN_IDLE ? &idle : &levels[list], &g->link);
}

static group_t *open_group(uint32_t number, uint32_t ceiling)
{
    group_t *g = tmi_meta_alloc(record_bytes());
    if (g == NULL)
        return NULL;
    tmi_dlist_init(&g->link);
    tmi_dlist_init(&g->worn);
    g->number = number;
    g->level = IN_NONE;
    g->nfree = group_words;
    g->nretired = 0;
    for (unsigned w = 0; w < group_words / 64; w++)
        g->free[w] = ~(uint64_t)0;
    for (uint32_t i = number == 0; i < group_words; i++) // pages just made writable, or given back: all 0
        tmi_store_relaxed(tmi_word(index_of(number, i)), tmi_generation_bits(ceiling));
    if (number == 0) { // H4
        g->free[0] &= ~(uint64_t)1;
        g->nfree--;
    }
    group_states[number] = (uint64_t)(uintptr_t)g;
    tmi_own_add(&tmi_handle_bytes_in_use, group_bytes()); // statistics read it
    place(g);
    return g;
}

static tmi_debt_t debt; // pages of the table

static group_t *group_given_back(void)
{
    uint32_t number = free_groups;
    uint64_t state = group_states[number];
    group_t *g = number != 0 ? open_group(number, (uint32_t)(state >> 1) & (GENERATIONS - 1)) : NULL;
    if (g == NULL)
        return NULL;
    free_groups = (uint32_t)(state >> 32);
    (void)tmi_debt_pay(&debt, group_bytes());
    return g;
}

static group_t *new_group(void)
{
    if (ngroups == max_groups && !extend())
        return NULL;
    if (!commit(tmi_word(index_of(0, 0)), &committed_words, (ngroups + 1) * group_bytes(),
                max_groups * group_bytes()) ||
        !commit(group_states, &committed_states, (ngroups + 1) * sizeof *group_states,
                all_groups * sizeof *group_states))
        return NULL;
    group_t *g = open_group(ngroups, GENERATIONS - 1);
    if (g != NULL)
        ngroups++;
    return g;
}

/* ---- indices that have had all their lives, H5 --------------------------------------------------------------- */

static bool is_free(const group_t *g, uint32_t i) { return g->free[i / 64] >> (i % 64) & 1; }
static bool is_retired(const group_t *g, uint32_t i)
{
    return tmi_load_relaxed(tmi_word(index_of(g->number, i))) == RETIRED;
}

static group_t *spent_group(void)
{
    uint32_t number = spent_first;
    uint32_t next = (uint32_t)(group_states[number] >> 32);
    group_t *g = open_group(number, GENERATIONS - 1);
    if (g == NULL)
        return NULL;
    spent_first = next;
    if (next == 0)
        spent_last = 0;
    tmi_own_add(&nrevived, group_words);
    return g;
}

static group_t *worn_group(void)
{
    group_t *g = TMI_CONTAINER_OF(worn_groups.next, group_t, worn);
    for (uint32_t i = 0; i < group_words; i++)
        if (is_retired(g, i)) {
            // relaxed: a free word belongs to the holder of the lock
            tmi_store_relaxed(tmi_word(index_of(g->number, i)), tmi_generation_bits(GENERATIONS - 1));
            g->free[i / 64] |= (uint64_t)1 << (i % 64);
        }
    g->nfree += g->nretired;
    tmi_own_add(&nrevived, g->nretired);
    g->nretired = 0;
    tmi_dlist_remove(&g->worn);
    place(g);
    return g;
}

/* Revive all indices of the group whose last retirement is longest ago. */
static group_t *revive(void)
{
    group_t *g = NULL;
    bool worn = !tmi_dlist_empty(&worn_groups), given_back = spent_first != 0;
    if (worn && given_back) {
        uint32_t a = TMI_CONTAINER_OF(worn_groups.next, group_t, worn)->worn_at,
                 b = (uint32_t)group_states[spent_first] >> 1;
        given_back = ((a - b) & (UINT32_MAX >> 1)) <= UINT32_MAX >> 2; // modulo 2^31
    }
    if (given_back)
        g = spent_group();
    return g != NULL || !worn ? g : worn_group();
}

static group_t *fullest(void)
{
    for (unsigned l = 0; l < LEVELS; l++)
        if (!tmi_dlist_empty(&levels[l]))
            return TMI_CONTAINER_OF(levels[l].next, group_t, link);
    if (!tmi_dlist_empty(&idle))
        return TMI_CONTAINER_OF(idle.next, group_t, link);
    group_t *g = group_given_back();
    if (g == NULL)
        g = new_group();
    return g != NULL ? g : revive();
}

/* ---- taking and returning indices ---------------------------------------------------------------------------- */

static tm_handle_t free_handle(uint32_t index)
{
    // relaxed: free words belong to the holder of the lock
    return tmi_handle_of_word(index, tmi_load_relaxed(tmi_word(index)));
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

static group_t *group_of(uint32_t index)
{
    return (group_t *)(uintptr_t)group_states[(index - tmi_handle_first) >> group_shift];
}

static void give(uint32_t index)
{
    group_t *g = group_of(index);
    unsigned i = index & (group_words - 1);
    TMI_VERIFY(!is_free(g, i), "H2 an index is given back once");
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
    tmi_lock(&tmi_handle_lock);
    // relaxed: not live before, not live after; counted under the same lock
    tmi_store_relaxed(tmi_word(index), RETIRED);
    group_t *g = group_of(index);
    g->nretired++;
    g->worn_at = ++retirements & (UINT32_MAX >> 1);
    tmi_dlist_remove(&g->worn);
    tmi_dlist_push_back(&worn_groups, &g->worn);
    place(g);
    tmi_unlock(&tmi_handle_lock);
}

/* ---- purging pages ------------------------------------------------------------------------------------------- */

static uint32_t lowest_generation(const group_t *g)
{
    uint32_t lowest = GENERATIONS - 1;
    for (uint32_t i = 0; i < group_words; i++)
        lowest = (uint32_t)tmi_min(lowest, tmi_generation_of(tmi_load_relaxed(tmi_word(index_of(g->number, i)))));
    return lowest;
}

/* The next group to purge: first one without free indices, then the one that has been idle for longest. */
static group_t *next_to_leave(void)
{
    tmi_dlist_t *from = tmi_dlist_empty(&spent) ? &idle : &spent;
    return tmi_dlist_empty(from) ? NULL : TMI_CONTAINER_OF(from->prev, group_t, link);
}

/* Take the group out of all lists, so that no other thread finds it. */
static void detach(group_t *g, tmi_dlist_t *leaving)
{
    g->ceiling = lowest_generation(g);
    g->level = LEAVING;
    tmi_dlist_remove(&g->link);
    tmi_dlist_remove(&g->worn);
    tmi_dlist_push_back(leaving, &g->link);
}

/* Put the group back into its lists, since the kernel refused to purge the page. */
static void attach(group_t *g)
{
    tmi_dlist_remove(&g->link);
    if (g->nretired > 0)
        tmi_dlist_push_front(&worn_groups, &g->worn);
    place(g);
}

/* Forget a group whose page was purged. Stale handles to its indices still find a word that is not live. */
static void forget(group_t *g)
{
    uint32_t number = g->number;
    tmi_dlist_remove(&g->link);
    if (g->nretired == 0) {
        group_states[number] = (uint64_t)free_groups << 32 | (uint64_t)g->ceiling << 1 | 1;
        free_groups = number;
    } else { // its other indices lose the rest of their generations
        group_states[number] = (uint64_t)g->worn_at << 1 | 1;
        if (spent_last != 0)
            group_states[spent_last] |= (uint64_t)number << 32;
        else
            spent_first = number;
        spent_last = number;
    }
    tmi_own_add(&nidle, -(size_t)1);
    tmi_own_add(&tmi_handle_bytes_in_use, -group_bytes());
    tmi_meta_free(g, record_bytes());
}

/* The kernel is called without the lock. */
size_t tmi_handle_purge(size_t keep, size_t most)
{
    tmi_dlist_t leaving;
    group_t *g;
    size_t detached = 0, gone = 0;
    tmi_dlist_init(&leaving);
    tmi_lock(&tmi_handle_lock);
    for (size_t spare = nidle > keep ? nidle - keep : 0;
         detached < tmi_min(spare, most) && (g = next_to_leave()) != NULL; detached++)
        detach(g, &leaving);
    tmi_unlock(&tmi_handle_lock);
    tmi_dlist_t *n = leaving.next;
    while (n != &leaving &&
           tmi_os_purge(tmi_word(index_of(TMI_CONTAINER_OF(n, group_t, link)->number, 0)), group_bytes()) == 0) {
        n = n->next;
        gone++;
    }
    tmi_lock(&tmi_handle_lock);
    for (size_t i = 0; i < detached; i++) {
        g = TMI_CONTAINER_OF(leaving.next, group_t, link);
        if (i < gone)
            forget(g);
        else
            attach(g);
    }
    if (gone > 0)
        tmi_debt_add(&debt, gone * group_bytes());
    tmi_unlock(&tmi_handle_lock);
    tmi_count(purged_bytes, gone * group_bytes());
    return gone * group_bytes();
}

/* ---- walking over live handles ------------------------------------------------------------------------------- */

uint32_t tmi_handle_places(void)
{
    tmi_lock(&tmi_handle_lock);
    uint32_t places = ngroups << group_shift;
    tmi_unlock(&tmi_handle_lock);
    return places;
}

/* Whether the group has a page. If the page is being purged, its words read as 0. */
static bool has_page(uint32_t number)
{
    tmi_lock(&tmi_handle_lock);
    bool has = (group_states[number] & 1) == 0;
    tmi_unlock(&tmi_handle_lock);
    return has;
}

size_t tmi_handle_live(uint32_t *at, uint32_t end, tm_handle_t *out, size_t n)
{
    size_t got = 0;
    while (got < n && *at < end) {
        if ((*at & (group_words - 1)) == 0 && !has_page(*at >> group_shift)) {
            *at += group_words;
            continue;
        }
        uint32_t index = index_of(0, *at);
        uint64_t w = tmi_load_acquire(tmi_word(index)); // pairs: mover_publish
        if (w & TMI_WORD_LIVE)
            out[got++] = tmi_handle_of_word(index, w);
        ++*at;
    }
    return got;
}

/* ---- statistics, audit --------------------------------------------------------------------------------------- */

size_t tmi_handle_bytes(void) { return tmi_load_relaxed(&tmi_handle_bytes_in_use); } // statistics
size_t tmi_handle_idle_groups(void) { return tmi_load_relaxed(&nidle); }
size_t tmi_handle_idle_bytes(void) { return tmi_handle_idle_groups() * group_bytes(); }
size_t tmi_handle_revived(void) { return tmi_load_relaxed(&nrevived); }

static void audit_group(const group_t *g)
{
    size_t nfree = 0, nretired = 0;
    for (unsigned w = 0; w < group_words / 64; w++)
        nfree += tmi_popcount(g->free[w]);
    tmi_audit(nfree == g->nfree, "H2 free indices are counted", g);
    tmi_audit(g->level == LEAVING || list_for(g) == g->level, "H2 a group is in the list of its level", g);
    tmi_audit(g->number != 0 || !is_free(g, 0), "H4 index 0 is never free", g);
    for (uint32_t i = 0; i < group_words; i++) {
        uint64_t w = tmi_load_relaxed(tmi_word(index_of(g->number, i)));
        nretired += is_retired(g, i);
        if (is_free(g, i))
            tmi_audit((w & (TMI_WORD_ADDRESS | TMI_WORD_LIVE)) == 0, "H2 a free index has no slot", g);
    }
    if (g->level == LEAVING) // its page may have been purged
        return;
    tmi_audit(nretired == g->nretired, "H2 retired indices are counted", g);
    tmi_audit((nretired > 0) == !tmi_dlist_empty(&g->worn), "H5 a group with retired indices is in the list of these",
              g);
}

static void audit_spent(void)
{
    uint32_t n = 0, last = 0;
    for (uint32_t number = spent_first; number != 0 && n <= ngroups;
         number = (uint32_t)(group_states[last] >> 32), n++) {
        last = number;
        tmi_audit(group_states[number] & 1, "H5 a group that was spent has no record", &group_states[number]);
    }
    tmi_audit(n <= ngroups && last == spent_last, "H5 the list of spent groups ends with the last",
              &group_states[last]);
}

void tmi_handle_check(void)
{
    size_t n = 0;
    for (uint32_t i = 0; i < ngroups; i++)
        if ((group_states[i] & 1) == 0) {
            audit_group((const group_t *)(uintptr_t)group_states[i]);
            n += group_bytes();
        }
    audit_spent();
    tmi_audit(n == tmi_handle_bytes_in_use, "H3 groups in use are counted", group_states);
    tmi_audit(*tmi_word(0) == 0, "H4 word 0 is 0", tm_words_);
}

#if TMI_TEST_HOOKS
tm_handle_t tmi_handle_age(tm_handle_t h, uint32_t generation)
{
    uint64_t w = tmi_load_relaxed(tm_word_of_(h)); // relaxed: the caller's object
    TMI_VERIFY(generation <= tmi_generation_of(h), "H1 a generation never rises");
    w = (w & ~(TMI_WORD_GENERATION | TMI_WORD_MOVING)) | tmi_generation_bits(generation);
    tmi_store_relaxed(tm_word_of_(h), w);
    return tmi_handle_of_word(tmi_handle_index(h), w);
}

void tmi_handle_unreserve(uint32_t nindices)
{
    uint32_t n = nindices / group_words, rest = max_groups - n;
    (void)tmi_os_unmap(tmi_word(index_of(n, 0)), rest * group_bytes());
    max_groups = n;
    committed_words = tmi_min(committed_words, n * group_bytes());
}

void tmi_handle_set_limit(uint32_t nindices) { max_groups = all_groups = (uint32_t)tmi_max(nindices / group_words, 1); }
#endif
