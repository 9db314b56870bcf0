/* The contract of each function in <tinymem/tinymem.h>, one call at a time: nothing, size 0, errors and errno, sizes,
 * alignments, references. */
#include "objects.h"

enum { UNTOUCHED = 4711 };

static bool errno_untouched(void)
{
    bool good = errno == UNTOUCHED;
    errno = UNTOUCHED;
    return good;
}

/* The thread has used malloc and nothing of ours. */
static void *first_call_is_an_unpin(void *unused)
{
    free(malloc(10));
    tm_unpin(TM_NULL);
    bool good = tm_pin_mark() == 0 && tm_pin(TM_NULL) == NULL && tm_pin_mark() == 1;
    tm_unpin(TM_NULL);
    return good && tm_pin_mark() == 0 ? NULL : &tap_count + (unused != NULL);
}

static void nothing_is_harmless(void)
{
    pthread_t t;
    void *bad = &bad;
    tap(first_call_is_an_unpin(NULL) == NULL, "TM_NULL: unpin as the first call of a process");
    (void)pthread_create(&t, NULL, first_call_is_an_unpin, NULL);
    (void)pthread_join(t, &bad);
    tap(bad == NULL, "TM_NULL: unpin as the first call of a thread");
    errno = UNTOUCHED;
    tap(tm_pin(TM_NULL) == NULL, "TM_NULL: pin is NULL");
    tap(stats_now().pins == 1, "TM_NULL: and counts as a pin");
    tm_unpin(TM_NULL);
    tap(stats_now().pins == 0, "TM_NULL: which unpin ends");
    tm_unpin(TM_NULL);
    tap(stats_now().pins == 0, "TM_NULL: unpin without a pin does nothing");
    tm_scope_enter();
    tap(tm_deref(TM_NULL) == NULL, "TM_NULL: deref is NULL");
    tm_scope_exit();
    tap(tm_lock(TM_NULL) == NULL, "TM_NULL: lock is NULL");
    tm_unlock(TM_NULL);
    tm_free(TM_NULL);
    tap(tm_sizeof(TM_NULL) == 0, "TM_NULL: sizeof is 0");
    tap(!tm_valid(TM_NULL) && !tm_check(TM_NULL, 0) && !tm_check(TM_NULL, 16), "TM_NULL: not valid, no size fits");
    tap(tm_ref(TM_NULL) == 0 && tm_from_ref(0) == TM_NULL, "TM_NULL: its reference is 0, both ways");
    int runs = 0;
    TM_PINNED(char, p, TM_NULL)
    {
        runs += p == NULL;
    }
    tap(runs == 1 && stats_now().pins == 0, "TM_NULL: TM_PINNED runs its body once, with NULL");
    tap(errno_untouched(), "TM_NULL: errno is untouched");
}

static void an_object_of_no_bytes(void)
{
    errno = UNTOUCHED;
    tm_handle_t a = tm_alloc(0), b = tm_alloc(0), c = tm_calloc(0, 8), d = tm_alloc_aligned(64, 0);
    void *p = tm_pin(a), *q = tm_pin(b), *r = tm_pin(c), *s = tm_pin(d);
    tap(a && b && c && d && a != b && b != c && c != d && a != c, "size 0: live, unique handles");
    tap(p && q && r && s && p != q && q != r && r != s, "size 0: each with an address of its own");
    tap((uintptr_t)s % 64 == 0, "size 0: aligned as asked");
    tm_unpin(a), tm_unpin(b), tm_unpin(c), tm_unpin(d);
    tap(tm_valid(a) && tm_check(a, 0) && tm_sizeof(a) >= 1, "size 0: valid, and checked as such");
    tm_free(a), tm_free(b), tm_free(c), tm_free(d);
    tap(!tm_valid(a) && !tm_valid(b), "size 0: freed as others are");
    tap(errno_untouched(), "size 0: errno is untouched");
}

static void too_much_is_refused(void)
{
    static const size_t sizes[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096,
                                   (size_t)1 << 50};
    bool good = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = UNTOUCHED;
        good &= tm_alloc(sizes[i]) == TM_NULL && errno == ENOMEM;
        errno = UNTOUCHED;
        good &= tm_calloc(1, sizes[i]) == TM_NULL && errno == ENOMEM;
        errno = UNTOUCHED;
        good &= tm_alloc_aligned(4096, sizes[i]) == TM_NULL && errno == ENOMEM;
        errno = UNTOUCHED;
        good &= tm_realloc(TM_NULL, sizes[i]) == TM_NULL && errno == ENOMEM;
    }
    tap(good, "too much: TM_NULL and ENOMEM");
    errno = UNTOUCHED;
    tap(tm_calloc(SIZE_MAX / 2, 3) == TM_NULL && errno == ENOMEM, "too much: a product that overflows likewise");
    tap(tm_calloc((size_t)1 << 33, (size_t)1 << 31) == TM_NULL, "too much: a product that overflows to 0");
}

