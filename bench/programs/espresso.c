/* espresso.c - minimise two-level logic: many small arrays of varied sizes, with lives of very different lengths.
 *
 * Idea: a boolean function is a cover, a growable array of cubes; a cube is a pair of bit words for each 32 variables
 * (which literals it allows). Complement by Shannon expansion makes and drops covers recursively; expansion of every
 * cube against the complement and removal of covered cubes then minimise. This is the shape of the Berkeley program,
 * written for this suite.
 *
 * C1  A cube without any allowed value of some variable is empty and is not kept in a cover.
 *
 * usage: espresso [FUNCTIONS]: minimises that many random functions of 10 to 18 variables. */
#include "kit.h"

typedef struct {
    uint32_t zero, one; /* bit v: the cube contains points where variable v is 0 (is 1) */
} cube_t;

typedef struct {
    unsigned n, room, vars;
    cube_t **cube;
} cover_t;

static cube_t *cube_make(uint32_t zero, uint32_t one)
{
    cube_t *c = get(sizeof *c);
    c->zero = zero;
    c->one = one;
    return c;
}

static cover_t *cover_make(unsigned vars)
{
    cover_t *f = get(sizeof *f);
    *f = (cover_t){ .vars = vars };
    return f;
}

static void cover_add(cover_t *f, cube_t *c)
{
    if (f->n == f->room) {
        f->room = f->room ? f->room + f->room / 2 + 1 : 3;
        f->cube = must(realloc(f->cube, f->room * sizeof *f->cube));
    }
    f->cube[f->n++] = c;
}

static void cover_drop(cover_t *f)
{
    for (unsigned i = 0; i < f->n; i++)
        free(f->cube[i]);
    free(f->cube);
    free(f);
}

static uint32_t all_vars(unsigned vars)
{
    return (uint32_t)(((uint64_t)1 << vars) - 1);
}

static int contains(const cube_t *big, const cube_t *small)
{
    return !(small->zero & ~big->zero) && !(small->one & ~big->one);
}

static int disjoint(const cube_t *a, const cube_t *b, uint32_t all)
{
    return ((a->zero & b->zero) | (a->one & b->one)) != all;
}

/* The part of f where variable v has the given value, v left free. */
static cover_t *cofactor(const cover_t *f, unsigned v, int value)
{
    cover_t *g = cover_make(f->vars);
    uint32_t bit = (uint32_t)1 << v;
    for (unsigned i = 0; i < f->n; i++)
        if ((value ? f->cube[i]->one : f->cube[i]->zero) & bit)
            cover_add(g, cube_make(f->cube[i]->zero | bit, f->cube[i]->one | bit));
    return g;
}

/* The variable on which most cubes depend, or -1 if one cube is everything. */
static int choose_split(const cover_t *f)
{
    uint32_t all = all_vars(f->vars);
    unsigned best = 0;
    int chosen = -1;
    unsigned *count = must(calloc(f->vars, sizeof *count));
    for (unsigned i = 0; i < f->n; i++) {
        uint32_t bound = ~(f->cube[i]->zero & f->cube[i]->one) & all;
        if (!bound) {
            free(count);
            return -1;
        }
        for (; bound; bound &= bound - 1)
            count[__builtin_ctz(bound)]++;
    }
    for (unsigned v = 0; v < f->vars; v++)
        if (count[v] > best) {
            best = count[v];
            chosen = (int)v;
        }
    free(count);
    return chosen;
}

/* Add the cubes of half, restricted to a value of v; cubes present in both halves are merged unrestricted. */
static void merge_halves(cover_t *out, cover_t *zero, cover_t *one, unsigned v)
{
    uint32_t bit = (uint32_t)1 << v;
    for (unsigned i = 0; i < zero->n; i++) {
        int both = 0;
        for (unsigned j = 0; j < one->n && !both; j++)
            if (one->cube[j] && contains(one->cube[j], zero->cube[i]) && contains(zero->cube[i], one->cube[j])) {
                free(one->cube[j]);
                one->cube[j] = NULL;
                both = 1;
            }
        cover_add(out, cube_make(zero->cube[i]->zero, both ? zero->cube[i]->one : zero->cube[i]->one & ~bit));
    }
    for (unsigned j = 0; j < one->n; j++)
        if (one->cube[j])
            cover_add(out, cube_make(one->cube[j]->zero & ~bit, one->cube[j]->one));
}

