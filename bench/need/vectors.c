/* vectors.c - vectors that grow in turn by 4 KiB, and vectors that are cut to what they hold.
 *
 * usage: need-vectors VECTORS MIB_EACH */
#include "needkit.h"

enum { STEP = 4096, CUT = 600 };

static int mappings(void)
{
    static char text[1 << 16];
    int lines = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    size_t n;
    while (f != NULL && (n = fread(text, 1, sizeof text, f)) > 0)
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    if (f != NULL)
        fclose(f);
    return lines;
}

static void grow(long n, size_t most)
{
    char **v = table((size_t)n * sizeof *v);
    double begun = now_ns();
    for (size_t size = 0; size < most; size += STEP)
        for (long i = 0; i < n; i++) {
            v[i] = must(realloc(v[i], size + STEP));
            memset(v[i] + size, 1, STEP);
        }
    figure("growing, s", (now_ns() - begun) / 1e9);
    figure("mappings then", mappings());
    for (long i = 0; i < n; i++)
        free(v[i]);
}

static void cut(void)
{
    static char *v[CUT];
    rng_t r = {7};
    double live = 0, before = resident();
    for (int i = 0; i < CUT; i++) {
        size_t size = rng_between(&r, 64 << 10, 2 << 20), rest = size * (rng_below(&r, 80) + 20) / 100;
        v[i] = filled(size);
        v[i] = must(realloc(v[i], rest));
        live += (double)rest;
    }
    pause_ms(500);
    figure("cut vectors, resident over live", (resident() - before) / (live / MIB));
}

int main(int argc, char **argv)
{
    cut();
    grow(argument(argc, argv, 1, 64), (size_t)argument(argc, argv, 2, 8) << 20);
    return 0;
}