static void calloc_is_zero(void)
{
    static const size_t sizes[] = {1, 16, 100, 1000, 1024, 1025, 5000, 60000, 65536, 65537, 1 << 20};
    bool good = true;
    errno = UNTOUCHED;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int round = 0; round < 3; round++) {
            tm_handle_t dirty = tm_alloc(sizes[i]);
            TM_PINNED(char, p, dirty)
            {
                memset(p, 0x5a, tm_sizeof(dirty));
            }
            tm_free(dirty);
            tm_handle_t h = tm_calloc(sizes[i], 1);
            TM_PINNED(char, p, h)
            {
                good &= all_bytes(p, 0, sizes[i]);
            }
            tm_free(h);
        }
    tap(good, "calloc: zero, also where another object was");
    tap(errno_untouched(), "calloc: errno is untouched");
}

static const size_t many_sizes[] = {1,    15,   16,    17,    100,   500,   512,   1000,   1024,    1025,
                                    2000, 4096, 10000, 32768, 40000, 65536, 65537, 100000, 1 << 20, 5 << 20};
enum { MANY = sizeof many_sizes / sizeof *many_sizes };

static void realloc_keeps_handle_and_contents(void)
{
    bool same = true, kept = true;
    errno = UNTOUCHED;
    for (int i = 0; i < MANY; i++)
        for (int k = 0; k < MANY; k++) {
            size_t from = many_sizes[i], to = many_sizes[k];
            tm_handle_t h = tm_alloc(from);
            fill_object(h, from, (uint64_t)(i * MANY + k));
            same &= tm_realloc(h, to) == h && tm_sizeof(h) >= to && tm_check(h, to);
            kept &=
                object_intact(h, from < to ? from : to, (uint64_t)(i * MANY + k)) || (from < to ? from : to) % 8 != 0;
            TM_PINNED(char, p, h)
            {
                size_t n = from < to ? from : to, whole = n / 8 * 8;
                kept &= intact(p, whole, (uint64_t)(i * MANY + k));
                memset(p, 1, to);
            }
            tm_free(h);
        }
    tap(same, "realloc: the same handle, and room enough, from each of %d sizes to each", MANY);
    tap(kept, "realloc: contents up to the smaller size");
    tap(errno_untouched(), "realloc: errno is untouched");
}

static void realloc_at_the_edges(void)
{
    errno = UNTOUCHED;
    tm_handle_t h = tm_realloc(TM_NULL, 100);
    tap(h != TM_NULL && tm_check(h, 100), "realloc(TM_NULL, n) allocates");
    tap(tm_realloc(h, 0) == TM_NULL && !tm_valid(h) && errno_untouched(),
        "realloc(h, 0) frees, is TM_NULL, and leaves errno alone");
    h = tm_realloc(TM_NULL, 0);
    tap(h != TM_NULL && tm_valid(h), "realloc(TM_NULL, 0) is an object of no bytes");
    tm_free(h);
    static const size_t sizes[] = {100, 5000, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        h = tm_alloc(sizes[i]);
        size_t usable = tm_sizeof(h);
        fill_object(h, sizes[i], 9);
        errno = UNTOUCHED;
        bool refused = tm_realloc(h, (size_t)PTRDIFF_MAX + 1) == TM_NULL && errno == ENOMEM;
        errno = UNTOUCHED;
        refused &= tm_realloc(h, (size_t)1 << 50) == TM_NULL && errno == ENOMEM;
        tap(refused && tm_valid(h) && tm_sizeof(h) == usable && object_intact(h, sizes[i], 9),
            "realloc that fails: TM_NULL and ENOMEM, an object of %zu bytes is as it was", sizes[i]);
        tap(stats_now().pins == 0, "realloc that fails leaves no pin of its own");
        tm_free(h);
    }
}

static bool aligned(tm_handle_t h, size_t align) { return place_of(h) % align == 0; }

