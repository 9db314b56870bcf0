#include "slabs/movable.h"
#include "os/os.h"
#include "os/report.h"
#include "slabs/movable_impl.h"

void tmi_movable_init(void)
{
    tmi_sizeclass_movable_init(TMI_MOVABLE_RECORD);
    for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
        tmi_lock_set_place(&tmi_movable_classes[c].lock, TMI_RANK_MOVABLE, c);
}

bool tmi_movable_lock_all(void)
{
    if (tmi_pagemap.movable == NULL)
        return false;
    for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
        tmi_lock(&tmi_movable_classes[c].lock);
    return true;
}

void tmi_movable_unlock_all(void)
{
    for (unsigned c = TMI_MCLASS_COUNT; c-- > 0;)
        tmi_unlock(&tmi_movable_classes[c].lock);
}

void tmi_movable_reset_locks(void)
{
    for (unsigned c = 0; c < TMI_MCLASS_COUNT; c++)
        tmi_lock_reset(&tmi_movable_classes[c].lock);
}

static tmi_movable_slab_t *fullest(unsigned cls, bool existing)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    if (s->levels.nonempty == 0)
        return existing ? NULL : tmi_movable_slab_make(cls);
    return TMI_CONTAINER_OF(tmi_levels_fullest(&s->levels), tmi_movable_slab_t, level_link);
}

/* Take up to n slots of one slab, lowest first. */
static size_t take_from(tmi_movable_slab_t *slab, char **out, size_t n)
{
    const tmi_class_info_t *c = &tmi_mclasses[slab->cls];
    size_t got = 0;
    uint64_t pages = 0;
    unsigned w = slab->hint;
    for (; got < n && w < tmi_bitmap_words(c->slots); w++)
        // relaxed store: the mover reads it without the lock
        for (; slab->free[w] != 0 && got < n; tmi_store_relaxed(&slab->free[w], slab->free[w] & (slab->free[w] - 1))) {
            size_t i = w * 64 + tmi_lowest_bit(slab->free[w]);
            pages |= tmi_mslot_pages(c, i);
            out[got++] = slab->base + i * c->size;
        }
    slab->hint = w > 0 ? w - 1 : 0; // the last word may have bits left
    slab->nfree -= (uint32_t)got;
    tmi_movable_slab_touch(slab, pages);
    tmi_movable_slab_relevel(slab);
    if (slab->nfree == 0)
        tmi_space_filled(tmi_movable_slab_span(slab), c->units);
    return got;
}

size_t tmi_movable_take(unsigned cls, char **out, size_t n, bool existing)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    size_t got = 0;
    tmi_lock(&s->lock);
    while (got < n) {
        tmi_movable_slab_t *slab = fullest(cls, existing);
        if (slab == NULL)
            break;
        got += take_from(slab, out + got, n - got);
    }
    tmi_own_add(&s->nfree, -got);
    tmi_unlock(&s->lock);
    return got;
}

/* The counter that includes the slab's free slots. */
static size_t *nfree_counter(tmi_movable_class_t *s, const tmi_movable_slab_t *slab)
{
    return slab->apart ? &s->nfree_apart : &s->nfree;
}

enum { NO_SLOT = -1 };

/* The first free slot from i on, and the last one before i. */
static int32_t free_from(const tmi_movable_slab_t *slab, uint32_t i)
{
    unsigned words = tmi_bitmap_words(tmi_mclasses[slab->cls].slots);
    uint64_t bits = slab->free[i / 64] >> (i % 64) << (i % 64);
    for (unsigned w = i / 64; w < words; bits = ++w < words ? slab->free[w] : 0)
        if (bits != 0)
            return (int32_t)(w * 64 + tmi_lowest_bit(bits));
    return NO_SLOT;
}

static int32_t free_before(const tmi_movable_slab_t *slab, uint32_t i)
{
    uint64_t bits = slab->free[i / 64] & tmi_low_bits(i % 64);
    for (unsigned w = i / 64 + 1; w-- > 0; bits = w > 0 ? slab->free[w - 1] : 0)
        if (bits != 0)
            return (int32_t)(w * 64 + tmi_log2(bits));
    return NO_SLOT;
}

