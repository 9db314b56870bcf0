/* bursts.c - a program that needs much memory for a moment, again and again, and then no more.
 *
 * Idea: COUNT blocks of SIZE bytes are allocated, written and freed, every PERIOD ms. What counts are page faults from
 * the third turn on, and what is resident 15 s after the last. THREADS above 1 are there, asleep.
 *
 * usage: need-bursts TURNS COUNT SIZE PERIOD THREADS */
#include "needkit.h"

static void *sleeper(void *unused)
{
    for (;;)
        pause_ms(100000);
    return unused;
}

static void burst(char **block, long count, size_t size)
{
    for (long i = 0; i < count; i++)
        block[i] = filled(size);
    for (long i = 0; i < count; i++)
        free(block[i]);
}

int main(int argc, char **argv)
{
    long turns = argument(argc, argv, 1, 30), count = argument(argc, argv, 2, 335),
         size = argument(argc, argv, 3, 200000);
    long period = argument(argc, argv, 4, 150), threads = argument(argc, argv, 5, 1);
    char **block = table((size_t)count * sizeof *block);
    pthread_t t;
    for (long i = 1; i < threads; i++)
        pthread_create(&t, NULL, sleeper, NULL);
    double before = resident(), spent = 0;
    long start = 0;
    for (long turn = 1; turn <= turns; turn++) {
        if (turn == 3)
            start = faults();
        double begun = now_ns();
        burst(block, count, (size_t)size);
        spent += turn >= 3 ? now_ns() - begun : 0;
        pause_ms((unsigned)period);
    }
    double pages = (double)count * (double)size / 4096;
    figure("faults a turn, % of its pages", (double)(faults() - start) / (double)(turns - 2) / pages * 100);
    figure("ms a turn", spent / 1e6 / (double)(turns - 2));
    pause_ms(15000);
    figure("resident 15 s after the last, MiB", resident() - before);
    return 0;
}