static void alignment_is_kept(void)
{
    enum { HOLES = 40 };
    for (size_t align = 1; align <= (size_t)2 << 20; align *= 2) {
        tm_handle_t h[MANY], hole[HOLES];
        bool given = true, compacted = true, resized = true, kept = true;
        for (int i = 0; i < HOLES; i++)
            hole[i] = align <= 4096 ? tm_alloc_aligned(align, 1 + (size_t)i * 100) : TM_NULL;
        errno = UNTOUCHED;
        for (int i = 0; i < MANY; i++) {
            h[i] = tm_alloc_aligned(align, many_sizes[i]);
            given &= h[i] != TM_NULL && aligned(h[i], align > 16 ? align : 16) && tm_check(h[i], many_sizes[i]);
            fill_object(h[i], many_sizes[i], (uint64_t)i);
        }
        given &= errno_untouched();
        for (int i = 0; i < HOLES; i++)
            tm_free(hole[i]);
        (void)tm_compact();
        for (int i = 0; i < MANY; i++)
            compacted &= aligned(h[i], align) && object_intact(h[i], many_sizes[i], (uint64_t)i);
        for (int i = 0; i < MANY; i++) {
            size_t to = many_sizes[MANY - 1 - i], both = to < many_sizes[i] ? to : many_sizes[i];
            resized &= tm_realloc(h[i], to) == h[i] && aligned(h[i], align) && tm_check(h[i], to);
            kept &= object_intact(h[i], both / 8 * 8, (uint64_t)i);
        }
        for (int i = 0; i < MANY; i++)
            tm_free(h[i]);
        tap(given && compacted, "alignment %zu: given, and kept over tm_compact", align);
        tap(resized && kept, "alignment %zu: kept over tm_realloc", align);
    }
}

static void odd_alignments_are_refused(void)
{
    static const size_t odd[] = {0, 3, 24, 100, 4097, (size_t)4 << 20, (size_t)1 << 40, SIZE_MAX, SIZE_MAX / 2 + 1};
    bool good = true;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        errno = UNTOUCHED;
        good &= tm_alloc_aligned(odd[i], 100) == TM_NULL && errno == EINVAL;
    }
    tap(good, "alignments that are no power of two, or over 2 MiB: EINVAL");
}

static void default_alignment_is_16(void)
{
    tm_handle_t h[2000];
    bool good = true;
    for (size_t i = 0; i < 2000; i++) {
        h[i] = tm_alloc(i * 7);
        good &= aligned(h[i], 16);
    }
    for (size_t i = 0; i < 2000; i++)
        tm_free(h[i]);
    tap(good, "alignment is 16 by default, sizes to 14,000");
}

static void sizes_are_told(void)
{
    bool enough = true, little = true, type = true, others = true;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 1; size < 200000; size += size < 3000 ? 1 : 997) {
        tm_handle_t h = tm_alloc(size);
        size_t usable = tm_sizeof(h);
        enough &= usable >= size;
        little &= usable - size <= (size <= 512 ? 15 : size / 16) || (size > 32768 && usable - size < page);
        type &= tm_check(h, size) && tm_check(h, usable);
        others &= !tm_check(h, usable + 1) && !tm_check(h, SIZE_MAX) && !tm_check(h, (size_t)PTRDIFF_MAX + 1) &&
                  !tm_check(h, size / 2 > 16 ? size / 2 : 100000);
        TM_PINNED(char, p, h)
        {
            memset(p, 1, usable); // all of it is ours
        }
        tm_free(h);
        others &= !tm_check(h, size);
    }
    tap(enough, "sizeof is at least what was asked for");
    tap(little, "and little more: 15 bytes up to 512, then a sixteenth at most");
    tap(type, "check: the size asked for and the usable size fit");
    tap(others, "check: other sizes do not, nor does a freed object");
}

static void handles_are_told_from_others(void)
{
    tm_handle_t h = tm_alloc(100), live = tm_alloc(100);
    tap(tm_valid(h) && tm_valid(live), "valid: live handles are");
    tm_free(h);
    tap(!tm_valid(h) && tm_valid(live), "valid: freed ones are not");
    bool none = true;
    static const tm_handle_t odd[] = {
        1, 16, 0xfff0, UINT64_MAX, (tm_handle_t)1 << 55, ((tm_handle_t)1 << 55) | 0xfffffffff0, 0x7fffdeadbee0};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        none &= !tm_valid(odd[i]) && !tm_check(odd[i], 100);
    for (int bit = 0; bit < 64; bit++)
        none &= !tm_valid(live ^ (tm_handle_t)1 << bit) && !tm_check(live ^ (tm_handle_t)1 << bit, 100);
    tap(none, "valid: numbers that are no handles, and a handle with any bit changed, are not");
    bool stale = true;
    tm_handle_t old[1000];
    for (int i = 0; i < 1000; i++) {
        old[i] = tm_alloc(100);
        for (int k = 0; k < i; k++)
            stale &= old[k] != old[i];
        tm_free(old[i]);
        stale &= !tm_valid(old[i]);
    }
    tap(stale, "valid: a handle never comes again, and freed ones stay so");
    tm_free(live);
}

