/* pool.h - the pool's metadata: layout, invariants, and access. Private to lib/pool.
 *
 * Idea: each handle has an entry that holds the block where its object begins, and the next entry in address order. The
 * length of an object follows from the start of the next object or gap. So an entry is two indices and two bits. All
 * other metadata is in free memory: a free piece between objects, a *gap*, contains its own metadata.
 *
 *   buffer   head | entries 0 .. handles | pins | flags, 2 bits an entry | generations |
 *            sentinel | block 0 .. limit - 1 | sentinel
 *
 *   blocks   |  a  |/// gap ///|  c  | d |~~ wilderness ~~|         entry       begin  next
 *            0     2           7     9   10               limit     0 (chain)   10     a     entry 0: the wilderness
 *                                                                    a           0      c
 *   gap      | owner | next in bin | previous in bin | ... | begin | c           7      d     flag LEFT: gap at left
 *                                     (one block: all four in it)    d           9      0
 *
 * Owner. The owner of a gap is the entry of the object before it (entry 0: there is none). But tm_pool_free knows the
 * object before the freed one only if a gap lies between them, which records its owner. Otherwise the freed handle
 * stays in the chain as the gap's *name* (state NAME). It stays until a neighbour is freed, an object is allocated
 * there (it then gets this handle), a pass of compaction visits it, or handles run out, so that its predecessor is
 * searched for. So free is O(1), and all `handles` handles can be live. The wilderness may have a name, too.
 *
 * P1  The sentinels before block 0 and behind block limit - 1 are intact, and the head's constants agree with each
 *     other.
 * P2  The chain from entry 0 goes through entries in use and names, in ascending order of `begin`, and returns to 0
 *     from `tail`. Begin of 0 is the first block of the wilderness.
 * P3  Each block below the wilderness is in exactly one object or gap; no two gaps are neighbours, none borders on the
 *     wilderness.
 * P4  An entry in use has LEFT exactly when a gap ends where it begins; entry 0 never has.
 * P5  A gap's metadata holds its owner and, in its last index, its begin. A gap with a name begins where the name's
 *     entry begins; the name of the wilderness is `tail`.
 * P6  Each gap is in the bin of its length, doubly linked; `mask` has the bits of the bins that are not empty.
 * P7  Each handle is in use, a name, in the list `unused`, or above `fresh`; `live` and `used` count objects and their
 *     blocks.
 * P8  There are at most max_pins pins, all of objects in use.
 * P9  cursor and scan are 0 or in use. While a pass is under way, cursor begins at block `swept`, and scan lies behind
 *     it.
 * P10 Check builds: each object ends in a guard.
 * P11 The gap of the object freed last may not have been made yet: quick.h.
 *
 * The index `none` (all bits set) is no block. Lengths and positions are counted in blocks.
 *
 * If TM_POOL_VERIFY is set, links and begins *in gaps* are not trusted: tmi_gap_valid compares them with the entries,
 * which a small overflow cannot reach. Fails: TM_POOL_CORRUPT, before anything has been changed.
 *
 * Interrupts: nothing writes the entry, the state flags or the bytes of a pinned object, except a resize in place.
 *
 * Width: functions take the width of an index, w, in bytes. Where w is a constant after inlining, the switches below
 * disappear. */
#ifndef TMI_POOL_POOL_H
#define TMI_POOL_POOL_H

#include "tinymem/tinymem_pool.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

typedef tm_pool_t pool_t;
#if TM_POOL_INDEX_BITS == 8 || TM_POOL_INDEX_BITS == 16
typedef unsigned ix_t; /* an index in arithmetic; in memory it has w bytes */
#else
typedef uint32_t ix_t;
#endif

#if TM_POOL_INDEX_BITS
#define TMI_WIDTH(p) ((void)(p), TM_POOL_INDEX_BITS / 8u)
#define TMI_BY_WIDTH(p, function, ...) function(p, TM_POOL_INDEX_BITS / 8u, __VA_ARGS__)
#else
#define TMI_WIDTH(p) ((unsigned)(p)->width)
/* Call the copy of an inline function that is compiled for the pool's width. */
#define TMI_BY_WIDTH(p, function, ...) \
    ((p)->width == 2   ? function(p, 2, __VA_ARGS__) \
     : (p)->width == 1 ? function(p, 1, __VA_ARGS__) \
                       : function(p, 4, __VA_ARGS__))
