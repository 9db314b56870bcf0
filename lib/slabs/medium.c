#include "os/counters.h"
#include "os/meta.h"
#include "os/os.h"
#include "os/report.h"
#include "slabs/medium_impl.h"

enum { PER_DOUBLING = 8, FIRST_DOUBLING = 15, SLOTS_MIN = 4 };
#define SLAB_BYTES ((size_t)1 << 20) // a slab has as many slots as fit into this

tmi_medium_info_t tmi_medium_info[TMI_MEDIUM_CLASSES];
tmi_medium_class_t tmi_medium_classes[TMI_MEDIUM_CLASSES];

static size_t size_of(unsigned cls)
{
    size_t base = TMI_SMALL_MAX << cls / PER_DOUBLING;
    return tmi_round_up(base + base / PER_DOUBLING * (cls % PER_DOUBLING + 1), tmi_os_page_size);
}

void tmi_medium_init(void)
{
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++) {
        size_t size = size_of(c), slots = tmi_max(SLAB_BYTES / size, SLOTS_MIN);
        tmi_medium_info[c] = (tmi_medium_info_t){
            .reciprocal = (((uint64_t)1 << 48) + size - 1) / size,
            .size = (uint32_t)size,
            .units = (uint16_t)(tmi_round_up(slots * size, TMI_UNIT_SIZE) / TMI_UNIT_SIZE),
            .slots = (uint8_t)slots,
        };
        tmi_lock_set_place(&tmi_medium_classes[c].lock, TMI_RANK_MEDIUM, c);
    }
}

static unsigned class_of(size_t size)
{
    unsigned doubling = tmi_log2(size - 1);
    return (doubling - FIRST_DOUBLING) * PER_DOUBLING +
           ((unsigned)((size - 1) >> (doubling - 3)) & (PER_DOUBLING - 1));
}

unsigned tmi_medium_class(size_t size, size_t align)
{
    unsigned c = class_of(tmi_max(size, TMI_SMALL_MAX + 1));
    if (align > tmi_os_page_size)
        while (tmi_medium_info[c].size % align != 0)
            c++; // ends at a power of two at the latest; a slab starts at a unit
    return c;
}

size_t tmi_medium_size(unsigned cls) { return tmi_medium_info[cls].size; }
unsigned tmi_medium_class_at(const void *p) { return tmi_medium_slab_of(p)->cls; }

/* ---- slabs ----------------------------------------------------------------------------------------------------- */

/* Returns 1 if the slab entered the list, -1 if it left it, else 0. */
static int put_in(bool wanted, tmi_dlist_t *head, tmi_dlist_t *link)
{
    if (wanted == !tmi_dlist_empty(link))
        return 0;
    if (wanted)
        tmi_dlist_push_back(head, link);
    else
        tmi_dlist_remove(link);
    return wanted ? 1 : -1;
}

void tmi_medium_relist(tmi_medium_slab_t *slab)
{
    tmi_medium_class_t *s = &tmi_medium_classes[slab->cls];
    (void)put_in(slab->free != 0, &s->some, &slab->link);
    tmi_own_add(&s->nqueued, (uint32_t)put_in(tmi_medium_empty(slab) != 0, &s->purge_queue, &slab->purge_link));
}

/* A class's lists are made with its first slab, so that a process that allocates little does not touch all of them. */
static void ready_class(tmi_medium_class_t *s)
{
    if (s->some.next != NULL)
        return;
    tmi_dlist_init(&s->some);
    tmi_dlist_init(&s->purge_queue);
}

/* The bytes of the slab behind its last slot, which are never used. */
static size_t rest_of(const tmi_medium_info_t *c) { return c->units * TMI_UNIT_SIZE - c->slots * (size_t)c->size; }

/* Purge these bytes. True: they may still be resident. */
static bool clear_rest(char *base, const tmi_medium_info_t *c)
{
    size_t rest = rest_of(c);
    char *from = base + c->slots * (size_t)c->size;
    return rest > 0 && tmi_space_may_be_resident(from, rest) && tmi_space_purge_pages(from, rest) != 0;
}

/* The slots of a new slab with at least one page that may be resident. */
static uint64_t resident_slots(const char *base, const tmi_medium_info_t *c)
{
    uint64_t slots = 0;
    for (unsigned i = 0; i < c->slots; i++)
        slots |= (uint64_t)tmi_space_may_be_resident(base + i * (size_t)c->size, c->size) << i;
    return slots;
}

