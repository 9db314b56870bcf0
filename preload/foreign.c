/* foreign.c - pointers that this heap did not hand out.
 *
 * A program may mix heaps. Some programs use libc's own malloc, and some libraries bring allocators of their own. Their
 * pointers may reach our free. The page map tells that such a pointer is not ours. The process's memory map tells
 * whether it can belong to another heap: a heap block is aligned to 8 bytes and lies in anonymous memory that is not a
 * stack. Such a pointer is passed to the next definition of the function; any other is a wild pointer. Ranges that can
 * hold heap blocks are remembered, since reading the map takes tens of µs. */
#include "heap/tally.h"
#include "os/counters.h"
#include "os/options.h"
#include "os/os.h"
#include "os/report.h"
#include "preload.h"
#include "sampling/sentry.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

typedef struct range {
    uintptr_t from, to;
} range_t;

enum { REMEMBERED = 8 };
static range_t remembered[REMEMBERED]; // guarded by remembered_lock
static unsigned next_slot;
static tmi_lock_t remembered_lock;

void *tmi_next_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    __asm__ volatile("" : "+r"(symbol)); // no tail call: dlsym finds "next" by its return address
    return symbol;
}

/* The lock is only tried, since it may stay held in a child of fork. That child then reads the map each time. */
static bool is_remembered(uintptr_t p)
{
    bool found = false;
    if (!tmi_trylock(&remembered_lock))
        return false;
    for (unsigned i = 0; i < REMEMBERED; i++)
        found |= p >= remembered[i].from && p < remembered[i].to;
    tmi_unlock(&remembered_lock);
    return found;
}

static void remember(range_t r)
{
    if (!tmi_trylock(&remembered_lock))
        return;
    remembered[next_slot++ % REMEMBERED] = r;
    tmi_unlock(&remembered_lock);
}

static const char *parse_hex(const char *s, uintptr_t *out)
{
    for (*out = 0;; s++) {
        unsigned digit = *s >= 'a' ? (unsigned)(*s - 'a') + 10 : (unsigned)(*s - '0');
        if (digit > 15)
            return s;
        *out = *out * 16 + digit;
    }
}

/* "from-to perms offset dev inode   path": heaps have no path, or "[heap]", or a name that begins with "[anon". */
static bool line_is_heap(const char *rest)
{
    const char *path = strchr(rest, '[');
    if (strchr(rest, '/') != NULL)
        return false;
    return path == NULL || strncmp(path, "[heap", 5) == 0 || strncmp(path, "[anon", 5) == 0;
}

/* Parse one line of the map. True: its range *r contains p, and *heap tells whether it can hold heap blocks. */
static bool match_line(const char *line, uintptr_t p, range_t *r, bool *heap)
{
    const char *rest = parse_hex(line, &r->from);
    rest = *rest == '-' ? parse_hex(rest + 1, &r->to) : rest;
    if (p < r->from || p >= r->to)
        return false;
    *heap = line_is_heap(rest) && strncmp(rest, " rw", 3) == 0;
    return true;
}

/* Find the mapping that contains p. False: none, or no /proc. */
static bool find_mapping(int fd, uintptr_t p, range_t *r, bool *heap)
{
    char buf[2048];
    size_t held = 0;
    long n;
    while ((n = tmi_os_read(fd, buf + held, sizeof buf - 1 - held)) > 0) {
        held += (size_t)n;
        buf[held] = '\0';
        char *line = buf;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            if (match_line(line, p, r, heap))
                return true;
        }
        held -= (size_t)(line - buf);
        memmove(buf, line, held);
        if (held == sizeof buf - 1)
            held = 0; // a path longer than the buffer: not the line we look for
    }
    return false;
}

static bool plausible(const void *p)
{
    uintptr_t address = (uintptr_t)p;
    if (address % 8 != 0)
        return false;
    if (is_remembered(address))
        return true;
    // not by libc, whose functions are cancellation points
    int fd = tmi_os_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true; // without the map, the next allocator decides
    range_t r;
    bool heap = false, found = find_mapping(fd, address, &r, &heap);
    tmi_os_close(fd);
    if (found && heap)
        remember(r);
    return found && heap;
}

/* The next definition of a function to which p can be passed. Does not return for a wild pointer. */
static void *next_for(const void *p, const char *name, const char *function)
{
    if (tmi_pagemap_segment(p) != NULL)
        tmi_fatal(function, p, "a block that has been freed");
    void *next = plausible(p) ? tmi_next_symbol(name) : NULL;
    if (next == NULL)
        tmi_fatal(function, p, "not a block of any heap");
    return next;
}

static TMI_NOINLINE void free_guarded(void *p, const char *function, void *frame)
{
    int saved = errno;
    tmi_samples_freed((uintptr_t)p);
    size_t size = tmi_sentry_free(p, function, frame);
    if (tmi_options.stats == TMI_STATS_ON)
        tmi_tally_free(tmi_thread_or_null(), size);
    errno = saved;
}

/* Does not end with a call, so that its frame exists while a stack is captured. */
void tmi_foreign_free(void *p, const char *function)
{
    if (tmi_sentry_owns(p)) {
        free_guarded(p, function, __builtin_frame_address(0));
        (void)tmi_stack_kept(0);
        return;
    }
    if (tmi_early_owns(p))
        return;
    int saved = errno;
    void (*next)(void *) = (void (*)(void *))next_for(p, "free", function);
    tmi_count(foreign_frees, 1);
    next(p);
    errno = saved;
}

size_t tmi_foreign_usable(void *p, const char *function)
{
    if (tmi_sentry_owns(p))
        return tmi_stack_kept(tmi_sentry_usable(p, function, __builtin_frame_address(0)));
    if (tmi_early_owns(p))
        return tmi_early_usable(p);
    size_t (*next)(void *) = (size_t(*)(void *))next_for(p, "malloc_usable_size", function);
    return next(p);
}

/* Always moves the block, so that a use of the old address is noticed. */
static TMI_NOINLINE void *realloc_guarded(void *p, size_t size, void *frame)
{
    size_t was = tmi_sentry_usable(p, "realloc", frame);
    void *q = tmi_heap_alloc_for(size, 1, frame);
    if (q == NULL)
        return NULL;
    memcpy(q, p, tmi_min(size, was));
    free_guarded(p, "realloc", frame);
    return q;
}

void *tmi_foreign_realloc(void *p, size_t size)
{
    if (tmi_sentry_owns(p))
        return (void *)tmi_stack_kept((size_t)realloc_guarded(p, size, __builtin_frame_address(0)));
    size_t usable = tmi_foreign_usable(p, "realloc");
    void *q = tmi_heap_malloc(size);
    if (q == NULL)
        return NULL;
    if (tmi_early_owns(p))
        tmi_early_copy(q, p, tmi_min(size, usable));
    else
        memcpy(q, p, tmi_min(size, usable));
    tmi_foreign_free(p, "realloc"); // keeps errno
    return q;
}
