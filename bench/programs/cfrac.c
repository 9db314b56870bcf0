/* cfrac.c - factor integers by continued fractions (Morrison and Brillhart 1975): very many tiny blocks, short-lived.
 *
 * Idea: the convergents A_i of sqrt(N) give A_i^2 = (-1)^i Q_i (mod N) with Q_i < 2 sqrt(N). Those Q_i that factor
 * over a base of small primes are kept; Gaussian elimination over GF(2) finds products that are squares, and a square
 * on both sides splits N with probability of at least a half. All numbers are heap blocks of 4 to 40 bytes.
 *
 * usage: cfrac [NUMBERS]: factors the product of two primes of about 40 bits NUMBERS times. */
#include "bignum.h"
#include "kit.h"

enum { BASE = 160, EARLY_ABORT = 50, RELATIONS = BASE + 12, WORDS = (BASE + 64) / 64 + 3 };

typedef struct {
    big_t *a;               /* A_i mod N */
    big_t *q;               /* Q_i */
    uint64_t parity[WORDS]; /* exponents mod 2 over the base, bit 0 for the sign */
    uint64_t used[WORDS];   /* which relations were multiplied into this row */
} relation_t;

typedef struct {
    big_t *n;
    big_t *prime[BASE];
    unsigned nprimes;
    relation_t rel[RELATIONS];
    unsigned nrel;
} problem_t;

/* p^((p-1)/2) == 1: N is a square modulo p, so p can divide a Q_i. */
static int is_residue(uint32_t a, uint32_t p)
{
    uint64_t r = 1, x = a;
    for (uint32_t e = (p - 1) / 2; e; e >>= 1, x = x * x % p)
        if (e & 1)
            r = r * x % p;
    return r <= 1;
}

static void choose_base(problem_t *pb)
{
    pb->prime[0] = big_small(2);
    pb->nprimes = 1;
    for (uint32_t p = 3; pb->nprimes < BASE; p += 2) {
        int prime = 1;
        for (uint32_t d = 3; d * d <= p && prime; d += 2)
            prime = p % d != 0;
        if (prime && is_residue(big_mod_small(pb->n, p), p))
            pb->prime[pb->nprimes++] = big_small(p);
    }
}

/* Divide *left by p if it goes; like all arithmetic here, through fresh numbers. */
static int divides_out(big_t **left, const big_t *p)
{
    big_t *quotient, *rest;
    big_divide(*left, p, &quotient, &rest);
    int goes = rest->n == 0;
    free(rest);
    if (goes)
        big_set(left, quotient);
    else
        free(quotient);
    return goes;
}

/* Divide out the base; keep the relation when nothing is left. */
static void try_relation(problem_t *pb, const big_t *a, const big_t *q, int negative)
{
    relation_t *rel = &pb->rel[pb->nrel];
    big_t *zero = big_small(0), *one = big_small(1), *left = big_add(q, zero);
    memset(rel, 0, sizeof *rel);
    rel->parity[0] = (uint64_t)negative;
    for (unsigned i = 0; i < pb->nprimes && big_compare(left, one) > 0; i++) {
        while (divides_out(&left, pb->prime[i]))
            rel->parity[(i + 1) / 64] ^= (uint64_t)1 << (i + 1) % 64;
        if (i == EARLY_ABORT && left->n > 1)
            break; /* still large after the likely primes */
    }
    if (!big_compare(left, one)) {
        rel->a = big_add(a, zero);
        rel->q = big_add(q, zero);
        rel->used[pb->nrel / 64] = (uint64_t)1 << pb->nrel % 64;
        pb->nrel++;
    }
    free(left);
    free(one);
    free(zero);
}

