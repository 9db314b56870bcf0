/* stats_impl.h - what the formats share: the figures in a table, a text that counts what does not fit, and the rows. */
#ifndef TMI_HEAP_STATS_IMPL_H
#define TMI_HEAP_STATS_IMPL_H

#include "heap/stats.h"

/* Without pointers, so that the table needs no relocation. */
typedef struct tmi_figure {
    char name[16], series[28], help[72];
    uint16_t offset; // in its structure
    bool counter;
} tmi_figure_t;

typedef struct tmi_figure_list {
    const tmi_figure_t *first;
    size_t count;
} tmi_figure_list_t;

tmi_figure_list_t tmi_stats_of_part(void);  // of tm_heap_part_t
tmi_figure_list_t tmi_stats_of_row(void);   // of tm_heap_class_t
tmi_figure_list_t tmi_stats_of_whole(void); // of tm_heap_stats_t

static inline size_t tmi_figure_of(const tmi_figure_t *f, const void *structure)
{
    return *(const size_t *)(const void *)((const char *)structure + f->offset);
}

typedef struct tmi_text {
    char *buf;
    size_t size, length; // length counts what did not fit, too
} tmi_text_t;

/* As tmi_format, at most 200 bytes at a time. */
void tmi_text_add(tmi_text_t *t, const char *format, ...) TMI_PRINTF(2, 3) TMI_COLD;

/* The figures, and all rows, of a process. */
typedef struct tmi_sheet {
    const char *version;
    uint32_t pid, clock_ms;
    tm_heap_stats_t all;
    tm_heap_class_t rows[TM_HEAP_CLASSES_MAX];
} tmi_sheet_t;

/* Fill a sheet and write it into buf; returns the length, or 0. */
size_t tmi_stats_write(char *buf, size_t size, void (*write)(tmi_text_t *to, const tmi_sheet_t *from)) TMI_COLD;

/* A sheet as one line of JSON. */
void tmi_stats_json_write(tmi_text_t *to, const tmi_sheet_t *from) TMI_COLD;

/* For tmi_account, whose result is sheet->all and whose context is the sheet: keep a row. */
void tmi_sheet_add(void *sheet, const tm_heap_class_t *row) TMI_COLD;

#endif
