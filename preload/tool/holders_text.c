/* The names of call sites in another process, and the output of holders. */
#include "insight/profile.h"
#include "map.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_NAMED = 16, FRAMES_SHOWN = 6, SITES_SHOWN = 5 };

/* ---- names --------------------------------------------------------------------------------------------------- */

/* Set the path from which a mapped file is read: its entry in /proc/PID/map_files, which also exists for a deleted
 * file, or its path below the process's root. */
static void set_origin(const target_t *t, tmi_map_t *row, char *to, size_t size)
{
    snprintf(to, size, "/proc/%d/map_files/%lx-%lx", (int)t->pid, row->start, row->end);
    if (access(to, R_OK) != 0)
        snprintf(to, size, "/proc/%d/root%s", (int)t->pid, row->path);
    row->read_from = to;
}

static void name_site(tmi_profile_t *p, const target_t *t, holder_t *h)
{
    char text[FRAMES_NAMED * 200], origin[4400];
    size_t n, length = 0;
    const uintptr_t *frames = holders_frames(h, &n);
    text[0] = '\0';
    for (size_t i = 0; i < n && i < FRAMES_NAMED; i++) {
        tmi_map_t *row = tmi_maps_find(&p->maps, frames[i] - 1);
        if (row != NULL && !row->looked)
            set_origin(t, row, origin, sizeof origin);
        tmi_profile_frame_name(p, frames[i], text + length, 198);
        length += strlen(text + length);
        text[length++] = '\n';
        text[length] = '\0';
    }
    h->stack = strdup(text);
    if (h->stack == NULL)
        tool_fail("no memory");
}

void holders_name(map_t *m)
{
    char path[64];
    tmi_profile_t p = {.out = NULL};
    if (m->holders.state != HOLDERS_FOUND)
        return;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)m->t->pid);
    (void)tmi_maps_read_from(&p.maps, path); // if it fails, frames are shown as addresses
    for (size_t i = 0; i < m->holders.n; i++)
        name_site(&p, m->t, &m->holders.list[i]);
    tmi_maps_close(&p.maps);
}

size_t holders_frame(const holder_t *h, size_t i, char *to, size_t size)
{
    const char *at = h->stack;
    for (; i > 0 && at != NULL && (at = strchr(at, '\n')) != NULL; i--)
        at++;
    size_t n = at != NULL ? strcspn(at, "\n") : 0;
    if (n == 0)
        return 0;
    n = tmi_min(n, size - 1);
    memcpy(to, at, n);
    to[n] = '\0';
    return n;
}

/* Frames beyond the last one shown are replaced by "...". */
void holders_stack(const holder_t *h, size_t most, char *to, size_t size)
{
    char frame[200];
    size_t length = 0;
    to[0] = '\0';
    for (size_t i = 0; holders_frame(h, i, frame, sizeof frame) > 0 && length + 1 < size; i++) {
        int n = snprintf(to + length, size - length, "%s%s", i > 0 ? " < " : "", i < most ? frame : "...");
        length = tmi_min(length + (size_t)n, size - 1);
        if (i == most)
            return;
    }
    if (length == 0)
        snprintf(to, size, "(other)");
}

/* ---- as text ------------------------------------------------------------------------------------------------- */

/* The reason why no holders are known, or NULL if they are. */
static const char *why_not(const holders_t *h)
{
    switch (h->state) {
    case HOLDERS_UNKNOWN: return "the map does not tell";
    case HOLDERS_NONE: return "the process keeps no profile (TINYMEM=profile:on)";
    case HOLDERS_UNTOLD: return "this library keeps a profile, and does not tell where";
    case HOLDERS_NONSENSE: return "the records of the profile make no sense: they have been overwritten";
    default: return NULL;
    }
}

static void put_plain(const char *text, FILE *to) { fputs(text, to); }

/* Write the summary line. `put` writes the names, which may need escaping. */
static void put_summary(const holders_t *h, void (*put)(const char *text, FILE *to), FILE *to)
{
    char text[200];
    const char *why = why_not(h);
    if (why != NULL)
        snprintf(text, sizeof text, "who keeps stranded memory is not known: %s", why);
    else
        snprintf(text, sizeof text, "%zu call site%s %s of %s stranded%s%s", h->n, h->n == 1 ? " keeps" : "s keep",
                 tool_size(h->kept), tool_size(h->stranded), h->interval > 1 ? ", by estimate" : "",
                 h->steady ? "" : "; the profile changed while it was read");
    put(text, to);
}

