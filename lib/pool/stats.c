/* stats.c - statistics, and a map of the blocks as text. */
#include "pool/quick.h"

/* The length of the longest free piece: a gap in the highest bin that is not empty, or the wilderness. *gaps is the
 * number of gaps. */
static ix_t largest(const pool_t *p, unsigned w, size_t *gaps)
{
    ix_t most = p->limit - tmi_begin(p, w, 0), e = 0;
    do {
        ix_t next = tmi_next(p, w, e), end = tmi_begin(p, w, next);
        if (tmi_state(p, next) == LEFT) {
            ++*gaps;
            if (end - tmi_tag(p, w, end) > most)
                most = end - tmi_tag(p, w, end);
        }
        e = next;
    } while (e != 0);
    return most;
}

void tm_pool_stats(const tm_pool_t *p, tm_pool_stats_t *s)
{
    const unsigned w = TMI_WIDTH(p);
    TMI_SHELVE(p);
    s->block_size = p->block_size;
    s->blocks = p->limit;
    s->used = p->used;
    s->peak = p->peak;
    s->wilderness = p->limit - tmi_begin(p, w, 0);
    s->gaps = 0;
    s->largest = largest(p, w, &s->gaps);
    s->handles = p->handles;
    s->live = p->live;
    s->pins = p->npins;
    s->moved = p->moved;
    s->overhead = (size_t)(p->flags - (const unsigned char *)p) + ((size_t)p->handles + 4) / 4 +
                  (TM_POOL_GENERATIONS ? (size_t)p->handles + 1 : 0) + 2 * TMI_SENTINEL;
    s->index_bits = w * 8;
}

#if TM_POOL_DUMP

typedef struct strip {
    tm_pool_write_t write;
    void *context;
    unsigned columns, filled;
    char line[33]; /* part of a line: 32 marks and NUL */
    unsigned char pending;
} strip_t;

static void flush(strip_t *s)
{
    if (s->pending)
        s->write(s->context, s->line, s->pending);
    s->pending = 0;
}

static void draw(strip_t *s, ix_t blocks, char mark)
{
    for (; blocks > 0; blocks--) {
        s->line[s->pending++] = mark;
        if (++s->filled == s->columns) {
            s->line[s->pending++] = '\n';
            s->filled = 0;
        }
        if (s->pending >= sizeof s->line - 1)
            flush(s);
    }
}

void tm_pool_dump(const tm_pool_t *p, unsigned columns, tm_pool_write_t write, void *context)
{
    const unsigned w = TMI_WIDTH(p);
    ix_t e = 0, begin = 0;
    unsigned turn = 0;
    strip_t s;
    TMI_SHELVE(p);
    s.write = write;
    s.context = context;
    s.columns = columns ? columns : 64;
    s.filled = s.pending = 0;
    do {
        ix_t next = tmi_next(p, w, e), end = tmi_begin(p, w, next), gap = end;
        if (tmi_state(p, next) == LEFT)
            gap = tmi_tag(p, w, end);
        if (e != 0 && tmi_state(p, e) != NAME)
            draw(&s, gap - begin, tmi_pool_pinned(p, e) ? "Pp"[turn++ & 1] : "#="[turn++ & 1]);
        draw(&s, end - gap, '.');
        begin = end;
        e = next;
    } while (e != 0);
    draw(&s, p->limit - begin, '_');
    if (s.filled)
        s.line[s.pending++] = '\n';
    flush(&s);
}

typedef struct text {
    char *at;
    size_t size, length;
} text_t;

static void append(void *context, const char *piece, size_t length)
{
    text_t *t = context;
    size_t i;
    for (i = 0; i < length; i++, t->length++)
        if (t->length + 1 < t->size)
            t->at[t->length] = piece[i];
}

size_t tm_pool_dump_text(const tm_pool_t *p, unsigned columns, char *text, size_t size)
{
    text_t t;
    t.at = text;
    t.size = size;
    t.length = 0;
    tm_pool_dump(p, columns, append, &t);
    if (size > 0)
        text[t.length < size ? t.length : size - 1] = 0;
    return t.length;
}

#endif
