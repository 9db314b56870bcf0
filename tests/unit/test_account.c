/* The figures of tm_heap_stats add up: to their sums, and to the pages of our segments that the kernel says are
 * resident. */
#include "heap/account.h"
#include "heap/introspect.h"
#include "heapcalls.h"
#include "base/public.h"
#include "os/options.h"
#include "os/os.h"
#include "support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

typedef struct figures {
    tm_heap_stats_t all;
    tm_heap_class_t rows[TM_HEAP_CLASSES_MAX];
} figures_t;

static void read_figures(figures_t *f)
{
    f->all = (tm_heap_stats_t){
        .struct_size = sizeof f->all,
        .classes = f->rows,
        .class_size = sizeof f->rows[0],
        .max_classes = TM_HEAP_CLASSES_MAX,
    };
    tm_heap_stats(&f->all);
}

/* Present pages of all segments, by /proc/self/pagemap. */
static size_t resident_in_segments(void)
{
    static uint64_t entries[TMI_SEGMENT_SIZE / 4096];
    size_t page = tmi_os_page_size, n = 0, per_segment = TMI_SEGMENT_SIZE / page;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    for (uintptr_t g = tmi_pagemap_next_segment(0); g < TMI_PAGEMAP_SEGMENTS; g = tmi_pagemap_next_segment(g + 1)) {
        size_t bytes = per_segment * sizeof *entries;
        if (pread(fd, entries, bytes, (off_t)(g * bytes)) == (ssize_t)bytes)
            for (size_t i = 0; i < per_segment; i++)
                n += entries[i] >> 62 != 0; // present, or swapped out
    }
    (void)close(fd);
    return n * page;
}

static bool within(size_t said, size_t is, size_t per_cent)
{
    size_t off = said > is ? said - is : is - said;
    return off <= is / 100 * per_cent;
}

static size_t sum(const tm_heap_part_t *p)
{
    return p->live + p->cached + p->stranded + p->slack + p->books + p->empty;
}

static bool sums_are_right(const figures_t *f)
{
    tm_heap_part_t rows[2] = {{0}};
    bool right = f->all.nclasses <= TM_HEAP_CLASSES_MAX;
    for (size_t i = 0; i < f->all.nclasses; i++) {
        const tm_heap_class_t *r = &f->rows[i];
        tm_heap_part_t *p = &rows[r->heap];
        right &= r->resident == r->live + r->cached + r->stranded + r->slack + r->books + r->empty;
        if (r->kind != TM_CLASS_LARGE)
            right &= r->live == r->live_blocks * r->size && r->cached == r->cached_blocks * r->size;
        p->live += r->live;
        p->cached += r->cached;
        p->stranded += r->stranded;
        p->slack += r->slack;
        p->books += r->books;
        p->empty += r->empty;
    }
    right &= sum(&rows[0]) == f->all.raw.resident && sum(&rows[1]) == f->all.movable.resident;
    right &= sum(&f->all.raw) == f->all.raw.resident && sum(&f->all.movable) == f->all.movable.resident;
    right &= rows[0].live == f->all.raw.live && rows[1].stranded == f->all.movable.stranded;
    size_t parts = f->all.raw.resident + f->all.movable.resident + f->all.spans.resident;
    return right && f->all.resident == parts + f->all.metadata + f->all.table;
}

static void show(const char *when, const figures_t *f, size_t is)
{
    const tm_heap_part_t *r = &f->all.raw, *m = &f->all.movable;
    dprintf(2, "%s: %zu KiB are resident. raw: live %zu cached %zu stranded %zu slack %zu empty %zu; movable: live %zu "
               "cached %zu stranded %zu slack %zu books %zu empty %zu; spans %zu\n",
            when, is >> 10, r->live >> 10, r->cached >> 10, r->stranded >> 10, r->slack >> 10, r->empty >> 10,
            m->live >> 10, m->cached >> 10, m->stranded >> 10, m->slack >> 10, m->books >> 10, m->empty >> 10,
            f->all.spans.empty >> 10);
}

