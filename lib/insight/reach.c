#include "insight/reach.h"
#include "compaction/compact.h"
#include "os/os.h"
#include "sampling/sentry.h"
#include "segments/pagemap.h"
#include "slabs/handle.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>

enum { CHUNK = 64 << 10 };

typedef struct reach {
    tmi_snapshot_t *samples;
    size_t naddresses;  // how many entries are addresses; they come first, and indices of handles follow
    uint8_t *reached;
    uint32_t *pending;  // found, but not scanned yet
    size_t npending;
    uint64_t *buffer;   // CHUNK bytes
    int pagemap;
    bool exact;
    uintptr_t stack_from; // the calling thread's stack is unused below this address
} reach_t;

/* ---- entries by key (heapsort: no memory, no worst case) --------------------------------------------------------- */

static void sift(tmi_sample_t *e, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        child += child + 1 < n && e[child].key < e[child + 1].key;
        if (e[root].key >= e[child].key)
            return;
        tmi_sample_t swap = e[root];
        e[root] = e[child];
        e[child] = swap;
    }
}

static void sort(tmi_sample_t *e, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(e, i, n);
    for (size_t end = n; end-- > 1;) {
        tmi_sample_t swap = e[0];
        e[0] = e[end];
        e[end] = swap;
        sift(e, 0, end);
    }
}

