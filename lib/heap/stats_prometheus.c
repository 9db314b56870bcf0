/* Text exposition format 0.0.4: for each figure HELP and TYPE, and then all its samples. Unknown figures have no
 * samples. */
#include "heap/stats_impl.h"

static TMI_COLD void put_head(tmi_text_t *t, const char *group, const tmi_figure_t *f)
{
    tmi_text_add(t, "# HELP tinymem_%s%s %s\n", group, f->series, f->help);
    tmi_text_add(t, "# TYPE tinymem_%s%s %s\n", group, f->series, f->counter ? "counter" : "gauge");
}

static TMI_COLD void put_part(tmi_text_t *t, const tmi_figure_t *f, const char *heap, const tm_heap_part_t *part)
{
    size_t value = tmi_figure_of(f, part);
    if (value != TM_UNKNOWN)
        tmi_text_add(t, "tinymem_heap_%s{heap=\"%s\"} %zu\n", f->series, heap, value);
}

static TMI_COLD void put_row(tmi_text_t *t, const tmi_figure_t *f, const tm_heap_class_t *row)
{
    tmi_text_add(t, "tinymem_class_%s{heap=\"%s\",kind=\"%s\",size=\"%zu\"} %zu\n", f->series,
                 tmi_stats_heap(row->heap), tmi_stats_kind(row->kind), row->size, tmi_figure_of(f, row));
}

static TMI_COLD void write_prometheus(tmi_text_t *t, const tmi_sheet_t *s)
{
    tmi_figure_list_t whole = tmi_stats_of_whole(), part = tmi_stats_of_part(), row = tmi_stats_of_row();
    for (const tmi_figure_t *f = whole.first; f < whole.first + whole.count; f++) {
        put_head(t, "", f);
        tmi_text_add(t, "tinymem_%s %zu\n", f->series, tmi_figure_of(f, &s->all));
    }
    for (const tmi_figure_t *f = part.first; f < part.first + part.count; f++) {
        put_head(t, "heap_", f);
        put_part(t, f, "raw", &s->all.raw);
        put_part(t, f, "movable", &s->all.movable);
        put_part(t, f, "spans", &s->all.spans);
    }
    size_t n = tmi_min(s->all.nclasses, TM_HEAP_CLASSES_MAX);
    for (const tmi_figure_t *f = row.first; f < row.first + row.count; f++) {
        put_head(t, "class_", f);
        for (size_t i = 0; i < n; i++)
            put_row(t, f, &s->rows[i]);
    }
}

size_t tmi_stats_prometheus(char *buf, size_t size) { return tmi_stats_write(buf, size, write_prometheus); }
