/* Reading a map from the output of `tinymem map --json`. */
#include "json.h"
#include "map.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct field {
    const char *name;
    size_t offset; // in map_row_t
} field_t;

#define FIELD(name) {#name, offsetof(map_row_t, name)}
static const field_t fields[] = {
    FIELD(size), FIELD(slots), FIELD(cached_blocks), FIELD(pinned), FIELD(bytes), FIELD(live),  FIELD(cached),
    FIELD(stranded), FIELD(slack), FIELD(books), FIELD(empty), FIELD(purged),
};

static part_kind_t kind_of(json_t row)
{
    json_t heap = json_member(row, "heap"), kind = json_member(row, "kind");
    bool movable = json_is(heap, "movable");
    size_t empty = 0;
    (void)json_size(json_member(row, "empty"), &empty);
    if (json_is(kind, "small"))
        return movable ? PART_MOVABLE : PART_RAW;
    if (json_is(kind, "large"))
        return movable ? PART_MOVABLE_LARGE : PART_LARGE;
    return json_is(kind, "medium")  ? PART_MEDIUM
           : json_is(kind, "mixed") ? PART_MIXED
           : json_is(kind, "free")  ? (empty > 0 ? PART_DIRTY : PART_CLEAN)
                                    : PART_UNKNOWN;
}

static void read_holder(json_t from, size_t nholders, map_row_t *row)
{
    size_t site = SIZE_MAX;
    if (!json_size(json_member(from, "site"), &site) || site >= nholders)
        return;
    row->holder = (uint32_t)site + 1;
    (void)json_size(json_member(from, "bytes"), &row->held);
    (void)json_size(json_member(from, "samples"), &row->held_samples);
}

/* False: it is no row, or its parts sum up to more than its bytes. */
static bool read_row(json_t from, size_t nholders, map_row_t *row, part_t *part)
{
    char address[24];
    size_t live_blocks = 0;
    *row = (map_row_t){.part = part, .huge = MAP_UNKNOWN};
    for (size_t i = 0; i < TMI_COUNT_OF(fields); i++)
        if (!json_size(json_member(from, fields[i].name), (size_t *)(void *)((char *)row + fields[i].offset)))
            return false;
    if (!json_text(json_member(from, "address"), address, sizeof address) ||
        !json_size(json_member(from, "live_blocks"), &live_blocks))
        return false;
    (void)json_size(json_member(from, "huge"), &row->huge);
    read_holder(json_member(from, "holder"), nholders, row);
    row->taken = live_blocks + row->cached_blocks;
    *part = (part_t){.nunits = row->bytes / TMI_UNIT_SIZE, .kind = kind_of(from)};
    part->address = strtoull(address, NULL, 16);
    const size_t parts[] = {row->live, row->cached, row->stranded, row->slack, row->books, row->empty, row->purged};
    size_t left = row->bytes;
    for (size_t i = 0; i < TMI_COUNT_OF(parts); left -= parts[i++])
        if (parts[i] > left && !map_is_free(row) && !map_is_large(row))
            return false;
    return row->bytes > 0;
}

static int by_address(const void *a, const void *b)
{
    const map_row_t *x = a, *y = b;
    return (x->part->address > y->part->address) - (x->part->address < y->part->address);
}

/* False: a row is invalid. */
static bool read_rows(map_t *m, json_t rows)
{
    size_t n = 0;
    for (json_t r = json_first(rows); r != NULL; r = json_next(r))
        n++;
    m->rows = tool_alloc(n * sizeof *m->rows);
    m->parts = tool_alloc(n * sizeof *m->parts);
    for (json_t r = json_first(rows); r != NULL; r = json_next(r), m->nrows++)
        if (!read_row(r, m->holders.n, &m->rows[m->nrows], &m->parts[m->nrows]))
            return false;
    if (n > 0)
        qsort(m->rows, n, sizeof *m->rows, by_address);
    return true;
}

/* ---- statistics ---------------------------------------------------------------------------------------------- */

