#include "heap/stats.h"
#include "heap/stats_impl.h"
#include "os/os.h"
#include "os/report.h"

#include <string.h>

#define GAUGE false
#define COUNTER true

static const tmi_figure_t of_part[] = {
#define TMI_PART(name, series, type, help) {#name, series, help, offsetof(tm_heap_part_t, name), type},
#define TMI_ROW(name, series, type, help)
#define TMI_WHOLE(name, series, type, help)
#include "heap/stats.def"
#undef TMI_PART
#undef TMI_ROW
};
static const tmi_figure_t of_row[] = {
#define TMI_PART(name, series, type, help)
#define TMI_ROW(name, series, type, help) {#name, series, help, offsetof(tm_heap_class_t, name), type},
#include "heap/stats.def"
#undef TMI_ROW
#undef TMI_WHOLE
};
static const tmi_figure_t of_whole[] = {
#define TMI_ROW(name, series, type, help)
#define TMI_WHOLE(name, series, type, help) {#name, series, help, offsetof(tm_heap_stats_t, name), type},
#include "heap/stats.def"
#undef TMI_PART
#undef TMI_ROW
#undef TMI_WHOLE
};

tmi_figure_list_t tmi_stats_of_part(void) { return (tmi_figure_list_t){of_part, TMI_COUNT_OF(of_part)}; }
tmi_figure_list_t tmi_stats_of_row(void) { return (tmi_figure_list_t){of_row, TMI_COUNT_OF(of_row)}; }
tmi_figure_list_t tmi_stats_of_whole(void) { return (tmi_figure_list_t){of_whole, TMI_COUNT_OF(of_whole)}; }

const char *tmi_stats_heap(size_t heap) { return heap == TM_HEAP_RAW ? "raw" : "movable"; }

const char *tmi_stats_kind(size_t kind)
{
    static const char *const names[] = {"small", "medium", "large", "mixed"};
    return kind < TMI_COUNT_OF(names) ? names[kind] : "unknown";
}

void tmi_text_add(tmi_text_t *t, const char *format, ...)
{
    char piece[200];
    va_list args;
    va_start(args, format);
    size_t n = tmi_vformat(piece, sizeof piece, format, args);
    va_end(args);
    if (t->length < t->size)
        memcpy(t->buf + t->length, piece, tmi_min(n, t->size - t->length));
    t->length += n;
}

void tmi_sheet_add(void *context, const tm_heap_class_t *row)
{
    tmi_sheet_t *sheet = context;
    if (sheet->all.nclasses <= TM_HEAP_CLASSES_MAX)
        sheet->rows[sheet->all.nclasses - 1] = *row;
}

size_t tmi_stats_write(char *buf, size_t size, void (*write)(tmi_text_t *to, const tmi_sheet_t *from))
{
    void *p;
    size_t nbytes = tmi_round_up(sizeof(tmi_sheet_t), TMI_UNIT_SIZE);
    tmi_text_t text = {buf, size, 0};
    if (tmi_os_page_size == 0 && !tmi_os_init()) // a signal handler may be the first call of the library
        return 0;
    if (tmi_os_map_records(nbytes, &p) != 0)
        return 0;
    tmi_sheet_t *sheet = p;
    tmi_account(&sheet->all, tmi_sheet_add, sheet);
    sheet->version = TMI_VERSION;
    sheet->pid = tmi_os_getpid();
    sheet->clock_ms = tmi_os_now_ms();
    write(&text, sheet);
    (void)tmi_os_unmap(p, nbytes);
    if (size > 0)
        buf[tmi_min(text.length, size - 1)] = '\0';
    return text.length;
}
