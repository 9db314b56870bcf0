// paths.cc - what the inlined paths of handles cost, each beside the same work with plain pointers in the same run.
//
// A look-up case walks 256 objects of 64 bytes in a fixed random order and reads the first word of each: objects,
// handles and words together fit a first-level cache. The control's blocks are malloc's. Times are per object. `chain`
// finds the next handle, or pointer, in the object, so that one look-up waits for the other.
#include "../micro/kit.h"

#include <tinymem/tinymem.h>

namespace {

constexpr size_t kObjects = 256, kBytes = 64;

// The value is needed, in a register; nothing is said about memory.
inline void use(uint64_t value) { asm volatile("" : : "r"(value)); }

// Blocks of one thread in random order, each holding the address of the next.
struct Blocks {
    Blocks() : pointer(kObjects)
    {
        const auto order = kit::shuffled(kObjects);
        std::vector<uint64_t *> made(kObjects);
        for (auto &p : made)
            p = static_cast<uint64_t *>(std::malloc(kBytes));
        for (size_t i = 0; i < kObjects; i++)
            pointer[i] = made[order[i]];
        for (size_t i = 0; i < kObjects; i++)
            *pointer[i] = reinterpret_cast<uintptr_t>(pointer[(i + 1) % kObjects]);
    }
    ~Blocks()
    {
        for (auto p : pointer)
            std::free(p);
    }
    std::vector<uint64_t *> pointer;
};

// The same with handles.
struct Objects {
    Objects() : handle(kObjects)
    {
        const auto order = kit::shuffled(kObjects);
        std::vector<tm_handle_t> made(kObjects);
        for (auto &h : made)
            h = tm_alloc(kBytes);
        for (size_t i = 0; i < kObjects; i++)
            handle[i] = made[order[i]];
        for (size_t i = 0; i < kObjects; i++)
            TM_PINNED(tm_handle_t, p, handle[i]) {
                *p = handle[(i + 1) % kObjects];
            }
    }
    ~Objects()
    {
        for (auto h : handle)
            tm_free(h);
    }
    std::vector<tm_handle_t> handle;
};

void plain(benchmark::State &state)
{
    Blocks b;
    while (state.KeepRunningBatch(kObjects))
        for (const auto p : b.pointer)
            use(*p);
}

void pin(benchmark::State &state)
{
    Objects o;
    while (state.KeepRunningBatch(kObjects))
        for (const auto h : o.handle) {
            use(*static_cast<const uint64_t *>(tm_pin(h)));
            tm_unpin(h);
        }
}

// One scope around a walk; its entry and exit are in the time.
void scope(benchmark::State &state)
{
    Objects o;
    while (state.KeepRunningBatch(kObjects)) {
        tm_scope_enter();
        for (const auto h : o.handle)
            use(*static_cast<const uint64_t *>(tm_deref(h)));
        tm_scope_exit();
    }
}

void chain_plain(benchmark::State &state)
{
    Blocks b;
    const uint64_t *p = b.pointer[0];
    while (state.KeepRunningBatch(kObjects))
        for (size_t i = 0; i < kObjects; i++)
            p = reinterpret_cast<const uint64_t *>(*p);
    benchmark::DoNotOptimize(p);
}

void chain_pin(benchmark::State &state)
{
    Objects o;
    tm_handle_t h = o.handle[0];
    while (state.KeepRunningBatch(kObjects))
        for (size_t i = 0; i < kObjects; i++) {
            const tm_handle_t next = *static_cast<const tm_handle_t *>(tm_pin(h));
            tm_unpin(h);
            h = next;
        }
    benchmark::DoNotOptimize(h);
}

void chain_scope(benchmark::State &state)
{
    Objects o;
    tm_handle_t h = o.handle[0];
    while (state.KeepRunningBatch(kObjects)) {
        tm_scope_enter();
        for (size_t i = 0; i < kObjects; i++)
            h = *static_cast<const tm_handle_t *>(tm_deref(h));
        tm_scope_exit();
    }
    benchmark::DoNotOptimize(h);
}

// Allocation and free, 32 at a time, last in first out; the first byte is written. Times are per object.
constexpr size_t kBurst = 32;

void raw_pair(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    void *block[kBurst];
    while (state.KeepRunningBatch(kBurst)) {
        for (auto &p : block)
            p = kit::make(size);
        for (size_t i = kBurst; i-- > 0;)
            kit::drop(block[i]);
    }
}

void handle_pair(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    tm_handle_t block[kBurst];
    while (state.KeepRunningBatch(kBurst)) {
        for (auto &h : block) {
            h = tm_alloc(size);
            *static_cast<volatile char *>(tm_pin(h)) = 1;
            tm_unpin(h);
        }
        for (size_t i = kBurst; i-- > 0;)
            tm_free(block[i]);
    }
}

// After an object of the same size has been locked, and unlocked again.
void handle_pair_after_lock(benchmark::State &state)
{
    const tm_handle_t h = tm_alloc(static_cast<size_t>(state.range(0)));
    tm_lock(h);
    tm_unlock(h);
    tm_free(h);
    handle_pair(state);
}

BENCHMARK(plain)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(pin)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(scope)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(chain_plain)->Threads(1)->UseRealTime();
BENCHMARK(chain_pin)->Threads(1)->UseRealTime();
BENCHMARK(chain_scope)->Threads(1)->UseRealTime();
BENCHMARK(raw_pair)->Arg(16)->Arg(64)->Arg(128)->Arg(256)->Arg(512)->UseRealTime();
BENCHMARK(handle_pair)->Arg(16)->Arg(64)->Arg(128)->Arg(256)->Arg(512)->UseRealTime();
BENCHMARK(handle_pair_after_lock)->Arg(144)->UseRealTime();

} // namespace

BENCHMARK_MAIN();
