/* info.c - glibc's statistics and tuning functions. The figures are this heap's own; what has no counterpart here is 0. */
#include "front/introspect.h"
#include "host/report.h"
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

int __libc_mallopt(int parameter, int value);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // mallinfo is part of the contract all the same
struct mallinfo __libc_mallinfo(void);

TM_EXPORT int malloc_trim(size_t pad) { return tmi_heap_trim(pad); }

/* arena: committed for slabs and free spans; hblkhd: large blocks; uordblks: live, without these; fordblks: committed and not live. */
TM_EXPORT struct mallinfo2 mallinfo2(void)
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

TM_EXPORT struct mallinfo mallinfo(void)
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

TM_EXPORT void malloc_stats(void)
{
    tmi_figures_t f;
    tmi_heap_init();
    tmi_figures_read(&f);
    tmi_report("live %zu bytes in %zu blocks (%zu bytes in %zu large ones), cached %zu bytes, committed %zu, empty %zu, "
               "mapped %zu, metadata %zu, purged so far %zu",
               f.live, f.live_blocks, f.large, f.large_blocks, f.cached, f.committed, f.empty, f.mapped, f.metadata, f.purged);
}

static void print_class(FILE *out, unsigned cls)
{
    tmi_class_figures_t f;
    tmi_figures_of_class(cls, &f);
    if (f.slabs > 0)
        (void)fprintf(out, "  <class size=\"%u\" slabs=\"%zu\" live=\"%zu\" cached=\"%zu\" free=\"%zu\"/>\n",
                      tmi_classes[cls].size, f.slabs, f.live, f.cached, f.free);
}

TM_EXPORT int malloc_info(int options, FILE *out)
{
    if (options != 0)
        return EINVAL;
    tmi_figures_t f;
    tmi_heap_init();
    tmi_figures_read(&f);
    (void)fprintf(out, "<malloc version=\"tinymem-%s\">\n <heap nr=\"0\">\n", TMI_VERSION);
    for (unsigned c = TMI_CLASS_FIRST; c <= TMI_CLASS_LAST; c++)
        print_class(out, c);
    (void)fprintf(out, "  <large count=\"%zu\" size=\"%zu\"/>\n </heap>\n", f.large_blocks, f.large);
    (void)fprintf(out, " <total type=\"live\" count=\"%zu\" size=\"%zu\"/>\n", f.live_blocks, f.live);
    (void)fprintf(out, " <total type=\"cached\" count=\"%zu\" size=\"%zu\"/>\n", f.cached_blocks, f.cached);
    (void)fprintf(out, " <system type=\"current\" size=\"%zu\"/>\n <system type=\"mapped\" size=\"%zu\"/>\n", f.committed, f.mapped);
    (void)fprintf(out, " <system type=\"metadata\" size=\"%zu\"/>\n</malloc>\n", f.metadata);
    return 0;
}

/* Nothing here is tuned by glibc's parameters; those that it documents are accepted. */
TM_EXPORT int mallopt(int parameter, int value)
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

int __libc_mallopt(int parameter, int value) TM_ALIAS(mallopt);
struct mallinfo __libc_mallinfo(void) TM_ALIAS(mallinfo);