void holders_put_text(const holders_t *h, FILE *to)
{
    char stack[1600];
    fputc('\n', to);
    put_summary(h, put_plain, to);
    fputs(h->n > 0 ? ":\n" : "\n", to);
    for (size_t i = 0; i < h->n && i < SITES_SHOWN; i++) {
        holders_stack(&h->list[i], FRAMES_SHOWN, stack, sizeof stack);
        fprintf(to, "  %9s  %s\n", tool_size(h->list[i].bytes), stack);
    }
    if (h->n > SITES_SHOWN)
        fprintf(to, "  (%zu more: tinymem map --json)\n", h->n - SITES_SHOWN);
}

void holders_put_html(const holders_t *h, FILE *to)
{
    char stack[1600];
    fputs("<p id=\"summary\">", to);
    put_summary(h, map_put_escaped, to);
    fputs("</p>\n", to);
    if (h->n == 0)
        return;
    fputs("<table id=\"holders\"><tr><th>call site</th><th>keeps</th><th>sampled blocks</th></tr>\n", to);
    for (size_t i = 0; i < h->n; i++) {
        holders_stack(&h->list[i], FRAMES_SHOWN, stack, sizeof stack);
        fputs("<tr class=\"holder\"><td>", to);
        map_put_escaped(stack, to);
        fprintf(to, "</td><td title=\"%zu\">%s</td><td>%zu</td></tr>\n", h->list[i].bytes,
                tool_size(h->list[i].bytes), h->list[i].samples);
    }
    fputs("</table>\n", to);
}

/* ---- as JSON ------------------------------------------------------------------------------------------------- */

static void put_site(const holder_t *h, bool first, FILE *to)
{
    char frame[200];
    fprintf(to, "%s\n{\"bytes\":%zu,\"samples\":%zu,\"stack\":[", first ? "" : ",", h->bytes, h->samples);
    for (size_t i = 0; holders_frame(h, i, frame, sizeof frame) > 0; i++) {
        fputs(i > 0 ? ",\"" : "\"", to);
        map_put_plain(frame, to);
        fputc('"', to);
    }
    fputs("]}", to);
}

void holders_put_json(const holders_t *h, FILE *to)
{
    fputs("\"holders\":", to);
    if (h->state != HOLDERS_FOUND) {
        fputs("null,", to);
        return;
    }
    fprintf(to, "{\"interval\":%zu,\"steady\":%s,\"kept\":%zu,\"stranded\":%zu,\"sites\":[", h->interval,
            h->steady ? "true" : "false", h->kept, h->stranded);
    for (size_t i = 0; i < h->n; i++)
        put_site(&h->list[i], i == 0, to);
    fputs("]},", to);
}

/* ---- read again ---------------------------------------------------------------------------------------------- */

static void read_site(json_t from, holder_t *h)
{
    char frame[200];
    size_t length = 0;
    (void)json_size(json_member(from, "bytes"), &h->bytes);
    (void)json_size(json_member(from, "samples"), &h->samples);
    h->stack = tool_alloc(FRAMES_NAMED * sizeof frame + 1);
    json_t f = json_first(json_member(from, "stack"));
    for (size_t i = 0; f != NULL && i < FRAMES_NAMED; f = json_next(f), i++)
        if (json_text(f, frame, sizeof frame - 1))
            length += (size_t)snprintf(h->stack + length, sizeof frame, "%s\n", frame);
}

void holders_read(holders_t *h, json_t from)
{
    json_t sites = json_member(from, "sites");
    if (sites == NULL)
        return;
    h->state = HOLDERS_FOUND;
    h->steady = json_true(json_member(from, "steady"));
    (void)json_size(json_member(from, "interval"), &h->interval);
    (void)json_size(json_member(from, "kept"), &h->kept);
    (void)json_size(json_member(from, "stranded"), &h->stranded);
    for (json_t s = json_first(sites); s != NULL; s = json_next(s))
        h->n++;
    h->list = tool_alloc(h->n * sizeof *h->list);
    size_t i = 0;
    for (json_t s = json_first(sites); s != NULL && i < h->n; s = json_next(s))
        read_site(s, &h->list[i++]);
}
