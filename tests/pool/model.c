/* model.c - see model.h. */
#include "model.h"
#include "port.h"
#include <string.h>

#ifndef MODEL_SNAPSHOT
#define MODEL_SNAPSHOT 8192 /* failed calls are verified to change nothing in buffers up to this size */
#endif
enum { GUARD = TM_POOL_CHECK ? 4 : 0 };

typedef struct object {
    tm_pool_handle_t handle;
    size_t size;
    unsigned char *at;
    uint8_t fill, pins;
} object_t;

unsigned long hook_visits, hook_moved;
model_seen_t model_seen;

static tm_pool_t *pool;
static const model_run_t *run;
static object_t objects[MODEL_OBJECTS];
static size_t live, pins, buffer_size;
static uint8_t map[MODEL_BLOCKS / 8 + 1];
static size_t blocks, free_blocks, longest, holes, wilderness; /* by the map */
static unsigned char *first_block;
static unsigned long state, operation;
static unsigned char snapshot[MODEL_SNAPSHOT];
static bool remembered;
static bool wrong;

#if TM_POOL_DUMP
static void write_text(void *context, const char *text, size_t length)
{
    (void)context;
    while (length-- > 0)
        port_put(*text++);
}
#endif

static bool fail(const char *what, int line)
{
    if (!wrong) {
        port_say("# model.c:");
        port_number((unsigned long)line);
        port_say(" operation ");
        port_number(operation);
        port_say(" seed ");
        port_number(run->seed);
        port_say(" size ");
        port_number((unsigned long)run->size);
        port_say(" handles ");
        port_number((unsigned long)run->handles);
        port_say(": not so: ");
        port_say(what);
        port_put('\n');
#if TM_POOL_DUMP
        tm_pool_dump(pool, 120, write_text, NULL);
#endif
    }
    wrong = true;
    return false;
}

static bool must(bool holds, const char *what, int line) { return holds || fail(what, line); }
#define MUST(condition) must((condition), #condition, __LINE__)

static unsigned long draw(unsigned long below)
{
    state = (state * 1103515245ul + 12345ul) & 0xfffffffful;
    return ((state >> 8) & 0xfffffful) % below;
}

/* ---- contents ---------------------------------------------------------------------------------------------------- */

/* Byte i of an object's contents. Large objects are filled and verified in part. */
static uint8_t content(const object_t *o, size_t i) { return (uint8_t)(o->fill + i * 7 + (i >> 8)); }
static size_t stride(size_t i, size_t size)
{
    return i < 64 || i + 65 > size || size < 512 ? 1 : i + 97 + 65 > size ? size - 64 - i : 97;
}

static void write_contents(object_t *o)
{
    size_t i;
    o->fill = (uint8_t)draw(256);
    for (i = 0; i < o->size; i += stride(i, o->size))
        o->at[i] = content(o, i);
}

/* The first n bytes are as written for an object that was of `size` bytes. */
static bool contents_hold(const object_t *o, size_t size, size_t n)
{
    size_t i;
    for (i = 0; i < n; i += stride(i, size))
        if (o->at[i] != content(o, i))
            return false;
    return true;
}

/* ---- the map ----------------------------------------------------------------------------------------------------- */

static size_t needed(size_t size) { return (size - 1 + GUARD) / pool->block_size + 1; }
static bool taken(size_t block) { return map[block / 8] >> (block % 8) & 1; }
static size_t block_of(const object_t *o) { return (size_t)(o->at - first_block) / pool->block_size; }

static void map_object(const object_t *o)
{
    size_t b = block_of(o), end = b + needed(o->size);
    if (!MUST(o->at >= first_block && end <= blocks))
        return;
    for (; b < end; b++) {
        MUST(!taken(b)); /* objects do not overlap */
        map[b / 8] |= (uint8_t)(1u << b % 8);
    }
}

static void map_all(void)
{
    size_t i, b, length = 0;
    memset(map, 0, blocks / 8 + 1);
    for (i = 0; i < live; i++)
        map_object(&objects[i]);
    free_blocks = longest = holes = 0;
    for (b = 0; b < blocks; b++) {
        if (!taken(b)) {
            length++;
            free_blocks++;
        } else {
            holes += length != 0;
            length = 0;
        }
        if (length > longest)
            longest = length;
    }
    wilderness = length;
}

/* Free blocks right before block b, and from it on. */
static size_t free_before(size_t b)
{
    size_t n = 0;
    while (b > n && !taken(b - n - 1))
        n++;
    return n;
}