static void free_span(const tmi_medium_slab_t *slab, const tmi_medium_info_t *c)
{
    tmi_space_note_clean(slab->base, c->units);
    for (uint64_t left = slab->touched; left != 0; left &= left - 1)
        tmi_space_note_resident(slab->base + tmi_lowest_bit(left) * (size_t)c->size, c->size);
    if (slab->dirty_rest)
        tmi_space_note_resident(slab->base + c->slots * (size_t)c->size, rest_of(c));
    tmi_space_free_noted(slab->base, c->units);
}

static tmi_medium_slab_t *make_slab(unsigned cls)
{
    const tmi_medium_info_t *c = &tmi_medium_info[cls];
    bool dirty;
    tmi_medium_slab_t *slab = tmi_meta_alloc(sizeof *slab);
    char *base = slab == NULL ? NULL : tmi_space_alloc(c->units, 1, TMI_CLASS_MEDIUM, TMI_CLASS_MEDIUM, &dirty);
    if (base == NULL) {
        tmi_meta_free(slab, sizeof *slab);
        return NULL;
    }
    for (unsigned u = 0; u < c->units; u++)
        tmi_span_of(base + u * TMI_UNIT_SIZE)->owner = slab;
    slab->base = base;
    slab->cls = (uint8_t)cls;
    slab->free = tmi_low_bits(c->slots);
    slab->touched = dirty ? resident_slots(base, c) : 0;
    slab->dirty_rest = dirty && clear_rest(base, c);
    tmi_count(medium_empty_bytes, tmi_popcount(slab->touched) * c->size);
    tmi_own_add(&tmi_medium_classes[cls].nslabs, 1u);
    tmi_own_add(&tmi_medium_classes[cls].nempty, tmi_popcount(slab->touched));
    tmi_dlist_init(&slab->link);
    tmi_dlist_init(&slab->purge_link);
    ready_class(&tmi_medium_classes[cls]);
    tmi_medium_relist(slab);
    return slab;
}

void tmi_medium_slab_release(tmi_medium_slab_t *slab)
{
    const tmi_medium_info_t *c = &tmi_medium_info[slab->cls];
    size_t bytes = tmi_popcount(slab->touched) * c->size;
    tmi_own_add(&tmi_medium_classes[slab->cls].nqueued, tmi_dlist_empty(&slab->purge_link) ? 0 : -1u);
    tmi_dlist_remove(&slab->link);
    tmi_dlist_remove(&slab->purge_link);
    tmi_discount(medium_empty_bytes, bytes);
    tmi_own_add(&tmi_medium_classes[slab->cls].nslabs, -1u);
    tmi_own_add(&tmi_medium_classes[slab->cls].nempty, -tmi_popcount(slab->touched));
    free_span(slab, c);
    tmi_meta_free(slab, sizeof *slab);
}

void tmi_medium_slab_release_unless_spare(tmi_medium_slab_t *slab)
{
    tmi_medium_class_t *s = &tmi_medium_classes[slab->cls];
    bool others = s->some.next != &slab->link || slab->link.next != &s->some;
    if (others || slab->touched == 0)
        tmi_medium_slab_release(slab);
}

/* ---- slots ----------------------------------------------------------------------------------------------------- */

/* The slab that entered the purge queue last: it has an empty slot. If no slab has one, and `resident` is false: a slab
 * with a free slot, or a new one. */
static tmi_medium_slab_t *slab_to_take_from(unsigned cls, bool resident)
{
    tmi_medium_class_t *s = &tmi_medium_classes[cls];
    ready_class(s);
    if (!tmi_dlist_empty(&s->purge_queue))
        return TMI_CONTAINER_OF(s->purge_queue.prev, tmi_medium_slab_t, purge_link);
    if (resident)
        return NULL;
    if (!tmi_dlist_empty(&s->some))
        return TMI_CONTAINER_OF(s->some.next, tmi_medium_slab_t, link);
    return make_slab(cls);
}

static void *take(unsigned cls, bool resident, bool *dirty)
{
    const tmi_medium_info_t *c = &tmi_medium_info[cls];
    void *p = NULL;
    tmi_lock(&tmi_medium_classes[cls].lock);
    tmi_medium_slab_t *slab = slab_to_take_from(cls, resident);
    if (slab != NULL) {
        uint64_t empty = tmi_medium_empty(slab), bits = empty != 0 ? empty : slab->free, bit = bits & -bits;
        *dirty = empty != 0;
        tmi_medium_set_free(slab, slab->free & ~bit);
        slab->touched |= bit;
        tmi_medium_relist(slab);
        if (slab->free == 0)
            tmi_space_filled(slab->base, c->units);
        p = slab->base + tmi_lowest_bit(bit) * (size_t)c->size;
        tmi_own_add(&tmi_medium_classes[cls].nempty, *dirty ? -1u : 0);
        tmi_own_add(&tmi_medium_classes[cls].ntaken, 1u);
        if (*dirty)
            tmi_discount(medium_empty_bytes, c->size);
        else
            (void)tmi_debt_pay(&tmi_medium_classes[cls].debt, c->size);
        tmi_count(large_bytes, c->size);
        tmi_count(large_count, 1);
    }
    tmi_unlock(&tmi_medium_classes[cls].lock);
    return p;
}