#endif

#if defined(__GNUC__) && !defined(__OPTIMIZE_SIZE__)
#define TMI_LIKELY(x) __builtin_expect(!!(x), 1)
#define TMI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#else
#define TMI_LIKELY(x) (x)
#define TMI_UNLIKELY(x) (x)
#endif
#ifdef __GNUC__
#define TMI_COLD __attribute__((__cold__, __noinline__))
#ifdef __OPTIMIZE_SIZE__
#define TMI_NOINLINE
#else
#define TMI_NOINLINE __attribute__((__noinline__))
#endif
#ifdef __OPTIMIZE_SIZE__
#define TMI_HOT static __attribute__((__unused__))
#else
#define TMI_HOT static inline __attribute__((__always_inline__))
#endif
#ifdef __OPTIMIZE_SIZE__
#define TMI_TINY static inline
#else
#define TMI_TINY static inline __attribute__((__always_inline__))
#endif
#define TMI_HIDDEN __attribute__((__visibility__("hidden")))
#if !defined(__OPTIMIZE_SIZE__) && !TM_POOL_CHECK
#define TMI_FAST 1 /* the most frequent cases have separate code, quick.h */
#endif
#else
#define TMI_COLD
#define TMI_NOINLINE
#define TMI_HOT static inline
#define TMI_TINY static inline
#define TMI_HIDDEN
#endif

/* For functions that several files of the pool call. In the single-file form all of them are static. */
#ifdef TMI_POOL_SINGLE_FILE
#define TMI_POOL_SHARED static
#else
#define TMI_POOL_SHARED TMI_HIDDEN
#endif

#ifndef TMI_FAST
#define TMI_FAST 0
#endif

enum { TMI_BINS = 8, TMI_SENTINEL = 4, TMI_SENTINEL_BYTE = 0xa7, TMI_GUARD_BYTE = 0x9b };
enum { TMI_GUARD = TM_POOL_CHECK ? 4 : 0 };
enum { USED = 0, LEFT = 1, NAME = 2, UNUSED = 3 }; /* state of an entry. LEFT: in use, with a gap to its left */
enum { OWNER = 0, BIN_NEXT = 1, BIN_PREV = 2, GAP_INDICES = 4 }; /* indices in a gap; the last one is its begin */

/* ---- indices in memory ------------------------------------------------------------------------------------------- */

TMI_TINY ix_t tmi_load(const void *array, unsigned w, size_t i)
{
    switch (w) {
    case 1: return ((const tm_pool_u8_t *)array)[i];
    case 2: return ((const tm_pool_u16_t *)array)[i];
    default: return (ix_t)((const tm_pool_u32_t *)array)[i];
    }
}

TMI_TINY void tmi_store(void *array, unsigned w, size_t i, ix_t value)
{
    switch (w) {
    case 1: ((tm_pool_u8_t *)array)[i] = (uint8_t)value; break;
    case 2: ((tm_pool_u16_t *)array)[i] = (uint16_t)value; break;
    default: ((tm_pool_u32_t *)array)[i] = value; break;
    }
}

