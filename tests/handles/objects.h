/* objects.h - what these programs share: objects whose contents tell their owner, and heaps with holes. They use the
 * public interface only.
 *
 * A case that must not share a process with others returns 0 when all is well, and otherwise says on stderr what does
 * not hold. */
#ifndef TESTS_HANDLES_OBJECTS_H
#define TESTS_HANDLES_OBJECTS_H

#include "../preload/tap.h"

#include <pthread.h>
#include <tinymem/tinymem.h>

/* In a case: the first condition that does not hold ends it. */
#define MUST(condition)                                                                  \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            (void)dprintf(2, "line %d, does not hold: %s\n", __LINE__, #condition);      \
            return 1;                                                                    \
        }                                                                                \
    } while (0)

/* splitmix64 (Steele, Lea & Flood 2014) */
static inline uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline size_t random_below(uint64_t *state, size_t n) { return (size_t)(mixed((*state)++) % n); }

/* All bytes are a function of `mark`. */
static inline void fill(void *p, size_t size, uint64_t mark)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = mixed(mark + i);
        memcpy((char *)p + i, &word, size - i < 8 ? size - i : 8);
    }
}

static inline bool intact(const void *p, size_t size, uint64_t mark)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = mixed(mark + i);
        if (memcmp((const char *)p + i, &word, size - i < 8 ? size - i : 8) != 0)
            return false;
    }
    return true;
}

static inline bool all_bytes(const void *p, char value, size_t size)
{
    const char *c = (const char *)p;
    return size == 0 || (c[0] == value && memcmp(c, c + 1, size - 1) == 0);
}

__attribute__((unused)) static void fill_object(tm_handle_t h, size_t size, uint64_t mark)
{
    TM_PINNED(char, p, h)
    {
        fill(p, size, mark);
    }
}

__attribute__((unused)) static bool object_intact(tm_handle_t h, size_t size, uint64_t mark)
{
    bool good = false;
    TM_PINNED(char, p, h)
    {
        good = intact(p, size, mark);
    }
    return good;
}

/* Where it is now: good to compare, not to follow. */
__attribute__((unused)) static uintptr_t place_of(tm_handle_t h)
{
    uintptr_t at = (uintptr_t)tm_pin(h);
    tm_unpin(h);
    return at;
}

__attribute__((unused)) static tm_stats_t stats_now(void)
{
    tm_stats_t s;
    s.struct_size = sizeof s;
    tm_stats(&s);
    return s;
}

/* n objects of one size, of which only each `every`th still lives: slabs with holes. Contents are marked by the place
 * in the array. */
typedef struct heap_with_holes {
    size_t n, size, every;
    tm_handle_t *h;
    uintptr_t *at; // where they were
} heap_with_holes_t;

__attribute__((unused)) static heap_with_holes_t make_holes(size_t n, size_t size, size_t every)
{
    heap_with_holes_t heap = {n, size, every, NULL, NULL};
    heap.h = (tm_handle_t *)calloc(n, sizeof *heap.h);
    heap.at = (uintptr_t *)calloc(n, sizeof *heap.at);
    for (size_t i = 0; i < n; i++) {
        heap.h[i] = tm_alloc(size);
        fill_object(heap.h[i], size, i);
    }
    for (size_t i = 0; i < n; i++)
        if (i % every != 0)
            tm_free(heap.h[i]);
        else
            heap.at[i] = place_of(heap.h[i]);
    return heap;
}

__attribute__((unused)) static bool holes_intact(const heap_with_holes_t *heap)
{
    for (size_t i = 0; i < heap->n; i += heap->every)
        if (!object_intact(heap->h[i], heap->size, i))
            return false;
    return true;
}

/* How many objects are elsewhere than when the heap was made. */
__attribute__((unused)) static size_t holes_moved(const heap_with_holes_t *heap)
{
    size_t moved = 0;
    for (size_t i = 0; i < heap->n; i += heap->every)
        moved += place_of(heap->h[i]) != heap->at[i];
    return moved;
}

__attribute__((unused)) static void free_holes(heap_with_holes_t *heap)
{
    for (size_t i = 0; i < heap->n; i += heap->every)
        tm_free(heap->h[i]);
    free(heap->h);
    free(heap->at);
}

/* This program again in a process of its own, as `name`, with these options: it must end with 0 and say nothing. */
__attribute__((unused)) static void tap_case(const char *name, const char *options)
{
    tap_child_t c;
    tap_self(&c, name, options);
    bool good = tap_exited(&c, 0);
    tap(good && c.err[0] == '\0', "%s%s%s", name, options ? ", " : "", options ? options : "");
    if (good && c.err[0] != '\0')
        printf("# it said: %s\n", c.err);
}

/* A case that is run once with each of its options. */
typedef struct trial {
    const char *name;
    int (*run)(void);
    const char *options[8]; // NULL at the end
} trial_t;

#define TRIAL(f, ...) {#f, f, {__VA_ARGS__}}

/* Without a name all of them, each in a process of its own: 0. With one what it returns, or 2 if there is none. */
__attribute__((unused)) static int run_trials(const trial_t *trials, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (name != NULL && strcmp(name, trials[i].name) == 0)
            return trials[i].run();
        else if (name == NULL)
            for (const char *const *options = trials[i].options; *options != NULL; options++)
                tap_case(trials[i].name, *options);
    return name != NULL ? 2 : 0;
}

#endif
