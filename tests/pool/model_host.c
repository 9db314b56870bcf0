/* model_host.c - the model over many shapes of pool. Arguments: operations per run, first seed, seeds. */
#include "model.h"
#include "port.h"
#include <stdio.h>
#include <stdlib.h>

static const model_run_t shapes[] = {
    /* size  extend_to handles block align pins options bits max_object */
    {256, 0, 4, 0, 0, 1, 0, 8, 24, 0, 0},
    {256, 400, 8, 4, 0, 0, 0, 8, 16, 0, 0},
    {512, 0, 40, 4, 0, 2, 0, 8, 40, 0, 0},
    {600, 1200, 20, 8, 0, 3, TM_POOL_COMPACT, 8, 100, 0, 0},
    {2048, 0, 200, 0, 0, 4, 0, 8, 100, 0, 0},
    {2048, 0, 60, 8, 32, 4, 0, 8, 200, 0, 0},
    {4000, 6000, 255, 16, 0, 6, 0, 8, 300, 0, 0},
    {4096, 0, 30, 16, 0, 8, TM_POOL_COMPACT, 8, 900, 0, 0},
    {8192, 0, 300, 8, 0, 8, 0, 16, 300, 0, 0},
    {8192, 0, 260, 32, 0, 0, 0, 16, 500, 0, 0},
    {8192, 16384, 1000, 8, 0, 20, 0, 16, 100, 0, 0},
    {16384, 0, 100, 8, 16, 5, 0, 16, 2000, 0, 0},
    {65536, 0, 600, 0, 0, 10, TM_POOL_COMPACT, 16, 3000, 0, 0},
    {262144, 0, 700, 8, 0, 10, 0, 16, 8000, 0, 0},
    {1200000, 0, 300, 16, 0, 10, 0, 32, 60000, 0, 0},
};

void port_put(char c) { putchar(c); }
void port_exit(int status) { exit(status); }

int main(int argc, char **argv)
{
    unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000,
                  first = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    unsigned long seeds = argc > 3 ? strtoul(argv[3], NULL, 10) : 4, seed;
    size_t i;
    int bad = 0;
    static unsigned char *buffer;
    buffer = aligned_alloc(4096, 1 << 21);
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (seed = first; seed < first + seeds; seed++) {
            model_run_t run = shapes[i];
            if (TM_POOL_INDEX_BITS && TM_POOL_INDEX_BITS != run.bits)
                continue;
            run.seed = seed;
            run.operations = run.size > 20000 ? operations / 8 : operations;
            bad += !model_go(buffer, &run);
        }
    }
    printf("# allocs %lu (%lu with a recent object), reallocs %lu (moved %lu), frees %lu, fragmented %lu, no memory "
           "%lu, no handles %lu, pinned %lu, steps %lu (%lu "
           "at work, %lu moved), compactions %lu, extensions %lu; a step: %lu looks at most, %lu %% of its bound\n",
           model_seen.allocs, model_seen.recent, model_seen.reallocs, model_seen.moved_reallocs, model_seen.frees,
           model_seen.fragmented, model_seen.no_memory, model_seen.no_handles, model_seen.pinned, model_seen.steps,
           model_seen.working_steps, model_seen.moves, model_seen.compactions, model_seen.extensions,
           model_seen.max_visits, model_seen.max_cost);
    printf("%sok - random operations, every one audited\n", bad ? "not " : "");
    free(buffer);
    return bad != 0;
}
