#include "slabs/mixed.h"
#include "os/counters.h"
#include "os/meta.h"
#include "os/report.h"
#include "slabs/mixed_impl.h"

enum { LOOKS = 64, SCANS = 8, RETRY_AFTER = 64, EPOCH_EVERY = TMI_UNIT_SIZE >> TMI_MIXED_SHIFT };

tmi_mixed_t tmi_mixed = {.lock = TMI_LOCK_OF(TMI_RANK_MIXED), .epoch = 1};

/* ---- granules ---------------------------------------------------------------------------------------------------- */

void tmi_granules_set(uint64_t *bits, size_t from, size_t n, bool on)
{
    for (size_t end = from + n; from < end;) {
        size_t w = from / 64, stop = tmi_min(end, (w + 1) * 64);
        uint64_t mask = tmi_low_bits((unsigned)(stop - from)) << (from % 64);
        tmi_store_relaxed(&bits[w], on ? bits[w] | mask : bits[w] & ~mask); // owners read their own bits of the word
        from = stop;
    }
}

size_t tmi_granules_next(const uint64_t *bits, uint64_t flip, size_t from)
{
    if (from >= TMI_MIXED_GRANULES)
        return TMI_MIXED_GRANULES;
    size_t w = from / 64;
    uint64_t left = (tmi_load_relaxed(&bits[w]) ^ flip) & ~tmi_low_bits(from % 64);
    while (left == 0 && ++w < TMI_MIXED_WORDS)
        left = tmi_load_relaxed(&bits[w]) ^ flip;
    return left == 0 ? TMI_MIXED_GRANULES : w * 64 + tmi_lowest_bit(left);
}

