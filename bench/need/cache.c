/* cache.c - a cache of blocks of random sizes, of which random ones are replaced by others: resident over live, at
 * worst.
 *
 * usage: need-cache MIB LEAST MOST */
#include "needkit.h"

enum { TURNS = 6, BLOCKS_MAX = 200000 };

int main(int argc, char **argv)
{
    double wanted = (double)argument(argc, argv, 1, 200) * MIB, live = 0, worst = 0;
    uint32_t least = (uint32_t)argument(argc, argv, 2, 33000), most = (uint32_t)argument(argc, argv, 3, 130000), n = 0;
    char **block = table(BLOCKS_MAX * sizeof *block);
    uint32_t *size = table(BLOCKS_MAX * sizeof *size);
    rng_t r = {11};
    double before = resident();
    for (; live < wanted && n < BLOCKS_MAX; n++) {
        size[n] = rng_between(&r, least, most);
        block[n] = filled(size[n]);
        live += size[n];
    }
    double tables = n * (sizeof *block + sizeof *size) / MIB, begun = now_ns();
    for (uint32_t turn = 1; turn <= n * TURNS; turn++) {
        uint32_t i = rng_below(&r, n);
        free(block[i]);
        live -= size[i];
        size[i] = rng_between(&r, least, most);
        block[i] = filled(size[i]);
        live += size[i];
        double ratio = turn % (n * TURNS / 10) == 0 ? (resident() - before - tables) / (live / MIB) : 0;
        worst = ratio > worst ? ratio : worst;
    }
    figure("resident over live", worst);
    figure("us a replacement", (now_ns() - begun) / 1e3 / (n * TURNS));
    return 0;
}
