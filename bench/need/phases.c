/* phases.c - phases of other sizes, of whose blocks 1 in KEEP survives each (0: none): peak of what is resident over
 * the peak of what is live. What lies empty in one size class cannot serve the next phase. Under a limit of memory, as
 * that of a container, it decides how much may be live.
 *
 * usage: need-phases MIB PHASES KEEP */
#include "needkit.h"

int main(int argc, char **argv)
{
    double wanted = (double)argument(argc, argv, 1, 48) * MIB, survivors = 0, most = 0, peak = 0;
    long phases = argument(argc, argv, 2, 8), keep = argument(argc, argv, 3, 50);
    size_t table_bytes = (size_t)(wanted / 16) * sizeof(char *);
    char **block = table(table_bytes);
    rng_t r = {9};
    double before = resident();
    for (long phase = 0; phase < phases; phase++) {
        size_t size = (size_t)24 << (phase * 3 % 8), n = 0;
        double live = survivors;
        for (; live < wanted; n++, live += (double)size)
            block[n] = filled(size);
        double tables = (double)(n * sizeof *block) / MIB, now = resident() - before - tables;
        most = now > most ? now : most;
        peak = live > peak ? live : peak;
        for (size_t i = 0; i < n; i++) {
            if (keep > 0 && rng_below(&r, (uint32_t)keep) == 0)
                survivors += (double)size;
            else
                free(block[i]);
        }
        madvise(block, table_bytes, MADV_DONTNEED);
    }
    figure("peak over live", most / (peak / MIB));
    return 0;
}
