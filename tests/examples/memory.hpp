// memory.hpp - what the examples in C++ print: how much memory the process has, before and after compaction.
#ifndef EXAMPLES_MEMORY_HPP
#define EXAMPLES_MEMORY_HPP

#include <cstdio>
#include <tinymem/tinymem.hpp>
#include <unistd.h>

// Resident memory of the process, in KiB.
inline std::size_t resident_kib()
{
    std::size_t all = 0, resident = 0;
    std::FILE *f = std::fopen("/proc/self/statm", "r");
    if (f == nullptr)
        return 0;
    if (std::fscanf(f, "%zu %zu", &all, &resident) != 2)
        resident = 0;
    std::fclose(f);
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

inline void print_memory(const char *when)
{
    tm_stats_t s{};
    s.struct_size = sizeof s;
    tm_stats(&s);
    std::printf("%s: resident %zu KiB, live objects %zu KiB\n", when, resident_kib(), s.live_bytes / 1024);
}

// The library compacts by itself. To do it at once, as here, is for programs that know that they will be quiet.
inline void compact_and_print()
{
    print_memory("before compaction");
    tm_compact();
    print_memory("after compaction");
}

#endif
