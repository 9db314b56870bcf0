/* The map as one self-contained HTML file: a table of classes, and an SVG in which every row of the map is a bar
 * divided in proportion to its bytes. The file also contains the rows as JSON. */
#include "map.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>

enum { BAR = 256, HEIGHT = 7 };

static const char style[] =
    "body{font:14px/1.4 system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.1em "
    ".8em;text-align:right}td:first-child,th:first-child{text-align:left}"
    "svg{display:block}.live{fill:#2a9d3a}.cached{fill:#3b82d6}.stranded{fill:#e2702d}.slack{fill:#b9a642}.books{fill:#"
    "8a63b8}"
    ".empty{fill:#c9c9c9}.purged{fill:#f2f2f2;stroke:#ddd;stroke-width:.5}.pinned{fill:#c1121f}.huge{fill:none;stroke:#"
    "111;stroke-width:1}"
    "text{font:8px monospace;fill:#444}.key{display:inline-block;width:1em;height:.8em;margin:0 .3em 0 1em}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.purged{fill:#262626;stroke:#333}.empty{fill:"
    "#555}"
    ".huge{stroke:#eee}text{fill:#aaa}}";

void map_put_escaped(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            fprintf(to, "&#%d;", *text);
        else
            fputc(*text, to);
    }
}

void map_put_html_head(const char *title, FILE *to)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tinymem map: ", to);
    map_put_escaped(title, to);
    fprintf(to, "</title><style>%s</style></head><body>\n<h1>", style);
    map_put_escaped(title, to);
    fputs("</h1>\n", to);
}

/* The parts of a row's bytes, in the order in which a bar shows them. */
typedef struct share {
    const char *name;
    size_t offset;
} share_t;

static const share_t shares[] = {
    {"live", offsetof(map_row_t, live)},         {"cached", offsetof(map_row_t, cached)},
    {"stranded", offsetof(map_row_t, stranded)}, {"slack", offsetof(map_row_t, slack)},
    {"books", offsetof(map_row_t, books)},       {"empty", offsetof(map_row_t, empty)},
    {"purged", offsetof(map_row_t, purged)},
};

static size_t share_of(const map_row_t *r, size_t i)
{
    return *(const size_t *)(const void *)((const char *)r + shares[i].offset);
}

static void put_title(const map_t *m, const map_row_t *r, FILE *to)
{
    fprintf(to, "<title>0x%lx %s %s", r->part->address, map_heap(r), map_kind(r));
    if (r->slots > 1)
        fprintf(to, " %zu, %zu of %zu slots live", r->size, map_live_blocks(r), r->slots);
    for (size_t i = 0; i < TMI_COUNT_OF(shares); i++)
        if (share_of(r, i) > 0)
            fprintf(to, ", %s %s", shares[i].name, tool_size(share_of(r, i)));
    if (r->pinned > 0)
        fprintf(to, ", %zu pinned", r->pinned);
    if (r->huge > 0 && r->huge != MAP_UNKNOWN)
        fprintf(to, ", huge pages %s", tool_size(r->huge));
    if (r->holder > 0) {
        char stack[1600];
        holders_stack(&m->holders.list[r->holder - 1], 6, stack, sizeof stack);
        fprintf(to, ", %s of it kept by ", tool_size(r->held));
        map_put_escaped(stack, to);
    }
    fputs("</title>", to);
}

void map_put_bar(const map_t *m, const map_row_t *r, size_t x, size_t y, FILE *to)
{
    double at = 0;
    fprintf(to, "<g class=\"row %s %s\" transform=\"translate(%zu %zu)\">", map_heap(r), map_kind(r), x, y);
    put_title(m, r, to);
    for (size_t i = 0; i < TMI_COUNT_OF(shares); i++) {
        double width = (double)share_of(r, i) * BAR / (double)r->bytes;
        if (share_of(r, i) == 0)
            continue;
        fprintf(to, "<rect class=\"%s\" x=\"%.2f\" width=\"%.2f\" height=\"%d\"/>", shares[i].name, at, width, HEIGHT);
        at += width;
    }
    if (r->pinned > 0)
        fprintf(to, "<circle class=\"pinned\" cx=\"%d\" cy=\"3.5\" r=\"3\"/>", BAR + 6);
    if (r->huge > 0 && r->huge != MAP_UNKNOWN)
        fprintf(to, "<rect class=\"huge\" x=\"%d\" width=\"6\" height=\"6\"/>", BAR + 12);
    if (r->slots > 1)
        fprintf(to, "<text x=\"%d\" y=\"7\">%zu</text>", BAR + 22, r->size);
    fputs("</g>\n", to);
}

