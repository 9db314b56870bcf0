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
        fputs("null}", to);
    else
        fprintf(to, "%zu}", r->huge);
}

/* A text without quotes, backslashes and what is below a blank. */
static void put_text(const char *text, FILE *to)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < ' ' || strchr("\"\\<>&", *text) != NULL ? '?' : *text, to);
}

/* What tmi_account says about the same copy. */
static void put_statistics(const map_t *m, FILE *to)
{
    static tmi_sheet_t sheet;
    tmi_text_t text = {NULL, 0, 0};
    replica_sheet(&m->look, &sheet);
    tmi_stats_json_put(&text, &sheet);
    text = (tmi_text_t){tool_alloc(text.length + 1), text.length, 0};
    tmi_stats_json_put(&text, &sheet);
    fprintf(to, "\"statistics\":%.*s,", (int)text.length - 1, text.buf);
    free(text.buf);
}

void map_put_json(const map_t *m, FILE *to)
{
    fprintf(to, "{\"tinymem\":\"%s\",\"schema\":1,\"pid\":%d,\"program\":\"", m->t->facts.version, (int)m->t->pid);
    put_text(m->t->name, to);
    fprintf(to, "\",\"page_size\":%zu,\"look\":{\"steady\":%s,\"looks\":%u,\"read_again\":%zu,\"left_out\":%zu},",
            m->t->page_size, m->look.steady ? "true" : "false", m->look.looks, m->look.retries, m->look.left_out);
    put_statistics(m, to);
    fprintf(to, "\"scopes\":%zu,\"rows\":[", m->scopes);
    for (size_t i = 0; i < m->nrows; i++)
        put_row(&m->rows[i], i == 0, to);
    fputs("]}\n", to);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

static int by_class(const void *a, const void *b)
{
    const map_row_t *x = *(const map_row_t *const *)a, *y = *(const map_row_t *const *)b;
    bool large = x->part->kind == y->part->kind && (x->part->kind == PART_LARGE || x->part->kind == PART_MOVABLE_LARGE);
    if (x->part->kind != y->part->kind)
        return (int)x->part->kind - (int)y->part->kind;
    if (!large && x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return x->part->address < y->part->address ? -1 : 1;
}

static bool same_group(const map_row_t *x, const map_row_t *y)
{
    return x->part->kind == y->part->kind && (strcmp(map_kind(x), "large") == 0 || x->size == y->size);
}

static void put_group(const map_row_t *const *rows, size_t n)
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

/* Green is full, red nearly empty. */
static void put_cell(char cell, bool color, bool plain)
{
    static const char *const shades[] = {" ", "░", "░", "▒", "▒", "▒", "▓", "▓", "█"}, *const letters = " ..---++#";
    static const int colors[] = {0, 160, 166, 172, 178, 184, 148, 112, 34};
    if (cell == CELL_PURGED || cell == CELL_EMPTY || cell == CELL_BOOKS) {
        set_color(0);
        fputs(cell == CELL_PURGED ? " " : cell == CELL_EMPTY ? (plain ? "_" : "·") : (plain ? "b" : "≡"), stdout);
        return;
    }
    unsigned eighths = (unsigned)tmi_min((unsigned char)cell, 8);
    set_color(color ? colors[eighths] : 0);
    if (plain)
        putchar(letters[eighths]);
    else
        fputs(shades[eighths], stdout);
}

static void put_line(const map_row_t *r, bool color, bool plain)
{
    printf("  %12lx %9s ", r->part->address, tool_size(r->bytes));
    if (r->slots > 1)
        printf("%5zu/%-5zu ", map_live_blocks(r), r->slots);
    else
        printf("%11s ", "");
    putchar('[');
    for (const char *cell = r->cells; *cell != '\0'; cell++)
        put_cell(*cell, color, plain);
    set_color(0);
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
    putchar('\n');
}

void map_put_text(const map_t *m, bool color, bool plain)
{
    const map_row_t **sorted = tool_alloc(m->nrows * sizeof *sorted);
    for (size_t i = 0; i < m->nrows; i++)
        sorted[i] = &m->rows[i];
    if (m->nrows > 0)
        qsort(sorted, m->nrows, sizeof *sorted, by_class);
    printf("%s, process %d: %zu slabs, large objects and free spans. A cell is a page (medium: a slot):\n", m->t->name,
           (int)m->t->pid, m->nrows);
    puts(plain ? "# full  +++---.. less and less  b records  _ empty  blank: purged, or never used"
               : "█ full  ▓▒░ less and less  ≡ records  · empty  blank: purged, or never used");
    for (size_t i = 0, n; i < m->nrows; i += n) {
        for (n = 1; i + n < m->nrows && same_group(sorted[i], sorted[i + n]); n++)
            continue;
        put_group(sorted + i, n);
        for (size_t k = 0; k < n; k++)
            put_line(sorted[i + k], color, plain);
    }
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

static void write_html(const map_t *m, const char *path)
{
    bool screen = strcmp(path, "-") == 0;
    FILE *to = screen ? stdout : fopen(path, "we");
    if (to == NULL)
        tool_fail("%s cannot be written: %s", path, strerror(errno));
    map_put_html(m, to);
    bool failed = ferror(to) != 0;
    if (!screen && (fclose(to) != 0 || failed))
        tool_fail("%s cannot be written whole: %s", path, strerror(errno));
}

int tool_map(char **words)
{
    bool json = false, plain = false;
    const char *library = NULL, *html = NULL, *color = NULL;
    const tool_option_t options[] = {{"--json", &json, NULL},       {"--ascii", &plain, NULL}, {"--html", NULL, &html},
                                     {"--library", NULL, &library}, {"--color", NULL, &color}, {NULL, NULL, NULL}};
    const char *pid = tool_only_word("map", words, tool_take_options("map", words, options), "a process number");
    bool colored = wants_color(color);
    if (json && html != NULL && strcmp(html, "-") == 0)
        tool_misused("map", "--json and --html - both want the output");
    target_t t;
    map_t m;
    (void)setlocale(LC_CTYPE, "");
    plain = plain || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    target_open(&t, "map", pid, library);
    map_take(&m, &t);
    if (html != NULL)
        write_html(&m, html);
    if (json)
        map_put_json(&m, stdout);
    else if (html == NULL)
        map_put_text(&m, colored, plain);
    return 0;
}