/* The figures add up, within two per cent; and without `least` bytes of them they do not: the control. */
static bool add_up(const char *when, size_t (*least)(const figures_t *f))
{
    static figures_t f;
    read_figures(&f);
    size_t is = resident_in_segments(), said = f.all.raw.resident + f.all.movable.resident + f.all.spans.resident;
    show(when, &f, is);
    bool right = sums_are_right(&f) && within(said, is, 2);
    if (!right)
        dprintf(2, "%s: the figures say %zu KiB\n", when, said >> 10);
    if (least == NULL || !within(said - least(&f), is, 2))
        return right;
    dprintf(2, "%s: control: nobody notices that %zu KiB are left out\n", when, least(&f) >> 10);
    return false;
}

static size_t raw_stranded(const figures_t *f) { return f->all.raw.stranded; }
static size_t raw_live(const figures_t *f) { return f->all.raw.live; }
static size_t raw_slack(const figures_t *f) { return f->all.raw.slack; }
static size_t raw_empty(const figures_t *f) { return f->all.raw.empty; }
static size_t movable_stranded(const figures_t *f) { return f->all.movable.stranded; }
static size_t movable_books(const figures_t *f) { return f->all.movable.books; }
static size_t movable_empty(const figures_t *f) { return f->all.movable.empty; }
static size_t span_bytes(const figures_t *f) { return f->all.spans.empty; }

/* Nothing goes back but by trim. */
static void keep_what_is_empty(void)
{
    tmi_heap_init();
    tmi_options.purge_keep = 100;
    tmi_options.background = TMI_BACKGROUND_OFF;
}

/* Every byte that it may use. */
static void *written(size_t size)
{
    void *p = h_malloc(size);
    return p == NULL ? abort(), p : memset(p, 1, h_usable(p));
}

enum { BLOCKS = 300000 };
static void *block[BLOCKS];

static void fill_with(size_t n, size_t from, size_t to, rng_t *r)
{
    for (size_t i = 0; i < n; i++)
        if (block[i] == NULL)
            block[i] = written(from + rng_below(r, to - from + 1));
}

/* One in `keep` survives. */
static void thin(size_t n, size_t keep, rng_t *r)
{
    for (size_t i = 0; i < n; i++)
        if (block[i] != NULL && rng_below(r, keep) != 0) {
            h_free(block[i]);
            block[i] = NULL;
        }
}

static int small_and_thinned(void *unused)
{
    rng_t r = {1};
    (void)unused;
    keep_what_is_empty();
    fill_with(BLOCKS, 1, 600, &r);
    bool right = add_up("small blocks", raw_live);
    thin(BLOCKS, 8, &r);
    right &= add_up("thinned", raw_stranded) && add_up("thinned", raw_empty);
    (void)tmi_heap_trim(0);
    right &= add_up("trimmed", raw_stranded);
    fill_with(BLOCKS / 16, 600, 9000, &r);
    thin(BLOCKS / 16, 3, &r);
    right &= add_up("larger ones, thinned", raw_stranded);
    tmi_check_all();
    return right ? 0 : 1;
}

static int medium_ones(void *unused)
{
    rng_t r = {2};
    (void)unused;
    keep_what_is_empty();
    fill_with(700, 33000, 256 << 10, &r);
    bool right = add_up("medium blocks", raw_live);
    thin(700, 2, &r);
    right &= add_up("medium blocks, thinned", raw_empty);
    fill_with(700, 33000, 256 << 10, &r);
    right &= add_up("medium blocks, again", raw_live);
    thin(700, 4, &r);
    (void)tmi_heap_trim(0);
    tmi_check_all();
    return right && add_up("medium blocks, trimmed", raw_live) ? 0 : 1;
}

/* Grown and shrunk in place, and moved. */
static void resize_some(size_t n, rng_t *r)
{
    for (size_t i = 0; i < n; i++) {
        size_t size = (257 << 10) + rng_below(r, 3 << 20);
        block[i] = h_realloc(block[i], size);
        memset(block[i], 2, h_usable(block[i]));
    }
}

static int large_ones(void *unused)
{
    enum { N = 60 };
    rng_t r = {3};
    (void)unused;
    keep_what_is_empty();
    fill_with(N, 257 << 10, 2 << 20, &r);
    bool right = add_up("large blocks", raw_live);
    thin(N, 3, &r);
    right &= add_up("large blocks, thinned", span_bytes);
    fill_with(4 * N, 257 << 10, 600 << 10, &r);
    right &= add_up("smaller ones in their places", raw_live);
    resize_some(N, &r);
    right &= add_up("large blocks, resized", raw_live);
    thin(4 * N, 4, &r);
    (void)tmi_heap_trim(0);
    return right && add_up("large blocks, trimmed", raw_live) ? 0 : 1;
}

