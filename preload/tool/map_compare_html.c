/* Two maps as one self-contained HTML file: tables of the changes, and an SVG with the bars of before and after side by
 * side. Rows with the same address are at the same height. */
#include "map.h"
#include "tool.h"

#include <stdlib.h>

static const char *const sides[] = {"before", "after"};

static void put_change_cells(size_t before, size_t after, bool bytes, FILE *to)
{
    char change[24];
    map_put_change(change, sizeof change, before, after, bytes);
    fprintf(to, "<td title=\"%zu\">%s</td>", before, bytes ? tool_size(before) : tool_count(before));
    fprintf(to, "<td title=\"%zu\">%s</td><td>%s</td>", after, bytes ? tool_size(after) : tool_count(after), change);
}

static void put_figures(const map_pair_t *p, FILE *to)
{
    const char *name;
    size_t values[MAP_SIDES];
    bool bytes;
    fputs("<table id=\"change\"><tr><th></th><th>before</th><th>after</th><th>change</th></tr>\n", to);
    for (size_t i = 0; map_pair_figure(p, i, &name, values, &bytes); i++) {
        fprintf(to, "<tr class=\"figure\"><td>%s</td>", name);
        put_change_cells(values[0], values[1], bytes, to);
        fputs("</tr>\n", to);
    }
    fputs("</table>\n", to);
}

static void put_occupancy(const map_class_t *c, unsigned side, FILE *to)
{
    if (c->side[side].resident == 0 || map_is_free(c->like))
        fputs("<td>-</td>", to);
    else
        fprintf(to, "<td>%.0f %%</td>", 100.0 * (double)c->side[side].live / (double)c->side[side].resident);
}

static void put_classes(const map_pair_t *p, FILE *to)
{
    char name[32];
    size_t same = 0;
    fputs("<table id=\"classes\"><tr><th>class</th><th colspan=\"3\">rows</th><th colspan=\"3\">resident</th>"
          "<th colspan=\"3\">stranded</th><th colspan=\"2\">live of resident</th></tr>\n",
          to);
    for (size_t i = 0; i < p->nclasses; i++) {
        const map_class_t *c = &p->classes[i];
        if (!map_class_changed(c)) {
            same++;
            continue;
        }
        map_class_name(c->like, name, sizeof name);
        fprintf(to, "<tr class=\"class\"><td>%s</td>", name);
        put_change_cells(c->side[0].rows, c->side[1].rows, false, to);
        put_change_cells(c->side[0].resident, c->side[1].resident, true, to);
        put_change_cells(c->side[0].stranded, c->side[1].stranded, true, to);
        put_occupancy(c, 0, to);
        put_occupancy(c, 1, to);
        fputs("</tr>\n", to);
    }
    fprintf(to, "</table>\n<p>%zu class%s as before.</p>\n", same, same == 1 ? " is" : "es are");
}

/* Draw the bars of one side; with `to` NULL only count. Positions are numbered in the order of the addresses of both
 * sides. Returns the number of positions. */
static size_t put_side(const map_pair_t *p, unsigned side, FILE *to)
{
    const map_t *mine = &p->side[side], *other = &p->side[side ^ 1];
    size_t place = 0, k = 0;
    if (to != NULL)
        fprintf(to, "<g id=\"%s\">\n", sides[side]);
    for (size_t i = 0; i < mine->nrows || k < other->nrows; place++) {
        uintptr_t here = i < mine->nrows ? mine->rows[i].part->address : UINTPTR_MAX;
        uintptr_t there = k < other->nrows ? other->rows[k].part->address : UINTPTR_MAX;
        size_t column = place / MAP_PER_COLUMN * MAP_SIDES + side;
        if (here <= there && to != NULL)
            map_put_bar(mine, &mine->rows[i], column * MAP_PITCH_X, (place % MAP_PER_COLUMN + 2) * MAP_PITCH_Y, to);
        i += here <= there;
        k += there <= here;
    }
    for (size_t c = 0; c * MAP_PER_COLUMN < place && to != NULL; c++)
        fprintf(to, "<text x=\"%zu\" y=\"10\">%s</text>\n", (c * MAP_SIDES + side) * MAP_PITCH_X, sides[side]);
    if (to != NULL)
        fputs("</g>\n", to);
    return place;
}

static void put_picture(const map_pair_t *p, FILE *to)
{
    size_t places = put_side(p, MAP_BEFORE, NULL), columns = (places + MAP_PER_COLUMN - 1) / MAP_PER_COLUMN;
    fprintf(to, "<svg id=\"map\" width=\"%zu\" height=\"%zu\" xmlns=\"http://www.w3.org/2000/svg\">\n",
            columns * MAP_SIDES * MAP_PITCH_X, (tmi_min(places, MAP_PER_COLUMN) + 2) * MAP_PITCH_Y);
    (void)put_side(p, MAP_BEFORE, to);
    (void)put_side(p, MAP_AFTER, to);
    fputs("</svg>\n", to);
}

void map_pair_put_html(const map_pair_t *p, FILE *to)
{
    map_put_html_head("before and after", to);
    fputs("<ul>", to);
    for (unsigned side = 0; side < MAP_SIDES; side++) {
        const map_t *m = &p->side[side];
        fprintf(to, "<li>%s: ", sides[side]);
        map_put_escaped(p->name[side], to);
        fputs(" (", to);
        map_put_escaped(m->t->name, to);
        fprintf(to, ", process %d%s)</li>", (int)m->t->pid, m->look.steady ? "" : "; at work: this is no snapshot");
    }
    fputs("</ul>\n", to);
    if (p->note != NULL)
        fprintf(to, "<p>%s</p>\n", p->note);
    put_figures(p, to);
    map_put_html_key(to);
    put_picture(p, to);
    put_classes(p, to);
    fputs("<script type=\"application/json\" id=\"data\">", to);
    map_pair_put_json(p, to);
    fputs("</script></body></html>\n", to);
}