static bool has_empty(unsigned cls) { return tmi_load_relaxed(&tmi_medium_classes[cls].nqueued) > 0; } // a hint

void *tmi_medium_take(unsigned cls, bool exactly, bool *dirty)
{
    enum { LOOK_ABOVE = 2 };
    unsigned last = (unsigned)tmi_min(cls + LOOK_ABOVE, TMI_MEDIUM_CLASSES - 1);
    for (unsigned c = cls; !exactly && c <= last; c++) {
        void *p = has_empty(c) ? take(c, true, dirty) : NULL;
        if (p != NULL)
            return p;
    }
    return take(cls, false, dirty);
}

static unsigned slot_at(const tmi_medium_slab_t *slab, const void *p)
{
    return tmi_medium_slot(&tmi_medium_info[slab->cls], (size_t)((const char *)p - slab->base));
}

static bool is_slot(const tmi_medium_slab_t *slab, const void *p)
{
    const tmi_medium_info_t *c = &tmi_medium_info[slab->cls];
    unsigned i = slot_at(slab, p);
    return slab->base + (size_t)i * c->size == p && i < c->slots;
}

static const char *complaint(const tmi_medium_slab_t *slab, const void *p)
{
    unsigned i = slot_at(slab, p);
    if (!is_slot(slab, p))
        return "not the start of a block";
    return tmi_load_relaxed(&slab->free) >> i & 1 ? "double free, or a block that was never allocated" : NULL;
}

/* A slot of `other` has become free. Release the spare slab if it is a different one. */
static void drop_spare(tmi_medium_class_t *s, const tmi_medium_slab_t *other)
{
    tmi_medium_slab_t *spare = TMI_CONTAINER_OF(s->some.next, tmi_medium_slab_t, link);
    if (spare != other && tmi_medium_unused(spare))
        tmi_medium_slab_release(spare);
}

void tmi_medium_return(void *p, const char *function)
{
    tmi_medium_slab_t *slab = tmi_medium_slab_of(p);
    tmi_medium_class_t *s = &tmi_medium_classes[slab->cls];
    const tmi_medium_info_t *c = &tmi_medium_info[slab->cls];
    tmi_lock(&s->lock);
    const char *wrong = complaint(slab, p);
    if (TMI_UNLIKELY(wrong != NULL)) {
        tmi_unlock(&s->lock); // the program's handler for SIGABRT may allocate
        tmi_fatal(function, p, wrong);
    }
    tmi_medium_set_free(slab, slab->free | (uint64_t)1 << slot_at(slab, p));
    tmi_own_add(&s->nempty, 1u);
    tmi_own_add(&s->ntaken, -1u);
    tmi_count(medium_empty_bytes, c->size);
    tmi_discount(large_bytes, c->size);
    tmi_discount(large_count, 1);
    tmi_medium_relist(slab);
    if (tmi_medium_unused(slab))
        tmi_medium_slab_release_unless_spare(slab);
    else
        drop_spare(s, slab);
    tmi_unlock(&s->lock);
}

bool tmi_medium_is_slot(const void *p) { return is_slot(tmi_medium_slab_of(p), p); }

const char *tmi_medium_complaint(const void *p, unsigned *cls)
{
    const tmi_medium_slab_t *slab = tmi_medium_slab_of(p);
    *cls = slab->cls;
    return complaint(slab, p);
}

tmi_medium_figures_t tmi_medium_figures(unsigned cls)
{
    const tmi_medium_class_t *s = &tmi_medium_classes[cls];
    return (tmi_medium_figures_t){
        .slabs = tmi_load_relaxed(&s->nslabs),
        .slots = tmi_load_relaxed(&s->nslabs) * (size_t)tmi_medium_info[cls].slots,
        .taken = tmi_load_relaxed(&s->ntaken),
        .empty = tmi_load_relaxed(&s->nempty),
    };
}

void tmi_medium_lock_all(void)
{
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++)
        tmi_lock(&tmi_medium_classes[c].lock);
}

void tmi_medium_unlock_all(void)
{
    for (unsigned c = TMI_MEDIUM_CLASSES; c-- > 0;)
        tmi_unlock(&tmi_medium_classes[c].lock);
}

void tmi_medium_reset_locks(void)
{
    for (unsigned c = 0; c < TMI_MEDIUM_CLASSES; c++)
        tmi_lock_reset(&tmi_medium_classes[c].lock);
}