/* What former blocks leave around those that come later. */
static int slack_is_counted(void *unused)
{
    enum { N = 300, SIZE = (257 << 10) - 512 }; // of five units it leaves nearly one
    (void)unused;
    keep_what_is_empty();
    for (size_t i = 0; i < N; i++)
        block[i] = written(320 << 10);
    for (size_t i = 0; i < N; i += 2)
        h_free(block[i]);
    for (size_t i = 0; i < N; i += 2)
        block[i] = written(SIZE);
    return add_up("large blocks where larger ones were", raw_slack) ? 0 : 1;
}

enum { THREADS = 3, OWN = 20000 };
static pthread_barrier_t built, looked;

static void *work(void *seed)
{
    static void *own[THREADS][OWN];
    void **mine = own[(uintptr_t)seed];
    rng_t r = {(uintptr_t)seed};
    for (size_t i = 0; i < 3 * OWN; i++) {
        void **b = &mine[rng_below(&r, OWN)];
        h_free(*b);
        *b = written(rng_size(&r, 6000));
    }
    (void)pthread_barrier_wait(&built);
    (void)pthread_barrier_wait(&looked); // with its caches
    return NULL;
}

static int threads_with_caches(void *unused)
{
    pthread_t t[THREADS];
    (void)unused;
    keep_what_is_empty();
    (void)pthread_barrier_init(&built, NULL, THREADS + 1);
    (void)pthread_barrier_init(&looked, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&t[i], NULL, work, (void *)i) != 0)
            return 2;
    (void)pthread_barrier_wait(&built);
    bool right = add_up("threads at work", raw_live);
    (void)pthread_barrier_wait(&looked);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(t[i], NULL);
    return right && add_up("threads gone", raw_live) ? 0 : 1;
}

enum { OBJECTS = 200000 };
static tm_handle_t object[OBJECTS];

static void make_objects(size_t n, size_t from, size_t to, rng_t *r)
{
    for (size_t i = 0; i < n; i++) {
        if (object[i] != TM_NULL)
            continue;
        object[i] = tm_alloc(from + rng_below(r, to - from + 1));
        memset(tm_pin(object[i]), 1, tm_sizeof(object[i]));
        tm_unpin(object[i]);
    }
}

static void thin_objects(size_t n, size_t keep, rng_t *r)
{
    for (size_t i = 0; i < n; i++)
        if (object[i] != TM_NULL && rng_below(r, keep) != 0) {
            tm_free(object[i]);
            object[i] = TM_NULL;
        }
}

static int movable_objects(void *unused)
{
    rng_t r = {5};
    (void)unused;
    keep_what_is_empty();
    tmi_options.compaction = TMI_COMPACTION_MANUAL;
    make_objects(OBJECTS, 1, 400, &r);
    bool right = add_up("objects", movable_books);
    thin_objects(OBJECTS, 8, &r);
    right &= add_up("objects, thinned", movable_stranded);
    thin_objects(OBJECTS, 20, &r);
    right &= add_up("few objects", movable_empty);
    (void)tm_compact();
    make_objects(OBJECTS / 8, 400, 4000, &r);
    right &= add_up("compacted, and larger ones", NULL);
    make_objects(OBJECTS / 8 + 400, 65 << 10, 300 << 10, &r);
    tmi_check_all();
    return right && add_up("objects of their own address space", NULL) ? 0 : 1;
}

static int both_heaps(void *unused)
{
    rng_t r = {6};
    (void)unused;
    keep_what_is_empty();
    tmi_options.compaction = TMI_COMPACTION_MANUAL;
    for (int turn = 0; turn < 4; turn++) {
        fill_with(30000, 1, 3000, &r);
        make_objects(30000, 1, 2000, &r);
        thin(30000, 3, &r);
        thin_objects(30000, 3, &r);
    }
    return add_up("both heaps", raw_stranded) && add_up("both heaps", movable_stranded) ? 0 : 1;
}