/* The end of the entries in [from, to) whose key is at most `key`. */
static size_t not_above(const tmi_sample_t *e, size_t from, size_t to, uint64_t key)
{
    size_t low = from, high = to;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (e[middle].key <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void keep(reach_t *r, size_t i)
{
    if (r->reached[i])
        return;
    r->reached[i] = 1;
    r->pending[r->npending++] = (uint32_t)i;
}

/* The block that contains the address. A pointer to a block's end counts, too, since C allows it. SIZE_MAX: none. */
static size_t block_at(const reach_t *r, uint64_t address)
{
    const tmi_sample_t *e = r->samples->entries;
    size_t i = not_above(e, 0, r->naddresses, address);
    return i > 0 && address - e[i - 1].key <= e[i - 1].size ? i - 1 : SIZE_MAX;
}

static bool is_live_handle(uint64_t word)
{
    uint32_t index = tmi_handle_index(word);
    if (index == 0 || !tmi_handle_formed(word) || !tmi_handle_readable(index))
        return false;
    uint64_t w = tmi_load_acquire(tmi_word(index)); // pairs: mover_publish
    return (w & TMI_WORD_LIVE) != 0 && tmi_handle_of_word(index, w) == word;
}

static void consider(reach_t *r, uint64_t word)
{
    const tmi_sample_t *e = r->samples->entries;
    size_t n = r->samples->nentries, i = block_at(r, word);
    if (i != SIZE_MAX)
        keep(r, i);
    if (r->naddresses == n || !is_live_handle(word))
        return;
    i = not_above(e, r->naddresses, n, tmi_samples_key_of_index(tmi_handle_index(word)));
    if (i > r->naddresses && e[i - 1].key == tmi_samples_key_of_index(tmi_handle_index(word)))
        keep(r, i - 1);
}

/* Scan at most one page. `outside`: leave out words in known blocks, which are scanned when they are found. */
static void scan_page(reach_t *r, uintptr_t from, uintptr_t to, bool outside)
{
    if (!tmi_os_page_in_use(r->pagemap, (const void *)from))
        return;
    size_t got = tmi_os_copy_memory(r->buffer, (const void *)from, to - from) / sizeof(uint64_t);
    for (size_t i = 0; i < got; i++)
        if (r->buffer[i] != 0 && !(outside && block_at(r, from + i * 8) != SIZE_MAX))
            consider(r, r->buffer[i]);
}

static void scan(reach_t *r, uintptr_t from, uintptr_t to, bool outside)
{
    from = tmi_round_up(from, sizeof(uint64_t));
    for (uintptr_t end; from + sizeof(uint64_t) <= to; from = end) {
        end = tmi_min(tmi_round_down(from, tmi_os_page_size) + tmi_os_page_size, to);
        scan_page(r, from, end, outside);
    }
}

/* ---- roots ------------------------------------------------------------------------------------------------------- */

/* Whether p lies in the image of this shared library. Its data refers to slabs and segments, so it is not scanned. If
 * the program is linked with the archive, the image is the program's and is scanned. */
extern const char tmi_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char tmi_image_end[] __asm__("_end") __attribute__((visibility("hidden")));

static bool in_own_image(uintptr_t p)
{
    uintptr_t start = (uintptr_t)tmi_image_start, size = (uintptr_t)tmi_image_end - start;
    return getauxval(AT_PHDR) - start >= size && p - tmi_round_down(start, tmi_os_page_size) < size;
}

/* Scan a page, or a part of one, of the program's memory. */
static void scan_root(reach_t *r, uintptr_t from, uintptr_t to)
{
    const void *p = (const void *)from;
    bool heap = tmi_pagemap_segment(p) != NULL || tmi_sentry_owns(p);
    if (in_own_image(from) || tmi_os_holds_records(p) || (heap && r->exact))
        return;
    scan(r, from, to, heap);
}

static void scan_mapping(void *context, const tmi_mapping_t *m)
{
    reach_t *r = context;
    uintptr_t from = m->start;
    if (memcmp(m->access, "rw-p", 4) != 0)
        return;
    if (r->stack_from - m->start < m->end - m->start)
        from = r->stack_from;
    for (uintptr_t end; from < m->end; from = end) {
        end = tmi_min(tmi_round_down(from, tmi_os_page_size) + tmi_os_page_size, m->end);
        scan_root(r, from, end);
    }
}

static void look_into_pending(reach_t *r)
{
    while (r->npending > 0) {
        const tmi_sample_t *e = &r->samples->entries[r->pending[--r->npending]];
        uint32_t index;
        uintptr_t at = (uintptr_t)e->key;
        if (tmi_samples_is_index(e->key, &index)) // the mover's lock is held
            at = (uintptr_t)tmi_word_address(tmi_load_acquire(tmi_word(index))); // pairs: mover_publish
        scan(r, at, at + e->size, false);
    }
}

/* Scan the registers that calls preserve. This function's frame holds them. */
__attribute__((no_sanitize_address)) static TMI_NOINLINE void scan_registers(reach_t *r)
{
#if defined(__x86_64__)
    enum { FROM = -5, TO = 0 }; // rbx, r12 to r15, below the frame pointer
#else
    enum { FROM = 2, TO = 12 }; // x19 to x28, above frame pointer and return address
#endif
    __builtin_unwind_init();
    const uint64_t *frame = __builtin_frame_address(0);
    for (int i = FROM; i < TO; i++)
        consider(r, frame[i]);
}

static void find_all(reach_t *r, tmi_maps_t *maps)
{
    scan_registers(r);
    tmi_maps_each(maps, scan_mapping, r);
    look_into_pending(r);
}

bool tmi_reach(tmi_snapshot_t *samples, tmi_maps_t *maps, uint8_t *reached, void *frame)
{
    void *p;
    char probe[8];
    reach_t r = {.samples = samples, .reached = reached, .exact = samples->interval == 1};
    size_t nbytes = tmi_round_up(CHUNK + samples->nentries * sizeof(uint32_t), TMI_UNIT_SIZE);
    if (!tmi_os_records_known() || tmi_os_copy_memory(probe, reached, 1) != 1 || tmi_os_map_records(nbytes, &p) != 0)
        return false;
    memset(reached, 0, samples->nentries);
    sort(samples->entries, samples->nentries);
    r.naddresses = not_above(samples->entries, 0, samples->nentries, (uint64_t)INT64_MAX);
    r.buffer = p;
    r.pending = (uint32_t *)(void *)((char *)p + CHUNK);
    r.stack_from = (uintptr_t)frame;
    r.pagemap = tmi_os_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    tmi_lock(&tmi_compact_lock);
    find_all(&r, maps);
    tmi_unlock(&tmi_compact_lock);
    if (r.pagemap >= 0)
        tmi_os_close(r.pagemap);
    (void)tmi_os_unmap(p, nbytes);
    return true;
}