static size_t free_from(size_t b)
{
    size_t n = 0;
    while (b + n < blocks && !taken(b + n))
        n++;
    return n;
}

/* ---- after each operation ---------------------------------------------------------------------------------------- */

static void look_at(object_t *o)
{
    unsigned char *at = tm_pool_ptr(pool, o->handle);
    MUST(tm_pool_valid(pool, o->handle));
    MUST(at == tm_pool_at(pool, o->handle));
    MUST(o->pins == 0 || at == o->at);
    MUST((uintptr_t)at % pool->block_size == 0 && (run->align == 0 || (uintptr_t)at % run->align == 0));
    MUST(tm_pool_sizeof(pool, o->handle) == needed(o->size) * pool->block_size - GUARD);
    if (at == NULL || at < first_block || at + o->size > first_block + blocks * pool->block_size) {
        fail("an object lies in the buffer", __LINE__);
        return;
    }
    o->at = at;
    MUST(contents_hold(o, o->size, o->size));
}

static void compare_figures(void)
{
    tm_pool_stats_t s;
    tm_pool_stats(pool, &s);
    MUST(s.live == live && s.pins == pins && s.blocks == blocks && s.handles == run->handles);
    MUST(s.used == blocks - free_blocks && s.peak >= s.used);
    MUST(s.wilderness == wilderness);
    MUST(s.gaps == holes);
    MUST(s.largest == longest);
    MUST(s.index_bits == run->bits);
}

static void verify(void)
{
    size_t i;
    MUST(tm_pool_check_all(pool) == 0);
    for (i = 0; i < live && !wrong; i++)
        look_at(&objects[i]);
    if (wrong)
        return;
    map_all();
    if (draw(2)) /* the figures shelve the object that was freed last: not always */
        compare_figures();
}

static void remember(void)
{
    remembered = buffer_size <= MODEL_SNAPSHOT && draw(2);
    if (remembered) {
        tm_pool_stats_t s;
        tm_pool_stats(pool, &s); /* shelves, as a call that fails may */
        memcpy(snapshot, pool, buffer_size);
    }
}

