/* phases.c - phases of other sizes, of whose blocks 1 in KEEP survives each (0: none): peak of what is resident over
 * the peak of what is live. What lies empty in one size class cannot serve the next phase. Under a limit of memory, as
 * that of a container, it decides how much may be live.
 *
 * usage: need-phases MIB PHASES KEEP */
#include "needkit.h"

/* First in, first out. The links are in the blocks: a table of them would be a third of what is live. */
typedef struct link {
    struct link *next;
} link_t;

typedef struct queue {
    link_t *first, *last;
} queue_t;

static void push(queue_t *q, void *block)
{
    link_t *link = block;
    link->next = NULL;
    if (q->first == NULL)
        q->first = link;
    else
        q->last->next = link;
    q->last = link;
}

static link_t *pop(queue_t *q)
{
    link_t *link = q->first;
    if (link != NULL)
        q->first = link->next;
    return link;
}

int main(int argc, char **argv)
{
    double wanted = (double)argument(argc, argv, 1, 48) * MIB, survivors = 0, most = 0, peak = 0;
    long phases = argument(argc, argv, 2, 8), keep = argument(argc, argv, 3, 50);
    queue_t list = {0};
    rng_t r = {9};
    double before = resident();
    for (long phase = 0; phase < phases; phase++) {
        size_t size = (size_t)24 << (phase * 3 % 8);
        double live = survivors, now;
        for (; live < wanted; live += (double)size)
            push(&list, filled(size));
        now = resident() - before;
        most = now > most ? now : most;
        peak = live > peak ? live : peak;
        for (link_t *block; (block = pop(&list)) != NULL;) {
            if (keep > 0 && rng_below(&r, (uint32_t)keep) == 0)
                survivors += (double)size;
            else
                free(block);
        }
    }
    figure("peak over live", most / (peak / MIB));
    return 0;
}
