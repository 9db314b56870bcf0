// kit.h - what the micro benchmarks share: a generator and a block that the compiler must regard as used.
#pragma once
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace kit {

// splitmix64, as in the programs.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next()
    {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    size_t below(size_t n) { return static_cast<size_t>(((next() >> 32) * n) >> 32); }

private:
    uint64_t state_;
};

// Allocate and write the first byte, as every program does.
inline void *make(size_t size)
{
    void *p = std::malloc(size);
    benchmark::DoNotOptimize(p);
    *static_cast<volatile char *>(p) = 1;
    return p;
}

inline void drop(void *p)
{
    benchmark::DoNotOptimize(p);
    std::free(p);
}

// A fixed permutation of 0 … n-1.
inline std::vector<size_t> shuffled(size_t n)
{
    std::vector<size_t> order(n);
    Random random(n);
    for (size_t i = 0; i < n; i++) {
        size_t j = random.below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

} // namespace kit
