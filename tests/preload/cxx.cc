// The C++ operators, all twenty: served by the heap, aligned, and with the new-handler loop and std::bad_alloc when
// memory runs out.
#include "tap.h"

#include <malloc.h>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

const size_t impossible = static_cast<size_t>(PTRDIFF_MAX) - 100; // not so large that the compiler refuses it
volatile size_t too_much = impossible;
void *volatile sink; // compilers drop a new whose result is not used

size_t live() { return mallinfo2().uordblks; }

bool usable(void *p, size_t align, size_t size)
{
    if (p == nullptr || reinterpret_cast<uintptr_t>(p) % align != 0 || malloc_usable_size(p) < size)
        return false;
    memset(p, 1, size);
    return true;
}

void every_pair_of_operators()
{
    const size_t before = live();
    bool plain = true, nothrow = true, sized = true;
    for (size_t size = 0; size < 70000; size = size * 5 / 4 + 1) {
        void *p = ::operator new(size), *q = ::operator new[](size);
        plain &= usable(p, size < 16 ? 8 : 16, size) && usable(q, size < 16 ? 8 : 16, size) && p != q;
        ::operator delete(p);
        ::operator delete[](q);
        p = ::operator new(size, std::nothrow), q = ::operator new[](size, std::nothrow);
        nothrow &= usable(p, 8, size) && usable(q, 8, size);
        ::operator delete(p, std::nothrow);
        ::operator delete[](q, std::nothrow);
        p = ::operator new(size), q = ::operator new[](size);
        sized &= usable(p, 8, size) && usable(q, 8, size);
        ::operator delete(p, size);
        ::operator delete[](q, size);
    }
    tap(plain, "new and delete, new[] and delete[]");
    tap(nothrow, "their nothrow forms");
    tap(sized, "sized delete");
    bool aligned = true;
    for (size_t a = 1; a <= size_t{1} << 24; a *= 2)
        for (size_t size = 0; size < 70000; size = size * 3 + 1) {
            const auto align = std::align_val_t{a};
            void *p = ::operator new(size, align), *q = ::operator new[](size, align);
            aligned &= usable(p, a, size) && usable(q, a, size);
            ::operator delete(p, align);
            ::operator delete[](q, align);
            p = ::operator new(size, align, std::nothrow), q = ::operator new[](size, align, std::nothrow);
            aligned &= usable(p, a, size) && usable(q, a, size);
            ::operator delete(p, align, std::nothrow);
            ::operator delete[](q, align, std::nothrow);
            p = ::operator new(size, align), q = ::operator new[](size, align);
            aligned &= usable(p, a, size) && usable(q, a, size);
            ::operator delete(p, size, align);
            ::operator delete[](q, size, align);
        }
    tap(aligned, "aligned forms, plain, nothrow and sized");
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    ::operator delete(nullptr, size_t{8}, std::align_val_t{64});
    tap(live() == before, "everything was freed (%zu bytes live, %zu before)", live(), before);
}

template <class F> bool throws_bad_alloc(F allocate)
{
    try {
        allocate();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void failure_throws()
{
    const auto align = std::align_val_t{4096};
    tap(throws_bad_alloc([] { sink = ::operator new(too_much); }), "new throws std::bad_alloc");
    tap(throws_bad_alloc([] { sink = ::operator new[](too_much); }), "new[] throws std::bad_alloc");
    tap(throws_bad_alloc([=] { sink = ::operator new(too_much, align); }), "aligned new throws std::bad_alloc");
    tap(throws_bad_alloc([=] { sink = ::operator new[](too_much, align); }), "aligned new[] throws std::bad_alloc");
    tap(throws_bad_alloc([] { std::vector<char> v(too_much); }), "so does a container, through its frames");
    tap(::operator new(too_much, std::nothrow) == nullptr && ::operator new[](too_much, std::nothrow) ==
            nullptr && ::operator new(too_much, align, std::nothrow) ==
            nullptr && ::operator new[](too_much, align, std::nothrow) == nullptr,
        "nothrow forms return nullptr");
}

int handler_calls;

void give_up_at_third()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct handler_error {};

[[noreturn]] void throw_own()
{
    throw handler_error{};
}

void new_handlers_run()
{
    const auto align = std::align_val_t{64};
    bool good = true;
    for (int which = 0; which < 6; which++) {
        handler_calls = 0;
        std::set_new_handler(give_up_at_third);
        switch (which) {
        case 0: good &= throws_bad_alloc([] { sink = ::operator new(too_much); }); break;
        case 1: good &= throws_bad_alloc([] { sink = ::operator new[](too_much); }); break;
        case 2: good &= throws_bad_alloc([=] { sink = ::operator new(too_much, align); }); break;
        case 3: good &= throws_bad_alloc([=] { sink = ::operator new[](too_much, align); }); break;
        case 4: good &= ::operator new(too_much, std::nothrow) == nullptr; break;
        default: good &= ::operator new(too_much, align, std::nothrow) == nullptr;
        }
        good &= handler_calls == 3;
    }
    tap(good, "the new-handler is called until it gives up, from each form of new");
    std::set_new_handler(throw_own);
    bool caught = false;
    try {
        sink = ::operator new(too_much);
    } catch (const handler_error &) {
        caught = true;
    }
    std::set_new_handler(nullptr);
    tap(caught, "what the new-handler throws passes through");
}

struct counted {
    static int alive;
    std::string text{std::string(100, 'x')};
    counted() { alive++; }
    counted(const counted &) = delete;
    counted &operator=(const counted &) = delete;
    ~counted() { alive--; }
};
int counted::alive;

__attribute__((noinline)) void deep(int depth)
{
    counted local;
    if (depth == 0)
        sink = ::operator new(too_much);
    else
        deep(depth - 1);
    tap_sleep_ms(0); // no tail call
}

void frames_are_unwound()
{
    const size_t before = live();
    bool caught = true;
    for (int i = 0; i < 100; i++)
        caught &= throws_bad_alloc([] { deep(50); });
    tap(caught && counted::alive == 0, "destructors of all frames run");
    tap(live() <= before + 4096, "and nothing leaks (%zu bytes live, %zu before)", live(), before);
}

struct alignas(256) wide {
    char bytes[700];
};

void containers_work()
{
    bool good = true;
    {
        std::map<int, std::string> m;
        std::vector<std::unique_ptr<wide>> w;
        for (int i = 0; i < 20000; i++)
            m[i * 7919 % 20011] = std::string(static_cast<size_t>(i % 300), static_cast<char>('a' + i % 26));
        for (int i = 0; i < 500; i++)
            w.push_back(std::make_unique<wide>());
        for (auto &p : w)
            good &= reinterpret_cast<uintptr_t>(p.get()) % 256 == 0;
        for (int i = 0; i < 20000; i += 2)
            m.erase(i);
        for (auto &[k, v] : m)
            good &= v.empty() || v.front() == v.back();
    }
    tap(good, "containers and over-aligned types");
}

} // namespace

int main()
{
    static char buffer[1 << 16];
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    every_pair_of_operators();
    failure_throws();
    new_handlers_run();
    frames_are_unwound();
    containers_work();
    return tap_done();
}