/* ---- any caller, at any time ------------------------------------------------------------------------------------- */

static uint32_t stop, asked;

static void ask_everything(int unused)
{
    static char text[2048];
    tm_heap_stats_t s = {.struct_size = sizeof s};
    (void)unused;
    tm_heap_stats(&s);
    if (sum(&s.raw) != s.raw.resident || sum(&s.movable) != s.movable.resident || s.raw.live > TMI_GIB)
        abort(); // wild values would be 2^64 less something
    if (tm_stats_json(text, sizeof text) == 0 || tm_stats_prometheus(NULL, 0) == 0)
        abort();
    (void)__atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED);
}

static void *allocate_both(void *seed)
{
    enum { N = 500 };
    rng_t r = {(uintptr_t)seed};
    void *p[N] = {NULL};
    tm_handle_t h[N] = {TM_NULL};
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t i = rng_below(&r, N);
        h_free(p[i]);
        p[i] = h_malloc(rng_size(&r, rng_below(&r, 100) ? 3000 : 400000));
        tm_free(h[i]);
        h[i] = tm_alloc(rng_size(&r, rng_below(&r, 100) ? 3000 : 100000));
    }
    for (size_t i = 0; i < N; i++) {
        h_free(p[i]);
        tm_free(h[i]);
    }
    return NULL;
}

static void use_both_heaps(void)
{
    h_free(written(1));
    tm_free(tm_alloc(1));
}