static cover_t *complement(const cover_t *f)
{
    cover_t *out = cover_make(f->vars);
    uint32_t all = all_vars(f->vars);
    if (!f->n) {
        cover_add(out, cube_make(all, all));
        return out;
    }
    int v = choose_split(f);
    if (v < 0)
        return out;
    if (f->n == 1) { /* de Morgan: one cube per literal */
        uint32_t bound = ~(f->cube[0]->zero & f->cube[0]->one) & all;
        for (; bound; bound &= bound - 1) {
            uint32_t bit = bound & -bound;
            cover_add(out, f->cube[0]->zero & bit ? cube_make(all & ~bit, all) : cube_make(all, all & ~bit));
        }
        return out;
    }
    cover_t *f0 = cofactor(f, (unsigned)v, 0), *f1 = cofactor(f, (unsigned)v, 1);
    cover_t *c0 = complement(f0), *c1 = complement(f1);
    merge_halves(out, c0, c1, (unsigned)v);
    cover_drop(f0), cover_drop(f1), cover_drop(c0), cover_drop(c1);
    return out;
}

/* Raise literals as long as the cube stays clear of the off-set. */
static cube_t *expand_cube(const cube_t *c, const cover_t *off)
{
    uint32_t all = all_vars(off->vars);
    cube_t *best = cube_make(c->zero, c->one);
    for (unsigned v = 0; v < off->vars; v++) {
        uint32_t bit = (uint32_t)1 << v;
        cube_t *wider = cube_make(best->zero | bit, best->one | bit);
        unsigned i = 0;
        while (i < off->n && disjoint(wider, off->cube[i], all))
            i++;
        cube_t *loser = i == off->n ? best : wider;
        best = i == off->n ? wider : best;
        free(loser);
    }
    return best;
}

static cover_t *expand(const cover_t *f, const cover_t *off)
{
    cover_t *g = cover_make(f->vars);
    for (unsigned i = 0; i < f->n; i++) {
        unsigned j = 0;
        while (j < g->n && !contains(g->cube[j], f->cube[i]))
            j++;
        if (j == g->n)
            cover_add(g, expand_cube(f->cube[i], off));
    }
    return g;
}

/* Is the cube covered by the others? Their complement within the cube is then empty. */
static int redundant(const cover_t *f, unsigned k)
{
    uint32_t all = all_vars(f->vars);
    cover_t *rest = cover_make(f->vars);
    for (unsigned i = 0; i < f->n; i++)
        if (i != k && f->cube[i] && !disjoint(f->cube[i], f->cube[k], all)) {
            uint32_t bound = ~(f->cube[k]->zero & f->cube[k]->one) & all;
            cover_add(rest, cube_make(f->cube[i]->zero | bound, f->cube[i]->one | bound));
        }
    cover_t *gap = complement(rest);
    int none = gap->n == 0;
    cover_drop(gap);
    cover_drop(rest);
    return none;
}

static cover_t *irredundant(cover_t *f)
{
    cover_t *g = cover_make(f->vars);
    for (unsigned k = 0; k < f->n; k++)
        if (redundant(f, k)) {
            free(f->cube[k]);
            f->cube[k] = NULL;
        }
    for (unsigned k = 0; k < f->n; k++)
        if (f->cube[k])
            cover_add(g, cube_make(f->cube[k]->zero, f->cube[k]->one));
    return g;
}

static cover_t *random_cover(rng_t *r, unsigned vars, unsigned cubes)
{
    cover_t *f = cover_make(vars);
    for (unsigned i = 0; i < cubes; i++) {
        uint32_t all = all_vars(vars), value = (uint32_t)rng_next(r) & all;
        uint32_t dash = (uint32_t)rng_next(r) & (uint32_t)rng_next(r) & all;
        cover_add(f, cube_make(dash | ~value % (all + 1u), dash | value));
    }
    return f;
}

int main(int argc, char **argv)
{
    long functions = argument(argc, argv, 1, 40);
    rng_t r = { 42 };
    uint64_t sum = 0;
    for (long i = 0; i < functions; i++) {
        cover_t *f = random_cover(&r, rng_between(&r, 10, 18), rng_between(&r, 40, 120));
        cover_t *off = complement(f), *wide = expand(f, off), *least = irredundant(wide);
        cover_t *check = complement(least);
        for (unsigned k = 0; k < least->n; k++)
            sum = sum * 1000003 + least->cube[k]->zero * 31u + least->cube[k]->one;
        sum += off->n * 7u + check->n;
        cover_drop(f), cover_drop(off), cover_drop(least), cover_drop(check);
        for (unsigned k = 0; k < wide->n; k++)
            free(wide->cube[k]); /* irredundant has put NULL where it dropped one */
        free(wide->cube);
        free(wide);
    }
    return finish(sum);
}
