/* base.h - bits, alignment and branch hints: pure functions without state. */
#ifndef TMI_BASE_BASE_H
#define TMI_BASE_BASE_H

#include "base/config.h"
#include <stdbool.h>

#define TMI_LIKELY(x) __builtin_expect(!!(x), 1)
#define TMI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define TMI_COLD __attribute__((cold, noinline))
#define TMI_NOINLINE __attribute__((noinline))
#define TMI_INLINE static inline __attribute__((always_inline)) // for paths whose instructions are counted
#define TMI_EXPORT __attribute__((visibility("default")))
#define TMI_ALIGNED(n) __attribute__((aligned(n)))
#define TMI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define TMI_CONTAINER_OF(p, T, member) ((T *)(void *)((char *)(p) - offsetof(T, member)))
#define TMI_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The same integer, hidden from the compiler. The compiler then computes an address from it in the instruction that
 * uses the address, instead of once in an instruction of its own. */
static inline size_t tmi_anew(size_t n)
{
    __asm__("" : "+r"(n));
    return n;
}

static inline bool tmi_is_pow2(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

/* `align` is a power of two. The caller makes sure that nothing overflows. */
static inline size_t tmi_round_up(size_t n, size_t align) { return (n + align - 1) & ~(align - 1); }
static inline size_t tmi_round_down(size_t n, size_t align) { return n & ~(align - 1); }

/* floor(log2 n), n > 0. */
static inline unsigned tmi_log2(size_t n) { return 63u ^ (unsigned)__builtin_clzl(n); } // ^, not -: it is cheaper

/* Index of the lowest set bit, w > 0. */
static inline unsigned tmi_lowest_bit(uint64_t w) { return (unsigned)__builtin_ctzll(w); }

static inline unsigned tmi_popcount(uint64_t w) { return (unsigned)__builtin_popcountll(w); }

/* The n lowest bits, 0 <= n <= 64. */
static inline uint64_t tmi_low_bits(unsigned n) { return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1; }

/* The lowest run of set bits. */
static inline uint64_t tmi_lowest_run(uint64_t bits) { return bits & ~(bits + (bits & -bits)); }

static inline size_t tmi_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t tmi_max(size_t a, size_t b) { return a > b ? a : b; }

#endif
