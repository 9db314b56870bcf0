#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1024 }; // bytes of buffer that a client may keep

/* Room for len bytes at the end, or NULL. */
static char *room_for(struct reply *o, size_t len)
{
    if (o->broken || o->silent)
        return NULL;
    if (o->cut + o->len - o->sent + len > REPLY_LIMIT) {
        o->broken = true;
        return NULL;
    }
    if (o->len + len > o->room) {
        size_t room = o->room == 0 ? 256 : o->room;
        while (room < o->len + len)
            room *= 2;
        char *bytes = realloc(o->bytes, room);
        if (bytes == NULL) {
            o->broken = true;
            return NULL;
        }
        o->bytes = bytes;
        o->room = room;
    }
    return o->bytes + o->len;
}

void reply_raw(struct reply *o, const void *bytes, size_t len)
{
    char *to = len == 0 ? NULL : room_for(o, len);
    if (to == NULL)
        return;
    memcpy(to, bytes, len);
    o->len += len;
}

/* A line that begins with a type and has a number. */
static void header(struct reply *o, char type, int64_t value)
{
    char text[32], *p = text + sizeof text;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    *--p = '\n';
    *--p = '\r';
    do
        *--p = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        *--p = '-';
    *--p = type;
    reply_raw(o, p, (size_t)(text + sizeof text - p));
}

void reply_status(struct reply *o, const char *text)
{
    reply_raw(o, "+", 1);
    reply_raw(o, text, strlen(text));
    reply_raw(o, "\r\n", 2);
}

/* Ends of line in a text that quotes the client become blanks, or go at its end. */
void reply_error(struct reply *o, const char *format, ...)
{
    char few[512], *text = few;
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(few, sizeof few, format, list);
    if (n >= (int)sizeof few && (text = malloc((size_t)n + 1)) != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    text = text == NULL ? few : text; // cut
    va_end(again);
    va_end(list);
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n'))
        len--;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' || text[i] == '\n')
            text[i] = ' ';
    }
    reply_raw(o, "-", 1);
    reply_raw(o, text, len);
    reply_raw(o, "\r\n", 2);
    if (text != few)
        free(text);
}

void reply_integer(struct reply *o, int64_t value) { header(o, ':', value); }

void reply_bulk(struct reply *o, const void *bytes, size_t len)
{
    header(o, '$', (int64_t)len);
    reply_raw(o, bytes, len);
    reply_raw(o, "\r\n", 2);
}

void reply_text(struct reply *o, const char *text) { reply_bulk(o, text, strlen(text)); }

void reply_double(struct reply *o, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    if (!o->resp3) {
        reply_text(o, text);
        return;
    }
    reply_raw(o, ",", 1);
    reply_raw(o, text, strlen(text));
    reply_raw(o, "\r\n", 2);
}

void reply_null(struct reply *o)
{
    if (o->resp3)
        reply_raw(o, "_\r\n", 3);
    else
        reply_raw(o, "$-1\r\n", 5);
}

void reply_null_array(struct reply *o)
{
    if (o->resp3)
        reply_raw(o, "_\r\n", 3);
    else
        reply_raw(o, "*-1\r\n", 5);
}

void reply_array(struct reply *o, size_t n) { header(o, '*', (int64_t)n); }

void reply_map(struct reply *o, size_t pairs)
{
    if (o->resp3)
        header(o, '%', (int64_t)pairs);
    else
        header(o, '*', (int64_t)pairs * 2);
}

void reply_set(struct reply *o, size_t n) { header(o, o->resp3 ? '~' : '*', (int64_t)n); }

struct reply_piece *reply_cut(struct reply *o)
{
    struct reply_piece *piece = o->len == 0 ? NULL : malloc(sizeof *piece);
    if (piece == NULL) {
        o->broken |= o->len > 0;
        return NULL;
    }
    *piece = (struct reply_piece){NULL, o->bytes, o->len};
    o->cut += o->len;
    o->bytes = NULL;
    o->len = o->room = 0;
    return piece;
}

void reply_append(struct reply *o, struct reply_piece *pieces)
{
    struct reply_piece **end = &o->pieces;
    while (*end != NULL)
        end = &(*end)->next;
    *end = pieces;
}

void reply_free_pieces(struct reply_piece *pieces)
{
    while (pieces != NULL) {
        struct reply_piece *piece = pieces;
        pieces = piece->next;
        free(piece->bytes);
        free(piece);
    }
}

bool reply_next(const struct reply *o, const char **bytes, size_t *len)
{
    bool own = o->len > 0;
    if (!own && o->pieces == NULL)
        return false;
    *bytes = (own ? o->bytes : o->pieces->bytes) + o->sent;
    *len = (own ? o->len : o->pieces->len) - o->sent;
    return true;
}

void reply_sent(struct reply *o, size_t n)
{
    struct reply_piece *piece = o->pieces;
    o->sent += n;
    if (o->len > 0 && o->sent == o->len) {
        o->len = o->sent = 0;
        if (o->room > KEPT) {
            free(o->bytes);
            o->bytes = NULL;
            o->room = 0;
        }
    } else if (o->len == 0 && piece != NULL && o->sent == piece->len) {
        o->pieces = piece->next;
        o->sent = 0;
        free(piece->bytes);
        free(piece);
    }
}

void reply_free(struct reply *o)
{
    reply_free_pieces(o->pieces);
    free(o->bytes);
    *o = (struct reply){0};
}
