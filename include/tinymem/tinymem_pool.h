/** tinymem_pool.h - handles over a buffer that you own: an allocator that can defragment, for systems with no OS.
 *
 *  tm_pool_alloc returns a small number, a handle, instead of an address. tm_pool_at turns a handle into an address, in
 *  three instructions. The address is valid until the next call that may move objects (see below), or while the handle
 *  is pinned. At other times the pool may slide objects together, in steps as short as you like, so that free memory
 *  becomes one piece again.
 *
 *      static unsigned char buffer[65536] TM_POOL_BUFFER;
 *      tm_pool_t *pool = (tm_pool_t *)buffer;
 *      tm_pool_config_t config = {0};
 *      config.handles = 500;
 *      tm_pool_init(buffer, sizeof buffer, &config);
 *      tm_pool_handle_t h = tm_pool_alloc(pool, 100);
 *      strcpy(tm_pool_ptr(pool, h), "hello");
 *      ...
 *      while (idle()) if (!tm_pool_compact_step(pool, 512, 0)) break;
 *      puts(tm_pool_ptr(pool, h));           // perhaps at another address: ask again after each call that moves
 *      tm_pool_free(pool, h);
 *
 *  What moves objects: tm_pool_compact, tm_pool_compact_step, tm_pool_realloc (its own object), and with
 *  TM_POOL_COMPACT also tm_pool_alloc, tm_pool_calloc and tm_pool_realloc. Nothing else does; nothing moves a pinned
 *  object.
 *
 *  Everything is inside the buffer. There are no globals, and there may be any number of pools. Of libc only memcpy,
 *  memmove and memset are used.
 *
 *  Threads and interrupts: a pool has no lock, so calls for the same pool must not overlap. There is one exception.
 *  While a call is in progress, an interrupt or signal handler may use tm_pool_ptr, tm_pool_at* and tm_pool_valid on
 *  pinned handles, and may read and write these objects. */
#ifndef TINYMEM_POOL_H
#define TINYMEM_POOL_H

