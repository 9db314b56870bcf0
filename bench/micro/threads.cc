// threads.cc - malloc and free in several threads at once, blocks that change hands, and threads that come and go.
#include "kit.h"

#include <atomic>
#include <thread>

namespace {

// Each thread on its own: an allocator without contention takes as long as with one thread.
void own_blocks(benchmark::State &state)
{
    constexpr size_t kSlots = 256;
    std::vector<void *> block(kSlots);
    kit::Random random(static_cast<uint64_t>(state.thread_index()) + 1);
    for (auto _ : state) {
        auto &p = block[random.below(kSlots)];
        std::free(p);
        p = kit::make(16 + random.below(240));
    }
    for (auto p : block)
        std::free(p);
}

// Single-producer, single-consumer ring; the time is per block made by one thread and freed by the other.
struct Ring {
    static constexpr size_t kRoom = 1024;
    alignas(64) std::atomic<size_t> head{0};
    alignas(64) std::atomic<size_t> tail{0};
    alignas(64) void *slot[kRoom];

    void put(void *p)
    {
        const size_t t = tail.load(std::memory_order_relaxed);
        while (t - head.load(std::memory_order_acquire) == kRoom) // slot free; pairs with take
            std::this_thread::yield();
        slot[t % kRoom] = p;
        tail.store(t + 1, std::memory_order_release);
    }

    void *take()
    {
        const size_t h = head.load(std::memory_order_relaxed);
        while (tail.load(std::memory_order_acquire) == h) // slot written; pairs with put
            std::this_thread::yield();
        void *p = slot[h % kRoom];
        head.store(h + 1, std::memory_order_release);
        return p;
    }
};

void cross_thread(benchmark::State &state)
{
    constexpr size_t kBatch = 4096;
    const auto size = static_cast<size_t>(state.range(0));
    Ring ring;
    std::thread consumer([&ring] {
        while (void *p = ring.take())
            kit::drop(p);
    });
    while (state.KeepRunningBatch(kBatch))
        for (size_t i = 0; i < kBatch; i++)
            ring.put(kit::make(size));
    ring.put(nullptr);
    consumer.join();
}

// Start a thread that allocates `range` blocks and frees them, and join it.
void thread_start_and_end(benchmark::State &state)
{
    const auto blocks = static_cast<size_t>(state.range(0));
    for (auto _ : state)
        std::thread([blocks] {
            std::vector<void *> block(blocks);
            for (size_t i = 0; i < blocks; i++)
                block[i] = kit::make(16 + i % 64 * 8);
            for (auto p : block)
                kit::drop(p);
        }).join();
}

BENCHMARK(own_blocks)->Threads(1)->Threads(2)->Threads(4)->UseRealTime();
BENCHMARK(cross_thread)->Arg(32)->Arg(256)->Arg(4096)->UseRealTime();
BENCHMARK(thread_start_and_end)->Arg(1)->Arg(100)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
