#include "heap/guard.h"
#include "os/os.h"
#include "os/report.h"
#include "slabs/large.h"
#include "slabs/raw.h"

#include <string.h>

#define POISON UINT64_C(0xf5f5f5f5f5f5f5f5)
#define QUEUE_BYTES ((size_t)4 << 20)
enum { SEAL = 8, EXTRA = 16, CANARY = 0xca, QUEUE = 512 };

typedef struct waiting {
    char *p;
    unsigned cls;
} waiting_t;

tmi_lock_t tmi_guard_lock = TMI_LOCK_OF(TMI_RANK_GUARD);
static waiting_t queue[QUEUE]; // a ring: `first` is the oldest of `nwaiting`
static unsigned first, nwaiting;
static size_t bytes_waiting;

static size_t room_of(const void *p, unsigned cls)
{
    return cls == TMI_CLASS_LARGE ? tmi_large_usable(p) : tmi_classes[cls].size;
}

/* splitmix64's finisher (Steele, Lea & Flood 2014); the secret is the address at which the library is loaded. */
static uint64_t secret_for(const void *p)
{
    uint64_t x = (uint64_t)(uintptr_t)p ^ (uint64_t)(uintptr_t)queue << 20;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* Check U1 for the slot at p. False: the program has written past the block's end. */
static bool sealed(const char *p, size_t room, size_t *size)
{
    *size = (size_t)(word_at(p + room - SEAL) ^ secret_for(p));
    if (*size > room - EXTRA)
        return false;
    for (const char *c = p + *size; c < p + room - SEAL; c++)
        if (*c != (char)CANARY)
            return false;
    return true;
}

static void seal(char *p, size_t room, size_t size)
{
    uint64_t w = size ^ secret_for(p);
    memset(p + size, CANARY, room - SEAL - size);
    memcpy(p + room - SEAL, &w, sizeof w);
}

static bool poisoned(const char *p, size_t room, uint64_t or_else)
{
    for (size_t i = 0; i + 8 <= room; i += 8)
        if (word_at(p + i) != POISON && word_at(p + i) != or_else)
            return false;
    return true;
}

static TMI_COLD _Noreturn void stop(const char *function, const void *p, const char *what)
{
    tmi_unlock(&tmi_guard_lock); // a handler for SIGABRT may allocate
    tmi_fatal(function, p, what);
}

static void *take(size_t size, size_t align, bool zero, unsigned *cls)
{
    void *p = NULL;
    *cls = TMI_CLASS_LARGE;
    if (size > TMI_SMALL_MAX || align > TMI_SMALL_MAX)
        return tmi_large_alloc(size, align, zero);
    *cls = align <= 16 ? tmi_class_of(size) : tmi_class_of_aligned(size, align);
    (void)tmi_raw_take(*cls, &p, 1);
    return p;
}

void *tmi_guard_alloc(size_t size, size_t align, bool zero)
{
    unsigned cls;
    if (size > PTRDIFF_MAX - EXTRA)
        return NULL;
    tmi_lock(&tmi_guard_lock);
    char *p = take(size + EXTRA, align, zero, &cls);
    if (p != NULL) {
        size_t room = room_of(p, cls);
        if (cls != TMI_CLASS_LARGE && !poisoned(p, room, 0))
            stop("malloc", p, "a free block was written to");
        seal(p, room, size);
        if (zero && cls != TMI_CLASS_LARGE)
            memset(p, 0, size);
    }
    tmi_unlock(&tmi_guard_lock);
    return p;
}

size_t tmi_guard_size(const void *p, unsigned cls, const char *function)
{
    size_t size, room = room_of(p, cls);
    tmi_lock(&tmi_guard_lock);
    if (!sealed(p, room, &size))
        stop(function, p,
             poisoned(p, room, POISON) ? "a block that has been freed" : "the block was written past its end");
    tmi_unlock(&tmi_guard_lock);
    return size;
}

/* Check the slot before p, if there is one: a write before the start of p's block damages that slot. */
static void look_before(const char *p, unsigned cls, const char *function)
{
    size_t size, room = tmi_classes[cls].size;
    if (!tmi_raw_has_before(cls, p))
        return;
    const char *before = p - room;
    if (!sealed(before, room, &size) && !poisoned(before, room, 0))
        stop(function, p, "written before its start, or past the end of the block before");
}

static void leave_queue(const char *function)
{
    waiting_t w = queue[first];
    size_t room = tmi_classes[w.cls].size;
    if (!poisoned(w.p, room, POISON))
        stop(function, w.p, "the block was written to after it had been freed");
    first = (first + 1) % QUEUE;
    nwaiting--;
    bytes_waiting -= room;
    tmi_raw_return(w.cls, (void *const *)&w.p, 1, function);
}

static void enter_queue(char *p, unsigned cls, const char *function)
{
    size_t room = tmi_classes[cls].size;
    while (nwaiting > 0 && (nwaiting == QUEUE || bytes_waiting + room > QUEUE_BYTES))
        leave_queue(function);
    queue[(first + nwaiting++) % QUEUE] = (waiting_t){p, cls};
    bytes_waiting += room;
}

void tmi_guard_free(void *p, unsigned cls, const char *function)
{
    size_t size, room = room_of(p, cls);
    tmi_lock(&tmi_guard_lock);
    if (!sealed(p, room, &size))
        stop(function, p, poisoned(p, room, POISON) ? "double free" : "the block was written past its end");
    if (cls == TMI_CLASS_LARGE) {
        tmi_large_free(p);
    } else {
        look_before(p, cls, function);
        memset(p, (int)(POISON & 0xff), room);
        enter_queue(p, cls, function);
    }
    tmi_unlock(&tmi_guard_lock);
}

void tmi_guard_check(const char *function)
{
    tmi_lock(&tmi_guard_lock);
    for (unsigned i = 0; i < nwaiting; i++) {
        waiting_t w = queue[(first + i) % QUEUE];
        if (!poisoned(w.p, tmi_classes[w.cls].size, POISON))
            stop(function, w.p, "the block was written to after it had been freed");
    }
    tmi_unlock(&tmi_guard_lock);
}