static void addresses_lead_back(void)
{
    static char data[64];
    bool exact = true, inside = true;
    for (int i = 0; i < MANY; i++) {
        tm_handle_t h = tm_alloc(many_sizes[i]);
        char *p = (char *)tm_pin(h);
        exact &= tm_handle_of(p) == h;
        for (size_t at = 1; at < tm_sizeof(h); at = at * 2 + 1)
            inside &= tm_handle_of(p + at) == TM_NULL;
        tm_unpin(h);
        char *q = (char *)tm_lock(h);
        exact &= tm_handle_of(q) == h;
        tm_unlock(h);
        tm_free(h);
        inside &= tm_handle_of(q) == TM_NULL;
    }
    void *block = malloc(100);
    tap(exact, "handle_of: the start of a pinned or locked object");
    tap(inside, "handle_of: TM_NULL inside of one, and after its end");
    tap(tm_handle_of(NULL) == TM_NULL && tm_handle_of(data) == TM_NULL && tm_handle_of(&block) == TM_NULL &&
            tm_handle_of(block) == TM_NULL && tm_handle_of((void *)(uintptr_t)0x123456780) == TM_NULL &&
            tm_handle_of((void *)UINTPTR_MAX) == TM_NULL &&
            tm_handle_of((void *)(uintptr_t)0xffff888000001000) == TM_NULL,
        "handle_of: TM_NULL for NULL, data, stack, malloc's blocks, wild pointers");
    free(block);
}

static void references_lead_back(void)
{
    tm_handle_t h = tm_alloc(10), g = tm_alloc(10);
    tm_ref_t r = tm_ref(h), s = tm_ref(g);
    tap(r != 0 && s != 0 && r != s && tm_from_ref(r) == h && tm_from_ref(s) == g, "references: back to the handle");
    tm_free(h);
    tap(tm_from_ref(r) == TM_NULL && tm_from_ref(s) == g, "references: TM_NULL when the index is free");
    bool found = false;
    tm_handle_t later[2000];
    for (int i = 0; i < 2000; i++) {
        later[i] = tm_alloc(10);
        if (tm_ref(later[i]) == r)
            found = tm_from_ref(r) == later[i] && later[i] != h;
    }
    tap(found, "references: the index's current handle, which differs from the old one");
    for (int i = 0; i < 2000; i++)
        tm_free(later[i]);
    tap(tm_from_ref(UINT32_MAX) == TM_NULL && tm_from_ref(UINT32_MAX - 1) == TM_NULL && tm_from_ref(1 << 30) == TM_NULL,
        "references: TM_NULL for indices that never were");
    tm_free(g);
}

static void figures_fit_the_caller(void)
{
    tm_handle_t h = tm_alloc(1000), large = tm_alloc(1 << 20);
    struct {
        tm_stats_t s;
        char more[100];
    } big;
    memset(&big, 0x5a, sizeof big);
    big.s.struct_size = sizeof big.s + 64;
    tm_stats(&big.s);
    tap(big.s.live_objects == 2 && big.s.live_bytes >= 1000 + (1 << 20) && big.s.committed_bytes >= big.s.live_bytes,
        "stats: live and committed");
    tap(big.s.struct_size == sizeof big.s + 64 && all_bytes(big.more, 0, 64),
        "stats: what the library does not know is 0");
    tap(all_bytes(big.more + 64, 0x5a, sizeof big.more - 64), "stats: and nothing is written beyond");
    tm_stats_t small;
    memset(&small, 0x5a, sizeof small);
    small.struct_size = offsetof(tm_stats_t, committed_bytes);
    tm_stats(&small);
    tap(small.live_objects == 2 && all_bytes(&small.committed_bytes, 0x5a, sizeof small - small.struct_size),
        "stats: a caller that knows fewer figures gets these, and nothing is written beyond");
    tap(big.s.table_bytes > 0 && big.s.metadata_bytes > 0 &&
            big.s.waste_bytes == big.s.committed_bytes - big.s.live_bytes,
        "stats: metadata, table, waste");
    tm_free(h);
    tm_free(large);
    tap(stats_now().live_objects == 0 && stats_now().live_bytes == 0, "stats: nothing lives after the last free");
}

int main(void)
{
    nothing_is_harmless();
    an_object_of_no_bytes();
    too_much_is_refused();
    calloc_is_zero();
    realloc_keeps_handle_and_contents();
    realloc_at_the_edges();
    default_alignment_is_16();
    odd_alignments_are_refused();
    sizes_are_told();
    handles_are_told_from_others();
    addresses_lead_back();
    references_lead_back();
    figures_fit_the_caller();
    alignment_is_kept();
    return tap_done();
}
