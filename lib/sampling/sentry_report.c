/* The report of misuse of a guarded block: one line with the kind of misuse, the address and the block, then the stacks
 * of the misuse, of the allocation and of the free. */
#include "os/os.h"
#include "os/report.h"
#include "sampling/sentry.h"

#include <stdlib.h>

enum { PLACE = 160, PATIENCE_MS = 2000 };

/* True: the calling thread may report. Only one thread does, since the process ends with its report. */
static bool begin_report(void)
{
    static uint32_t reporting; // ID of the thread that reports, or 0
    uint32_t nobody = 0, me = tmi_os_gettid();
    if (tmi_cas_relaxed(&reporting, &nobody, me)) // relaxed: a message
        return true;
    if (nobody != me)
        tmi_os_sleep_ms(PATIENCE_MS); // do not end the process before the other thread has finished its report
    return false;
}

/* "8 bytes past the end of a block of 24 bytes at 0x..." */
static void describe(char *out, const tmi_sentry_slot_t *s, uintptr_t address)
{
    const char *freed = tmi_load_relaxed(&s->state) == TMI_SENTRY_FREED ? "freed " : ""; // relaxed: for a message
    uintptr_t start = (uintptr_t)s->block, end = start + s->size;
    const char *where = address < start ? "before the start of" : address >= end ? "past the end of" : "into";
    size_t by = address < start ? start - address : address >= end ? address - end : address - start;
    (void)tmi_format(out, PLACE, "%zu byte%s %s a %sblock of %zu byte%s at %p", by, by == 1 ? "" : "s", where, freed,
                     (size_t)s->size, s->size == 1 ? "" : "s", s->block);
}

static void print_history(const tmi_sentry_slot_t *s, const char *use, const tmi_trace_t *here)
{
    tmi_trace_print(use, here);
    if (s == NULL)
        return;
    tmi_trace_print("allocated", &s->allocated);
    if (tmi_load_relaxed(&s->state) == TMI_SENTRY_FREED) // relaxed: for a message
        tmi_trace_print("freed", &s->freed);
}

/* The slot that contains the address. NULL: it never had a block. */
static tmi_sentry_slot_t *slot_at(uintptr_t address)
{
    tmi_sentry_slot_t *s = tmi_sentry_nearest(address);
    return tmi_load_acquire(&s->state) != TMI_SENTRY_UNUSED ? s : NULL; // pairs: tmi_sentry_alloc
}

void tmi_sentry_fatal(const char *function, const void *p, const tmi_trace_t *here)
{
    char place[PLACE];
    tmi_sentry_slot_t *s = slot_at((uintptr_t)p);
    if (!begin_report())
        abort();
    if (s == NULL) {
        tmi_report("%s(%p): not a block of any heap", function, p);
        print_history(s, "here", here);
        abort();
    }
    describe(place, s, (uintptr_t)p);
    bool freed = tmi_load_relaxed(&s->state) == TMI_SENTRY_FREED; // relaxed: for a message
    bool frees = function[0] == 'f' || function[0] == 'o' || function[0] == 'c'; // free and its kin, operator delete
    if (p != s->block)
        tmi_report("%s(%p): not the start of a block: %s", function, p, place);
    else if (freed && frees)
        tmi_report("%s(%p): double free of a block of %zu bytes", function, p, (size_t)s->size);
    else
        tmi_report("%s(%p): a block of %zu bytes that has been freed", function, p, (size_t)s->size);
    print_history(s, "here", here);
    abort();
}

void tmi_sentry_fatal_write(const char *function, const tmi_sentry_slot_t *s, const char *at, const tmi_trace_t *here)
{
    if (!begin_report())
        abort();
    bool before = at < s->block;
    size_t by = (size_t)(before ? s->block - at : at - s->block) - (before ? 0 : s->size);
    tmi_report("%s(%p): the block was written %s: %zu byte%s %s a block of %zu byte%s", function, s->block,
               before ? "before its start" : "past its end", by, by == 1 ? "" : "s",
               before ? "before the start of" : "past the end of", (size_t)s->size, s->size == 1 ? "" : "s");
    tmi_trace_print("found here", here);
    tmi_trace_print("allocated", &s->allocated);
    abort();
}

static const char *kind_of(const tmi_sentry_slot_t *s, uintptr_t address)
{
    if (tmi_load_relaxed(&s->state) == TMI_SENTRY_FREED) // relaxed: for a message
        return "use after free";
    return address < (uintptr_t)s->block ? "buffer underflow" : "buffer overflow";
}

bool tmi_sentry_report_access(uintptr_t address, const char *access, const tmi_trace_t *here)
{
    char place[PLACE];
    tmi_sentry_slot_t *s = slot_at(address);
    if (!begin_report())
        return false;
    if (s == NULL) {
        tmi_report("wild access: %s at %p, where guarded blocks lie but none has been", access, (void *)address);
    } else {
        describe(place, s, address);
        tmi_report("%s: %s at %p, %s", kind_of(s, address), access, (void *)address, place);
    }
    print_history(s, "used", here);
    return true;
}
