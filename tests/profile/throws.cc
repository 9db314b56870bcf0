// Exceptions, and operators new of all kinds, each from a site of its own.
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

struct alignas(64) Wide {
    char bytes[640];
};

#define SITE __attribute__((noinline))
static std::vector<void *> kept;

SITE static void site_new() { kept.push_back(new char[1000]); }
SITE static void site_nothrow() { kept.push_back(new (std::nothrow) char[2000]); }
SITE static void site_aligned() { kept.push_back(new Wide); }
SITE static void site_single() { kept.push_back(new std::string(3000, 'x')); }

SITE static void thrower(int depth)
{
    std::string local(500, 'y');
    if (depth == 0)
        throw std::runtime_error(local);
    thrower(depth - 1);
}

int main()
{
    int caught = 0;
    kept.reserve(100000);
    for (int i = 0; i < 1000; i++) {
        site_new();
        site_nothrow();
        site_aligned();
        site_single();
        try {
            thrower(i % 20);
        } catch (const std::exception &) {
            caught++;
        }
    }
    std::printf("%d\n", caught);
    return caught == 1000 ? 0 : 1;
}