/* The handler interrupts allocations anywhere, under locks too. */
static int handlers_ask(void *unused)
{
    pthread_t t[2];
    (void)unused;
    use_both_heaps();
    struct sigaction on = {.sa_handler = ask_everything, .sa_flags = SA_RESTART};
    (void)sigaction(SIGUSR1, &on, NULL);
    for (uintptr_t i = 0; i < 2; i++)
        if (pthread_create(&t[i], NULL, allocate_both, (void *)(i + 1)) != 0)
            return 2;
    for (unsigned i = 0; i < scaled(300); i++) {
        (void)pthread_kill(t[i % 2], SIGUSR1);
        while (__atomic_load_n(&asked, __ATOMIC_RELAXED) <= i)
            (void)sched_yield();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(t[i], NULL);
    return __atomic_load_n(&asked, __ATOMIC_RELAXED) == scaled(300) ? 0 : 1;
}

/* Beside threads that allocate, and the mover. */
static int others_ask(void *unused)
{
    pthread_t t[2];
    (void)unused;
    use_both_heaps();
    for (uintptr_t i = 0; i < 2; i++)
        if (pthread_create(&t[i], NULL, allocate_both, (void *)(i + 1)) != 0)
            return 2;
    for (unsigned i = 0; i < scaled(300); i++) {
        ask_everything(0);
        if (i % 30 == 0)
            (void)tm_compact();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(t[i], NULL);
    return 0;
}

static void callers_of_other_versions_get_what_they_know(void **state)
{
    (void)state;
    void *p = h_malloc(100);
    tm_heap_class_t rows[TM_HEAP_CLASSES_MAX];
    tm_heap_stats_t s;
    memset(&s, 0x55, sizeof s);
    s = (tm_heap_stats_t){.struct_size = offsetof(tm_heap_stats_t, metadata), .classes = NULL, .failures = 77};
    tm_heap_stats(&s);
    assert_true(s.raw.live > 0 && s.resident > 0);
    assert_int_equal(s.failures, 77); // an older caller: nothing is written behind its structure
    struct {
        tm_heap_stats_t known;
        size_t later;
    } newer = {.later = 5};
    newer.known = (tm_heap_stats_t){
        .struct_size = sizeof newer,
        .classes = rows,
        .class_size = sizeof rows[0],
        .max_classes = 1,
    };
    memset(rows, 0x55, sizeof rows);
    tm_heap_stats(&newer.known);
    assert_int_equal(newer.later, 0);
    assert_true(newer.known.nclasses >= 1 && rows[0].slabs > 0 && rows[1].slabs == (size_t)0x5555555555555555);
    newer.known.class_size = offsetof(tm_heap_class_t, slabs);
    memset(rows, 0x55, sizeof rows);
    tm_heap_stats(&newer.known);
    assert_true(rows[0].size > 0 && rows[0].slabs == (size_t)0x5555555555555555);
    h_free(p);
}

static void texts_are_cut_as_snprintf_cuts(void **state)
{
    (void)state;
    static char whole[1 << 19], part[1 << 19];
    size_t (*const text[])(char *, size_t) = {tm_stats_json, tm_stats_prometheus};
    void *p = h_malloc(100);
    for (int i = 0; i < 2; i++) {
        size_t n = text[i](whole, sizeof whole);
        assert_in_range(n, 800, sizeof whole - 1);
        assert_int_equal(strlen(whole), n);
        size_t all = text[i](NULL, 0);
        assert_true(all + 100 > n && n + 100 > all); // the clock
        memset(part, 'x', sizeof part);
        assert_true(text[i](part, 500) + 100 > n);
        assert_true(part[499] == '\0' && part[500] == 'x' && strlen(part) == 499);
        assert_true(text[i](part, 1) > 0 && part[0] == '\0');
    }
    assert_true(whole[0] == '#' && strstr(whole, "\ntinymem_heap_live_bytes{heap=\"raw\"} ") != NULL);
    h_free(p);
}

/* Slack of extents is no part of the older figures. */
static size_t small_slack(void)
{
    static figures_t f;
    size_t n = 0;
    read_figures(&f);
    for (size_t i = 0; i < f.all.nclasses; i++)
        n += f.rows[i].kind == TM_CLASS_SMALL ? f.rows[i].slack : 0;
    return n;
}

/* What malloc_stats, mallinfo and the summary at exit say. */
static void older_figures_agree(void **state)
{
    (void)state;
    rng_t r = {9};
    fill_with(20000, 1, 2000, &r);
    fill_with(20100, 33000, 600000, &r);
    thin(20100, 3, &r);
    tmi_figures_t older;
    tm_heap_stats_t s = {.struct_size = sizeof s};
    tmi_figures_read(&older);
    tm_heap_stats(&s);
    assert_int_equal(older.live, s.raw.live);
    assert_int_equal(older.live_blocks, s.raw.live_blocks);
    assert_int_equal(older.cached, s.raw.cached);
    assert_int_equal(older.cached_blocks, s.raw.cached_blocks);
    assert_int_equal(older.empty, s.raw.empty + s.spans.empty);
    assert_int_equal(older.committed, s.raw.resident - s.raw.slack + small_slack() + s.spans.resident);
    assert_int_equal(older.purged, s.purged);
    assert_int_equal(older.mapped, s.mapped);
    thin(20100, SIZE_MAX, &r);
}

static void run(int (*body)(void *))
{
    outcome_t o = run_child(body, NULL, 120);
    print_message("%s", o.text);
    assert_true(exited(&o, 0));
}

#define IN_A_PROCESS_OF_ITS_OWN(body)      \
    static void the_##body(void **state)   \
    {                                      \
        (void)state;                       \
        run(body);                         \
    }
IN_A_PROCESS_OF_ITS_OWN(small_and_thinned)
IN_A_PROCESS_OF_ITS_OWN(medium_ones)
IN_A_PROCESS_OF_ITS_OWN(large_ones)
IN_A_PROCESS_OF_ITS_OWN(slack_is_counted)
IN_A_PROCESS_OF_ITS_OWN(threads_with_caches)
IN_A_PROCESS_OF_ITS_OWN(movable_objects)
IN_A_PROCESS_OF_ITS_OWN(both_heaps)
IN_A_PROCESS_OF_ITS_OWN(handlers_ask)
IN_A_PROCESS_OF_ITS_OWN(others_ask)

int main(void)
{
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); // in a huge page more is resident than was handed out
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_small_and_thinned),
        cmocka_unit_test(the_medium_ones),
        cmocka_unit_test(the_large_ones),
        cmocka_unit_test(the_slack_is_counted),
        cmocka_unit_test(the_threads_with_caches),
        cmocka_unit_test(the_movable_objects),
        cmocka_unit_test(the_both_heaps),
        cmocka_unit_test(the_handlers_ask),
        cmocka_unit_test(the_others_ask),
        cmocka_unit_test(callers_of_other_versions_get_what_they_know),
        cmocka_unit_test(texts_are_cut_as_snprintf_cuts),
        cmocka_unit_test(older_figures_agree),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