TMI_TINY ix_t tmi_none(unsigned w)
{
    return w == 1 ? 0xffu : w == 2 ? 0xffffu : (ix_t)0xffffffffu;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

TMI_TINY ix_t tmi_begin(const pool_t *p, unsigned w, ix_t e) { return tmi_load(p + 1, w, 2 * (size_t)e); }
TMI_TINY void tmi_set_begin(pool_t *p, unsigned w, ix_t e, ix_t b) { tmi_store(p + 1, w, 2 * (size_t)e, b); }

TMI_TINY ix_t tmi_next(const pool_t *p, unsigned w, ix_t e)
{
    TM_POOL_ON_VISIT(p);
    return tmi_load(p + 1, w, 2 * (size_t)e + 1);
}

TMI_TINY void tmi_set_next(pool_t *p, unsigned w, ix_t e, ix_t n) { tmi_store(p + 1, w, 2 * (size_t)e + 1, n); }

TMI_TINY unsigned tmi_state(const pool_t *p, ix_t e) { return p->flags[e >> 2] >> ((e & 3) * 2) & 3u; }

TMI_TINY void tmi_set_state(pool_t *p, ix_t e, unsigned state)
{
    unsigned shift = (e & 3) * 2;
    p->flags[e >> 2] = (uint8_t)((p->flags[e >> 2] & ~(3u << shift)) | state << shift);
}

#if TMI_FAST
/* Change the state of an entry from USED to NAME, and back. */
TMI_TINY void tmi_set_name(pool_t *p, ix_t e) { p->flags[e >> 2] |= (uint8_t)(NAME << (e & 3) * 2); }
TMI_TINY void tmi_clear_name(pool_t *p, ix_t e) { p->flags[e >> 2] &= (uint8_t)~(NAME << (e & 3) * 2); }
#endif

TMI_TINY void tmi_set_left(pool_t *p, ix_t e) { p->flags[e >> 2] |= (uint8_t)(LEFT << (e & 3) * 2); }
TMI_TINY void tmi_clear_left(pool_t *p, ix_t e) { p->flags[e >> 2] &= (uint8_t)~(LEFT << (e & 3) * 2); }

/* The index of a live handle; 0 if it is not live. */
TMI_TINY ix_t tmi_index(const pool_t *p, tm_pool_handle_t handle)
{
    tm_pool_handle_t e = TM_POOL_INDEX_OF(handle);
    if (TMI_UNLIKELY(e - 1u >= p->handles || (tmi_state(p, (ix_t)e) & NAME)))
        return 0;
#if TM_POOL_GENERATIONS
    if (TMI_UNLIKELY(handle >> (TM_POOL_HANDLE_BITS - 8) != p->generations[e]))
        return 0;
#endif
    return (ix_t)e;
}

TMI_TINY tm_pool_handle_t tmi_handle(const pool_t *p, ix_t e)
{
#if TM_POOL_GENERATIONS
    return (tm_pool_handle_t)((tm_pool_handle_t)p->generations[e] << (TM_POOL_HANDLE_BITS - 8) | e);
#else
    return (void)p, (tm_pool_handle_t)e;
#endif
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

TMI_TINY unsigned char *tmi_address(const pool_t *p, ix_t block) { return p->base + block * p->block_size; }

/* The begin of the gap that ends where block `end` begins. */
TMI_TINY ix_t tmi_tag(const pool_t *p, unsigned w, ix_t end) { return tmi_load(tmi_address(p, end) - w, w, 0); }

/* The block at which object e ends: the gap to its right begins, or the next entry. */
TMI_TINY ix_t tmi_end(const pool_t *p, unsigned w, ix_t e)
{
    ix_t next = tmi_next(p, w, e), end = tmi_begin(p, w, next);
    return tmi_state(p, next) == LEFT ? tmi_tag(p, w, end) : end;
}

/* The number of blocks for an object of `size` bytes; 0 if it cannot fit into the pool. */
TMI_TINY ix_t tmi_blocks(const pool_t *p, size_t size)
{
    size_t blocks = ((size + TMI_GUARD - 1) >> p->shift) + 1;
    return TMI_UNLIKELY(size - 1 >= (size_t)-1 - TMI_GUARD || blocks > p->limit) ? 0 : (ix_t)blocks;
}

TMI_TINY bool tmi_filled(const unsigned char *at, unsigned byte)
{
    return at[0] == byte && at[1] == byte && at[2] == byte && at[3] == byte;
}

/* The guard at the end of an object that ends at block `end`. */
TMI_TINY void tmi_set_guard(const pool_t *p, ix_t end)
{
    if (TMI_GUARD)
        memset(tmi_address(p, end) - TMI_GUARD, TMI_GUARD_BYTE, TMI_GUARD);
}

TMI_TINY bool tmi_guard_holds(const pool_t *p, ix_t end)
{
    return !TMI_GUARD || tmi_filled(tmi_address(p, end) - TMI_GUARD, TMI_GUARD_BYTE);
}

/* Remember an error, and return it. */
TMI_POOL_SHARED TMI_COLD tm_pool_error_t tmi_pool_fail(pool_t *p, tm_pool_error_t error);

/* Whether entry e is pinned. Searches the list. */
TMI_POOL_SHARED bool tmi_pool_pinned(const pool_t *p, ix_t e);

#endif