/* The expansion of sqrt(N): P, Q, q as in any textbook; A_i = q A_{i-1} + A_{i-2} (mod N). */
static void collect(problem_t *pb)
{
    big_t *root = big_sqrt(pb->n), *p = big_add(root, pb->n);
    big_t *square = big_mul(root, root), *q = big_sub(pb->n, square), *q_before = big_small(1);
    big_t *a_before = big_small(1), *a = big_mod(root, pb->n);
    big_set(&p, big_mul(root, q_before));
    free(square);
    for (long i = 1; pb->nrel < RELATIONS && q->n; i++) {
        try_relation(pb, a, q, i & 1);
        big_t *sum = big_add(root, p), *quotient, *t = NULL;
        big_divide(sum, q, &quotient, NULL);
        big_set(&t, big_mul(quotient, q));
        big_t *p_next = big_sub(t, p);
        int grows = big_compare(p, p_next) >= 0; /* Q_{i+1} = Q_{i-1} + quotient (P_i - P_{i+1}) */
        big_t *diff = grows ? big_sub(p, p_next) : big_sub(p_next, p);
        big_set(&t, big_mul(quotient, diff));
        big_t *q_next = grows ? big_add(q_before, t) : big_sub(q_before, t);
        big_set(&t, big_mul(quotient, a));
        big_set(&t, big_add(t, a_before));
        big_set(&a_before, a);
        a = big_mod(t, pb->n);
        big_set(&q_before, q);
        q = q_next;
        big_set(&p, p_next);
        free(diff);
        free(t);
        free(quotient);
        free(sum);
    }
    free(root), free(p), free(q), free(q_before), free(a), free(a_before);
}

/* x = product of A, y^2 = product of Q: a factor is gcd(x - y, N). Returns NULL for a trivial one. */
static big_t *split(const problem_t *pb, const uint64_t *used)
{
    big_t *x = big_small(1), *y = big_small(1), *one = big_small(1), *factor;
    for (unsigned i = 0; i < pb->nrel; i++)
        if (used[i / 64] >> i % 64 & 1) {
            big_set(&x, big_mul(x, pb->rel[i].a));
            big_set(&x, big_mod(x, pb->n));
            big_set(&y, big_mul(y, pb->rel[i].q));
        }
    big_set(&y, big_sqrt(y));
    big_set(&y, big_mod(y, pb->n));
    big_t *sum = big_add(x, y);
    factor = big_gcd(sum, pb->n);
    free(sum), free(x), free(y);
    if (!big_compare(factor, one) || !big_compare(factor, pb->n))
        big_set(&factor, NULL);
    free(one);
    return factor;
}

static big_t *eliminate(problem_t *pb)
{
    char pivoted[RELATIONS] = { 0 };
    for (unsigned col = 0; col <= pb->nprimes; col++) {
        unsigned row = 0;
        while (row < pb->nrel && (pivoted[row] || !(pb->rel[row].parity[col / 64] >> col % 64 & 1)))
            row++;
        if (row == pb->nrel)
            continue;
        pivoted[row] = 1;
        for (unsigned i = 0; i < pb->nrel; i++)
            if (i != row && pb->rel[i].parity[col / 64] >> col % 64 & 1)
                for (unsigned w = 0; w < WORDS; w++) {
                    pb->rel[i].parity[w] ^= pb->rel[row].parity[w];
                    pb->rel[i].used[w] ^= pb->rel[row].used[w];
                }
    }
    big_t *factor = NULL;
    for (unsigned i = 0; i < pb->nrel && !factor; i++)
        if (!pivoted[i])
            factor = split(pb, pb->rel[i].used);
    return factor;
}

static big_t *factor_of(const big_t *n)
{
    problem_t *pb = must(calloc(1, sizeof *pb));
    big_t *zero = big_small(0);
    pb->n = big_add(n, zero);
    choose_base(pb);
    collect(pb);
    big_t *factor = eliminate(pb);
    for (unsigned i = 0; i < pb->nrel; i++) {
        free(pb->rel[i].a);
        free(pb->rel[i].q);
    }
    for (unsigned i = 0; i < pb->nprimes; i++)
        free(pb->prime[i]);
    free(pb->n);
    free(zero);
    free(pb);
    return factor;
}

int main(int argc, char **argv)
{
    static const char *const numbers[] = { /* each the product of two primes */
        "2260691282862051408774649", "2334556650333976648364303",
    };
    long count = argument(argc, argv, 1, 4);
    uint64_t sum = 0;
    for (long i = 0; i < count; i++) {
        big_t *n = big_parse(numbers[i % 2]), *factor = factor_of(n);
        big_print(n);
        fputs(factor ? " = " : " not split", stdout);
        if (factor) {
            big_t *cofactor, *rest;
            big_divide(n, factor, &cofactor, &rest);
            big_print(factor);
            fputs(" * ", stdout);
            big_print(cofactor);
            sum = sum * 31 + big_mod_small(factor, 1000003) * (uint64_t)big_mod_small(cofactor, 1000003) + rest->n;
            free(cofactor);
            free(rest);
        }
        putchar('\n');
        free(factor);
        free(n);
    }
    return finish(sum);
}