#include "tinymem_pool_config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#if defined(__GNUC__) /* the casts of what is inlined */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif
extern "C" {
#endif

/** A handle; 0 is none. Valid from tm_pool_alloc to tm_pool_free (or tm_pool_reset); realloc and moves keep it. */
#if TM_POOL_HANDLE_BITS == 16
typedef uint16_t tm_pool_handle_t;
#else
typedef uint32_t tm_pool_handle_t;
#endif

/** Errors. A function that returns a handle, a size or a pointer returns 0, and tm_pool_error tells the error. An error
 *  changes nothing, except that TM_POOL_COMPACT may have moved objects. */
typedef enum tm_pool_error {
    TM_POOL_OK = 0,
    TM_POOL_FRAGMENTED, /**< enough blocks are free, but not in one piece: compact, and try again */
    TM_POOL_NO_MEMORY,  /**< too few blocks are free, or pins prevent further compaction */
    TM_POOL_NO_HANDLES, /**< all handles are in use; tm_pool_init: more, or more pins, than the index can count */
    TM_POOL_BAD_SIZE,   /**< 0, or more than the type or the pool can hold */
    TM_POOL_BAD_HANDLE, /**< 0, foreign, freed already; stale, with TM_POOL_GENERATIONS */
    TM_POOL_PINNED,     /**< the object is pinned, and it would have to be freed or moved */
    TM_POOL_NO_PINS,    /**< max_pins pins are held */
    TM_POOL_NOT_PINNED, /**< unpin without pin */
    TM_POOL_CORRUPT,    /**< the metadata contradicts itself: the program wrote past an object, or to a freed one */
    TM_POOL_BAD_BUFFER, /**< NULL, misaligned, not in 256 bytes ... 4 GiB, or too small for the configuration */
    TM_POOL_BAD_CONFIG  /**< NULL; a block size that is no power of two or below four indices; too many blocks */
} tm_pool_error_t;

/** A clock for tm_pool_compact_step: ticks of any length, wrapping at 2^32. It must not call the pool. */
typedef uint32_t (*tm_pool_clock_t)(void *context);

/** Parameters of tm_pool_init. Set `handles`; the others may all be 0. */
typedef struct tm_pool_config {
    size_t handles;          /**< how many objects may live at once; 1 or more */
    size_t block_size;       /**< bytes, a power of two; 0: the smallest for which `handles` decides the index width */
    size_t align;            /**< of every object, a power of two; 0: the block size. More raises the block size */
    size_t max_pins;         /**< pins held at once, nested ones counted singly */
    unsigned options;        /**< TM_POOL_COMPACT or 0 */
    uint32_t bytes_per_tick; /**< how fast memmove is by `clock`, a low estimate; 0: 1 */
    tm_pool_clock_t clock;   /**< NULL: steps are limited in bytes only */
    void *clock_context;
} tm_pool_config_t;

/** Option: when memory is fragmented, alloc, calloc and realloc compact all of it and try once more. */
#define TM_POOL_COMPACT 1u

/** Figures, in blocks where not said otherwise. */
typedef struct tm_pool_figures {
    size_t block_size;       /**< bytes */
    size_t blocks;           /**< in the pool */
    size_t used;             /**< in objects */
    size_t peak;             /**< the most `used` has been */
    size_t wilderness;       /**< free, behind the last object */
    size_t gaps; /**< free pieces between objects: their number, not their size (blocks - used - wilderness) */
    size_t largest;          /**< what can be allocated now in one piece */
    size_t handles;          /**< in all */
    size_t live;             /**< handles in use */
    size_t pins;             /**< held now */
    size_t moved;            /**< bytes that compaction has moved so far */
    size_t overhead;         /**< bytes of the buffer that are neither block nor padding */
    unsigned index_bits;     /**< 8, 16 or 32 */
} tm_pool_stats_t;

#if defined(__GNUC__)
#define TM_POOL_ALIAS __attribute__((__may_alias__))
/** Aligns a buffer for a pool. Write it behind the buffer's declaration. */
#define TM_POOL_BUFFER __attribute__((__aligned__(16)))
#else
#define TM_POOL_ALIAS
#define TM_POOL_BUFFER
#endif

/* Fields that hold an index or count blocks, and pointers to them in the buffer. */
#if TM_POOL_INDEX_BITS == 8 || TM_POOL_INDEX_BITS == 16
typedef uint16_t tm_pool_index_t;
#else
typedef uint32_t tm_pool_index_t;
#endif
typedef uint8_t TM_POOL_ALIAS tm_pool_u8_t;
typedef uint16_t TM_POOL_ALIAS tm_pool_u16_t;
typedef uint32_t TM_POOL_ALIAS tm_pool_u32_t;

/** The head of a pool, at the start of its buffer. Its fields are private; lib/pool/pool.h explains them. They are
 *  declared here only for tm_pool_at. */
typedef struct TM_POOL_ALIAS tm_pool {
    unsigned char *base;
    size_t block_size;
    unsigned char *flags;
    uint8_t mask, width, shift, error; /* what is used most comes first: short instructions on small machines */
    tm_pool_index_t bins[8];
    tm_pool_index_t limit, used, tail, handles, live, fresh, unused, low, swept, cursor, scan, npins, max_pins, peak,
        recent;
    uint8_t options, blocked;
    unsigned char *pins;
#if TM_POOL_GENERATIONS
    unsigned char *generations;
#endif
    tm_pool_clock_t clock;
    void *clock_context;
    uint32_t bytes_per_tick;
    size_t moved, skipped;
} tm_pool_t;

/** Make a pool of the `size` bytes at `buffer`, which is aligned for a pointer (TM_POOL_BUFFER) and stays the caller's.
 *  The pool is then (tm_pool_t *)buffer. 256 bytes to 4 GiB. The index has the fewest bits that can count the handles
 *  and the blocks; blocks hold at least four indices (4, 8 or 16 bytes). Time: a store per 4 handles.
 *  @errors  BAD_BUFFER, BAD_CONFIG, NO_HANDLES: the buffer is untouched. */
tm_pool_error_t tm_pool_init(void *buffer, size_t size, const tm_pool_config_t *config);

/** Free everything at once and forget all pins. Configuration, peak and sum of bytes moved stay. */
void tm_pool_reset(tm_pool_t *pool);

/** Extend the buffer to `size` bytes in all, counted from its start. The wilderness grows in place.
 *  @errors  BAD_SIZE: less than before, over 4 GiB, or more blocks than the index can count. */
tm_pool_error_t tm_pool_extend(tm_pool_t *pool, size_t size);

/** The error of the last call that failed. A call that succeeds leaves it. */
static inline tm_pool_error_t tm_pool_error(const tm_pool_t *pool) { return (tm_pool_error_t)pool->error; }

/** Allocate `size` bytes, 1 or more, aligned to the pool's alignment; contents undefined.
 *  @return  a handle, or 0
 *  @errors  FRAGMENTED, NO_MEMORY, NO_HANDLES, BAD_SIZE, CORRUPT */
tm_pool_handle_t tm_pool_alloc(tm_pool_t *pool, size_t size);

/** The same for n objects of `size` bytes each, all zero (the block-rounded rest included). */
tm_pool_handle_t tm_pool_calloc(tm_pool_t *pool, size_t n, size_t size);

/** Resize an object to `size` bytes, 1 or more. The handle stays the same, and so do the contents up to the smaller
 *  size. The object stays in place if possible, and moves if not. Needs no spare handle. A pinned object is resized in
 *  place only.
 *  @errors  FRAGMENTED, NO_MEMORY, BAD_SIZE, BAD_HANDLE, PINNED, CORRUPT: the object is as it was. */
tm_pool_error_t tm_pool_realloc(tm_pool_t *pool, tm_pool_handle_t handle, size_t size);

/** Free an object.  @errors  BAD_HANDLE (a double free, too), PINNED, CORRUPT */
tm_pool_error_t tm_pool_free(tm_pool_t *pool, tm_pool_handle_t handle);

/** Whether it is a live handle of this pool. Handles of other pools are recognised if their index is not in use, or by
 *  their generation. */
bool tm_pool_valid(const tm_pool_t *pool, tm_pool_handle_t handle);

/** Verify one object: its handle, its place, the metadata of free neighbours, and in check builds its guard.
 *  @return  OK, BAD_HANDLE or CORRUPT */
tm_pool_error_t tm_pool_check(const tm_pool_t *pool, tm_pool_handle_t handle);

/** Usable bytes: the size rounded up to whole blocks (in check builds less the guard); 0 for a bad handle. */
size_t tm_pool_sizeof(const tm_pool_t *pool, tm_pool_handle_t handle);

/** Address of an object, or NULL for a bad handle. */
void *tm_pool_ptr(const tm_pool_t *pool, tm_pool_handle_t handle);

/** Address of a live object, unchecked, in three instructions. For pools whose index width is known to be 8, 16 or 32
 *  bits. */
static inline void *tm_pool_at8(const tm_pool_t *pool, tm_pool_handle_t handle);
static inline void *tm_pool_at16(const tm_pool_t *pool, tm_pool_handle_t handle);
static inline void *tm_pool_at32(const tm_pool_t *pool, tm_pool_handle_t handle);
/** The same for any width: three instructions where TM_POOL_INDEX_BITS fixes it, with a branch or two where not. */
static inline void *tm_pool_at(const tm_pool_t *pool, tm_pool_handle_t handle);

/** Keep an object where it is until the matching tm_pool_unpin. Pins nest; each takes a place in the list of max_pins.
 *  @return  its address, or NULL
 *  @errors  BAD_HANDLE, NO_PINS */
void *tm_pool_pin(tm_pool_t *pool, tm_pool_handle_t handle);

/** Take one pin off.  @errors  BAD_HANDLE, NOT_PINNED */
tm_pool_error_t tm_pool_unpin(tm_pool_t *pool, tm_pool_handle_t handle);

/** Slide all objects together, so that free memory is one piece. Later objects fill holes before pinned objects where
 *  they fit.
 *  @return  bytes moved
 *  @errors  CORRUPT: compaction stops there */
size_t tm_pool_compact(tm_pool_t *pool);

/** A bounded piece of the same work. Between steps all other calls may be made.
 *  @param bytes limit on the bytes moved. Each list entry examined counts as TM_POOL_VISIT_COST bytes, each comparison
 *                with a pin as one. Objects too large for the limit stay where they are, as if pinned. A limit below 24
 *                entries and all pins allows no work. 0: no limit.
 *  @param ticks limit in ticks of config.clock, which is read before each entry is examined and before each move. A
 *  move
 *                begins only if it will end in time at bytes_per_tick. Objects that need half of the limit or more stay
 *                where they are. The limit is exceeded by the examination of one entry at most. 0, or no clock: no
 *                limit.
 *  @return       whether another step can gain anything. False at once, in constant time, when nothing can be
 *                gained. */
bool tm_pool_compact_step(tm_pool_t *pool, size_t bytes, uint32_t ticks);

/** Fill in the figures. Time: a walk over all objects. */
void tm_pool_stats(const tm_pool_t *pool, tm_pool_stats_t *stats);

#if TM_POOL_AUDIT
/** Verify every invariant of the pool's metadata (P1 ... P11 in lib/pool/pool.h). Reads everything, changes nothing.
 *  @return  0, or the number of a broken invariant */
unsigned tm_pool_check_all(const tm_pool_t *pool);
#endif

#if TM_POOL_DUMP
/** Receives a piece of text, not terminated. */
typedef void (*tm_pool_write_t)(void *context, const char *text, size_t length);

/** Draw the strip of blocks, one character a block, `columns` of them a line (0: 64): used = and # in turn from object
 *  to object, pinned
 *  P and p in turn, free between objects a dot, wilderness an underscore. Wait for nothing; allocate nothing. */
void tm_pool_dump(const tm_pool_t *pool, unsigned columns, tm_pool_write_t write, void *context);

/** The same into `size` bytes of text, terminated and cut off where it does not fit. @return the length of the whole,
 *  without the 0 */
size_t tm_pool_dump_text(const tm_pool_t *pool, unsigned columns, char *text, size_t size);
#endif

/* ---- inlined ----------------------------------------------------------------------------------------------------- */

#if TM_POOL_GENERATIONS
#define TM_POOL_INDEX_OF(handle) ((handle) & (((tm_pool_handle_t)1 << (TM_POOL_HANDLE_BITS - 8)) - 1))
#else
#define TM_POOL_INDEX_OF(handle) (handle)
#endif

/* The entries lie right behind the head: where the object begins, in blocks, and the next entry. */
static inline void *tm_pool_at8(const tm_pool_t *pool, tm_pool_handle_t handle)
{
    return pool->base +
           ((const tm_pool_u8_t *)(const void *)(pool + 1))[2 * (size_t)TM_POOL_INDEX_OF(handle)] * pool->block_size;
}

static inline void *tm_pool_at16(const tm_pool_t *pool, tm_pool_handle_t handle)
{
    return pool->base +
           ((const tm_pool_u16_t *)(const void *)(pool + 1))[2 * (size_t)TM_POOL_INDEX_OF(handle)] * pool->block_size;
}

static inline void *tm_pool_at32(const tm_pool_t *pool, tm_pool_handle_t handle)
{
    return pool->base +
           ((const tm_pool_u32_t *)(const void *)(pool + 1))[2 * (size_t)TM_POOL_INDEX_OF(handle)] * pool->block_size;
}

static inline void *tm_pool_at(const tm_pool_t *pool, tm_pool_handle_t handle)
{
#if TM_POOL_INDEX_BITS == 8
    return tm_pool_at8(pool, handle);
#elif TM_POOL_INDEX_BITS == 16
    return tm_pool_at16(pool, handle);
#elif TM_POOL_INDEX_BITS == 32
    return tm_pool_at32(pool, handle);
#else
    return pool->width == 2   ? tm_pool_at16(pool, handle)
           : pool->width == 1 ? tm_pool_at8(pool, handle)
                              : tm_pool_at32(pool, handle);
#endif
}

#ifdef __cplusplus
}
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#endif

#endif
