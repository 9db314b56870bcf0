/* handle.h - the table of words, and the supply of indices.
 *
 * Idea: a table in reserved address space holds a word for each index, so that a handle's look-up is one load. The
 * table is PROT_READ until it is used, and reads as zero. So a foreign handle finds a word that matches nothing.
 * Indices are handed out from *groups*, whose words fill an OS page, the fullest group first. A group whose indices are
 * all free can give its page back. Then only its *generation ceiling* is kept:
 *
 *   state of an index    word                               its slot
 *   free                 generation, address 0              none
 *   reserved             next generation, not live, address free: in a magazine, or about to become live
 *   live                 generation, live, address          an object's
 *   retired              an address without owner, or 0     none: it has had all its generations
 *
 * H1  Generations count down. An index's generation rises only when the index is revived. It does not rise at free and
 *     alloc, nor when a page is given back, since words that are made there later start at the group's ceiling. So
 *     until then a handle names at most one object.
 * H2  A group's `nfree` is the number of bits set in its bitmap, its free indices. It is *idle* when all others are
 *     retired, *spent* when all are.
 * H3  group_states[g] is the address of the group's record (even). For a group whose page was purged it is 1 | data <<
 *     1, and in the upper half the number of the next such group: data is the ceiling, or worn_at (H5) if it has
 *     retired indices. group_states[g] is 0 from ngroups on.
 * H4  Word 0 is always 0.
 * H5  A retired index is *revived*, with all its generations, only when no index is free and no other can be made:
 *     2^31 x 16,384 objects later, or fewer where address space is limited. The first is one of the group whose last
 *     retirement (worn_at, counted modulo 2^31) is longest ago. Groups with retired indices stand in that order in a
 *     list; those whose page was purged are in another, through group_states.
 *
 * Address space for words is reserved by 4 GiB (2^29 indices), and again when these are used up.
 *
 * Owner: a free or reserved word belongs to the holder of its index; any thread may change a live one by compare-and-
 * swap.
 * The rest belongs to the table lock.
 * Fails: fewer indices than requested. */
#ifndef TMI_SLABS_HANDLE_H
#define TMI_SLABS_HANDLE_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/public.h"
#include "os/lock.h"

/* See <tinymem/pin.h>. */
#define TMI_WORD_ADDRESS (~UINT64_C(0xffff))
#define TMI_WORD_GENERATION UINT64_C(0xfffc)
#define TMI_WORD_LIVE UINT64_C(2)
#define TMI_WORD_MOVING UINT64_C(1)

extern tmi_lock_t tmi_handle_lock; // for fork

/* Reserve the table. Returns 0 or the errno of the reservation. */
int tmi_handle_init(void);

/* Take up to n free indices, in the form of their future handles (generation, live bit, index). Their words are
 * free. */
size_t tmi_handle_take(tm_handle_t *out, size_t n);

/* Give back n indices whose words are free. */
void tmi_handle_return(const uint32_t *indices, size_t n);

/* Retire an index that has had all its generations. */
void tmi_handle_retire(uint32_t index);

/* Purge the pages of idle and spent groups: all but `keep`, and at most `most`. The caller holds the mover's lock or
 * the pacer's, so that fork loses none. Returns the bytes. */
size_t tmi_handle_purge(size_t keep, size_t most);

/* Bytes of the table in use; groups whose pages could be given back. */
extern size_t tmi_handle_bytes_in_use; // by tmi_handle_bytes; layout.h tells tools where it lies
size_t tmi_handle_bytes(void);
size_t tmi_handle_idle_groups(void);
size_t tmi_handle_idle_bytes(void);
/* Indices revived so far, H5. */
size_t tmi_handle_revived(void);

/* For a walk over the table: the number of its entries; and up to n live handles among the entries from *at to `end`.
 * The latter advances *at and returns the number of handles, 0 at the end. It takes the lock for a moment in each
 * group. */