static void put_totals(const map_t *m, FILE *to)
{
    static const char *const heaps[] = {"raw", "movable", "spans"};
    fputs("<table id=\"totals\"><tr><th>heap</th><th>rows</th>", to);
    for (size_t i = 0; i < TMI_COUNT_OF(shares); i++)
        fprintf(to, "<th>%s</th>", shares[i].name);
    fputs("<th>pinned</th></tr>\n", to);
    for (size_t h = 0; h < TMI_COUNT_OF(heaps); h++) {
        size_t sums[TMI_COUNT_OF(shares)] = {0}, rows = 0, pinned = 0;
        for (size_t i = 0; i < m->nrows; i++) {
            if (strcmp(map_heap(&m->rows[i]), heaps[h]) != 0)
                continue;
            rows++;
            pinned += m->rows[i].pinned;
            for (size_t k = 0; k < TMI_COUNT_OF(shares); k++)
                sums[k] += share_of(&m->rows[i], k);
        }
        fprintf(to, "<tr><td>%s</td><td>%zu</td>", heaps[h], rows);
        for (size_t k = 0; k < TMI_COUNT_OF(shares); k++)
            fprintf(to, "<td title=\"%zu\">%s</td>", sums[k], tool_size(sums[k]));
        fprintf(to, "<td>%zu</td></tr>\n", pinned);
    }
    fputs("</table>\n", to);
}

void map_put_html_key(FILE *to)
{
    fputs("<p>Each bar is a slab, a large object or a free span, in the order of addresses:", to);
    for (size_t i = 0; i < TMI_COUNT_OF(shares); i++)
        fprintf(to, "<svg class=\"key\" viewBox=\"0 0 8 8\"><rect class=\"%s\" width=\"8\" height=\"8\"/></svg>%s",
                shares[i].name, shares[i].name);
    fputs("<svg class=\"key\" viewBox=\"0 0 8 8\"><circle class=\"pinned\" cx=\"4\" cy=\"4\" r=\"3\"/></svg>pinned or "
          "locked"
          "<svg class=\"key\" viewBox=\"0 0 8 8\"><rect class=\"huge\" x=\"1\" y=\"1\" width=\"6\" "
          "height=\"6\"/></svg>huge pages. "
          "The number is the size of its slots.</p>\n",
          to);
}

void map_put_html(const map_t *m, FILE *to)
{
    size_t columns = (m->nrows + MAP_PER_COLUMN - 1) / MAP_PER_COLUMN;
    size_t height = tmi_min(m->nrows, MAP_PER_COLUMN) * MAP_PITCH_Y;
    char title[96];
    snprintf(title, sizeof title, "%s, process %d", m->t->name, (int)m->t->pid);
    map_put_html_head(title, to);
    if (!m->look.steady)
        fprintf(to, "<p>The program was at work: this is no snapshot; %zu records were read again, %zu left out.</p>\n",
                m->look.retries, m->look.left_out);
    put_totals(m, to);
    holders_put_html(&m->holders, to);
    if (m->scopes > 0)
        fprintf(to, "<p>%zu thread%s in a scope: what they look up stays in place too.</p>\n", m->scopes,
                m->scopes == 1 ? " is" : "s are");
    map_put_html_key(to);
    fprintf(to, "<svg id=\"map\" width=\"%zu\" height=\"%zu\" xmlns=\"http://www.w3.org/2000/svg\">\n",
            columns * MAP_PITCH_X, height);
    for (size_t i = 0; i < m->nrows; i++)
        map_put_bar(m, &m->rows[i], i / MAP_PER_COLUMN * MAP_PITCH_X, i % MAP_PER_COLUMN * MAP_PITCH_Y, to);
    fputs("</svg>\n<script type=\"application/json\" id=\"data\">", to);
    map_put_json(m, to);
    fputs("</script></body></html>\n", to);
}
