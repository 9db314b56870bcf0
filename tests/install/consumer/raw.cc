// As raw.c, by operator new.
#include <cstdio>
#include <tinymem/heap.h>
#include <tinymem/tinymem.h>
#include <vector>

int main()
{
    tm_heap_stats_t before{}, after{};
    before.struct_size = after.struct_size = sizeof before;
    tm_heap_stats(&before);
    std::vector<char> v(50 << 20);
    tm_heap_stats(&after);
    std::printf("%s %s\n", tm_version(), after.raw.live - before.raw.live >= v.size() ? "serves" : "does not serve");
}
