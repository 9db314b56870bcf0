/* lists.h - the two allocators that small systems mostly have: one list of free pieces in address order, first fit or
 * best fit, joined with their neighbours when freed. A header of 8 bytes before each object. */
#ifndef BENCH_POOL_LISTS_H
#define BENCH_POOL_LISTS_H

#include <stdbool.h>
#include <stddef.h>

void list_init(void *buffer, size_t size, bool best);
void *list_alloc(size_t size);
void list_free(void *p);

/* The largest size that can be allocated. */
size_t list_largest(void);

/* A strip as the pool draws it, a character for 8 bytes. */
void list_dump(unsigned columns, void (*write)(void *, const char *, size_t), void *context);

#endif
