/* churn.c - what steady churn makes the mover do: bytes moved for each byte allocated, at 90 % use.
 *
 * Idea: sizes between 16 B and 4 KiB, equally likely on a logarithmic scale. The heap is filled, a tenth of the objects
 * is freed at random, and then objects are replaced at random, each by one of a new size of the same distribution,
 * until four times the heap has been allocated. Nothing needs to move: what is freed is what is asked for next.
 *
 * usage: handles-churn [MEGABYTES] */
#include "handlekit.h"

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 128) * MIB, n = 0, live = 0, allocated = 0;
    rng_t r = { 57 };
    tm_handle_t *object = must(malloc(bound / 500 * sizeof *object));
    while (live + 4096 < bound && n < bound / 500) {
        size_t size = rng_log_size(&r, 4, 12);
        object[n++] = make_object(size);
        live += size;
    }
    n = thin_out(object, n, n / 10 * 9, &r);
    tm_stats_t before = statistics();
    uint64_t start = now_ns();
    while (allocated < 4 * bound) {
        size_t i = (size_t)(rng_next(&r) % n), size = rng_log_size(&r, 4, 12);
        tm_free(object[i]);
        object[i] = make_object(size);
        allocated += size;
    }
    uint64_t ns = now_ns() - start;
    tm_stats_t after = statistics();
    figure("bytes moved a byte allocated", (double)(after.moved_bytes - before.moved_bytes) / (double)allocated);
    figure("moved MiB", (double)(after.moved_bytes - before.moved_bytes) / MIB);
    figure("seconds", (double)ns / 1e9);
    figure("use, %", 100.0 * (double)after.live_bytes / (double)after.committed_bytes);
    return 0;
}
