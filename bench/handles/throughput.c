/* throughput.c - how fast objects are moved, against memcpy of the same objects one by one.
 *
 * Idea: a heap of one size is thinned out to half of its objects at random. The control copies as many live objects as
 * the mover will, spread over the heap, in order of address, to resident memory. Then tm_compact moves, and gives pages
 * back; its time is that of the whole call. The control runs again after a new filling, so that both find the same
 * caches. Option: compaction:manual.
 *
 * usage: handles-throughput [MEGABYTES] [SIZE] */
#include "handlekit.h"
#include <sys/mman.h>

enum { ROUNDS = 5 };

static tm_handle_t *object;
static void **address;
static size_t nobjects;
static rng_t rng = { 53 };

static void refill(size_t bound, size_t size)
{
    nobjects = thin_out(object, nobjects, 0, &rng);
    (void)tm_compact();
    while ((nobjects + 1) * size <= bound)
        object[nobjects++] = make_object(size);
    nobjects = thin_out(object, nobjects, nobjects / 2, &rng);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)*(void *const *)a, y = (uintptr_t)*(void *const *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds for copying every second live object. */
static double copy_half(char *to, size_t size)
{
    for (size_t i = 0; i < nobjects; i++) {
        address[i] = tm_pin(object[i]);
        tm_unpin(object[i]);
    }
    qsort(address, nobjects, sizeof *address, by_address);
    uint64_t start = now_ns();
    for (size_t i = 0; i + 1 < nobjects; i += 2, to += (size + 15) & ~(size_t)15)
        memcpy(to, address[i], size);
    return (double)(now_ns() - start) / (double)(nobjects / 2);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *v)
{
    qsort(v, ROUNDS, sizeof *v, ascending);
    return v[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 128) * MIB, size = (size_t)argument(argc, argv, 2, 100);
    object =
        must(mmap(NULL, bound / size * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    address =
        must(mmap(NULL, bound / size * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    char *to = must(mmap(NULL, bound, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    double copied[ROUNDS], moved[ROUNDS], moving[ROUNDS];
    size_t objects = 0;
    for (int i = 0; i < ROUNDS; i++) {
        refill(bound, size);
        copied[i] = copy_half(to, size);
        refill(bound, size);
        tm_stats_t before = statistics();
        uint64_t start = now_ns();
        (void)tm_compact();
        uint64_t ns = now_ns() - start;
        tm_stats_t after = statistics();
        objects = after.moved_objects - before.moved_objects;
        moved[i] = (double)ns / (double)objects;
        moving[i] = (double)(after.time_ns - before.time_ns) / (double)objects;
    }
    double memcpy_ns = median_of(copied), move_ns = median_of(moved);
    figure("memcpy ns an object", memcpy_ns);
    figure("tm_compact ns an object", move_ns);
    figure("of it in batches, ns an object", median_of(moving));
    figure("objects moved", (double)objects);
    figure("throughput of memcpy's", memcpy_ns / move_ns);
    return 0;
}