/* Nothing but the error has changed since. */
static void unchanged(tm_pool_error_t error)
{
    MUST(tm_pool_error(pool) == error);
    if (remembered && !(run->options & TM_POOL_COMPACT)) {
        ((tm_pool_t *)(void *)snapshot)->error = pool->error;
        MUST(memcmp(snapshot, pool, buffer_size) == 0);
    }
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static size_t random_size(void)
{
    switch (draw(8)) {
    case 0: return 1 + draw(run->max_object);
    case 1: case 2: return 1 + draw(run->max_object / 4 + 1);
    default: return 1 + draw(run->max_object / 16 + 8);
    }
}

/* A call that needs `need` blocks failed though `sure` of them were not in one piece: is the error the right one? */
static void refused(tm_pool_error_t error, size_t need, size_t available)
{
    if (error == TM_POOL_FRAGMENTED) {
        model_seen.fragmented++;
        MUST(need <= available);
        MUST(!(run->options & TM_POOL_COMPACT));
        return;
    }
    model_seen.no_memory++;
    MUST(error == TM_POOL_NO_MEMORY);
    if (need <= available && !wrong) { /* then compaction has nothing to gain */
        size_t i;
        MUST(tm_pool_compact(pool) == 0);
        for (i = 0; i < live; i++)
            MUST(tm_pool_ptr(pool, objects[i].handle) == objects[i].at || (run->options & TM_POOL_COMPACT));
    }
}

static void do_alloc(void)
{
    size_t size = random_size(), need = needed(size), i;
    bool zero = draw(8) == 0;
    object_t *o = &objects[live];
    remember();
    model_seen.recent += pool->recent != 0;
    o->handle = zero ? tm_pool_calloc(pool, 1, size) : tm_pool_alloc(pool, size);
    model_seen.allocs++;
    if (o->handle == 0) {
        tm_pool_error_t error = tm_pool_error(pool);
        unchanged(error);
        if (need > blocks) {
            MUST(error == TM_POOL_BAD_SIZE);
        } else if (live == run->handles) {
            model_seen.no_handles++;
            MUST(error == TM_POOL_NO_HANDLES);
        } else {
            MUST(longest < need);
            refused(error, need, free_blocks);
        }
        return;
    }
    MUST(live < run->handles && need <= blocks);
    o->size = size;
    o->pins = 0;
    o->at = tm_pool_ptr(pool, o->handle);
    for (i = 0; zero && i < size; i++)
        MUST(o->at[i] == 0);
    for (i = 0; i < live; i++)
        MUST(objects[i].handle != o->handle);
    write_contents(o);
    live++;
}

static void do_free(void)
{
    size_t i = draw(live);
    tm_pool_handle_t handle = objects[i].handle;
    remember();
    if (objects[i].pins) {
        model_seen.pinned++;
        MUST(tm_pool_free(pool, handle) == TM_POOL_PINNED);
        unchanged(TM_POOL_PINNED);
        return;
    }
    model_seen.frees++;
    MUST(tm_pool_free(pool, handle) == TM_POOL_OK);
    objects[i] = objects[--live];
    MUST(!tm_pool_valid(pool, handle) && tm_pool_ptr(pool, handle) == NULL);
    if (draw(2)) /* shelves, too */
        return;
    remember();
    MUST(tm_pool_free(pool, handle) == TM_POOL_BAD_HANDLE); /* a double free */
    unchanged(TM_POOL_BAD_HANDLE);
}

static void do_realloc(void)
{
    object_t *o = &objects[draw(live)];
    size_t size = random_size(), need = needed(size), old = needed(o->size), b = block_of(o);
    size_t right = free_from(b + old), left = free_before(b), kept = size < o->size ? size : o->size;
    tm_pool_error_t error;
    unsigned char *before = o->at;
    bool in_place = need <= old + right, slides = need <= left + old + right, moves = need <= longest;
    remember();
    error = tm_pool_realloc(pool, o->handle, size);
    model_seen.reallocs++;
    if (error == TM_POOL_OK) {
        o->at = tm_pool_ptr(pool, o->handle);
        model_seen.moved_reallocs += o->at != before;
        MUST(o->at == before || !o->pins);
        MUST(o->at == before || !in_place || (run->options & TM_POOL_COMPACT));
        MUST(o->at != NULL && contents_hold(o, o->size, kept));
        o->size = size;
        write_contents(o);
        return;
    }
    unchanged(error);
    MUST(!in_place || need > blocks);
    if (need > blocks) {
        MUST(error == TM_POOL_BAD_SIZE);
    } else if (o->pins) {
        model_seen.pinned++;
        MUST(error == TM_POOL_PINNED);
    } else {
        MUST(!slides && !moves);
        refused(error, need, free_blocks + (b + old + right == blocks ? old : 0));
    }
}

static void do_pin(void)
{
    object_t *o = &objects[draw(live)];
    if (draw(2)) {
        void *at = tm_pool_pin(pool, o->handle);
        if (pins == run->max_pins) {
            MUST(at == NULL && tm_pool_error(pool) == TM_POOL_NO_PINS);
        } else {
            MUST(at == o->at);
            o->pins++;
            pins++;
        }
    } else if (o->pins) {
        MUST(tm_pool_unpin(pool, o->handle) == TM_POOL_OK);
        o->pins--;
        pins--;
    } else {
        MUST(tm_pool_unpin(pool, o->handle) == TM_POOL_NOT_PINNED);
    }
}

static void do_garbage(void)
{
    tm_pool_handle_t handle = (tm_pool_handle_t)(draw(4) ? draw(run->handles + 3) : state);
    size_t i;
    for (i = 0; i < live; i++)
        if (objects[i].handle == handle)
            return;
    remember();
    MUST(!tm_pool_valid(pool, handle) && tm_pool_ptr(pool, handle) == NULL && tm_pool_sizeof(pool, handle) == 0);
    MUST(tm_pool_check(pool, handle) == TM_POOL_BAD_HANDLE && tm_pool_free(pool, handle) == TM_POOL_BAD_HANDLE);
    MUST(tm_pool_realloc(pool, handle, 1) == TM_POOL_BAD_HANDLE && tm_pool_unpin(pool, handle) == TM_POOL_BAD_HANDLE);
    MUST(tm_pool_alloc(pool, 0) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
    MUST(tm_pool_alloc(pool, (size_t)-1 - draw(300)) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
    MUST(tm_pool_calloc(pool, (size_t)-1 / 2, 3 + draw(9)) == 0 && tm_pool_error(pool) == TM_POOL_BAD_SIZE);
    unchanged(TM_POOL_BAD_SIZE);
}

/* After full compaction: an object behind a hole is pinned, and no later object that is not fits the hole. */
static void verify_compacted(void)
{
    size_t i, b, hole;
    for (b = 0; b < blocks && !wrong; b += hole + 1) {
        hole = free_from(b);
        if (hole == 0 || b + hole == blocks)
            continue;
        for (i = 0; i < live; i++)
            MUST(objects[i].pins || block_of(&objects[i]) < b ||
                 (needed(objects[i].size) > hole && block_of(&objects[i]) != b + hole));
    }
}

/* The fake clock: a tick for 16 bytes moved, and for looks what they are said to cost. */
uint32_t model_clock(void *context)
{
    (void)context;
    return (uint32_t)((hook_visits * TM_POOL_VISIT_COST + hook_moved) / 16);
}

static void do_step(void)
{
    size_t bound = draw(3) ? 100 + draw(2000) : 0;
    uint32_t ticks = bound == 0 || draw(3) == 0 ? (uint32_t)(40 + draw(400)) : 0, took;
    unsigned long visits = hook_visits, moved = hook_moved, cost;
    uint32_t since = model_clock(NULL);
    bool more = tm_pool_compact_step(pool, bound, ticks);
    took = model_clock(NULL) - since;
    visits = hook_visits - visits;
    moved = hook_moved - moved;
    cost = visits * TM_POOL_VISIT_COST + moved;
    model_seen.steps++;
    model_seen.working_steps += visits > 8;
    model_seen.moves += moved != 0;
    if (visits > model_seen.max_visits)
        model_seen.max_visits = visits;
    if (bound) {
        MUST(cost <= bound + TM_POOL_VISIT_COST); /* worthwhile() looks once at entry 0, and may find nothing to do */
        if (cost * 100 / bound > model_seen.max_cost)
            model_seen.max_cost = cost * 100 / bound;
    }
    if (ticks)
        MUST(took <= ticks + 1);
    if (!more && bound == 0 && ticks == 0)
        MUST(hook_moved == moved);
    if (!more) { /* at once: constant time */
        visits = hook_visits;
        more = tm_pool_compact_step(pool, bound, ticks);
        MUST(!more && hook_visits - visits <= 2);
    }
}

static void do_compact(void)
{
    tm_pool_compact(pool);
    model_seen.compactions++;
    verify();
    if (!wrong)
        verify_compacted();
    MUST(pins || longest == wilderness);
    MUST(!tm_pool_compact_step(pool, 0, 0));
}

static void do_extend(void)
{
    size_t size = buffer_size + draw(run->extend_to - buffer_size + 1);
    remember();
    MUST(tm_pool_extend(pool, buffer_size / 2) == TM_POOL_BAD_SIZE);
    unchanged(TM_POOL_BAD_SIZE);
    if (tm_pool_extend(pool, size) == TM_POOL_OK) {
        tm_pool_stats_t s;
        tm_pool_stats(pool, &s);
        MUST(s.blocks >= blocks);
        blocks = s.blocks;
        buffer_size = size;
        model_seen.extensions++;
    }
}

static void operate(void)
{
    unsigned long what = draw(100), phase = operation / 512 % 4; /* grow, mix, shrink, mix */
    unsigned long allocs = phase == 0 ? 60 : phase == 2 ? 25 : 42;
    if (live == 0 || what < allocs)
        do_alloc();
    else if (what < 80)
        do_free();
    else if (what < 88)
        do_realloc();
    else if (what < 92)
        do_pin();
    else if (what < 97)
        do_step();
    else if (what < 98)
        do_garbage();
    else if (what < 99 && draw(4) == 0)
        do_compact();
    else if (run->extend_to > buffer_size && draw(16) == 0)
        do_extend();
    else if (draw(400) == 0)
        tm_pool_reset(pool), live = pins = 0;
}

bool model_go(unsigned char *buffer, const model_run_t *r)
{
    tm_pool_config_t config;
    tm_pool_stats_t s;
    memset(&config, 0, sizeof config);
    config.handles = r->handles;
    config.block_size = r->block_size;
    config.align = r->align;
    config.max_pins = r->max_pins;
    config.options = r->options;
    config.clock = model_clock;
    config.bytes_per_tick = 16;
    run = r;
    pool = (tm_pool_t *)(void *)buffer;
    wrong = false;
    live = pins = 0;
    operation = 0;
    buffer_size = r->size;
    state = r->seed * 2654435761ul + 1;
    if (!MUST(r->handles <= MODEL_OBJECTS - 1) || !MUST(tm_pool_init(buffer, r->size, &config) == TM_POOL_OK))
        return false;
    tm_pool_stats(pool, &s);
    blocks = s.blocks;
    first_block = pool->base;
    if (!MUST(blocks <= MODEL_BLOCKS))
        return false;
    for (verify(); operation < r->operations && !wrong; operation++) {
        operate();
        if (!wrong)
            verify();
    }
    return !wrong;
}
