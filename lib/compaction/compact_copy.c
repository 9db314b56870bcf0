/* Copies bytes that a thread may be writing at the same time. Such a copy is dropped. */
#include "compaction/compact_impl.h"

#include <limits.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_TSAN __attribute__((no_sanitize("thread")))
#endif
#endif
#ifndef NO_TSAN
#define NO_TSAN __attribute__((no_sanitize_thread))
#endif

// stores of 16 bytes: half as many wait for their cache lines
typedef uint64_t pair_t __attribute__((vector_size(16), may_alias));

#if defined(__x86_64__)
enum { STREAM_MIN = 256 }; // bytes: in shorter runs most cache lines would be written in two parts

/* Streamed stores bypass the caches. What moves is cold, the target's lines need not be read first, and mutators keep
 * their data in the caches. */
NO_TSAN static inline void store(pair_t *to, pair_t v, bool stream)
{
    if (stream)
        _mm_stream_si128((__m128i *)(void *)to, (__m128i)v);
    else
        *(volatile pair_t *)to = v;
}

/* Neither a release nor a locked instruction orders streamed stores. sfence does. */
void tmi_copy_fence(void) { _mm_sfence(); }
#else
enum { STREAM_MIN = INT_MAX };

NO_TSAN static inline void store(pair_t *to, pair_t v, bool stream)
{
    (void)stream;
    *(volatile pair_t *)to = v;
}

void tmi_copy_fence(void) {}
#endif

/* volatile makes single accesses. ThreadSanitizer does not instrument them here, while it does instrument atomic ones.
 * Torn values are dropped with the copy. */
NO_TSAN static inline void copy_pairs(pair_t *to, const volatile pair_t *from, size_t n, bool stream)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        pair_t a = from[i], b = from[i + 1], c = from[i + 2], d = from[i + 3];
        store(to + i, a, stream);
        store(to + i + 1, b, stream);
        store(to + i + 2, c, stream);
        store(to + i + 3, d, stream);
    }
    for (; i < n; i++)
        store(to + i, from[i], stream);
}

NO_TSAN TMI_NOINLINE void tmi_copy_racing(char *to, const char *from, size_t nbytes)
{
    pair_t *t = (pair_t *)(void *)to;
    const volatile pair_t *f = (const volatile pair_t *)(const void *)from;
    if (nbytes >= STREAM_MIN)
        copy_pairs(t, f, nbytes / sizeof *f, true);
    else
        copy_pairs(t, f, nbytes / sizeof *f, false);
}
