/* bignum.h - natural numbers of any length, each in a heap block of its own and never changed once made.
 *
 * Idea: the arithmetic of cfrac makes a new small block for every intermediate result, as a functional program does.
 * B1  limb[n-1] != 0 unless n == 0; zero has n == 0.
 * B2  Every function returns a fresh number that the caller frees; arguments are only read. */
#ifndef BENCH_BIGNUM_H
#define BENCH_BIGNUM_H

#include <stdint.h>

typedef struct {
    uint32_t n;
    uint32_t limb[];
} big_t;

big_t *big_small(uint64_t value);
big_t *big_parse(const char *decimal);
big_t *big_add(const big_t *a, const big_t *b);
big_t *big_sub(const big_t *a, const big_t *b); /* a >= b */
big_t *big_mul(const big_t *a, const big_t *b);
/* a = quotient * b + remainder; b != 0. Either result may be left out with NULL. */
void big_divide(const big_t *a, const big_t *b, big_t **quotient, big_t **remainder);
big_t *big_mod(const big_t *a, const big_t *b);
big_t *big_sqrt(const big_t *a);
big_t *big_gcd(const big_t *a, const big_t *b);
int big_compare(const big_t *a, const big_t *b);
uint32_t big_mod_small(const big_t *a, uint32_t m);
/* Replace *a by f of it: frees the old number. */
void big_set(big_t **a, big_t *value);
void big_print(const big_t *a);

#endif
