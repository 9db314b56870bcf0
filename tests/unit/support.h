/* support.h - what the unit tests share: random numbers, block contents that tell their owner, children that must die.
 *
 * Contents: the bytes of a block are a function of a 64-bit mark, so that a block that was handed out twice, moved
 * wrongly or written by another's overflow shows when it is looked at again. Blocks above 256 KiB are marked once in
 * each 512 bytes, and at both ends. */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#define UNDER_SANITIZER (UNDER_TSAN || UNDER_ASAN)

/* TINYMEM_TEST_FULL=1, or tests/run --full: run for longer. */
bool full_run(void);
/* `n` of the usual run, ten times as many in a full one, a fifth under a sanitizer; at least 1. */
size_t scaled(size_t n);

typedef struct rng {
    uint64_t state;
} rng_t;

uint64_t rng_next(rng_t *r);
/* 0 <= result < n, n > 0. */
size_t rng_below(rng_t *r, size_t n);
/* Sizes as programs ask for them: mostly small, log-uniform up to `max`. */
size_t rng_size(rng_t *r, size_t max);

void fill(void *p, size_t size, uint64_t mark);
/* Whether the first `size` bytes are as fill(p, whole, mark) left them; `whole` >= size. */
bool intact(const void *p, size_t size, size_t whole, uint64_t mark);
bool all_zero(const void *p, size_t size);

typedef struct outcome {
    int status;      // as from waitpid; -1 when it was killed for taking too long
    char text[4096]; // what it wrote to stderr
} outcome_t;

/* Run body(arg) in a child of fork, which exits with the result; killed after `seconds`. */
outcome_t run_child(int (*body)(void *), void *arg, unsigned seconds);

bool exited(const outcome_t *o, int code);
/* Ended by SIGABRT, with `line` as one whole line on stderr; * stands for a hexadecimal number. */
bool aborted_saying(const outcome_t *o, const char *line);

/* With TEST_DELAYS=SEED in the environment, and in builds with hooks, threads are sometimes delayed before an atomic
 * access of the library. From now on some of these times this signal is raised, too; 0: none. */
void delays_raise(int signal);

/* Monotonic time. */
double seconds_now(void);
void sleep_ms(unsigned ms);

/* Bytes of the OS pages that [p, p + size) touches and that are resident. */
size_t resident_bytes(const void *p, size_t size);
/* The process's resident set, bytes. */
size_t rss_bytes(void);

#endif
