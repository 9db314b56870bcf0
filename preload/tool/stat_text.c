/* The statistics of a look as text: the heaps, the largest classes, and whether the look was steady. */
#include "stat_text.h"
#include "tool.h"

#include <stdlib.h>

static void put_line(FILE *to, const char *name, const tmi_sheet_t *s, size_t offset, const char *meaning)
{
    const tm_heap_part_t *parts[] = {&s->all.raw, &s->all.movable, &s->all.spans};
    fprintf(to, "  %-10s", name);
    for (size_t i = 0; i < TMI_COUNT_OF(parts); i++) {
        size_t value = *(const size_t *)(const void *)((const char *)parts[i] + offset);
        fprintf(to, " %12s", value == 0 ? "-" : tool_size(value));
    }
    fprintf(to, "   %s\n", meaning);
}

void stat_put_heaps(FILE *to, const tmi_sheet_t *s)
{
    fprintf(to, "  %-10s %12s %12s %12s\n", "", "raw", "movable", "free spans");
    put_line(to, "live", s, offsetof(tm_heap_part_t, live), "in the program's hands");
    put_line(to, "cached", s, offsetof(tm_heap_part_t, cached), "free, kept by threads for the next allocation");
    put_line(to, "stranded", s, offsetof(tm_heap_part_t, stranded), "free, in pages that a live or cached block keeps");
    put_line(to, "slack", s, offsetof(tm_heap_part_t, slack), "behind the last slot of slabs, and around large blocks");
    put_line(to, "books", s, offsetof(tm_heap_part_t, books), "records in the pages of slabs");
    put_line(to, "empty", s, offsetof(tm_heap_part_t, empty), "pages that hold nothing, kept for a while");
    put_line(to, "resident", s, offsetof(tm_heap_part_t, resident), "the sum");
    put_line(to, "purged", s, offsetof(tm_heap_part_t, purged), "given back to the kernel so far");
}

static int by_resident(const void *a, const void *b)
{
    const tm_heap_class_t *x = a, *y = b;
    return x->resident != y->resident ? (x->resident < y->resident ? 1 : -1)
                                      : (x->size > y->size) - (x->size < y->size);
}

static void put_class(FILE *to, const tm_heap_class_t *c)
{
    char name[32];
    if (c->kind == TM_CLASS_LARGE)
        snprintf(name, sizeof name, "%s large", tmi_stats_heap(c->heap));
    else
        snprintf(name, sizeof name, "%s %zu", tmi_stats_heap(c->heap), c->size);
    fprintf(to, "  %-13s %6zu %7s %8s %8s %8s %8s %8s %3.0f %%\n", name, c->slabs, tool_count(c->live_blocks),
            tool_size(c->live), tool_size(c->cached), tool_size(c->stranded), tool_size(c->empty),
            tool_size(c->resident), c->resident > 0 ? 100.0 * (double)c->live / (double)c->resident : 100.0);
}

void stat_put_classes(FILE *to, tmi_sheet_t *s, size_t most)
{
    size_t n = tmi_min(s->all.nclasses, TM_HEAP_CLASSES_MAX), shown = tmi_min(n, most);
    if (n == 0)
        return;
    qsort(s->rows, n, sizeof s->rows[0], by_resident);
    fprintf(to, "\n  %-13s %6s %7s %8s %8s %8s %8s %8s %5s\n", "class", "slabs", "blocks", "live", "cached", "stranded",
            "empty", "resident", "live");
    for (size_t i = 0; i < shown; i++)
        put_class(to, &s->rows[i]);
    if (shown < n)
        fprintf(to, "  (%zu more classes: tinymem stat --all)\n", n - shown);
}

void stat_put_head(FILE *to, const target_t *t, const tmi_sheet_t *s)
{
    char *status = target_file(t->pid, "status");
    size_t rss = 0, threads = 0, swap = 0;
    (void)target_field(status, "VmRSS", &rss);
    (void)target_field(status, "VmSwap", &swap);
    (void)target_field(status, "Threads", &threads);
    fprintf(to, "%s, process %d: tinymem %s in %s\n", t->name, (int)t->pid, t->facts.version, t->file);
    fprintf(to, "  resident set %s", tool_size(rss));
    if (swap > 0)
        fprintf(to, " and %s in swap", tool_size(swap));
    fprintf(to, " (kernel); %s of it may be the heap's; %zu thread%s\n\n", tool_size(s->all.resident), threads,
            threads == 1 ? "" : "s");
    free(status);
}

void stat_put_foot(FILE *to, const replica_t *r, const tmi_sheet_t *s)
{
    fprintf(to, "\n  records %s, handle table %s, address space %s, requests that failed %zu\n",
            tool_size(s->all.metadata), tool_size(s->all.table), tool_size(s->all.mapped), s->all.failures);
    if (r->t->libraries > 1)
        fprintf(to, "  there are %u tinymem libraries in this process: --library TEXT chooses another\n",
                r->t->libraries);
    if (!r->steady)
        fprintf(to, "  the program was at work: each figure was true at some moment of the look, together they are no "
                    "snapshot\n");
    if (r->retries > 0)
        fprintf(to, "  %zu record%s changed while read, and read again; %zu left out\n", r->retries,
                r->retries == 1 ? "" : "s", r->left_out);
}