char *tmi_movable_take_near(unsigned cls, const char *at)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    char *slot = NULL;
    tmi_lock(&s->lock);
    tmi_movable_slab_t *slab = tmi_movable_slab_of(at);
    if (slab->level < TMI_LEVELS && !slab->apart) { // V2: it gives slots
        int32_t here = (int32_t)tmi_mslot_index(slab, at), up = free_from(slab, (uint32_t)here),
                down = free_before(slab, (uint32_t)here);
        size_t i = (size_t)(up == NO_SLOT || (down != NO_SLOT && here - down < up - here) ? down : up);
        tmi_store_relaxed(&slab->free[i / 64], slab->free[i / 64] & ~((uint64_t)1 << (i % 64))); // the mover reads it
        slab->nfree--;
        tmi_movable_slab_touch(slab, tmi_mslot_pages(c, i));
        tmi_movable_slab_relevel(slab);
        if (slab->nfree == 0)
            tmi_space_filled(tmi_movable_slab_span(slab), c->units);
        tmi_own_add(&s->nfree, -(size_t)1);
        slot = slab->base + i * c->size;
    }
    tmi_unlock(&s->lock);
    return slot;
}

static void put(tmi_movable_slab_t *slab, const char *p)
{
    size_t i = tmi_mslot_index(slab, p);
    uint64_t bit = (uint64_t)1 << (i % 64);
    TMI_VERIFY(!(slab->free[i / 64] & bit), "V1 a slot is put back once");
    tmi_store_relaxed(&slab->free[i / 64], slab->free[i / 64] | bit); // the mover reads it without the lock
    slab->nfree++;
    if (i / 64 < slab->hint)
        slab->hint = (uint32_t)(i / 64);
    uint32_t *attributes = tmi_load_acquire(&slab->attributes); // pairs: tmi_movable_slab_make_attributes
    if (TMI_UNLIKELY(attributes != NULL) && tmi_load_relaxed(&attributes[i]) != 0) {
        tmi_store_relaxed(&attributes[i], 0);
        tmi_movable_unwatch(p);
    }
}

void tmi_movable_return(unsigned cls, char *const *slots, size_t n)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    tmi_lock(&s->lock);
    for (size_t k = 0; k < n;) {
        tmi_movable_slab_t *slab = tmi_movable_slab_of(slots[k]);
        size_t bytes = tmi_mclasses[cls].units * TMI_UNIT_SIZE, before = k;
        do
            put(slab, slots[k]);
        while (++k < n && (size_t)(slots[k] - slab->base) < bytes);
        tmi_own_add(slab->emptying ? &s->nfree_emptying : nfree_counter(s, slab), k - before);
        if (slab->emptying) // V2
            continue;
        if (slab->nfree == tmi_mclasses[cls].slots) {
            tmi_movable_slab_give_span(tmi_movable_slab_release(slab), false);
            continue;
        }
        if (tmi_dlist_empty(&slab->tidy_link))
            tmi_dlist_push_back(&s->tidy, &slab->tidy_link);
        tmi_movable_slab_relevel(slab);
    }
    tmi_unlock(&s->lock);
}

/* ---- compaction -------------------------------------------------------------------------------------------------- */

enum { LOOKS = 16 }; // slabs examined per choice

uint32_t tmi_movable_epoch;

static bool may_be_tried(const tmi_movable_slab_t *slab, uint32_t now)
{
    // relaxed: a hint that saves useless attempts
    if (slab->apart && tmi_load_relaxed(&slab->watched) >= tmi_mclasses[slab->cls].slots - slab->nfree)
        return false;
    return slab->retry_wait == 0 || slab->retry_epoch != tmi_movable_epoch || (int32_t)(now - slab->retry_at) >= 0;
}

