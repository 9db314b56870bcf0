/* The map as JSON, as text for a terminal, and the command. */
#include "map.h"
#include "tool.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static void put_row(const map_row_t *r, bool first, FILE *to)
{
    fprintf(
        to,
        "%s\n{\"address\":\"0x%lx\",\"heap\":\"%s\",\"kind\":\"%s\",\"size\":%zu,\"slots\":%zu,\"live_blocks\":%zu,",
        first ? "" : ",", r->part->address, map_heap(r), map_kind(r), r->size, r->slots, map_live_blocks(r));
    fprintf(to,
            "\"cached_blocks\":%zu,\"pinned\":%zu,\"bytes\":%zu,\"live\":%zu,\"cached\":%zu,\"stranded\":%zu,\"slack\":"
            "%zu,",
            r->cached_blocks, r->pinned, r->bytes, r->live, r->cached, r->stranded, r->slack);
    fprintf(to, "\"books\":%zu,\"empty\":%zu,\"purged\":%zu,\"huge\":", r->books, r->empty, r->purged);
    if (r->huge == MAP_UNKNOWN)
        fputs("null", to);
    else
        fprintf(to, "%zu", r->huge);
    if (r->holder == 0)
        fputs(",\"holder\":null}", to);
    else
        fprintf(to, ",\"holder\":{\"site\":%u,\"bytes\":%zu,\"samples\":%zu}}", r->holder - 1, r->held,
                r->held_samples);
}

void map_put_plain(const char *text, FILE *to)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < ' ' || strchr("\"\\<>&", *text) != NULL ? '?' : *text, to);
}

/* The statistics that tmi_account computes from the same copy. */
static void put_statistics(const map_t *m, FILE *to)
{
    tmi_text_t text = {NULL, 0, 0};
    tmi_stats_json_write(&text, m->sheet);
    text = (tmi_text_t){tool_alloc(text.length + 1), text.length, 0};
    tmi_stats_json_write(&text, m->sheet);
    fprintf(to, "\"statistics\":%.*s,", (int)text.length - 1, text.buf);
    free(text.buf);
}

