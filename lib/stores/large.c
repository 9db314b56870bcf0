#include "stores/large.h"
#include "host/counters.h"
#include "host/os.h"
#include "host/report.h"

#include <string.h>

#define MOVE_MIN ((size_t)1 << 20)         // below, copying is cheaper than mremap and its page faults' worth of flushes
#define MOVE_ALWAYS ((size_t)32 << 20)     // from here on a moved mapping is worth its place in the process's list of mappings
enum { MOVES_OF_SMALLER = 4096 };          // how often smaller ones may split a mapping

static size_t pages_of(size_t size) { return tmi_round_up(size, tmi_os_page_size); }
static size_t units_of(size_t bytes) { return tmi_round_up(bytes, TMI_UNIT_SIZE) >> TMI_UNIT_SHIFT; }

/* Where in the slack the object starts: successive objects take successive pages. */
static size_t next_shift(size_t slack)
{
    static uint32_t turn;
    size_t steps = slack / tmi_os_page_size + 1;
    return tmi_add_relaxed(&turn, 1) % steps * tmi_os_page_size; // relaxed: any value will do
}

static void *settle(char *base, size_t shift, size_t bytes)
{
    tmi_span_t *span = tmi_span_of(base);
    span->owner = base + shift;
    span->bytes = bytes;
    tmi_count(large_bytes, bytes);
    tmi_count(large_count, 1);
    return base + shift;
}

void *tmi_large_alloc(size_t size, size_t align, bool zero)
{
    size_t bytes = pages_of(tmi_max(size, 1)), nunits = units_of(bytes);
    size_t align_units = align > TMI_UNIT_SIZE ? align >> TMI_UNIT_SHIFT : 1;
    bool dirty;
    char *base = tmi_space_alloc(nunits, align_units, TMI_CLASS_LARGE, TMI_CLASS_LARGE_TAIL, &dirty);
    if (base == NULL)
        return NULL;
    size_t shift = align > tmi_os_page_size ? 0 : next_shift(nunits * TMI_UNIT_SIZE - bytes);
    char *p = settle(base, shift, bytes);
    if (zero && dirty)
        memset(p, 0, size);
    return p;
}

bool tmi_large_valid(const void *p) { return tmi_span_of(p)->owner == p; }

size_t tmi_large_usable(const void *p) { return tmi_span_of(p)->bytes; }

void tmi_large_free(void *p)
{
    tmi_span_t *span = tmi_span_of(p);
    tmi_discount(large_bytes, span->bytes);
    tmi_discount(large_count, 1);
    span->owner = NULL;
    tmi_space_free(tmi_unit_start(p), span->nunits, span->bytes);
}

static void set_bytes(tmi_span_t *span, size_t bytes)
{
    tmi_count(large_bytes, bytes - span->bytes); // modulo 2^64: also downwards
    span->bytes = bytes;
}

static void shrink(void *p, tmi_span_t *span, size_t bytes)
{
    char *base = tmi_unit_start(p);
    size_t keep = units_of((size_t)((char *)p - base) + bytes), had = span->bytes;
    set_bytes(span, bytes);
    if (keep < span->nunits)
        tmi_space_shorten(base, span->nunits, keep, had - bytes);
}

static bool grow_in_place(void *p, tmi_span_t *span, size_t bytes)
{
    char *base = tmi_unit_start(p);
    size_t wanted = units_of((size_t)((char *)p - base) + bytes);
    bool dirty;
    if (wanted > span->nunits && !tmi_space_extend(base, span->nunits, wanted, TMI_CLASS_LARGE_TAIL, &dirty))
        return false;
    set_bytes(span, bytes);
    return true;
}

static bool worth_moving(size_t bytes)
{
    return bytes >= MOVE_ALWAYS || (bytes >= MOVE_MIN && tmi_counter(moves) < MOVES_OF_SMALLER);
}

/* The pages go to a new extent; the old one is left empty, and clean if the object filled it. */
static void *move_pages(void *p, tmi_span_t *span, size_t bytes)
{
    bool dirty;
    size_t nunits = units_of(bytes), old_units = span->nunits, old_bytes = span->bytes;
    char *base = tmi_space_alloc(nunits, 1, TMI_CLASS_LARGE, TMI_CLASS_LARGE_TAIL, &dirty);
    if (base == NULL)
        return NULL;
    if (tmi_os_move(p, base, old_bytes) != 0) {
        tmi_space_free(base, nunits, dirty ? bytes : 0);
        return NULL;
    }
    tmi_discount(large_bytes, old_bytes);
    tmi_discount(large_count, 1);
    tmi_count(moves, 1);
    span->owner = NULL;
    bool filled = old_units * TMI_UNIT_SIZE == old_bytes;
    tmi_space_free(tmi_unit_start(p), old_units, filled ? 0 : tmi_os_page_size);
    return settle(base, 0, bytes);
}

void *tmi_large_resize(void *p, size_t size)
{
    tmi_span_t *span = tmi_span_of(p);
    size_t bytes = pages_of(size);
    if (bytes <= span->bytes) {
        shrink(p, span, bytes);
        return p;
    }
    if (grow_in_place(p, span, bytes))
        return p;
    return worth_moving(span->bytes) ? move_pages(p, span, bytes) : NULL;
}