void tmi_mixed_set(tmi_mixed_slab_t *slab, size_t from, size_t n, bool taken)
{
    tmi_granules_set(slab->used, from, n, taken);
    tmi_granules_set(slab->start, from, 1, taken);
    tmi_granules_set(slab->last, from + n - 1, 1, taken);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/* Add `granules` to the free ones, modulo 2^64: a negated number subtracts. */
static void change_free(tmi_mixed_slab_t *slab, size_t granules)
{
    slab->nfree += (uint32_t)granules;
    tmi_own_add(&tmi_mixed.room, granules << TMI_MIXED_SHIFT);
}

static void change_page(tmi_mixed_slab_t *slab, unsigned page, bool there)
{
    tmi_mixed_set(slab, page * tmi_granules_of_page(), tmi_granules_of_page(), !there);
}

void tmi_mixed_pages_leave(tmi_mixed_slab_t *slab, uint64_t pages)
{
    for (uint64_t left = pages; left != 0; left &= left - 1)
        change_page(slab, tmi_lowest_bit(left), false);
    change_free(slab, -(tmi_popcount(pages) * tmi_granules_of_page()));
    tmi_store_relaxed(&slab->touched, slab->touched & ~pages); // owners read the bits of their blocks' pages
    if (slab->empty != 0 && (slab->empty & ~pages) == 0)
        tmi_dlist_remove(&slab->purge_link);
    slab->empty &= ~pages;
    tmi_own_add(&tmi_mixed.touched_pages, -(size_t)tmi_popcount(pages));
    tmi_own_add(&tmi_mixed.empty_pages, -(size_t)tmi_popcount(pages));
}

static void queue_empty(tmi_mixed_slab_t *slab, uint64_t pages)
{
    if (slab->empty == 0 && pages != 0)
        tmi_dlist_push_back(&tmi_mixed.purge_queue, &slab->purge_link);
    slab->empty |= pages;
    tmi_own_add(&tmi_mixed.empty_pages, tmi_popcount(pages));
}

void tmi_mixed_pages_return(tmi_mixed_slab_t *slab, uint64_t pages)
{
    for (uint64_t left = pages; left != 0; left &= left - 1)
        change_page(slab, tmi_lowest_bit(left), true);
    change_free(slab, tmi_popcount(pages) * tmi_granules_of_page());
    tmi_store_relaxed(&slab->touched, slab->touched | pages);
    tmi_own_add(&tmi_mixed.touched_pages, tmi_popcount(pages));
    queue_empty(slab, pages);
}

void tmi_mixed_note_empty(tmi_mixed_slab_t *slab, uint64_t pages)
{
    uint64_t emptied = 0;
    size_t n = tmi_granules_of_page();
    for (uint64_t left = pages & slab->touched & ~slab->empty; left != 0; left &= left - 1) {
        unsigned page = tmi_lowest_bit(left);
        if (tmi_granules_next(slab->used, 0, page * n) >= (page + 1) * n)
            emptied |= left & -left;
    }
    queue_empty(slab, emptied);
    tmi_count(slab_empty_bytes, tmi_popcount(emptied) * tmi_os_page_size);
}

static void use_pages(tmi_mixed_slab_t *slab, uint64_t pages)
{
    uint64_t refilled = pages & slab->empty;
    if (refilled == 0)
        return;
    slab->empty &= ~refilled;
    tmi_own_add(&tmi_mixed.empty_pages, -(size_t)tmi_popcount(refilled));
    tmi_discount(slab_empty_bytes, tmi_popcount(refilled) * tmi_os_page_size);
    if (slab->empty == 0)
        tmi_dlist_remove(&slab->purge_link);
}

/* ---- slabs ------------------------------------------------------------------------------------------------------- */

/* Lists are initialized with the first mixed slab, since most processes never have one. */
static void ready(void)
{
    if (tmi_mixed.ring.next != NULL)
        return;
    tmi_dlist_init(&tmi_mixed.ring);
    tmi_dlist_init(&tmi_mixed.purge_queue);
}

/* Make a block of each taken slot of the raw slab. Returns the number of blocks. */
static uint32_t enter_blocks(tmi_mixed_slab_t *slab, const tmi_mixed_origin_t *origin)
{
    const tmi_class_info_t *c = &tmi_classes[origin->cls];
    size_t n = c->size >> TMI_MIXED_SHIFT;
    uint32_t taken = 0;
    for (size_t i = 0; i < c->slots; i++) {
        if (origin->free[i / 64] >> (i % 64) & 1)
            continue;
        tmi_mixed_set(slab, i * n, n, true);
        taken++;
    }
    return taken;
}

bool tmi_mixed_adopt(const tmi_mixed_origin_t *origin)
{
    tmi_mixed_slab_t *slab = tmi_meta_alloc(sizeof *slab);
    if (slab == NULL)
        return false;
    tmi_lock(&tmi_mixed.lock);
    ready();
    uint64_t absent = tmi_low_bits((unsigned)(TMI_UNIT_SIZE >> tmi_os_page_shift)) & ~origin->touched;
    slab->base = origin->base;
    slab->touched = origin->touched;
    slab->failed = UINT32_MAX;
    tmi_dlist_init(&slab->purge_link);
    slab->nblocks = enter_blocks(slab, origin);
    for (uint64_t left = absent; left != 0; left &= left - 1)
        change_page(slab, tmi_lowest_bit(left), false);
    size_t used = 0;
    for (unsigned w = 0; w < TMI_MIXED_WORDS; w++)
        used += tmi_popcount(slab->used[w]);
    change_free(slab, TMI_MIXED_GRANULES - used);
    tmi_own_add(&tmi_mixed.taken[origin->cls], slab->nblocks);
    tmi_own_add(&tmi_mixed.nslabs, 1);
    tmi_own_add(&tmi_mixed.touched_pages, tmi_popcount(slab->touched));
    queue_empty(slab, origin->empty);
    tmi_dlist_push_front(&tmi_mixed.ring, &slab->link);
    tmi_store_relaxed(&tmi_mixed.epoch, tmi_mixed.epoch + 1);
    tmi_store_relaxed(&tmi_span_of(slab->base)->owner, (void *)slab); // before the class: see tmi_mixed_class_at
    tmi_space_set_class(slab->base, TMI_CLASS_MIXED);
    tmi_unlock(&tmi_mixed.lock);
    return true;
}

void tmi_mixed_release(tmi_mixed_slab_t *slab)
{
    size_t bytes = tmi_popcount(slab->touched) * tmi_os_page_size;
    if (slab->empty != 0)
        tmi_dlist_remove(&slab->purge_link);
    tmi_dlist_remove(&slab->link);
    change_free(slab, -(size_t)slab->nfree);
    tmi_own_add(&tmi_mixed.nslabs, -1);
    tmi_own_add(&tmi_mixed.touched_pages, -(size_t)tmi_popcount(slab->touched));
    tmi_own_add(&tmi_mixed.empty_pages, -(size_t)tmi_popcount(slab->empty));
    tmi_discount(slab_bytes, bytes);
    tmi_discount(slab_empty_bytes, tmi_popcount(slab->empty) * tmi_os_page_size);
    tmi_space_free_pages(slab->base, 1, slab->touched);
    tmi_meta_free(slab, sizeof *slab);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

/* Cut up to n blocks of `granules` each out of the free run [from, end). Returns the number of blocks. */
static size_t cut_run(tmi_mixed_slab_t *slab, size_t from, size_t end, size_t granules, void **out, size_t n)
{
    size_t align = tmi_min(granules & -granules, tmi_granules_of_page()), got = 0;
    uint64_t pages = 0;
    for (from = tmi_round_up(from, align); got < n && from + granules <= end; from += granules, got++) {
        tmi_mixed_set(slab, from, granules, true);
        pages |= tmi_mixed_pages(from, granules);
        *--out = slab->base + (from << TMI_MIXED_SHIFT);
    }
    use_pages(slab, pages);
    return got;
}

static size_t cut_slab(tmi_mixed_slab_t *slab, size_t granules, void **out, size_t n)
{
    size_t got = 0;
    for (size_t at = 0; got < n;) {
        size_t from = tmi_granules_next(slab->used, ~(uint64_t)0, at);
        if (from == TMI_MIXED_GRANULES)
            break;
        at = tmi_granules_next(slab->used, 0, from);
        if (at - from >= granules)
            got += cut_run(slab, from, at, granules, out - got, n - got);
    }
    slab->nblocks += (uint32_t)got;
    change_free(slab, -(got * granules));
    if (got < n) {
        slab->failed = (uint32_t)tmi_min(slab->failed, granules);
        slab->freed = 0;
    }
    return got;
}

/* Whether a search of the slab for a run of that many granules may succeed. */
static bool promising(tmi_mixed_slab_t *slab, size_t granules)
{
    if (slab->failed <= granules && slab->freed >= tmi_max(granules, RETRY_AFTER))
        slab->failed = UINT32_MAX;
    return slab->nfree >= granules && slab->failed > granules;
}

/* Count `looks` slabs that were examined without success; 0: a search succeeded. Once all slabs have been, the class
 * does not search again before the next epoch. */
static void note_looks(unsigned cls, uint32_t looks)
{
    tmi_mixed.looks[cls] = looks == 0 ? 0 : tmi_mixed.looks[cls] + looks;
    if (tmi_mixed.looks[cls] < tmi_mixed.nslabs)
        return;
    tmi_mixed.looks[cls] = 0;
    tmi_store_relaxed(&tmi_mixed.failed_epoch[cls], tmi_mixed.epoch);
}

size_t tmi_mixed_take(unsigned cls, void **out, size_t n)
{
    size_t granules = tmi_classes[cls].size >> TMI_MIXED_SHIFT, got = 0;
    tmi_lock(&tmi_mixed.lock);
    uint32_t looks = 0, scans = 0;
    for (; looks < tmi_min(LOOKS, tmi_mixed.nslabs) && scans < SCANS && got < n; looks++) {
        tmi_mixed_slab_t *slab = TMI_CONTAINER_OF(tmi_mixed.ring.next, tmi_mixed_slab_t, link);
        if (promising(slab, granules)) {
            got += cut_slab(slab, granules, out - got, n - got);
            scans++;
        }
        if (got < n) { // continue with the next slab
            tmi_dlist_remove(&slab->link);
            tmi_dlist_push_back(&tmi_mixed.ring, &slab->link);
        }
    }
    note_looks(cls, got > 0 ? 0 : looks);
    tmi_own_add(&tmi_mixed.taken[cls], (uint32_t)got);
    tmi_unlock(&tmi_mixed.lock);
    return got;
}

/* Count freed granules. After EPOCH_EVERY of them a new epoch begins: classes whose searches failed may search again.
 */
static void note_freed(tmi_mixed_slab_t *slab, size_t granules)
{
    static size_t freed; // since the epoch began; under the lock
    slab->freed += (uint32_t)granules;
    freed += granules;
    if (freed >= EPOCH_EVERY) {
        freed = 0;
        tmi_store_relaxed(&tmi_mixed.epoch, tmi_mixed.epoch + 1);
    }
}

unsigned tmi_mixed_class_at(const void *p)
{
    if (tmi_pagemap_class_of_owner(p) != TMI_CLASS_MIXED)
        return TMI_CLASS_NONE;
    const tmi_mixed_slab_t *slab = tmi_load_relaxed(&tmi_span_of(p)->owner);
    size_t i = tmi_mixed_index(p);
    bool starts = (uintptr_t)p % TMI_MIXED_GRANULE == 0 && tmi_granule(slab->start, i) && tmi_granule(slab->used, i) &&
                  (tmi_load_relaxed(&slab->touched) & tmi_mixed_pages(i, 1)) != 0;
    size_t size = starts ? tmi_mixed_length(slab, i) << TMI_MIXED_SHIFT : 0;
    unsigned cls = size > 0 && size <= TMI_MIXED_MAX ? tmi_class_of(size) : TMI_CLASS_NONE;
    return cls != TMI_CLASS_NONE && tmi_classes[cls].size == size ? cls : TMI_CLASS_NONE;
}

const char *tmi_mixed_complaint(const void *p)
{
    if (tmi_mixed_class_at(p) != TMI_CLASS_NONE)
        return NULL;
    bool free = (uintptr_t)p % TMI_MIXED_GRANULE == 0 && !tmi_granule(tmi_mixed_slab_of(p)->used, tmi_mixed_index(p));
    return free ? "double free, or a block that was never allocated" : "not the start of a block";
}

static TMI_COLD void misreturned(const void *p, const char *function)
{
    const char *wrong = tmi_mixed_complaint(p);
    tmi_unlock(&tmi_mixed.lock); // a handler for SIGABRT may allocate
    tmi_fatal(function, p, wrong != NULL ? wrong : "a block of another size");
}

void tmi_mixed_return(unsigned cls, const void *p, const char *function)
{
    tmi_lock(&tmi_mixed.lock);
    tmi_mixed_slab_t *slab = tmi_mixed_slab_of(p);
    size_t i = tmi_mixed_index(p), n = tmi_classes[cls].size >> TMI_MIXED_SHIFT;
    if (TMI_UNLIKELY(tmi_mixed_class_at(p) != cls))
        misreturned(p, function);
    tmi_mixed_set(slab, i, n, false);
    slab->nblocks--;
    tmi_own_add(&tmi_mixed.taken[cls], (uint32_t)-1);
    change_free(slab, n);
    note_freed(slab, n);
    if (slab->nblocks == 0 && !slab->purging)
        tmi_mixed_release(slab);
    else
        tmi_mixed_note_empty(slab, tmi_mixed_pages(i, n));
    tmi_unlock(&tmi_mixed.lock);
}

/* The free bytes of a page, divided by the number of blocks on it. */
static TMI_COLD size_t share_of_page(const tmi_mixed_slab_t *slab, unsigned page)
{
    size_t n = tmi_granules_of_page(), end = (page + 1) * n, free = 0, keepers = 0;
    bool inside = false; // whether the granule before i is in a block
    for (size_t i = page * n; i < end; i++) {
        bool used = tmi_granule(slab->used, i);
        free += !used;
        keepers += used && (!inside || tmi_granule(slab->start, i));
        inside = used;
    }
    return keepers > 0 ? (free << TMI_MIXED_SHIFT) / keepers : 0;
}

size_t tmi_mixed_stranded_by(const void *p)
{
    size_t bytes = 0, i = tmi_mixed_index(p);
    tmi_lock(&tmi_mixed.lock);
    if (tmi_mixed_class_at(p) != TMI_CLASS_NONE) {
        const tmi_mixed_slab_t *slab = tmi_mixed_slab_of(p);
        for (uint64_t pages = tmi_mixed_pages(i, tmi_mixed_length(slab, i)); pages != 0; pages &= pages - 1)
            bytes += share_of_page(slab, tmi_lowest_bit(pages));
    }
    tmi_unlock(&tmi_mixed.lock);
    return bytes;
}

unsigned tmi_mixed_room_around(const void *p, size_t *free, size_t *all)
{
    tmi_lock(&tmi_mixed.lock);
    unsigned cls = tmi_mixed_class_at(p);
    if (cls != TMI_CLASS_NONE) {
        const tmi_mixed_slab_t *slab = tmi_mixed_slab_of(p);
        *free = slab->nfree;
        *all = tmi_popcount(slab->touched) * tmi_granules_of_page();
    }
    tmi_unlock(&tmi_mixed.lock);
    return cls;
}

tmi_mixed_figures_t tmi_mixed_figures(void)
{
    size_t empty = tmi_load_relaxed(&tmi_mixed.empty_pages), touched = tmi_load_relaxed(&tmi_mixed.touched_pages);
    size_t purging = tmi_load_relaxed(&tmi_mixed.purging_pages);
    return (tmi_mixed_figures_t){
        .slabs = tmi_load_relaxed(&tmi_mixed.nslabs),
        .used = touched > empty ? (touched - empty) << tmi_os_page_shift : 0,
        .empty = (empty + purging) << tmi_os_page_shift,
    };
}