void map_put_json(const map_t *m, FILE *to)
{
    fprintf(to, "{\"tinymem\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":\"", m->t->facts.version, (int)m->t->pid);
    map_put_plain(m->t->name, to);
    fprintf(to, "\",\"page_size\":%zu,\"look\":{\"steady\":%s,\"looks\":%u,\"read_again\":%zu,\"left_out\":%zu},",
            m->t->page_size, m->look.steady ? "true" : "false", m->look.looks, m->look.retries, m->look.left_out);
    put_statistics(m, to);
    holders_put_json(&m->holders, to);
    fprintf(to, "\"scopes\":%zu,\"rows\":[", m->scopes);
    for (size_t i = 0; i < m->nrows; i++)
        put_row(&m->rows[i], i == 0, to);
    fputs("]}\n", to);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

int map_by_class(const void *a, const void *b)
{
    const map_row_t *x = *(const map_row_t *const *)a, *y = *(const map_row_t *const *)b;
    if (x->part->kind != y->part->kind)
        return (int)x->part->kind - (int)y->part->kind;
    if (!map_is_large(x) && x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return x->part->address < y->part->address ? -1 : 1;
}

bool map_same_class(const map_row_t *x, const map_row_t *y)
{
    return x->part->kind == y->part->kind && (map_is_large(x) || x->size == y->size);
}

void map_class_name(const map_row_t *r, char *to, size_t size)
{
    if (map_is_free(r))
        snprintf(to, size, "spans %s", r->part->kind == PART_DIRTY ? "dirty" : "clean");
    else if (map_is_large(r) || r->size == 0)
        snprintf(to, size, "%s %s", map_heap(r), map_kind(r));
    else
        snprintf(to, size, "%s %zu", map_heap(r), r->size);
}

/* The site that keeps most of the stranded bytes of these rows, as far as blocks were sampled in them. */
static void put_group_holder(const map_t *m, const map_row_t *const *rows, size_t n)
{
    size_t *held = tool_alloc((m->holders.n + 1) * sizeof *held), best = 0;
    char stack[400];
    for (size_t i = 0; i < n; i++)
        if (rows[i]->holder > 0)
            held[rows[i]->holder] += rows[i]->held;
    for (size_t i = 1; i <= m->holders.n; i++)
        if (held[i] > held[best])
            best = i;
    free(held);
    if (best == 0)
        return;
    holders_stack(&m->holders.list[best - 1], 3, stack, sizeof stack);
    printf("  what is stranded is kept for the most part by %s\n", stack);
}

static void put_group(const map_t *m, const map_row_t *const *rows, size_t n)
{
    size_t blocks = 0, live = 0, resident = 0;
    for (size_t i = 0; i < n; i++) {
        blocks += map_live_blocks(rows[i]);
        live += rows[i]->live;
        resident += rows[i]->bytes - rows[i]->purged;
    }
    printf("\n%s %s", map_heap(rows[0]), map_kind(rows[0]));
    if (rows[0]->slots > 1)
        printf(" %zu", rows[0]->size);
    printf(": %zu row%s, %s live block%s, %s of %s live (%.0f %%)\n", n, n == 1 ? "" : "s", tool_count(blocks),
           blocks == 1 ? "" : "s", tool_size(live), tool_size(resident),
           resident > 0 ? 100.0 * (double)live / (double)resident : 0);
    put_group_holder(m, rows, n);
}

static void set_color(int wanted)
{
    static int now;
    if (wanted == now)
        return;
    if (wanted == 0)
        fputs("\033[0m", stdout);
    else
        printf("\033[38;5;%dm", wanted);
    now = wanted;
}

/* Draws a full page in green, a nearly empty one in red. */
void map_put_cell(char cell, map_style_t style)
{
    static const char *const shades[] = {" ", "░", "░", "▒", "▒", "▒", "▓", "▓", "█"}, *const letters = " ..---++#";
    static const int colors[] = {0, 160, 166, 172, 178, 184, 148, 112, 34};
    bool plain = style.plain;
    if (cell == CELL_PURGED || cell == CELL_EMPTY || cell == CELL_BOOKS) {
        set_color(0);
        fputs(cell == CELL_PURGED ? " " : cell == CELL_EMPTY ? (plain ? "_" : "·") : (plain ? "b" : "≡"), stdout);
        return;
    }
    unsigned eighths = (unsigned)tmi_min((unsigned char)cell, 8);
    set_color(style.color ? colors[eighths] : 0);
    if (plain)
        putchar(letters[eighths]);
    else
        fputs(shades[eighths], stdout);
}

void map_end_cells(void) { set_color(0); }

static void put_line(const map_t *m, const map_row_t *r, map_style_t style)
{
    printf("  %12lx %9s ", r->part->address, tool_size(r->bytes));
    if (r->slots > 1)
        printf("%5zu/%-5zu ", map_live_blocks(r), r->slots);
    else
        printf("%11s ", "");
    putchar('[');
    for (const char *cell = r->cells; *cell != '\0'; cell++)
        map_put_cell(*cell, style);
    map_end_cells();
    putchar(']');
    if (r->pinned > 0)
        printf(" pinned %zu", r->pinned);
    if (r->cached_blocks > 0)
        printf(" cached %zu", r->cached_blocks);
    if (r->stranded > 0)
        printf(" stranded %s", tool_size(r->stranded));
    if (r->purged > 0)
        printf(" purged %s", tool_size(r->purged));
    if (r->huge > 0 && r->huge != MAP_UNKNOWN)
        printf(" huge %s", tool_size(r->huge));
    if (r->holder > 0) {
        char stack[400];
        holders_stack(&m->holders.list[r->holder - 1], 2, stack, sizeof stack);
        printf(" kept %s by %s", tool_size(r->held), stack);
    }
    putchar('\n');
}

void map_put_text(const map_t *m, map_style_t style)
{
    const map_row_t **sorted = tool_alloc(m->nrows * sizeof *sorted);
    for (size_t i = 0; i < m->nrows; i++)
        sorted[i] = &m->rows[i];
    if (m->nrows > 0)
        qsort(sorted, m->nrows, sizeof *sorted, map_by_class);
    printf("%s, process %d: %zu slabs, large objects and free spans. A cell is a page (medium: a slot):\n", m->t->name,
           (int)m->t->pid, m->nrows);
    puts(style.plain ? "# full  +++---.. less and less  b records  _ empty  blank: purged, or never used"
               : "█ full  ▓▒░ less and less  ≡ records  · empty  blank: purged, or never used");
    for (size_t i = 0, n; i < m->nrows; i += n) {
        for (n = 1; i + n < m->nrows && map_same_class(sorted[i], sorted[i + n]); n++)
            continue;
        put_group(m, sorted + i, n);
        for (size_t k = 0; k < n; k++)
            put_line(m, sorted[i + k], style);
    }
    holders_put_text(&m->holders, stdout);
    if (m->scopes > 0)
        printf("\n%zu thread%s in a scope: what they look up stays in place too\n", m->scopes,
               m->scopes == 1 ? " is" : "s are");
    if (!m->look.steady)
        printf("\nthe program was at work: this is no snapshot; %zu records were read again, %zu left out\n",
               m->look.retries, m->look.left_out);
    free(sorted);
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static bool wants_color(const char *when)
{
    if (when == NULL || strcmp(when, "auto") == 0)
        return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    if (strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
        tool_misused("map", "--color takes always, never or auto");
    return strcmp(when, "always") == 0;
}

void map_write_file(const char *path, void (*put)(const void *what, FILE *to), const void *what)
{
    bool screen = strcmp(path, "-") == 0;
    FILE *to = screen ? stdout : fopen(path, "we");
    if (to == NULL)
        tool_fail("%s cannot be written: %s", path, strerror(errno));
    put(what, to);
    bool failed = ferror(to) != 0;
    if (!screen && (fclose(to) != 0 || failed))
        tool_fail("%s cannot be written whole: %s", path, strerror(errno));
}

static void put_html(const void *m, FILE *to) { map_put_html(m, to); }

static void show(const target_t *t, const map_output_t *o)
{
    map_t m;
    map_take(&m, t);
    if (o->html != NULL)
        map_write_file(o->html, put_html, &m);
    if (o->json)
        map_put_json(&m, stdout);
    else if (o->html == NULL)
        map_put_text(&m, o->style);
}

/* --compare takes exactly two files. */
static void compare_words(char **words, size_t n, const map_output_t *o)
{
    if (n < 2)
        tool_misused("map", n == 0 ? "--compare takes two files" : "--compare takes two files, the second is missing");
    if (n > 2)
        tool_misused("map", "one word too many: %s", words[2]);
    if (strcmp(words[0], "-") == 0 && strcmp(words[1], "-") == 0)
        tool_misused("map", "only one of the two files can be the input");
    map_compare_files(words[0], words[1], o);
}

int tool_map(char **words)
{
    enum { WAIT_MS = 2000, WAIT_MAX_MS = 3600 * 1000 };
    bool json = false, plain = false, compare = false, compact = false;
    const char *library = NULL, *html = NULL, *color = NULL, *wait = NULL;
    const tool_option_t options[] = {
        {"--json", &json, NULL},       {"--ascii", &plain, NULL},  {"--compare", &compare, NULL},
        {"--compact", &compact, NULL}, {"--html", NULL, &html},    {"--library", NULL, &library},
        {"--color", NULL, &color},     {"--wait", NULL, &wait},    {NULL, NULL, NULL}};
    size_t n = tool_take_options("map", words, options);
    bool colored = wants_color(color);
    if (json && html != NULL && strcmp(html, "-") == 0)
        tool_misused("map", "--json and --html - both want the output");
    if (wait != NULL && !compact)
        tool_misused("map", "--wait goes with --compact");
    if (compare && (compact || library != NULL))
        tool_misused("map", "--compare reads files: %s needs a process", compact ? "--compact" : "--library");
    (void)setlocale(LC_CTYPE, "");
    plain = plain || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    const map_output_t o = {json, html, {colored, plain}};
    if (compare) {
        compare_words(words, n, &o);
        return 0;
    }
    const char *pid = tool_only_word("map", words, n, "a process number");
    unsigned long wait_ms = wait == NULL ? WAIT_MS : tool_number("map", "a number of milliseconds", wait, WAIT_MAX_MS);
    target_t t;
    target_open(&t, "map", pid, library);
    if (compact)
        map_compact(&t, wait_ms, &o);
    else
        show(&t, &o);
    return 0;
}
