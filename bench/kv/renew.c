#include "renew.h"
#include "server.h"
#include "work.h"

#ifdef KV_HANDLES
#include <stdlib.h>
#include <unistd.h>

enum {
    PERIOD_MS = 500,
    SLACK = 256 * 1024,      // bytes of words that nobody minds
    HELD_BYTES = 1 << 20,    // originals that are held, in bytes
    LARGE = 4096,            // bytes of an entry; beside a larger one its word does not matter
    BACK_OFF = 10,           // periods after a walk that gained little, doubled with each
    FUTILE_MOST = 7,
    PAGE_WORDS_MAX = 8192,   // 64 KiB
    MOST_PAGES = 1 << 22,
    STEP_NS = 200 * 1000,
    STEP_MOST = 8192,        // entries and buckets
};

/* A page of words, while walks last. */
struct page {
    uint16_t live;   /* words of entries when they were counted */
    uint16_t landed; /* of copies that were made since */
};

static struct {
    enum { IDLE, COUNT, MOVE } phase;
    unsigned db;
    uint64_t cursor;
    int64_t next;        /* when to look again, Unix time in ms */
    unsigned page_words;
    uint32_t first;      /* the number of the first page; the library begins anywhere and goes upwards from there */
    struct page *pages;
    uint64_t *left;      /* a bit for each word that a copy has left */
    uint32_t npages;
    size_t before;       /* bytes of words when the walks began */
    size_t live_before;  /* handles when they were counted last */
    store_ref held[RENEW_HELD];
    unsigned nheld;
    size_t held_bytes;
    bool freeing;
    unsigned futile; /* walks that gained little, one after the other */
    unsigned long long walks;
} s;

unsigned long long renew_walks(void) { return s.walks; }

/* Not while their number changes: words that are free now may be wanted in a moment. */
static bool is_steady(size_t live)
{
    bool steady = live - live / 16 <= s.live_before && live + live / 16 >= s.live_before;
    s.live_before = live;
    return steady;
}

static bool worthwhile(size_t *words)
{
    size_t live;
    store_words(words, &live);
    return is_steady(live) && *words > live * 10 + SLACK; // a word has 8 bytes
}

static void forget(void)
{
    free(s.pages);
    free(s.left);
    s.pages = NULL;
    s.left = NULL;
    s.npages = 0;
    s.phase = IDLE;
}

static void finish(void)
{
    size_t words;
    forget();
    s.walks++;
    bool gained = !worthwhile(&words) || words < s.before - s.before / 8;
    s.futile = gained ? 0 : s.futile + (s.futile < FUTILE_MOST);
    s.next = server.now + (s.futile == 0 ? 1 : BACK_OFF << s.futile) * PERIOD_MS;
}

/* Room for the page. False: no memory. */
static bool grow(uint32_t page)
{
    uint32_t n = page + page / 2 + 64;
    size_t words = s.page_words / 64, was = s.npages;
    struct page *pages = realloc(s.pages, n * sizeof *pages);
    s.pages = pages != NULL ? pages : s.pages;
    uint64_t *left = pages == NULL ? NULL : realloc(s.left, n * words * sizeof *left);
    if (left == NULL)
        return false;
    memset(pages + was, 0, (n - was) * sizeof *pages);
    memset(left + was * words, 0, (n - was) * words * sizeof *left);
    s.left = left;
    s.npages = n;
    return true;
}

/* NULL: no memory, or the word lies before the first one that this program got. */
static struct page *page_of(store_ref r)
{
    uint32_t page = r / s.page_words - s.first;
    if (page >= MOST_PAGES)
        return NULL;
    return page < s.npages || grow(page) ? &s.pages[page] : NULL;
}

static void count_one(void *unused, place *p)
{
    struct page *page = page_of(*p);
    (void)unused;
    if (page != NULL)
        page->live++;
}

