/* signal.c - a timer interrupts the pool at random points, and its handler uses pinned objects: their addresses,
 * contents, and that they are valid. Meanwhile everything else is allocated, freed, resized and moved. */
#include "tinymem/tinymem_pool.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { PINNED = 8, OTHERS = 400 };
static unsigned char buffer[65536] TM_POOL_BUFFER;
static tm_pool_t *const pool = (tm_pool_t *)buffer;
static tm_pool_handle_t pinned[PINNED], others[OTHERS];
static unsigned char *at[PINNED];
static volatile sig_atomic_t interrupts, wrong, inside, inside_seen;

static void on_timer(int signal)
{
    (void)signal;
    interrupts++;
    inside_seen += inside;
    for (int i = 0; i < PINNED; i++) {
        unsigned char *p = tm_pool_ptr(pool, pinned[i]);
        if (p != at[i] || p != tm_pool_at(pool, pinned[i]) || !tm_pool_valid(pool, pinned[i])) {
            wrong = 1;
            return;
        }
        for (int k = 0; k < 40; k++)
            if (p[k] != (unsigned char)(p[0] + k))
                wrong = 2;
        for (int k = 39; k >= 0; k--)
            p[k] = (unsigned char)(p[0] + 1 + k);
    }
}

static void work(unsigned draw)
{
    tm_pool_handle_t *h = &others[draw / 16 % OTHERS];
    switch (draw % 8) {
    case 0: tm_pool_compact_step(pool, 2000, 0); break;
    case 1: tm_pool_compact(pool); break;
    case 2: tm_pool_realloc(pool, *h, 1 + draw % 300); break;
    default:
        if (*h != 0 && tm_pool_free(pool, *h) == TM_POOL_OK)
            *h = 0;
        else
            *h = tm_pool_alloc(pool, 1 + draw / 64 % 200);
    }
}

int main(void)
{
    tm_pool_config_t c = {0};
    struct itimerval every = {{0, 50}, {0, 50}};
    time_t end = time(NULL) + 4;
    unsigned draw = 1;
    unsigned long operations = 0;
    c.handles = 500;
    c.max_pins = PINNED;
    if (tm_pool_init(buffer, sizeof buffer, &c) != TM_POOL_OK)
        return 2;
    for (int i = 0; i < 40; i++)
        others[i] = tm_pool_alloc(pool, 50);
    for (int i = 0; i < PINNED; i++) {
        pinned[i] = tm_pool_alloc(pool, 40);
        others[50 + i] = tm_pool_alloc(pool, 100);
        at[i] = tm_pool_pin(pool, pinned[i]);
        for (int k = 0; k < 40; k++)
            at[i][k] = (unsigned char)(i * 11 + k);
    }
    signal(SIGALRM, on_timer);
    setitimer(ITIMER_REAL, &every, NULL);
    while (time(NULL) < end && !wrong) {
        for (int i = 0; i < 1000; i++, operations++) {
            draw = draw * 1664525u + 1013904223u;
            inside = 1;
            work(draw >> 8);
            inside = 0;
        }
    }
    every.it_value.tv_usec = every.it_interval.tv_usec = 0;
    setitimer(ITIMER_REAL, &every, NULL);
    printf("# %lu operations, %d interrupts, %d of them inside the pool\n", operations, (int)interrupts,
           (int)inside_seen);
    printf("%sok - a timer's handler finds pinned objects in place and whole\n",
           wrong || inside_seen < 100 || tm_pool_check_all(pool) ? "not " : "");
    return wrong != 0;
}