/* The emptiest slab that may be tried, and the free slots of still emptier slabs. Objects must not move to those, or
 * slabs would be emptied into each other endlessly. */
static tmi_movable_slab_t *emptiest(const tmi_levels_t *of, uint32_t now, size_t *passed_over)
{
    unsigned looks = 0;
    *passed_over = 0;
    for (uint32_t levels = of->nonempty; levels != 0; levels &= ~(1u << tmi_log2(levels))) {
        const tmi_dlist_t *head = &of->lists[tmi_log2(levels)];
        for (tmi_dlist_t *n = head->next; n != head && looks < LOOKS; n = n->next, looks++) {
            tmi_movable_slab_t *slab = TMI_CONTAINER_OF(n, tmi_movable_slab_t, level_link);
            if (may_be_tried(slab, now))
                return slab;
            *passed_over += slab->nfree;
        }
    }
    return NULL;
}

/* Slabs that are set apart are tried first, since objects of other slabs do not move into them. */
static tmi_movable_slab_t *choose_from(const tmi_movable_class_t *s, uint32_t now, size_t *passed_over)
{
    tmi_movable_slab_t *slab = emptiest(&s->apart, now, passed_over);
    if (slab == NULL)
        return emptiest(&s->levels, now, passed_over);
    *passed_over = 0; // slabs that were passed over take no objects from this one
    return slab;
}

/* Begin to empty the slab. It gives no slots from now on. `promised` of its `live` objects will move elsewhere. */
static void start_emptying(tmi_movable_class_t *s, tmi_movable_slab_t *slab, uint32_t promised, uint32_t live)
{
    slab->promised = promised;
    slab->keep = live - promised;
    s->promised += promised;
    tmi_store_relaxed(&slab->emptying, true); // check builds read it without the lock
    tmi_movable_slab_leave_level(slab);
    tmi_dlist_remove(&slab->tidy_link);
    tmi_own_add(nfree_counter(s, slab), -(size_t)slab->nfree); // no longer available
    tmi_own_add(&s->nfree_emptying, slab->nfree);
}

tmi_movable_slab_t *tmi_movable_choose(unsigned cls, uint32_t now)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    tmi_movable_slab_t *slab = NULL;
    size_t passed_over = 0;
    tmi_lock(&s->lock);
    if (s->nfree > s->promised)
        slab = choose_from(s, now, &passed_over);
    uint32_t live = slab == NULL ? 0 : tmi_mclasses[cls].slots - slab->nfree;
    size_t others = slab == NULL ? 0 : s->nfree - (slab->apart ? 0 : slab->nfree);
    size_t not_for_it = s->promised + passed_over;
    size_t room = others > not_for_it ? others - not_for_it : 0;
    if (slab != NULL && room < live && s->promised > 0)
        slab = NULL; // finish the others first
    if (slab != NULL)
        start_emptying(s, slab, (uint32_t)tmi_min(live, room), live);
    tmi_unlock(&s->lock);
    return slab;
}

enum { RETRY_FIRST_MS = 10, RETRY_MAX_MS = 10000 };

/* Objects stayed in the slab, so it gives slots again. The next attempts come at growing distances, so that a loop over
 * steps ends. */
static void rejoin(tmi_movable_class_t *s, tmi_movable_slab_t *slab, bool moved_all, uint32_t now)
{
    tmi_store_relaxed(&slab->emptying, false);
    slab->retry_wait = moved_all ? 0 : (uint32_t)tmi_min(tmi_max(slab->retry_wait * 2, RETRY_FIRST_MS), RETRY_MAX_MS);
    slab->retry_at = now + slab->retry_wait;
    slab->retry_epoch = tmi_movable_epoch;
    tmi_dlist_push_back(&s->tidy, &slab->tidy_link);
    tmi_movable_slab_relevel(slab);
}

