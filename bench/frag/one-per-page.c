/* one-per-page.c - the adversary of heaps that do not move (after Robson 1971): one object pins each page.
 *
 * Idea: fill up to a bound with blocks of 16 B or another size, free all but one in every page, double the size, fill
 * up to the bound again, and so on up to 2 KiB. Live bytes never exceed the bound; peak RSS over the bound is the
 * figure.
 *
 * usage: frag-one-per-page [MEGABYTES] [SMALLEST] */
#include "fragkit.h"

enum { LARGEST = 2048 };

/* Pages that hold a kept block, by open addressing. Sized for every page that the run could ever touch. */
static struct {
    uint64_t *page;
    size_t mask;
} kept_pages;

static int first_in_page(const void *block)
{
    uint64_t page = (uint64_t)(uintptr_t)block / PAGE;
    size_t i = (size_t)(page * 0x9e3779b97f4a7c15u >> 20) & kept_pages.mask;
    while (kept_pages.page[i] && kept_pages.page[i] != page)
        i = (i + 1) & kept_pages.mask;
    if (kept_pages.page[i])
        return 0;
    kept_pages.page[i] = page;
    return 1;
}

int main(int argc, char **argv)
{
    size_t bound = (size_t)argument(argc, argv, 1, 256) * MIB, smallest = (size_t)argument(argc, argv, 2, 16),
           slots = 1;
    while (slots < bound / PAGE * 32)
        slots *= 2;
    block_t *block = table_make((bound / smallest + 1) * sizeof *block);
    kept_pages.page = table_make(slots * sizeof *kept_pages.page);
    kept_pages.mask = slots - 1;
    announce("base", "one-per-page", 0);
    for (size_t size = smallest; size <= LARGEST; size *= 2) {
        size_t n = 0;
        while (live_bytes + size <= bound)
            block[n++] = make_block(size);
        for (size_t i = 0; i < n; i++)
            if (!first_in_page(block_address(block[i])))
                drop_block(block[i]);
    }
    announce("peak", "peak-over-bound", bound);
    announce_hold("hold", "end", live_bytes);
    return 0;
}
