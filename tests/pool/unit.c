/* unit.c - single promises of the pool, one test each; and planted faults, one at least for each invariant, that
 * check_all must find. */
#include "pool/gap.h"
#include "port.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

unsigned long hook_visits, hook_moved;
static unsigned failures, broken;
static unsigned char buffer[1 << 20] TM_POOL_BUFFER, copy[1 << 20];
static tm_pool_t *const pool = (tm_pool_t *)buffer;
static char text[4096];

#define EXPECT(condition) \
    ((condition) ? (void)0 : (void)(broken++, printf("# unit.c:%d: not so: %s\n", __LINE__, #condition)))

static void report(const char *name)
{
    printf("%sok - %s\n", broken ? "not " : "", name);
    failures += broken != 0;
    broken = 0;
}

static tm_pool_config_t config_of(size_t handles, size_t block, size_t pins, unsigned options)
{
    tm_pool_config_t c = {0};
    c.handles = handles;
    c.block_size = block;
    c.max_pins = pins;
    c.options = options;
    return c;
}

/* A pool of that many bytes. */
static void make(size_t size, size_t handles, size_t block, size_t pins, unsigned options)
{
    tm_pool_config_t c = config_of(handles, block, pins, options);
    EXPECT(tm_pool_init(buffer, size, &c) == TM_POOL_OK);
}

static const char *strip(void)
{
    tm_pool_dump_text(pool, 4000, text, sizeof text);
    text[strcspn(text, "\n")] = 0;
    return text;
}

static bool strip_is(const char *wanted)
{
    if (strncmp(strip(), wanted, strlen(wanted)) == 0 && text[strlen(wanted)] == '_')
        return true;
    printf("# strip: %s\n", text);
    return false;
}

/* ---- bad input --------------------------------------------------------------------------------------------------- */

static tm_pool_error_t init_error(void *at, size_t size, const tm_pool_config_t *c)
{
    tm_pool_error_t error;
    memset(buffer, 0x5c, 70000);
    error = tm_pool_init(at, size, c);
    for (size_t i = 0; i < 70000; i++)
        EXPECT(error == TM_POOL_OK || buffer[i] == 0x5c);
    return error;
}

static void init_refuses_bad_input_and_writes_nothing(void)
{
    tm_pool_config_t c = config_of(10, 8, 0, 0), bad;
    EXPECT(init_error(NULL, 1000, &c) == TM_POOL_BAD_BUFFER);
    EXPECT(init_error(buffer + 1, 1000, &c) == TM_POOL_BAD_BUFFER);
    EXPECT(init_error(buffer, 0, &c) == TM_POOL_BAD_BUFFER);
    EXPECT(init_error(buffer, 255, &c) == TM_POOL_BAD_BUFFER);
    EXPECT(init_error(buffer, 256, &c) == TM_POOL_OK);
    EXPECT(init_error(buffer, (size_t)-1, &c) == TM_POOL_BAD_BUFFER);
    if (sizeof(size_t) > 4)
        EXPECT(init_error(buffer, ((size_t)1 << 16 << 16) + 1, &c) == TM_POOL_BAD_BUFFER);
    EXPECT(init_error(buffer, 1000, NULL) == TM_POOL_BAD_CONFIG);
    bad = config_of(0, 8, 0, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_CONFIG);
    bad = config_of(10, 12, 0, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_CONFIG);
    bad = config_of(10, 2, 0, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_CONFIG);
    bad = c;
    bad.align = 24;
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_CONFIG);
    bad.align = (size_t)1 << 20;
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_BUFFER);
    bad = config_of(1000, 8, 0, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_BUFFER);
    bad = config_of((size_t)-1, 8, 0, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_NO_HANDLES);
    bad = config_of(10, 8, (size_t)-1, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_NO_HANDLES);
    bad = config_of(10, 8, 60000, 0);
    EXPECT(init_error(buffer, 1000, &bad) == TM_POOL_BAD_BUFFER);
    report("init_refuses_bad_input_and_writes_nothing");
}

static void sizes_that_no_pool_can_hold_are_refused(void)
{
    const size_t sizes[] = {
        0, (size_t)-1, (size_t)-2, (size_t)-8, (size_t)-1 - 4096, (size_t)1 << (sizeof(size_t) * 8 - 1), 4096};
    tm_pool_handle_t h;
    make(4096, 20, 8, 0, TM_POOL_COMPACT);
    h = tm_pool_alloc(pool, 100);
    memcpy(copy, buffer, 4096);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        EXPECT(tm_pool_alloc(pool, sizes[i]) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
        EXPECT(tm_pool_realloc(pool, h, sizes[i]) == TM_POOL_BAD_SIZE);
        EXPECT(tm_pool_calloc(pool, sizes[i], 3) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
        EXPECT(tm_pool_calloc(pool, 3, sizes[i]) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
    }
    ((tm_pool_t *)copy)->error = pool->error;
    EXPECT(memcmp(copy, buffer, 4096) == 0);
    report("sizes_that_no_pool_can_hold_are_refused");
}

/* ---- shape ------------------------------------------------------------------------------------------------------- */

static void index_width_follows_from_handles(void)
{
    const struct { size_t size, handles; unsigned bits; } cases[] = {
        {65536, 255, 8}, {65536, 256, 16}, {1 << 20, 1, 8}, {1 << 20, 65535, 16}, {1 << 20, 65536, 32}};
    tm_pool_stats_t s;
    for (size_t i = 0; i < 5; i++) {
        make(cases[i].size, cases[i].handles, 0, 0, 0);
        tm_pool_stats(pool, &s);
        EXPECT(s.index_bits == cases[i].bits);
        EXPECT(s.blocks <= (cases[i].bits == 8 ? 255 : cases[i].bits == 16 ? 65535 : 0xffffffffu));
    }
    make(65536, 100, 8, 0, 0); /* a block size that makes more blocks than 8 bits count */
    tm_pool_stats(pool, &s);
    EXPECT(s.index_bits == 16);
    report("index_width_follows_from_handles");
}

/* Bits that each further handle costs; rounding to whole bytes of flags evens out over multiples of four. */
static size_t bits_a_handle(size_t few, size_t many, unsigned bits)
{
    tm_pool_stats_t a, b;
    make(1 << 20, few, 0, 0, 0);
    tm_pool_stats(pool, &a);
    make(1 << 20, many, 0, 0, 0);
    tm_pool_stats(pool, &b);
    EXPECT(a.index_bits == bits && b.index_bits == bits);
    return (b.overhead - a.overhead) * 8 / (many - few);
}

static void overhead_is_18_34_and_66_bits_a_handle(void)
{
    size_t generation = TM_POOL_GENERATIONS ? 8 : 0;
    tm_pool_stats_t s;
    EXPECT(bits_a_handle(4, 252, 8) == 18 + generation);
    EXPECT(bits_a_handle(256, 65532, 16) == 34 + generation);
    EXPECT(bits_a_handle(65536, 65636, 32) == 66 + generation);
    make(1 << 20, 255, 0, 0, 0); /* and all metadata lies before the first block: the rest is blocks and padding */
    tm_pool_stats(pool, &s);
    EXPECT(s.overhead + s.block_size >= (size_t)(pool->base - buffer) + TMI_SENTINEL);
    EXPECT(s.overhead <= (size_t)(pool->base - buffer) + TMI_SENTINEL);
    EXPECT(1048576 - s.overhead - s.blocks * s.block_size < 2 * s.block_size);
    report("overhead_is_18_34_and_66_bits_a_handle");
}

static void all_handles_can_live_at_once_among_gaps(void)
{
    tm_pool_handle_t h[100];
    tm_pool_stats_t s;
    make(8192, 100, 8, 0, 0);
    for (int i = 0; i < 100; i++)
        EXPECT((h[i] = tm_pool_alloc(pool, 16)) != 0);
    EXPECT(tm_pool_alloc(pool, 1) == 0 && tm_pool_error(pool) == TM_POOL_NO_HANDLES);
    for (int i = 1; i < 100; i += 2)
        EXPECT(tm_pool_free(pool, h[i]) == TM_POOL_OK); /* every gap keeps a handle as its name */
    for (int i = 1; i < 100; i += 2) {
        EXPECT((h[i] = tm_pool_alloc(pool, 40)) != 0); /* fits no gap: the handle comes from a name */
        EXPECT(tm_pool_check_all(pool) == 0);
    }
    tm_pool_stats(pool, &s);
    EXPECT(s.live == 100 && s.gaps == 49);
    report("all_handles_can_live_at_once_among_gaps");
}

static void objects_are_aligned_and_stay_so(void)
{
    tm_pool_config_t c = config_of(50, 8, 0, 0);
    tm_pool_handle_t h[50];
    for (c.align = 1; c.align <= 512; c.align *= 2) {
        EXPECT(tm_pool_init(buffer, 65536, &c) == TM_POOL_OK);
        for (int i = 0; i < 50; i++)
            h[i] = tm_pool_alloc(pool, 1 + i * 5);
        for (int i = 0; i < 50; i += 3)
            tm_pool_free(pool, h[i]);
        tm_pool_compact(pool);
        for (int i = 0; i < 50; i++)
            if (i % 3)
                EXPECT((uintptr_t)tm_pool_ptr(pool, h[i]) % (c.align < 8 ? 8 : c.align) == 0);
    }
    report("objects_are_aligned_and_stay_so");
}

static void buffer_of_4_gib_works(void)
{
    tm_pool_config_t c = config_of(1000, 16, 0, 0);
    size_t size = (size_t)1 << 16 << 16;
    tm_pool_handle_t a, b;
    tm_pool_t *big;
    void *map = sizeof(size_t) > 4
                    ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                    : MAP_FAILED;
    if (map == MAP_FAILED) {
        printf("ok - buffer_of_4_gib_works # SKIP no address space for it\n");
        return;
    }
    big = map;
    EXPECT(tm_pool_init(big, size, &c) == TM_POOL_OK);
    a = tm_pool_alloc(big, size - 100000);
    b = tm_pool_alloc(big, 5000);
    EXPECT(a != 0 && b != 0 && tm_pool_alloc(big, 100000) == 0);
    EXPECT((char *)tm_pool_ptr(big, b) > (char *)map + size - 100000);
    memset(tm_pool_ptr(big, b), 7, 5000);
    EXPECT(tm_pool_free(big, a) == TM_POOL_OK && tm_pool_check_all(big) == 0);
    EXPECT(tm_pool_compact(big) == 5008 && tm_pool_check_all(big) == 0);
    EXPECT(tm_pool_at32(big, b) == (void *)big->base && big->base[4999] == 7);
    munmap(map, size);
    report("buffer_of_4_gib_works");
}

static void several_pools_do_not_disturb_each_other(void)
{
    static unsigned char other_buffer[2000] TM_POOL_BUFFER;
    tm_pool_config_t c = config_of(20, 8, 2, 0);
    tm_pool_t *other = (tm_pool_t *)other_buffer;
    tm_pool_handle_t a, b;
    EXPECT(tm_pool_init(other_buffer, sizeof other_buffer, &c) == TM_POOL_OK);
    make(2000, 20, 8, 2, 0);
    b = tm_pool_alloc(other, 64);
    memcpy(copy, other_buffer, sizeof other_buffer);
    a = tm_pool_alloc(pool, 32);
    tm_pool_alloc(pool, 99);
    tm_pool_free(pool, a);
    tm_pool_compact(pool);
    EXPECT(memcmp(copy, other_buffer, sizeof other_buffer) == 0 && tm_pool_valid(other, b));
    report("several_pools_do_not_disturb_each_other");
}

/* ---- placing and moving ------------------------------------------------------------------------------------------ */

/* Objects of the given numbers of blocks of 8 bytes. */
static void fill(tm_pool_handle_t *h, const char *blocks)
{
    for (; *blocks; blocks++)
        *h++ = tm_pool_alloc(pool, 8 * (size_t)(*blocks - '0') - TMI_GUARD);
}

static void freed_blocks_are_reused_before_the_wilderness(void)
{
    tm_pool_handle_t h[9];
    make(1000, 20, 8, 4, 0);
    fill(h, "4141");
    EXPECT(strip_is("####=####="));
    tm_pool_free(pool, h[2]);
    tm_pool_free(pool, h[0]);
    EXPECT(strip_is("....#....="));
    fill(h + 5, "31");
    EXPECT(strip_is("###=#....="));
    tm_pool_free(pool, h[1]); /* joins the gap to its right */
    EXPECT(strip_is("###=.....#"));
    tm_pool_free(pool, h[3]); /* joins the wilderness, gap and all */
    EXPECT(strip_is("###="));
    report("freed_blocks_are_reused_before_the_wilderness");
}

static void compaction_fills_holes_before_pinned_objects(void)
{
    tm_pool_handle_t h[9];
    void *at;
    make(1000, 20, 8, 4, 0);
    fill(h, "313241");
    at = tm_pool_pin(pool, h[3]);
    tm_pool_free(pool, h[0]);
    tm_pool_free(pool, h[2]);
    EXPECT(strip_is("...#...pp####="));
    tm_pool_compact(pool);
    EXPECT(tm_pool_ptr(pool, h[3]) == at);
    EXPECT(strip_is("#====#.pp"));
    tm_pool_unpin(pool, h[3]);
    tm_pool_compact(pool);
    EXPECT(strchr(strip(), '.') == NULL);
    report("compaction_fills_holes_before_pinned_objects");
}

static void errors_are_told_apart(void)
{
    tm_pool_handle_t h[9];
    tm_pool_config_t c = config_of(6, 8, 1, 0);
    size_t size = 256;
    while (tm_pool_init(buffer, size, &c), pool->limit != 12)
        size += 4;
    fill(h, "333");
    EXPECT(tm_pool_alloc(pool, 32) == 0 && tm_pool_error(pool) == TM_POOL_NO_MEMORY);
    tm_pool_free(pool, h[0]);
    EXPECT(tm_pool_alloc(pool, 40) == 0 && tm_pool_error(pool) == TM_POOL_FRAGMENTED);
    EXPECT(tm_pool_alloc(pool, 80) == 0 && tm_pool_error(pool) == TM_POOL_NO_MEMORY);
    EXPECT(tm_pool_pin(pool, h[2]) != NULL && tm_pool_pin(pool, h[2]) == NULL &&
           tm_pool_error(pool) == TM_POOL_NO_PINS);
    EXPECT(tm_pool_free(pool, h[2]) == TM_POOL_PINNED);
    tm_pool_compact(pool); /* the pin allows nothing: the second object slides, the pinned one stays */
    EXPECT(tm_pool_alloc(pool, 40) == 0 && tm_pool_error(pool) == TM_POOL_NO_MEMORY);
    EXPECT(tm_pool_unpin(pool, h[2]) == TM_POOL_OK && tm_pool_unpin(pool, h[2]) == TM_POOL_NOT_PINNED);
    EXPECT(tm_pool_alloc(pool, 40) == 0 && tm_pool_error(pool) == TM_POOL_FRAGMENTED);
    pool->options = TM_POOL_COMPACT;
    EXPECT((h[3] = tm_pool_alloc(pool, 40)) != 0);
    EXPECT(tm_pool_free(pool, h[0]) == TM_POOL_BAD_HANDLE || h[3] == h[0]);
    EXPECT(tm_pool_free(pool, 0) == TM_POOL_BAD_HANDLE && tm_pool_free(pool, 77) == TM_POOL_BAD_HANDLE);
    report("errors_are_told_apart");
}

static void stale_handles_are_known_by_their_generation(void)
{
    tm_pool_handle_t old, h;
    if (!TM_POOL_GENERATIONS)
        return;
    make(1000, 20, 8, 1, 0);
    old = tm_pool_alloc(pool, 8);
    for (int i = 1; i < 256; i++) {
        tm_pool_free(pool, i == 1 ? old : h);
        h = tm_pool_alloc(pool, 8);
        EXPECT(h != old && !tm_pool_valid(pool, old) && tm_pool_free(pool, old) == TM_POOL_BAD_HANDLE);
        EXPECT(TM_POOL_INDEX_OF(h) == TM_POOL_INDEX_OF(old));
    }
    tm_pool_reset(pool);
    EXPECT(!tm_pool_valid(pool, h));
    report("stale_handles_are_known_by_their_generation");
}

static void realloc_needs_no_spare_handle(void)
{
    tm_pool_handle_t h[9];
    make(1000, 4, 8, 1, 0);
    fill(h, "2222");
    memset(tm_pool_ptr(pool, h[1]), 0x3e, 12);
    EXPECT(tm_pool_realloc(pool, h[1], 40) == TM_POOL_OK);
    EXPECT(((char *)tm_pool_ptr(pool, h[1]))[11] == 0x3e);
    EXPECT(tm_pool_check_all(pool) == 0);
    report("realloc_needs_no_spare_handle");
}

static void a_step_ends_at_once_when_nothing_is_to_be_gained(void)
{
    static tm_pool_handle_t h[5000];
    unsigned long visits;
    make(1 << 19, 5000, 8, 1, 0);
    for (int i = 0; i < 5000; i++)
        h[i] = tm_pool_alloc(pool, 24);
    visits = hook_visits;
    EXPECT(!tm_pool_compact_step(pool, 500, 0) && hook_visits - visits <= 2); /* no gap at all */
    tm_pool_pin(pool, h[4999]);
    tm_pool_free(pool, h[0]);
    while (tm_pool_compact_step(pool, 500, 0)) {
    }
    EXPECT(tm_pool_check_all(pool) == 0);
    visits = hook_visits;
    EXPECT(!tm_pool_compact_step(pool, 500, 0) && hook_visits - visits <= 2); /* a gap, and a pin in the way */
    EXPECT(!tm_pool_compact_step(pool, 100, 0)); /* too little for anything */
    report("a_step_ends_at_once_when_nothing_is_to_be_gained");
}

static void large_objects_wait_for_a_larger_bound(void)
{
    tm_pool_handle_t h[2];
    make(65536, 10, 8, 1, 0);
    h[0] = tm_pool_alloc(pool, 100);
    h[1] = tm_pool_alloc(pool, 5000);
    tm_pool_free(pool, h[0]);
    EXPECT(!tm_pool_compact_step(pool, 1000, 0) && !tm_pool_compact_step(pool, 1000, 0) );
    EXPECT(strip()[0] == '.');
    while (tm_pool_compact_step(pool, 6000, 0)) {
    }
    EXPECT(strip()[0] == '#');
    report("large_objects_wait_for_a_larger_bound");
}

static void extend_grows_the_wilderness(void)
{
    tm_pool_handle_t h;
    tm_pool_stats_t s;
    make(1000, 200, 8, 1, 0);
    h = tm_pool_alloc(pool, 100);
    EXPECT(tm_pool_alloc(pool, 1000) == 0 && tm_pool_extend(pool, 500) == TM_POOL_BAD_SIZE);
    EXPECT(tm_pool_extend(pool, 1 << 20) == TM_POOL_BAD_SIZE); /* more blocks than 8 bits count */
    EXPECT(tm_pool_extend(pool, 2000) == TM_POOL_OK && tm_pool_alloc(pool, 1000) != 0);
    tm_pool_stats(pool, &s);
    EXPECT(tm_pool_valid(pool, h) && tm_pool_check_all(pool) == 0 && s.live == 2);
    tm_pool_reset(pool);
    tm_pool_stats(pool, &s);
    EXPECT(!tm_pool_valid(pool, h) && s.live == 0 && s.wilderness == s.blocks && tm_pool_check_all(pool) == 0);
    report("extend_grows_the_wilderness");
}

static void dump_fits_what_it_is_given(void)
{
    tm_pool_handle_t h[9];
    char small[6] = "?????";
    size_t whole;
    make(400, 8, 8, 1, 0);
    fill(h, "2314");
    tm_pool_pin(pool, h[1]);
    tm_pool_free(pool, h[2]);
    EXPECT(strip_is("##ppp.####"));
    whole = tm_pool_dump_text(pool, 4, text, sizeof text);
    EXPECT(whole == strlen(text) && strncmp(text, "##pp\np.##\n##__\n", 15) == 0);
    EXPECT(tm_pool_dump_text(pool, 4, small, sizeof small) == whole && strcmp(small, "##pp\n") == 0);
    EXPECT(tm_pool_dump_text(pool, 4, NULL, 0) == whole);
    report("dump_fits_what_it_is_given");
}

/* ---- planted faults ---------------------------------------------------------------------------------------------- */

static tm_pool_handle_t plant[12];

/* |0 0 . . . 3 3 . . 5 P P 7|, names and owned gaps, a pass under way with all its fields. */
static void prepare(void)
{
    make(2000, 14, 8, 3, 0);
    fill(plant, "231231142");
    tm_pool_pin(pool, plant[6]);
    tm_pool_free(pool, plant[1]);           /* a name */
    tm_pool_free(pool, plant[4]);
    tm_pool_realloc(pool, plant[7], 8 - TMI_GUARD); /* an owned gap */
    EXPECT(tm_pool_check_all(pool) == 0);
}

static void found(const char *what, unsigned invariant)
{
    unsigned got = tm_pool_check_all(pool);
    if (got != invariant)
        printf("# check_all says %u\n", got);
    printf("%sok - control: check_all finds P%u: %s\n", got == invariant ? "" : "not ", invariant, what);
    failures += got != invariant;
    prepare();
}

static void check_all_finds_planted_faults(void)
{
    const unsigned w = 1;
    ix_t e, gap, end;
    prepare();
    pool->base[-1] ^= 1, found("an underflow of the first block", 1);
    tmi_address(pool, pool->limit)[0] ^= 1, found("an overflow of the last block", 1);
    pool->block_size = 16, found("a block size that does not belong", 1);
    tmi_set_begin(pool, w, plant[3], tmi_begin(pool, w, plant[2])), found("two objects at one place", 2);
    tmi_set_next(pool, w, plant[0], plant[0]), found("a chain in a circle", 2);
    tmi_set_next(pool, w, plant[3], 14), found("a chain to an unused entry", 2);
    pool->tail = (tm_pool_index_t)plant[0], found("a wrong tail", 2);
    tmi_set_begin(pool, w, 0, pool->limit + 1), found("a wilderness beyond the end", 2);
    tmi_set_state(pool, plant[3], NAME), found("names side by side", 3);
    tmi_clear_left(pool, plant[2]), found("a name whose gap nobody sees", 3);
    pool->flags[0] |= NAME, found("entry 0 as a name", 4);
    prepare();
    gap = tmi_tag(pool, w, end = tmi_begin(pool, w, plant[2]));
    tmi_store(tmi_address(pool, gap), w, OWNER, plant[0]), found("a gap with a wrong owner", 5);
    tmi_store(tmi_address(pool, end) - w, w, 0, gap + 1), found("a gap with a wrong begin", 5);
    tmi_store(tmi_address(pool, gap), w, BIN_PREV, gap), found("a bin not linked backwards", 6);
    tmi_store(tmi_address(pool, gap), w, BIN_NEXT, gap), found("a bin in a circle", 6);
    pool->mask ^= 1, found("a wrong mask", 6);
    pool->bins[5] = pool->bins[1], pool->mask |= 32, found("a gap in two bins", 6);
    pool->bins[1] = (tm_pool_index_t)tmi_none(w), pool->mask &= (uint8_t)~2u, found("a gap in no bin", 6);
    pool->live++, found("a wrong number of objects", 7);
    pool->used--, found("a wrong number of blocks", 7);
    e = pool->unused = ++pool->fresh, tmi_set_next(pool, w, e, e), found("a list of handles in a circle", 7);
    pool->fresh++, found("a handle that is lost", 7);
    pool->npins = 4, found("too many pins", 8);
    tmi_store(pool->pins, w, 0, 14), found("a pin of nobody", 8);
    tmi_store(pool->pins, w, 0, plant[1]), found("a pin of a freed object", 8);
    pool->cursor = (tm_pool_index_t)plant[3], found("a cursor while no pass is under way", 9);
    pool->cursor = (tm_pool_index_t)plant[1], pool->swept = 2, found("a cursor on a name", 9);
    pool->cursor = (tm_pool_index_t)plant[3], pool->swept = 1, found("a cursor that has moved", 9);
    pool->cursor = (tm_pool_index_t)plant[5], pool->swept = (tm_pool_index_t)tmi_begin(pool, w, plant[5]);
    pool->scan = (tm_pool_index_t)plant[0], found("a scan before its cursor", 9);
#if TM_POOL_CHECK
    ((char *)tm_pool_ptr(pool, plant[3]))[tm_pool_sizeof(pool, plant[3])] ^= 1, found("an overflow into a guard", 10);
#endif
}

/* A byte written past an object or after free comes back as an error, and nothing is changed. */
static void corrupted_books_are_an_error(void)
{
    ix_t gap;
    prepare();
    gap = tmi_tag(pool, 1, tmi_begin(pool, 1, plant[2]));
    for (unsigned field = 0; field < 3; field++) {
        tmi_store(tmi_address(pool, gap), 1, field, 13);
        memcpy(copy, buffer, 2000);
        EXPECT(tm_pool_check(pool, plant[2]) == TM_POOL_CORRUPT);
        EXPECT(tm_pool_free(pool, plant[2]) == TM_POOL_CORRUPT && tm_pool_free(pool, plant[0]) == TM_POOL_CORRUPT);
        EXPECT(tm_pool_realloc(pool, plant[2], 80) == TM_POOL_CORRUPT);
        EXPECT(tm_pool_error(pool) == TM_POOL_CORRUPT);
        ((tm_pool_t *)copy)->error = pool->error;
        EXPECT(memcmp(copy, buffer, 2000) == 0);
        pool->error = TM_POOL_OK;
        if (field != OWNER) /* which a pass sets right, as it gives the name back */
            EXPECT(tm_pool_compact(pool) == 0 && tm_pool_error(pool) == TM_POOL_CORRUPT);
        prepare();
    }
#if TM_POOL_CHECK
    ((char *)tm_pool_ptr(pool, plant[3]))[tm_pool_sizeof(pool, plant[3])] ^= 1;
    EXPECT(tm_pool_check(pool, plant[3]) == TM_POOL_CORRUPT && tm_pool_free(pool, plant[3]) == TM_POOL_CORRUPT);
#endif
    report("corrupted_books_are_an_error");
}

int main(void)
{
    init_refuses_bad_input_and_writes_nothing();
    sizes_that_no_pool_can_hold_are_refused();
    index_width_follows_from_handles();
    overhead_is_18_34_and_66_bits_a_handle();
    all_handles_can_live_at_once_among_gaps();
    objects_are_aligned_and_stay_so();
    buffer_of_4_gib_works();
    several_pools_do_not_disturb_each_other();
    freed_blocks_are_reused_before_the_wilderness();
    compaction_fills_holes_before_pinned_objects();
    errors_are_told_apart();
    stale_handles_are_known_by_their_generation();
    realloc_needs_no_spare_handle();
    a_step_ends_at_once_when_nothing_is_to_be_gained();
    large_objects_wait_for_a_larger_bound();
    extend_grows_the_wilderness();
    dump_fits_what_it_is_given();
    check_all_finds_planted_faults();
    corrupted_books_are_an_error();
    return failures != 0;
}
