#include "heap/early.h"
#include "base/atomic.h"
#include "threads/thread.h"

enum { ARENA_BYTES = 128 << 10, HEADER_BYTES = 16 };

size_t tmi_heap_tiny;

static char arena[ARENA_BYTES] TMI_ALIGNED(16);
static size_t used;

static const char *thread_pointer(void)
{
    const char *p;
#if defined(__x86_64__)
    __asm__("mov %%fs:0, %0" : "=r"(p));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(p));
#endif
    return p;
}

/* The library's thread-local variable is never at the thread pointer itself, but its offset is 0 until it is relocated.
 * Thread-local contents are set after all relocations. */
bool tmi_early_is_over(void) { return (const char *)&tmi_self_ != thread_pointer() && tmi_self_ != NULL; }

void *tmi_early_alloc(size_t size, size_t align)
{
    size_t before = tmi_load_relaxed(&used), from;
    align = align < HEADER_BYTES ? HEADER_BYTES : align;
    do {
        size_t start = (size_t)(uintptr_t)arena + before + HEADER_BYTES;
        from = tmi_round_up(start, align) - (size_t)(uintptr_t)arena;
        if (align > ARENA_BYTES || from > ARENA_BYTES || size > ARENA_BYTES - from)
            return NULL;
    } while (!tmi_cas_relaxed(&used, &before, tmi_round_up(from + size, HEADER_BYTES))); // relaxed: bytes of its own
    *(size_t *)(void *)(arena + from - HEADER_BYTES) = size;
    return arena + from;
}

bool tmi_early_owns(const void *p) { return (uintptr_t)p - (uintptr_t)arena < ARENA_BYTES; }

size_t tmi_early_usable(const void *p) { return *(const size_t *)(const void *)((const char *)p - HEADER_BYTES); }

void tmi_early_copy(void *to, const void *from, size_t nbytes)
{
    volatile char *t = to; // so that the compiler makes no call of it
    for (size_t i = 0; i < nbytes; i++)
        t[i] = ((const char *)from)[i];
}