/* What is dense stays, and what has become so. */
static bool stays(const struct page *page)
{
    return page->live >= s.page_words * 3 / 4 || page->landed >= s.page_words / 8;
}

/* The bit of a word whose page is known. */
static uint64_t *left_bit(store_ref r, uint64_t *mask)
{
    uint32_t bit = r - s.first * s.page_words;
    *mask = (uint64_t)1 << bit % 64;
    return &s.left[bit / 64];
}

static void hold(store_ref r, size_t size)
{
    s.held[s.nheld++] = r;
    s.held_bytes += size;
}

/* Memory whose handle is not one that a copy has left on a page that is to become empty. */
static store_ref other(size_t size)
{
    uint64_t mask;
    while (s.nheld + 1 < RENEW_HELD) {
        store_ref r = store_alloc(size);
        struct page *page = r == STORE_NONE ? NULL : page_of(r);
        if (page == NULL || stays(page) || (*left_bit(r, &mask) & mask) == 0)
            return r;
        hold(r, size);
    }
    return STORE_NONE;
}

static void move_one(void *unused, place *p)
{
    struct entry *e = store_at(*p);
    struct page *page = page_of(*p);
    size_t size = entry_size(e);
    uint64_t mask;
    (void)unused;
    if (page == NULL || stays(page) || size > LARGE)
        return;
    store_ref r = other(size);
    if (r == STORE_NONE)
        return;
    memcpy(store_at(r), e, size);
    page = page_of(r);
    if (page != NULL)
        page->landed++;
    *left_bit(*p, &mask) |= mask;
    hold(*p, size);
    *p = r;
}

static void walk(place_see *see)
{
    for (unsigned i = 0; i < RENEW_BUCKETS && s.db < DATABASES && s.nheld + RENEW_HELD / 8 <= RENEW_HELD; i++) {
        s.cursor = table_visit(&server.db[s.db], s.cursor, see, NULL);
        s.db += s.cursor == 0;
    }
}

/* True while there are some. */
static bool free_held(void)
{
    for (unsigned i = 0; i < RENEW_BUCKETS && s.nheld > 0; i++)
        store_free(s.held[--s.nheld]);
    s.held_bytes = s.nheld == 0 ? 0 : s.held_bytes;
    return s.nheld > 0;
}

void renew_prepare(void)
{
    store_ref first = store_alloc(1);
    s.page_words = (unsigned)sysconf(_SC_PAGESIZE) / 8;
    s.first = first / s.page_words;
    store_free(first);
}

static void begin(void)
{
    s.next = server.now + PERIOD_MS;
    s.db = 0;
    s.cursor = 0;
    if (s.page_words <= PAGE_WORDS_MAX && worthwhile(&s.before))
        s.phase = COUNT;
}

/* A few buckets, or originals. True: more is waiting. */
static bool piece(void)
{
    if (s.freeing) {
        s.freeing = free_held();
    } else if (s.phase == IDLE) {
        if (server.now >= s.next)
            begin();
    } else if (s.db < DATABASES) {
        walk(s.phase == COUNT ? count_one : move_one);
        s.freeing = s.nheld + RENEW_HELD / 8 > RENEW_HELD || s.held_bytes >= HELD_BYTES;
    } else if (s.phase == COUNT) {
        s.db = 0;
        s.phase = MOVE;
    } else if (s.nheld > 0) {
        s.freeing = true;
    } else {
        finish();
    }
    return s.phase != IDLE;
}

bool renew_step(void)
{
    uint64_t end = clock_ns() + STEP_NS, most = work_done + STEP_MOST;
    bool more;
    do
        more = piece();
    while (more && work_done < most && clock_ns() < end);
    return more;
}

void renew_end(void)
{
    while (free_held())
        continue;
    forget();
}

#else
bool renew_step(void) { return false; }
unsigned long long renew_walks(void) { return 0; }
void renew_prepare(void) {}
void renew_end(void) {}
#endif
