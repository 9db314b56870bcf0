/* model_small.c - the model on a small machine: a few shapes, some thousand operations. */
#include "model.h"
#include "port.h"

#ifndef SMALL_BUFFER
#define SMALL_BUFFER 2048
#endif
#ifndef SMALL_OPERATIONS
#define SMALL_OPERATIONS 1500
#endif

static unsigned char buffer[SMALL_BUFFER] TM_POOL_BUFFER;

static int go(size_t size, size_t extend_to, size_t handles, size_t block, size_t pins, unsigned options,
              size_t max_object)
{
    model_run_t run = {size,       extend_to, handles,         block, 0, pins, options, TM_POOL_INDEX_BITS,
                       max_object, 1,         SMALL_OPERATIONS};
    bool good = true;
    for (run.seed = 1; run.seed <= 3; run.seed++)
        good &= model_go(buffer, &run);
    port_say(good ? "ok" : "not ok");
    port_say(" - model: ");
    port_number((unsigned long)size);
    port_say(" bytes, ");
    port_number((unsigned long)handles);
    port_say(" handles\n");
    return !good;
}

int pool_test(void)
{
    int bad = go(256, 300, 5, 0, 1, 0, 24);
    bad += go(700, 0, 30, 8, 4, 0, 60);
    bad += go(900, 1000, 30, 8, 3, TM_POOL_COMPACT, 120);
    bad += go(SMALL_BUFFER, 0, 60, 16, 5, 0, 400);
    return bad != 0;
}