size_t tmi_movable_take_below(tmi_movable_slab_t *slab, char **out, size_t n)
{
    tmi_movable_class_t *s = &tmi_movable_classes[slab->cls];
    const tmi_class_info_t *c = &tmi_mclasses[slab->cls];
    size_t got = 0;
    tmi_lock(&s->lock);
    for (uint32_t i = slab->hint * 64; i < slab->keep && got < n; i++) {
        if (!tmi_bitmap_get(slab->free, i))
            continue;
        tmi_store_relaxed(&slab->free[i / 64], slab->free[i / 64] & ~((uint64_t)1 << (i % 64)));
        slab->nfree--;
        tmi_movable_slab_touch(slab, tmi_mslot_pages(c, i));
        out[got++] = slab->base + (size_t)i * c->size;
    }
    tmi_own_add(&s->nfree_emptying, -got);
    tmi_unlock(&s->lock);
    return got;
}

/* Count the slab in the class again, as before it was chosen. */
static void end_emptying(tmi_movable_class_t *s, tmi_movable_slab_t *slab)
{
    tmi_own_add(nfree_counter(s, slab), slab->nfree);
    tmi_own_add(&s->nfree_emptying, -(size_t)slab->nfree);
    s->promised -= slab->promised;
    slab->promised = slab->keep = 0;
}

bool tmi_movable_finish(tmi_movable_slab_t *slab, size_t pages, bool moved_all, uint32_t now)
{
    tmi_movable_class_t *s = &tmi_movable_classes[slab->cls];
    tmi_lock(&s->lock);
    bool purge = pages != SIZE_MAX || slab->nfree < tmi_mclasses[slab->cls].slots;
    uint64_t empty = purge ? tmi_movable_slab_empty_pages(slab) : 0; // no thread takes a slot of it meanwhile
    tmi_unlock(&s->lock);
    if (tmi_movable_slab_purge(slab, empty, pages) < tmi_popcount(empty))
        return false;
    tmi_released_t r = {NULL, 0, 0};
    tmi_lock(&s->lock);
    end_emptying(s, slab);
    if (slab->nfree == tmi_mclasses[slab->cls].slots)
        r = tmi_movable_slab_release(slab);
    else
        rejoin(s, slab, moved_all, now);
    tmi_unlock(&s->lock);
    if (r.span != NULL)
        tmi_movable_slab_give_span(r, purge); // fork waits for the mover
    return true;
}

/* Purge pages of a slab. The slab is in no list meanwhile, so that the lock need not be held. Returns the number of
 * pages. */
static size_t tidy_slab(tmi_movable_class_t *s, tmi_movable_slab_t *slab, size_t pages)
{
    uint32_t before = slab->nfree;
    start_emptying(s, slab, 0, 0);
    uint64_t empty = tmi_movable_slab_empty_pages(slab);
    tmi_unlock(&s->lock);
    size_t n = tmi_movable_slab_purge(slab, empty, pages);
    tmi_lock(&s->lock);
    end_emptying(s, slab);
    tmi_store_relaxed(&slab->emptying, false);
    if (slab->nfree == tmi_mclasses[slab->cls].slots) {
        tmi_movable_slab_give_span(tmi_movable_slab_release(slab), false);
        return n;
    }
    tmi_movable_slab_relevel(slab);
    if (n < tmi_popcount(empty) || slab->nfree != before) // not all were purged, or more slots were returned meanwhile
        tmi_dlist_push_front(&s->tidy, &slab->tidy_link);
    return n;
}

/* ---- objects that will be locked --------------------------------------------------------------------------------- */

/* A slot of a slab that is set apart; the lock is held. */
static char *take_apart(tmi_movable_class_t *s, unsigned cls)
{
    char *slot = NULL;
    tmi_movable_slab_t *slab = NULL;
    if (s->apart.nonempty != 0) {
        slab = TMI_CONTAINER_OF(tmi_levels_fullest(&s->apart), tmi_movable_slab_t, level_link);
    } else if ((slab = tmi_movable_slab_make(cls)) != NULL) {
        tmi_movable_slab_leave_level(slab);
        slab->apart = true;
        tmi_own_add(&s->nfree, -(size_t)slab->nfree);
        tmi_own_add(&s->nfree_apart, slab->nfree);
        tmi_movable_slab_relevel(slab);
    }
    if (slab != NULL && take_from(slab, &slot, 1) == 1)
        tmi_own_add(&s->nfree_apart, -(size_t)1);
    return slot;
}

