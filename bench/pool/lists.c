/* lists.c - see lists.h. */
#include "lists.h"
#include <stdint.h>

typedef struct piece {
    uint32_t size, used; /* bytes, header included; used is for list_dump alone */
    struct piece *next;  /* in the list of free pieces, by address */
} piece_t;

enum { HEADER = 8, LEAST = sizeof(piece_t) };
static piece_t *first, *start;
static char *end;
static bool best_fit;

void list_init(void *buffer, size_t size, bool best)
{
    first = start = buffer;
    first->size = (uint32_t)(size & ~(size_t)7);
    first->used = 0;
    first->next = NULL;
    end = (char *)buffer + first->size;
    best_fit = best;
}

void *list_alloc(size_t size)
{
    size_t need = (size + HEADER + 7) & ~(size_t)7;
    piece_t **at, **found = NULL, *p;
    need = need < LEAST ? LEAST : need;
    for (at = &first; *at; at = &(*at)->next) {
        if ((*at)->size >= need && (!found || (*at)->size < (*found)->size)) {
            found = at;
            if (!best_fit || (*at)->size == need)
                break;
        }
    }
    if (!found)
        return NULL;
    p = *found;
    if (p->size - need >= LEAST) {
        piece_t *rest = (piece_t *)(void *)((char *)p + need);
        rest->size = (uint32_t)(p->size - need);
        rest->used = 0;
        rest->next = p->next;
        *found = rest;
        p->size = (uint32_t)need;
    } else {
        *found = p->next;
    }
    p->used = 1;
    return (char *)p + HEADER;
}

void list_free(void *q)
{
    piece_t *p = (piece_t *)(void *)((char *)q - HEADER), *before = NULL, *after = first;
    if (q == NULL)
        return;
    for (; after && after < p; after = after->next)
        before = after;
    p->used = 0;
    p->next = after;
    if (after && (char *)p + p->size == (char *)after) {
        p->size += after->size;
        p->next = after->next;
    }
    if (!before) {
        first = p;
    } else if ((char *)before + before->size == (char *)p) {
        before->size += p->size;
        before->next = p->next;
    } else {
        before->next = p;
    }
}

size_t list_largest(void)
{
    size_t most = HEADER;
    for (const piece_t *p = first; p; p = p->next)
        most = p->size > most ? p->size : most;
    return most - HEADER;
}

void list_dump(unsigned columns, void (*write)(void *, const char *, size_t), void *context)
{
    unsigned turn = 0, filled = 0;
    for (const char *at = (const char *)start; at < end;) {
        const piece_t *p = (const piece_t *)(const void *)at;
        char mark = p->used ? "#="[turn++ & 1] : at + p->size == end ? '_' : '.';
        for (uint32_t i = 0; i < p->size; i += 8) {
            write(context, &mark, 1);
            if (++filled % columns == 0)
                write(context, "\n", 1);
        }
        at += p->size;
    }
    write(context, "\n", 1);
}
