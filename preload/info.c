/* info.c - glibc's statistics and tuning functions. The figures describe this heap. Fields without a counterpart are
 * 0. */
#include "heap/introspect.h"
#include "heap/stats.h"
#include "os/os.h"
#include "os/report.h"
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

int __libc_mallopt(int parameter, int value);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // mallinfo is part of the contract nevertheless
struct mallinfo __libc_mallinfo(void);

TMI_EXPORT int malloc_trim(size_t pad) { return tmi_heap_trim(pad); }

/* arena: committed for slabs and free spans; hblkhd: large blocks; uordblks: live, without these; fordblks: committed
 * and not live. */
TMI_EXPORT struct mallinfo2 mallinfo2(void)
{
    tmi_figures_t f;
    tmi_heap_init();
    tmi_figures_read(&f);
    return (struct mallinfo2){
        .arena = f.committed - f.large,
        .ordblks = f.cached_blocks,
        .hblks = f.large_blocks,
        .hblkhd = f.large,
        .uordblks = f.live > f.large ? f.live - f.large : 0,
        .fordblks = f.committed > f.live ? f.committed - f.live : 0,
        .keepcost = f.empty,
    };
}

static int clamp(size_t n) { return n > INT_MAX ? INT_MAX : (int)n; }

TMI_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clamp(m.arena),
        .ordblks = clamp(m.ordblks),
        .hblks = clamp(m.hblks),
        .hblkhd = clamp(m.hblkhd),
        .uordblks = clamp(m.uordblks),
        .fordblks = clamp(m.fordblks),
        .keepcost = clamp(m.keepcost),
    };
}

TMI_EXPORT void malloc_stats(void)
{
    tmi_figures_t f;
    tmi_heap_init();
    tmi_figures_read(&f);
    tmi_report(
        "live %zu bytes in %zu blocks (%zu bytes in %zu large ones), cached %zu bytes, committed %zu, empty %zu, "
        "mapped %zu, metadata %zu, purged so far %zu",
        f.live, f.live_blocks, f.large, f.large_blocks, f.cached, f.committed, f.empty, f.mapped, f.metadata, f.purged);
}

static void print_class(FILE *out, const tm_heap_class_t *row)
{
    static const char names[][8] = {"class", "medium", "large", "mixed"};
    if (row->kind == TM_CLASS_LARGE)
        return;
    (void)fprintf(out, "  <%s size=\"%zu\" slabs=\"%zu\" live=\"%zu\" cached=\"%zu\" free=\"%zu\"", names[row->kind],
                  row->size, row->slabs, row->live_blocks, row->cached_blocks, row->free_blocks);
    (void)fprintf(out, " stranded=\"%zu\" slack=\"%zu\" books=\"%zu\" empty=\"%zu\" resident=\"%zu\"/>\n",
                  row->stranded, row->slack, row->books, row->empty, row->resident);
}

static void print_sum(FILE *out, const char *type, size_t bytes)
{
    (void)fprintf(out, "  <total type=\"%s\" size=\"%zu\"/>\n", type, bytes);
}

static void print_sums(FILE *out, const tm_heap_part_t *part)
{
    (void)fprintf(out, "  <total type=\"live\" count=\"%zu\" size=\"%zu\"/>\n", part->live_blocks, part->live);
    (void)fprintf(out, "  <total type=\"cached\" count=\"%zu\" size=\"%zu\"/>\n", part->cached_blocks, part->cached);
    print_sum(out, "stranded", part->stranded);
    print_sum(out, "slack", part->slack);
    print_sum(out, "books", part->books);
    print_sum(out, "empty", part->empty);
    print_sum(out, "resident", part->resident);
}

/* As in mallinfo, all blocks that are not slots of small classes count as large. */
static void print_large(FILE *out, const tm_heap_stats_t *s, size_t heap)
{
    size_t count = 0, bytes = 0;
    for (size_t i = 0; i < tmi_min(s->nclasses, s->max_classes); i++) {
        const tm_heap_class_t *row = &s->classes[i];
        if (row->heap != heap || row->kind == TM_CLASS_SMALL)
            continue;
        count += row->live_blocks;
        bytes += row->live;
    }
    (void)fprintf(out, "  <large count=\"%zu\" size=\"%zu\"/>\n", count, bytes);
}

static void print_heap(FILE *out, const tm_heap_stats_t *s, size_t heap)
{
    (void)fprintf(out, " <heap nr=\"%zu\" type=\"%s\">\n", heap, tmi_stats_heap(heap));
    for (size_t i = 0; i < tmi_min(s->nclasses, s->max_classes); i++)
        if (s->classes[i].heap == heap)
            print_class(out, &s->classes[i]);
    print_large(out, s, heap);
    print_sums(out, heap == TM_HEAP_RAW ? &s->raw : &s->movable);
    (void)fprintf(out, " </heap>\n");
}

static void print_system(FILE *out, const char *type, size_t bytes)
{
    (void)fprintf(out, " <system type=\"%s\" size=\"%zu\"/>\n", type, bytes);
}

static void print_info(FILE *out, const tm_heap_stats_t *s)
{
    tmi_figures_t f;
    tmi_figures_read(&f);
    (void)fprintf(out, "<malloc version=\"tinymem-%s\">\n", TMI_VERSION);
    print_heap(out, s, TM_HEAP_RAW);
    print_heap(out, s, TM_HEAP_MOVABLE);
    (void)fprintf(out, " <total type=\"live\" count=\"%zu\" size=\"%zu\"/>\n", s->raw.live_blocks, s->raw.live);
    (void)fprintf(out, " <total type=\"cached\" count=\"%zu\" size=\"%zu\"/>\n", s->raw.cached_blocks, s->raw.cached);
    print_system(out, "current", f.committed);
    print_system(out, "mapped", s->mapped);
    print_system(out, "metadata", s->metadata);
    print_system(out, "spans", s->spans.empty);
    print_system(out, "table", s->table);
    print_system(out, "resident", s->resident);
    print_system(out, "purged", s->purged);
    print_system(out, "regretted", s->regretted);
    print_system(out, "growth_paid", s->growth_paid);
    (void)fprintf(out, "</malloc>\n");
}

/* The rows lie in pages of their own, since printing may allocate. Without these pages only the sums are printed. */
TMI_EXPORT int malloc_info(int options, FILE *out)
{
    void *rows = NULL;
    size_t nbytes = tmi_round_up(TM_HEAP_CLASSES_MAX * sizeof(tm_heap_class_t), TMI_UNIT_SIZE);
    if (options != 0)
        return EINVAL;
    tmi_heap_init();
    tm_heap_stats_t s = {.struct_size = sizeof s, .class_size = sizeof(tm_heap_class_t)};
    if (tmi_os_map_records(nbytes, &rows) == 0) {
        s.classes = rows;
        s.max_classes = TM_HEAP_CLASSES_MAX;
    }
    tmi_account_read(&s);
    print_info(out, &s);
    if (rows != NULL)
        (void)tmi_os_unmap(rows, nbytes);
    return 0;
}

/* Accepts the parameters that glibc documents. They change nothing. */
TMI_EXPORT int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX: return 1;
    default: return 0;
    }
}

int __libc_mallopt(int parameter, int value) TMI_ALIAS(mallopt);
struct mallinfo __libc_mallinfo(void) TMI_ALIAS(mallinfo);