uint32_t tmi_handle_places(void);
size_t tmi_handle_live(uint32_t *at, uint32_t end, tm_handle_t *out, size_t n);

/* Verify H2-H5; the caller holds the lock. */
void tmi_handle_check(void);

static inline uint32_t tmi_handle_index(tm_handle_t h) { return (uint32_t)(h >> 32); }

extern uint64_t *tmi_words; // stored once, with the first handle; see tm_word_of_index_
extern uint32_t tmi_handle_first, tmi_handle_count; // indices with a place in the table; the number grows

/* Whether an index's word can be read. So can those of the table, and TMI_HANDLE_ENDS from 0 and up to 2^32: what an
 * address, a small number or a negative one has for an index when a program takes it for a handle. The look-ups of
 * pin and scope do not ask. */
enum { TMI_HANDLE_ENDS = 1 << 16 };
static inline bool tmi_handle_readable(uint32_t index)
{
    bool of_ends = tmi_handle_first != 0 ? index + TMI_HANDLE_ENDS < 2 * TMI_HANDLE_ENDS : index == 0;
    // relaxed: a caller that has a handle of a new index got it after the number grew
    return of_ends || index - tmi_handle_first < tmi_load_relaxed(&tmi_handle_count);
}

static inline uint64_t *tmi_word(uint32_t index) { return tm_word_of_index_(index); }

static inline char *tmi_word_address(uint64_t w) { return (char *)(uintptr_t)(w >> 16); }
/* The address bits of a word, for address p. */
static inline uint64_t tmi_word_at(const void *p) { return (uint64_t)(uintptr_t)p << 16; }

/* Whether h has the form of a handle: the tag is set, and the unused bits are 0. */
static inline bool tmi_handle_formed(tm_handle_t h)
{
    return (h & (TMI_WORD_LIVE | UINT64_C(0xffff0001))) == TMI_WORD_LIVE;
}

/* The handle of an index whose word is w, once it is live. */
static inline tm_handle_t tmi_handle_of_word(uint32_t index, uint64_t w)
{
    return (w & TMI_WORD_GENERATION) | TMI_WORD_LIVE | (uint64_t)index << 32;
}

/* Generations, 14 bits. */
static inline uint32_t tmi_generation_of(uint64_t w) { return (uint32_t)(w & TMI_WORD_GENERATION) >> 2; }
static inline uint64_t tmi_generation_bits(uint32_t g) { return (uint64_t)g << 2 & TMI_WORD_GENERATION; }

/* The word of a freed object: next generation, same address. *last: that was the index's last generation. */
static inline uint64_t tmi_word_freed(uint64_t w, bool *last)
{
    uint32_t g = tmi_generation_of(w);
    *last = g == 0;
    return tmi_generation_bits(g - 1) | (w & TMI_WORD_ADDRESS);
}

/* The same by one subtraction from a live word (and from a handle, except for TMI_WORD_LIVE), if it may end so: live,
 * not marked, and not in its last life. With the two lowest of its 16 bits turned to the top these words are one range.
 * A number that equals such a word there, and has 0 above, has the form of a handle. */
#define TMI_GENERATION_STEP UINT64_C(4)
static inline bool tmi_word_may_end(uint64_t w)
{
    uint16_t turned = (uint16_t)((uint16_t)w >> 2 | (uint16_t)w << 14);
    return (uint16_t)(turned - 0x8001) < 0x3fff;
}

#if TMI_TEST_HOOKS
/* For tests: skip generations. The caller's object gets a generation of at most `generation`; returns its new handle.
 * Nothing may move the object meanwhile. */
tm_handle_t tmi_handle_age(tm_handle_t h, uint32_t generation);
/* For tests: give back the address space of words from there on, none of which has been used. More indices then need an
 * extension. */
void tmi_handle_unreserve(uint32_t nindices);
/* For tests: let the table hold at most `nindices` indices from now on. */
void tmi_handle_set_limit(uint32_t nindices);
#endif

#endif
