/* memory.h - what the examples print: how much memory the process has, before and after compaction. */
#ifndef EXAMPLES_MEMORY_H
#define EXAMPLES_MEMORY_H

#include <stdio.h>
#include <tinymem/tinymem.h>
#include <unistd.h>

/* Resident memory of the process, in KiB. */
static inline size_t resident_kib(void)
{
    size_t all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%zu %zu", &all, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static inline void print_memory(const char *when)
{
    tm_stats_t s = {.struct_size = sizeof s};
    tm_stats(&s);
    printf("%s: resident %zu KiB, live objects %zu KiB\n", when, resident_kib(), s.live_bytes / 1024);
}

/* The library compacts by itself. To do it at once, as here, is for programs that know that they will be quiet. */
static inline void compact_and_print(void)
{
    print_memory("before compaction");
    tm_compact();
    print_memory("after compaction");
}

#endif
