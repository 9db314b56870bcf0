// malloc.cc - the C functions in one thread. Times are per malloc and free together unless the name says otherwise.
#include "kit.h"

#include <malloc.h>

namespace {

constexpr size_t kBatch = 1000;

void pair(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    for (auto _ : state)
        kit::drop(kit::make(size));
}

enum class Order { lifo, fifo, random };

void batch(benchmark::State &state, Order order)
{
    const auto size = static_cast<size_t>(state.range(0));
    std::vector<void *> block(kBatch);
    const auto shuffle = kit::shuffled(kBatch);
    while (state.KeepRunningBatch(kBatch)) {
        for (auto &p : block)
            p = kit::make(size);
        for (size_t i = 0; i < kBatch; i++)
            kit::drop(block[order == Order::lifo ? kBatch - 1 - i : order == Order::fifo ? i : shuffle[i]]);
    }
}

// A standing working set of mixed sizes; each step replaces one block at random.
void replace(benchmark::State &state)
{
    const auto slots = static_cast<size_t>(state.range(0));
    std::vector<void *> block(slots);
    kit::Random random(1);
    for (auto &p : block)
        p = kit::make(16 + random.below(500));
    for (auto _ : state) {
        auto &p = block[random.below(slots)];
        kit::drop(p);
        p = kit::make(16 + random.below(500));
    }
    for (auto p : block)
        kit::drop(p);
}

void zeroed(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *p = std::calloc(1, size);
        benchmark::DoNotOptimize(p);
        *static_cast<volatile char *>(p) = 1;
        kit::drop(p);
    }
}

// Time for growing one block from 16 bytes to the limit by halves, as a vector would with realloc.
void realloc_growth(benchmark::State &state)
{
    const auto limit = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *p = kit::make(16);
        for (size_t size = 24; size <= limit; size += size / 2) {
            p = std::realloc(p, size);
            static_cast<volatile char *>(p)[size - 1] = 1;
        }
        kit::drop(p);
    }
}

// A buffer that grows a little at a time, with a neighbour in the way.
void realloc_small_steps(benchmark::State &state)
{
    for (auto _ : state) {
        void *p = kit::make(64), *neighbour = kit::make(64);
        for (size_t size = 128; size <= 16384; size += 64)
            p = std::realloc(p, size);
        kit::drop(neighbour);
        kit::drop(p);
    }
}

void aligned(benchmark::State &state)
{
    const auto alignment = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *p = nullptr;
        benchmark::DoNotOptimize(posix_memalign(&p, alignment, 200));
        *static_cast<volatile char *>(p) = 1;
        kit::drop(p);
    }
}

// Large blocks, every page written: page faults and system calls count.
void large_touched(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        auto *p = static_cast<volatile char *>(kit::make(size));
        for (size_t i = 0; i < size; i += 4096)
            p[i] = 1;
        kit::drop(const_cast<char *>(p));
    }
}

void usable_size(benchmark::State &state)
{
    void *p = kit::make(static_cast<size_t>(state.range(0)));
    for (auto _ : state) {
        benchmark::DoNotOptimize(p);
        benchmark::DoNotOptimize(malloc_usable_size(p));
    }
    kit::drop(p);
}

BENCHMARK(pair)->Arg(8)->Arg(16)->Arg(48)->Arg(64)->Arg(128)->Arg(256)->Arg(512)->Arg(1024)->Arg(4096)->Arg(16384)
    ->Arg(65536);
BENCHMARK_CAPTURE(batch, lifo, Order::lifo)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(8192);
BENCHMARK_CAPTURE(batch, fifo, Order::fifo)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(8192);
BENCHMARK_CAPTURE(batch, random, Order::random)->Arg(16)->Arg(64)->Arg(256)->Arg(1024)->Arg(8192);
BENCHMARK(replace)->Arg(1000)->Arg(100000);
BENCHMARK(zeroed)->Arg(32)->Arg(256)->Arg(4096)->Arg(65536)->Arg(1 << 20);
BENCHMARK(realloc_growth)->Arg(1024)->Arg(65536)->Arg(16 << 20);
BENCHMARK(realloc_small_steps);
BENCHMARK(aligned)->Arg(16)->Arg(64)->Arg(256)->Arg(4096);
BENCHMARK(large_touched)->Arg(128 << 10)->Arg(1 << 20)->Arg(16 << 20);
BENCHMARK(usable_size)->Arg(48);

} // namespace

BENCHMARK_MAIN();
