/* One object on one line. Unknown figures are null. */
#include "heap/stats_impl.h"

enum { SCHEMA = 1 }; // of the documented names; new names may be added without a new number

static TMI_COLD void put_figures(tmi_text_t *t, tmi_figure_list_t list, const void *structure)
{
    for (size_t i = 0; i < list.count; i++) {
        size_t value = tmi_figure_of(&list.first[i], structure);
        tmi_text_add(t, "%s\"%s\":", i > 0 ? "," : "", list.first[i].name);
        if (value == TM_UNKNOWN)
            tmi_text_add(t, "null");
        else
            tmi_text_add(t, "%zu", value);
    }
}

static TMI_COLD void put_part(tmi_text_t *t, const char *name, const tm_heap_part_t *part)
{
    tmi_text_add(t, "\"%s\":{", name);
    put_figures(t, tmi_stats_of_part(), part);
    tmi_text_add(t, "}");
}

static TMI_COLD void put_row(tmi_text_t *t, const tm_heap_class_t *row)
{
    tmi_text_add(t, "{\"heap\":\"%s\",\"kind\":\"%s\",\"size\":%zu,", tmi_stats_heap(row->heap),
                 tmi_stats_kind(row->kind), row->size);
    put_figures(t, tmi_stats_of_row(), row);
    tmi_text_add(t, "}");
}

void tmi_stats_json_write(tmi_text_t *t, const tmi_sheet_t *s)
{
    tmi_text_add(t, "{\"tinymem\":\"%s\",\"schema\":%d,\"pid\":%u,\"clock_ms\":%u,", s->version, SCHEMA,
                 s->pid, s->clock_ms);
    put_figures(t, tmi_stats_of_whole(), &s->all);
    tmi_text_add(t, ",\"heaps\":{");
    put_part(t, "raw", &s->all.raw);
    tmi_text_add(t, ",");
    put_part(t, "movable", &s->all.movable);
    tmi_text_add(t, ",");
    put_part(t, "spans", &s->all.spans);
    tmi_text_add(t, "},\"classes\":[");
    for (size_t i = 0; i < tmi_min(s->all.nclasses, TM_HEAP_CLASSES_MAX); i++) {
        tmi_text_add(t, "%s", i > 0 ? "," : "");
        put_row(t, &s->rows[i]);
    }
    tmi_text_add(t, "]}\n");
}

size_t tmi_stats_json(char *buf, size_t size) { return tmi_stats_write(buf, size, tmi_stats_json_write); }
