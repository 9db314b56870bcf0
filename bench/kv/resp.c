#include "resp.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_ARGS = 64 };

bool resp_integer(const char *s, size_t len, int64_t *out)
{
    bool negative = len > 1 && s[0] == '-';
    uint64_t value = 0;
    size_t i = negative;
    if (len == 0 || len > 20 || (s[i] == '0' && len > 1))
        return false;
    for (; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s[i] - '0'), &value))
            return false;
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static enum resp_status fail(struct resp *r, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(r->error, sizeof r->error, format, list);
    va_end(list);
    return RESP_ERROR;
}

static bool add(struct resp *r, size_t at, size_t len)
{
    if (r->argc == r->room) {
        uint32_t room = r->room == 0 ? 8 : r->room * 2;
        struct slice *argv = realloc(r->argv, room * sizeof *argv);
        if (argv == NULL)
            return false;
        r->argv = argv;
        r->room = room;
    }
    r->argv[r->argc++] = (struct slice){at, len};
    return true;
}

/* The line at pos: its length without the end, and where the next one starts. False: it has not arrived whole. */
static bool line(struct resp *r, const char *b, size_t len, char end, size_t *line_len, size_t *next)
{
    size_t from = r->scanned > r->pos ? r->scanned : r->pos;
    const char *found = from < len ? memchr(b + from, end, len - from) : NULL;
    size_t at = found == NULL ? len : (size_t)(found - b);
    if (found == NULL || (end == '\r' && at + 1 == len)) {
        r->scanned = at;
        return false;
    }
    *line_len = at - r->pos;
    *next = at + (end == '\r' ? 2 : 1);
    return true;
}

/* A line of the array form: one byte, a number. */
static enum resp_status number(struct resp *r, const char *b, size_t len, const char *what, int64_t *value)
{
    size_t line_len, next;
    if (!line(r, b, len, '\r', &line_len, &next))
        return len - r->pos > RESP_MAX_LINE ? fail(r, "Protocol error: too big %s count string", what) : RESP_MORE;
    bool good = resp_integer(b + r->pos + 1, line_len - 1, value);
    r->pos = next;
    return good ? RESP_DONE : RESP_ERROR;
}

static enum resp_status bulk(struct resp *r, const char *b, size_t len)
{
    if (!r->in_bulk) {
        int64_t value;
        if (r->pos >= len)
            return RESP_MORE;
        if (b[r->pos] != '$') {
            enum resp_status waiting = RESP_MORE; // as Redis: the line first, then its first byte
            size_t line_len, next;
            if (!line(r, b, len, '\r', &line_len, &next))
                return len - r->pos > RESP_MAX_LINE ? fail(r, "Protocol error: too big bulk count string") : waiting;
            return fail(r, "Protocol error: expected '$', got '%c'", b[r->pos]);
        }
        enum resp_status status = number(r, b, len, "bulk", &value);
        if (status == RESP_MORE || (status == RESP_ERROR && r->error[0] != 0))
            return status;
        if (status == RESP_ERROR || value < 0 || value > RESP_MAX_BULK)
            return fail(r, "Protocol error: invalid bulk length");
        r->bulk = (size_t)value;
        r->in_bulk = true;
    }
    if (len - r->pos < r->bulk + 2)
        return RESP_MORE;
    if (!add(r, r->pos, r->bulk))
        return fail(r, "out of memory");
    r->pos += r->bulk + 2; // as Redis, which does not look at these two bytes
    r->in_bulk = false;
    return RESP_DONE;
}

static enum resp_status array(struct resp *r, const char *b, size_t len)
{
    if (!r->in_array) {
        int64_t value;
        enum resp_status status = number(r, b, len, "mbulk", &value);
        if (status == RESP_MORE || (status == RESP_ERROR && r->error[0] != 0))
            return status;
        if (status == RESP_ERROR || value > RESP_MAX_ARGS)
            return fail(r, "Protocol error: invalid multibulk length");
        r->left = value > 0 ? (uint32_t)value : 0;
        r->in_array = true;
    }
    for (; r->left > 0; r->left--) {
        enum resp_status status = bulk(r, b, len);
        if (status != RESP_DONE)
            return status;
    }
    r->used = r->pos;
    return RESP_DONE;
}

/* A line of words, for those who type. Quotes join words; there are no escapes within them. */
static enum resp_status words(struct resp *r, const char *b, size_t len)
{
    size_t line_len, next, i = 0;
    if (!line(r, b, len, '\n', &line_len, &next))
        return len > RESP_MAX_LINE ? fail(r, "Protocol error: too big inline request") : RESP_MORE;
    if (line_len > 0 && b[line_len - 1] == '\r')
        line_len--;
    for (;;) {
        while (i < line_len && isspace((unsigned char)b[i]))
            i++;
        if (i == line_len || b[i] == 0)
            break;
        char quote = b[i] == '"' || b[i] == '\'' ? b[i++] : 0;
        size_t at = i;
        while (i < line_len && b[i] != 0 && (quote != 0 ? b[i] != quote : !isspace((unsigned char)b[i]) && b[i] != '"'))
            i++;
        if (quote != 0 ? i == line_len || b[i] != quote || (i + 1 < line_len && !isspace((unsigned char)b[i + 1]))
                       : i < line_len && b[i] == '"')
            return fail(r, "Protocol error: unbalanced quotes in request");
        if (!add(r, at, i - at))
            return fail(r, "out of memory");
        i += quote != 0;
    }
    r->used = next;
    return RESP_DONE;
}

enum resp_status resp_parse(struct resp *r, const char *bytes, size_t len)
{
    if (len == 0)
        return RESP_MORE;
    return bytes[0] == '*' ? array(r, bytes, len) : words(r, bytes, len);
}

void resp_next(struct resp *r)
{
    struct slice *argv = r->argv;
    uint32_t room = r->room;
    if (room > KEPT_ARGS) {
        free(argv);
        argv = NULL;
        room = 0;
    }
    *r = (struct resp){.argv = argv, .room = room};
}

void resp_free(struct resp *r)
{
    free(r->argv);
    *r = (struct resp){0};
}