/* Figures that are missing in the file are 0. */
static void read_figures(json_t from, tmi_figure_list_t list, void *to)
{
    for (size_t i = 0; i < list.count; i++) {
        const tmi_figure_t *f = &list.first[i];
        json_t value = json_member(from, f->name);
        if (!json_size(value, (size_t *)(void *)((char *)to + f->offset)) && value != NULL)
            *(size_t *)(void *)((char *)to + f->offset) = TM_UNKNOWN;
    }
}

static void read_class(json_t from, tm_heap_class_t *c)
{
    read_figures(from, tmi_stats_of_row(), c);
    (void)json_size(json_member(from, "size"), &c->size);
    c->heap = json_is(json_member(from, "heap"), "movable") ? TM_HEAP_MOVABLE : TM_HEAP_RAW;
    for (size_t kind = TM_CLASS_SMALL; kind <= TM_CLASS_MIXED; kind++)
        if (json_is(json_member(from, "kind"), tmi_stats_kind(kind)))
            c->kind = kind;
}

static bool read_statistics(map_t *m, json_t from)
{
    json_t heaps = json_member(from, "heaps");
    tmi_sheet_t *s = m->sheet = tool_alloc(sizeof *s);
    size_t clock_ms = 0;
    if (heaps == NULL)
        return false;
    read_figures(from, tmi_stats_of_whole(), &s->all);
    read_figures(json_member(heaps, "raw"), tmi_stats_of_part(), &s->all.raw);
    read_figures(json_member(heaps, "movable"), tmi_stats_of_part(), &s->all.movable);
    read_figures(json_member(heaps, "spans"), tmi_stats_of_part(), &s->all.spans);
    for (json_t c = json_first(json_member(from, "classes")); c != NULL; c = json_next(c))
        if (s->all.nclasses < TM_HEAP_CLASSES_MAX)
            read_class(c, &s->rows[s->all.nclasses++]);
    (void)json_size(json_member(from, "clock_ms"), &clock_ms);
    s->clock_ms = (uint32_t)clock_ms;
    return true;
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

static char *read_file(const char *path)
{
    bool input = strcmp(path, "-") == 0;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        tool_fail("%s cannot be read: %s", path, strerror(errno));
    errno = 0;
    char *text = tool_read_all(fd);
    if (errno != 0)
        tool_fail("%s cannot be read: %s", path, strerror(errno));
    if (!input)
        close(fd);
    return text;
}

static void read_look(map_t *m, json_t look)
{
    size_t looks = 0;
    (void)json_size(json_member(look, "looks"), &looks);
    (void)json_size(json_member(look, "read_again"), &m->look.retries);
    (void)json_size(json_member(look, "left_out"), &m->look.left_out);
    m->look.looks = (unsigned)looks;
    m->look.steady = json_true(json_member(look, "steady"));
}

void map_read(map_t *m, const char *path)
{
    target_t *t = tool_alloc(sizeof *t);
    char *text = read_file(path);
    json_t root = text + strspn(text, " \t\r\n");
    size_t schema = 0, pid = 0;
    *m = (map_t){.t = t};
    const char *end = json_end(root);
    json_t rows = json_member(root, "rows");
    if (end == NULL || end[strspn(end, " \t\r\n")] != '\0' || rows == NULL || *rows != '[' ||
        !json_text(json_member(root, "tinymem"), t->facts.version, sizeof t->facts.version))
        tool_fail("%s is no map that `tinymem map --json` wrote", path);
    if (!json_size(json_member(root, "schema"), &schema) || schema != 1)
        tool_fail("%s has schema %zu, this tool (version %s) reads schema 1", path, schema, TMI_VERSION);
    (void)json_size(json_member(root, "pid"), &pid);
    (void)json_size(json_member(root, "page_size"), &t->page_size);
    (void)json_size(json_member(root, "scopes"), &m->scopes);
    (void)json_text(json_member(root, "program"), t->name, sizeof t->name);
    t->pid = (pid_t)pid;
    read_look(m, json_member(root, "look"));
    holders_read(&m->holders, json_member(root, "holders"));
    if (!read_rows(m, rows) || !read_statistics(m, json_member(root, "statistics")))
        tool_fail("%s is a map with rows or statistics that make no sense", path);
    m->sheet->version = t->facts.version;
    m->sheet->pid = (uint32_t)pid;
    free(text);
}
