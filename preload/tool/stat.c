/* Where the memory of a process is: on one screen, or as JSON. */
#include "replica.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOKS = 4, CLASSES_SHOWN = 10 };

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static void put_json(const replica_t *r, const tmi_sheet_t *sheet)
{
    tmi_text_t text = {NULL, 0, 0};
    tmi_stats_json_put(&text, sheet);
    text = (tmi_text_t){tool_alloc(text.length + 1), text.length, 0};
    tmi_stats_json_put(&text, sheet);
    printf("%.*s,\"look\":{\"steady\":%s,\"looks\":%u,\"read_again\":%zu,\"left_out\":%zu}}\n", (int)text.length - 2, text.buf,
           r->steady ? "true" : "false", r->looks, r->retries, r->left_out);
    free(text.buf);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

static void put_line(const char *name, const tmi_sheet_t *s, size_t offset, const char *meaning)
{
    const tm_heap_part_t *parts[] = {&s->all.raw, &s->all.movable, &s->all.spans};
    printf("  %-10s", name);
    for (size_t i = 0; i < TM_COUNT_OF(parts); i++) {
        size_t value = *(const size_t *)(const void *)((const char *)parts[i] + offset);
        printf(" %12s", value == 0 ? "-" : tool_size(value));
    }
    printf("   %s\n", meaning);
}

static void put_heaps(const tmi_sheet_t *s)
{
    printf("  %-10s %12s %12s %12s\n", "", "raw", "movable", "free spans");
    put_line("live", s, offsetof(tm_heap_part_t, live), "in the program's hands");
    put_line("cached", s, offsetof(tm_heap_part_t, cached), "free, kept by threads for the next allocation");
    put_line("stranded", s, offsetof(tm_heap_part_t, stranded), "free, in pages that a live or cached block keeps");
    put_line("slack", s, offsetof(tm_heap_part_t, slack), "behind the last slot of slabs, and around large blocks");
    put_line("books", s, offsetof(tm_heap_part_t, books), "records in the pages of slabs");
    put_line("empty", s, offsetof(tm_heap_part_t, empty), "pages that hold nothing, kept for a while");
    put_line("resident", s, offsetof(tm_heap_part_t, resident), "the sum");
    put_line("purged", s, offsetof(tm_heap_part_t, purged), "given back to the kernel so far");
}

static int by_resident(const void *a, const void *b)
{
    const tm_heap_class_t *x = a, *y = b;
    return x->resident != y->resident ? (x->resident < y->resident ? 1 : -1) : (x->size > y->size) - (x->size < y->size);
}

static void put_class(const tm_heap_class_t *c)
{
    char name[32];
    if (c->kind == TM_CLASS_LARGE)
        snprintf(name, sizeof name, "%s large", tmi_stats_heap(c->heap));
    else
        snprintf(name, sizeof name, "%s %zu", tmi_stats_heap(c->heap), c->size);
    printf("  %-16s %9zu %10s %10s %10s %10s %10s %5.0f %%\n", name, c->slabs, tool_count(c->live_blocks), tool_size(c->live),
           tool_size(c->cached), tool_size(c->stranded), tool_size(c->resident),
           c->resident > 0 ? 100.0 * (double)c->live / (double)c->resident : 100.0);
}

static void put_classes(tmi_sheet_t *s, bool all)
{
    size_t n = tmi_min(s->all.nclasses, TM_HEAP_CLASSES_MAX), shown = all ? n : tmi_min(n, CLASSES_SHOWN);
    if (n == 0)
        return;
    qsort(s->rows, n, sizeof s->rows[0], by_resident);
    printf("\n  %-16s %9s %10s %10s %10s %10s %10s %7s\n", "class", "slabs", "blocks", "live", "cached", "stranded", "resident",
           "live");
    for (size_t i = 0; i < shown; i++)
        put_class(&s->rows[i]);
    if (shown < n)
        printf("  (%zu more classes: --all)\n", n - shown);
}

static void put_head(const target_t *t, const tmi_sheet_t *s)
{
    char *status = target_file(t->pid, "status");
    size_t rss = 0, threads = 0, swap = 0;
    (void)target_field(status, "VmRSS", &rss);
    (void)target_field(status, "VmSwap", &swap);
    (void)target_field(status, "Threads", &threads);
    printf("%s, process %d: tinymem %s in %s\n", t->name, (int)t->pid, t->facts.library, t->library);
    printf("  resident set %s", tool_size(rss));
    if (swap > 0)
        printf(" and %s in swap", tool_size(swap));
    printf(" (kernel); %s of it may be the heap's; %zu thread%s\n\n", tool_size(s->all.resident), threads, threads == 1 ? "" : "s");
    free(status);
}

static void put_foot(const replica_t *r, const tmi_sheet_t *s)
{
    printf("\n  records %s, handle table %s, address space %s, requests that failed %zu\n", tool_size(s->all.metadata),
           tool_size(s->all.table), tool_size(s->all.mapped), s->all.failures);
    if (r->t->libraries > 1)
        printf("  there are %u tinymem libraries in this process: --library TEXT chooses another\n", r->t->libraries);
    if (!r->steady)
        printf("  the program was at work: each figure was true at some moment of the look, together they are no snapshot\n");
    if (r->retries > 0)
        printf("  %zu record%s changed while read, and read again; %zu left out\n", r->retries, r->retries == 1 ? "" : "s",
               r->left_out);
}

int tool_stat(char **words)
{
    static tmi_sheet_t sheet;
    bool json = false, all = false;
    const char *library = NULL;
    const tool_option_t options[] = {
        {"--json", &json, NULL}, {"--all", &all, NULL}, {"--library", NULL, &library}, {NULL, NULL, NULL}};
    const char *pid = tool_only_word("stat", words, tool_take_options("stat", words, options), "a process number");
    target_t t;
    replica_t r;
    target_open(&t, "stat", pid, library);
    replica_take(&r, &t, false, LOOKS);
    replica_sheet(&r, &sheet);
    if (json) {
        put_json(&r, &sheet);
        return 0;
    }
    put_head(&t, &sheet);
    put_heaps(&sheet);
    put_classes(&sheet, all);
    put_foot(&r, &sheet);
    return 0;
}
