/* graph.c - a directed graph whose links are references of 4 bytes.
 *
 *     cc -O2 graph.c -ltinymem && ./a.out [NODES]
 *
 * A node is an object with its links in it; a link is a tm_ref_t. Pointers would take twice as much, and would tie
 * each node to its place. Most nodes are deleted after a while, those that remain drop their links to them and shrink,
 * and the heap is compacted: the links stay as they are, since a reference names an object and not a place.
 *
 * A reference has no generation: it is the program's duty not to follow one to a node that is gone. */
#include "memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct node {
    uint32_t number, nlinks;
    uint32_t round; /* the last walk that has seen it */
    tm_ref_t link[];
} node_t;

typedef struct graph {
    tm_ref_t *nodes; /* by number, 0: deleted */
    size_t nnodes, nlinks;
} graph_t;

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9;
    return x ^ x >> 32;
}

static size_t node_size(uint32_t nlinks) { return sizeof(node_t) + nlinks * sizeof(tm_ref_t); }

/* One in four stays. */
static bool stays(size_t number) { return number % 4 == 0; }

static bool make_nodes(graph_t *g, size_t n)
{
    g->nodes = calloc(n, sizeof *g->nodes);
    for (size_t i = 0; g->nodes != NULL && i < n; i++, g->nnodes++) {
        uint32_t nlinks = 4 + (uint32_t)(mixed(i) % 29);
        tm_ref_t r = tm_alloc_ref(node_size(nlinks));
        if (r == 0)
            return false;
        node_t *node = tm_pin_ref(r);
        *node = (node_t){.number = (uint32_t)i, .nlinks = nlinks};
        tm_unpin_ref(r);
        g->nodes[i] = r;
    }
    return g->nodes != NULL;
}

/* Each node leads to the next that stays, so that a walk from node 0 reaches all of these, and to others at random. */
static void make_links(graph_t *g)
{
    for (size_t i = 0; i < g->nnodes; i++) {
        tm_scope_enter();
        node_t *node = tm_deref_ref(g->nodes[i]);
        node->link[0] = g->nodes[(i / 4 + 1) * 4 < g->nnodes ? (i / 4 + 1) * 4 : 0];
        for (uint32_t k = 1; k < node->nlinks; k++)
            node->link[k] = g->nodes[mixed(i * 64 + k) % g->nnodes];
        g->nlinks += node->nlinks;
        tm_scope_exit();
    }
}

/* Drops the links of a node that lead to nodes that are about to go. Returns how many there are left. */
static uint32_t keep_links(tm_ref_t r)
{
    uint32_t kept = 0;
    tm_scope_enter();
    node_t *node = tm_deref_ref(r);
    for (uint32_t k = 0; k < node->nlinks; k++) {
        const node_t *other = tm_deref_ref(node->link[k]);
        if (stays(other->number))
            node->link[kept++] = node->link[k];
    }
    node->nlinks = kept;
    tm_scope_exit();
    return kept;
}

static void prune(graph_t *g)
{
    g->nlinks = 0;
    for (size_t i = 0; i < g->nnodes; i++) {
        if (!stays(i))
            continue;
        uint32_t kept = keep_links(g->nodes[i]);
        g->nlinks += kept;
        if (tm_realloc(tm_from_ref(g->nodes[i]), node_size(kept)) == TM_NULL)
            abort(); /* to shrink needs no memory */
    }
    for (size_t i = 0; i < g->nnodes; i++)
        if (!stays(i)) {
            tm_free_ref(g->nodes[i]);
            g->nodes[i] = 0;
        }
}

/* Walks from node 0, breadth first. Returns how many nodes it reaches; `sum` depends on all their numbers and links. */
static size_t walk(const graph_t *g, uint32_t round, uint64_t *sum)
{
    tm_ref_t *queue = malloc(g->nnodes * sizeof *queue);
    size_t head = 0, tail = 0;
    *sum = 0;
    if (queue == NULL)
        return 0;
    queue[tail++] = g->nodes[0];
    TM_PINNED(node_t, first, tm_from_ref(g->nodes[0]))
    {
        first->round = round;
    }
    while (head < tail) {
        tm_scope_enter(); /* one node at a time: scopes are short */
        const node_t *node = tm_deref_ref(queue[head++]);
        *sum += mixed(node->number + head);
        for (uint32_t k = 0; k < node->nlinks; k++) {
            node_t *other = tm_deref_ref(node->link[k]);
            if (other->round != round)
                queue[tail++] = node->link[k];
            other->round = round;
        }
        tm_scope_exit();
    }
    free(queue);
    return tail;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000;
    graph_t g = {0};
    uint64_t sum, again;
    if (n == 0 || !make_nodes(&g, n)) {
        fprintf(stderr, "no nodes, or no memory\n");
        return 1;
    }
    make_links(&g);
    printf("%zu nodes, %zu links of %zu bytes: %zu KiB, as pointers %zu KiB\n", g.nnodes, g.nlinks, sizeof(tm_ref_t),
        g.nlinks * sizeof(tm_ref_t) / 1024, g.nlinks * sizeof(void *) / 1024);
    printf("%zu reached\n", walk(&g, 1, &sum));

    prune(&g);
    size_t reached = walk(&g, 2, &sum);
    printf("three of four deleted: %zu links, %zu reached\n", g.nlinks, reached);
    compact_and_print();

    bool same = walk(&g, 3, &again) == reached && again == sum && reached == (n + 3) / 4;
    printf("%s\n", same ? "the same walk as before" : "WRONG: another walk than before");
    for (size_t i = 0; i < g.nnodes; i++)
        tm_free_ref(g.nodes[i]);
    free(g.nodes);
    return !same;
}