bool tmi_movable_begin_apart(unsigned cls, const char *at, tmi_movable_move_t *out)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    *out = (tmi_movable_move_t){NULL, NULL, false};
    if (!tmi_trylock(&s->lock))
        return false;
    if (tmi_movable_class(at) == cls && s->nslabs > 1 && !tmi_movable_slab_of(at)->apart)
        out->to = take_apart(s, cls);
    if (out->to != NULL) {
        out->slab = tmi_movable_slab_of(at);
        out->begun = !out->slab->emptying;
        if (out->begun)
            start_emptying(s, out->slab, 0, 0);
    }
    tmi_unlock(&s->lock);
    return out->to != NULL;
}

void tmi_movable_end_apart(const tmi_movable_move_t *move)
{
    tmi_movable_slab_t *slab = move->slab;
    tmi_movable_class_t *s = &tmi_movable_classes[slab->cls];
    if (!move->begun)
        return;
    tmi_lock(&s->lock);
    end_emptying(s, slab);
    tmi_store_relaxed(&slab->emptying, false);
    if (slab->nfree == tmi_mclasses[slab->cls].slots) {
        tmi_movable_slab_give_span(tmi_movable_slab_release(slab), false);
    } else {
        tmi_dlist_push_back(&s->tidy, &slab->tidy_link);
        tmi_movable_slab_relevel(slab);
    }
    tmi_unlock(&s->lock);
}

bool tmi_movable_tidy(unsigned cls, size_t pages, size_t *done)
{
    tmi_movable_class_t *s = &tmi_movable_classes[cls];
    *done = 0;
    if (tmi_load_relaxed(&s->nslabs) == 0) // a hint: most classes are never used
        return false;
    tmi_lock(&s->lock);
    unsigned looks_max = pages < 64 ? 1 : 4; // a step has little time
    for (unsigned looks = 0; looks < looks_max && *done < pages && !tmi_dlist_empty(&s->tidy); looks++)
        *done += tidy_slab(s, TMI_CONTAINER_OF(s->tidy.next, tmi_movable_slab_t, tidy_link), pages - *done);
    bool more = !tmi_dlist_empty(&s->tidy);
    tmi_unlock(&s->lock);
    return more;
}

size_t tmi_movable_gain(unsigned cls)
{
    const tmi_class_info_t *c = &tmi_mclasses[cls];
    const tmi_movable_class_t *s = &tmi_movable_classes[cls];
    size_t slots = tmi_load_relaxed(&s->nslabs) * c->slots, unused = tmi_movable_unused(cls); // an estimate
    if (unused == 0 || unused > slots)
        return 0;
    size_t taken = slots - unused, rest = taken % c->slots, touched = tmi_load_relaxed(&s->touched_bytes);
    size_t ideal =
        taken / c->slots * tmi_movable_slab_bytes(c, c->slots) + (rest ? tmi_movable_slab_bytes(c, rest) : 0);
    return touched > ideal ? touched - ideal : 0;
}

size_t tmi_movable_unused(unsigned cls)
{
    const tmi_movable_class_t *s = &tmi_movable_classes[cls];
    return tmi_load_relaxed(&s->nfree) + tmi_load_relaxed(&s->nfree_emptying) +
           tmi_load_relaxed(&s->nfree_apart); // a statistic
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

uint32_t *tmi_movable_attributes(const void *slot, bool make)
{
    tmi_movable_slab_t *slab = tmi_movable_slab_of(slot);
    uint32_t *a = tmi_load_acquire(&slab->attributes);
    if (a == NULL && make)
        a = tmi_movable_slab_make_attributes(slab);
    return a == NULL ? NULL : &a[tmi_mslot_index(slab, slot)];
}
