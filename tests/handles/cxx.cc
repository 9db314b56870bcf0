// The header in C++: linkage, TM_PINNED and exceptions, the same functions as symbols.
#include "objects.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int depth_reached;

static void throw_from_inside(tm_handle_t h, int depth)
{
    TM_PINNED(char, p, h)
    {
        depth_reached = depth;
        if (depth == 5)
            throw std::runtime_error(p);
        throw_from_inside(h, depth + 1);
    }
}

static void exceptions_end_pins()
{
    tm_handle_t h = tm_alloc(100);
    TM_PINNED(char, p, h) { strcpy(p, "thrown under a pin"); }
    std::string what;
    try {
        throw_from_inside(h, 1);
    } catch (const std::runtime_error &e) {
        what = e.what();
    }
    tap(what == "thrown under a pin" && depth_reached == 5, "an exception leaves five TM_PINNED blocks");
    tap(stats_now().pins == 0, "and their pins have ended");
    tm_free(h);
}

/* As C code in between does it, without destructors. */
static void throw_from_a_scope(tm_handle_t h, int depth)
{
    tm_scope_enter();
    (void)tm_pin(h);
    if (depth == 0)
        throw std::runtime_error("thrown in a scope");
    throw_from_a_scope(h, depth - 1);
}

static void marks_end_scopes()
{
    tm_handle_t h = tm_alloc(100);
    tm_scope_enter();
    unsigned pins = tm_pin_mark(), scopes = tm_scope_mark();
    unsigned thrown_pins = 0, thrown_scopes = 0;
    try {
        throw_from_a_scope(h, 5);
    } catch (const std::runtime_error &) {
        thrown_pins = tm_pin_mark() - pins;
        thrown_scopes = tm_scope_mark() - scopes;
        tm_scope_reset(scopes);
        tm_pin_reset(pins);
    }
    tap(thrown_pins == 6 && thrown_scopes == 6, "an exception leaves six scopes and pins of C code");
    tap(tm_scope_mark() == 1 && tm_pin_mark() == 0, "and marks end them");
    tm_scope_exit();
    tm_free(h);
}

static int by_return(tm_handle_t h)
{
    std::string destroyed = "with a destructor beside it";
    TM_PINNED(int, p, h) { return *p + (int)destroyed.size() * 0; }
    return -1;
}

static void other_ways_out()
{
    tm_handle_t h = tm_calloc(4, sizeof(int));
    int runs = 0;
    TM_PINNED(int, p, h) { *p = 42; }
    tap(by_return(h) == 42 && stats_now().pins == 0, "return");
    for (int i = 0; i < 3; i++)
        TM_PINNED(int, p, h)
        {
            runs += *p == 42;
            if (i == 1)
                continue;
            break;
        }
    tap(runs == 3 && stats_now().pins == 0, "break and continue");
    auto pinned = [&](auto f) {
        TM_PINNED(int, p, h) { f(p); }
    };
    pinned([&](int *p) { runs += *p; });
    tap(runs == 45 && stats_now().pins == 0, "in a lambda");
    tm_free(h);
}

static void functions_are_symbols_too()
{
    void *(*pin)(tm_handle_t) = tm_pin;
    void (*unpin)(tm_handle_t) = tm_unpin;
    void *(*deref)(tm_handle_t) = tm_deref;
    void (*enter)(void) = tm_scope_enter;
    void (*exit_)(void) = tm_scope_exit;
    tm_handle_t h = tm_alloc(10);
    void *p = pin(h);
    enter();
    tap(p != nullptr && deref(h) == p, "pointers to the inlined functions work");
    exit_();
    unpin(h);
    tm_free(h);
}

static void threads()
{
    std::vector<std::thread> all;
    bool good[8] = {};
    for (int t = 0; t < 8; t++)
        all.emplace_back([t, &good] {
            std::vector<tm_handle_t> hs;
            for (int i = 0; i < 2000; i++) {
                hs.push_back(tm_alloc((size_t)i % 300));
                fill_object(hs.back(), (size_t)i % 300, (uint64_t)i);
            }
            good[t] = true;
            for (int i = 0; i < 2000; i++) {
                good[t] &= object_intact(hs[(size_t)i], (size_t)i % 300, (uint64_t)i);
                tm_free(hs[(size_t)i]);
            }
        });
    bool all_good = true;
    for (int t = 0; t < 8; t++) {
        all[(size_t)t].join();
        all_good &= good[t];
    }
    tap(all_good, "eight threads");
}

int main()
{
    exceptions_end_pins();
    marks_end_scopes();
    other_ways_out();
    functions_are_symbols_too();
    threads();
    return tap_done();
}
