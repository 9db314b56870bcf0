/* barnes.c - gravity among bodies by an octree (Barnes and Hut 1986): the program computes, and allocates little.
 *
 * Idea: every step builds a tree of cells from the heap, finds the forces through it, moves the bodies, and frees
 * the tree. An allocator gains or loses here by where it puts the cells, not by how fast it is.
 *
 * usage: barnes [STEPS] [BODIES] */
#include "kit.h"
#include <math.h>

typedef struct {
    double at[3], speed[3], force[3], mass;
} body_t;

typedef struct cell {
    double centre[3], half; /* the cube this cell stands for */
    double at[3], mass;     /* centre of mass: a sum until summarised */
    const body_t *body;     /* the only body, if a leaf */
    struct cell *child[8];
} cell_t;

static cell_t *cell_make(const double *centre, double half)
{
    cell_t *c = must(calloc(1, sizeof *c));
    memcpy(c->centre, centre, sizeof c->centre);
    c->half = half;
    return c;
}

static unsigned octant(const cell_t *c, const body_t *b)
{
    return (b->at[0] > c->centre[0]) | (b->at[1] > c->centre[1]) << 1 | (b->at[2] > c->centre[2]) << 2;
}

static cell_t **child_for(cell_t *c, const body_t *b)
{
    unsigned o = octant(c, b);
    if (!c->child[o]) {
        double quarter = c->half / 2, centre[3];
        for (int k = 0; k < 3; k++)
            centre[k] = c->centre[k] + (o >> k & 1 ? quarter : -quarter);
        c->child[o] = cell_make(centre, quarter);
    }
    return &c->child[o];
}

static void insert(cell_t *c, const body_t *b)
{
    for (;;) {
        int empty = c->mass == 0;
        const body_t *moved = c->body;
        c->mass += b->mass;
        for (int k = 0; k < 3; k++)
            c->at[k] += b->mass * b->at[k];
        if (empty || c->half < 1e-9) {
            c->body = empty ? b : NULL;
            return;
        }
        c->body = NULL;
        if (moved)
            insert(*child_for(c, moved), moved);
        c = *child_for(c, b);
    }
}

static void add_force(body_t *b, const double *at, double mass)
{
    double d[3], r2 = 1e-4;
    for (int k = 0; k < 3; k++) {
        d[k] = at[k] - b->at[k];
        r2 += d[k] * d[k];
    }
    double f = mass / (r2 * sqrt(r2));
    for (int k = 0; k < 3; k++)
        b->force[k] += f * d[k];
}

static void find_force(body_t *b, const cell_t *c)
{
    double at[3], r2 = 0;
    if (c->body == b)
        return;
    for (int k = 0; k < 3; k++) {
        at[k] = c->at[k] / c->mass;
        r2 += (at[k] - b->at[k]) * (at[k] - b->at[k]);
    }
    if (c->body || 4 * c->half * c->half < 0.49 * r2) {
        add_force(b, at, c->mass);
        return;
    }
    for (int i = 0; i < 8; i++)
        if (c->child[i])
            find_force(b, c->child[i]);
}

static void drop(cell_t *c)
{
    for (int i = 0; i < 8; i++)
        if (c->child[i])
            drop(c->child[i]);
    free(c);
}

static void step(body_t **body, long n)
{
    static const double origin[3] = { 0, 0, 0 };
    cell_t *root = cell_make(origin, 64);
    for (long i = 0; i < n; i++)
        insert(root, body[i]);
    for (long i = 0; i < n; i++) {
        memset(body[i]->force, 0, sizeof body[i]->force);
        find_force(body[i], root);
    }
    for (long i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) {
            body[i]->speed[k] += 1e-3 * body[i]->force[k];
            body[i]->at[k] += 1e-3 * body[i]->speed[k];
        }
    drop(root);
}

int main(int argc, char **argv)
{
    long steps = argument(argc, argv, 1, 20), n = argument(argc, argv, 2, 16384);
    rng_t r = { 7 };
    body_t **body = get((size_t)n * sizeof *body);
    for (long i = 0; i < n; i++) {
        body[i] = must(calloc(1, sizeof **body));
        body[i]->mass = 1.0 / (double)n;
        for (int k = 0; k < 3; k++)
            body[i]->at[k] = (double)(rng_next(&r) >> 11) / (double)((uint64_t)1 << 53) * 2 - 1;
    }
    for (long s = 0; s < steps; s++)
        step(body, n);
    double sum = 0;
    for (long i = 0; i < n; i++) {
        sum += body[i]->at[0] + body[i]->at[1] * 2 + body[i]->at[2] * 4;
        free(body[i]);
    }
    free(body);
    return finish((uint64_t)(int64_t)(sum * 1e6));
}
