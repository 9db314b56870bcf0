/* events.c - an event loop that tidies up when it is idle, a little at a time.
 *
 * Messages come and go in no order. When no event waits, the loop calls tm_pool_compact_step with a bound of 5
 * microseconds until it returns false, and looks for events in between: no event waits longer than that for memory to
 * be tidied. */
#define _POSIX_C_SOURCE 199309L
#include "tinymem_pool.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static unsigned char buffer[65536] TM_POOL_BUFFER;
static tm_pool_t *const pool = (tm_pool_t *)buffer;
static tm_pool_handle_t messages[400];
static unsigned random_state = 1;

static uint32_t nanoseconds(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((unsigned long)now.tv_sec * 1000000000u + (unsigned long)now.tv_nsec);
}

static unsigned draw(unsigned below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

/* In a real program: select, a queue, an interrupt's flag. */
static int event_waits(void) { return draw(4) == 0; }

static int handle_event(void)
{
    tm_pool_handle_t *m = &messages[draw(400)];
    if (*m != 0) {
        tm_pool_free(pool, *m);
        *m = 0;
        return 1;
    }
    *m = tm_pool_alloc(pool, 1 + draw(300));
    if (*m == 0)
        return 0;
    memset(tm_pool_ptr(pool, *m), 1, 1);
    return 1;
}

int main(void)
{
    tm_pool_config_t config = {0};
    unsigned long events = 0, refused = 0, steps = 0;
    uint32_t longest = 0;
    config.handles = 400;
    config.clock = nanoseconds;
    config.bytes_per_tick = 2; /* memmove does 2 bytes a nanosecond and more */
    if (tm_pool_init(buffer, sizeof buffer, &config) != TM_POOL_OK)
        return 1;
    while (events < 100000) {
        if (event_waits()) {
            events++;
            refused += !handle_event();
        } else {
            uint32_t before = nanoseconds(NULL), took;
            tm_pool_compact_step(pool, 0, 5000);
            took = nanoseconds(NULL) - before;
            longest = took > longest ? took : longest;
            steps++;
        }
    }
    printf("%lu events, %lu times no memory; %lu steps, the longest %u ns\n", events, refused, steps,
           (unsigned)longest);
    return tm_pool_check_all(pool) != 0;
}
