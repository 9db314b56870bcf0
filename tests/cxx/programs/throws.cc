// The strong guarantee: every operation with its n-th copy, and its n-th allocation, failing, for all n. Linked with
// --wrap for tm_alloc, tm_alloc_aligned and tm_realloc. Then an address space that really is full.
#include "kit.hpp"

#include <cerrno>
#include <functional>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace {
long fails_at = 0;              // 1: the next allocation fails; 0: none
bool and_all_after = false, failing_from_now = false;

bool fails()
{
    const bool now = failing_from_now || (fails_at != 0 && --fails_at == 0);
    failing_from_now = failing_from_now || (now && and_all_after);
    if (now)
        errno = ENOMEM;
    return now;
}
} // namespace

extern "C" {
tm_handle_t __real_tm_alloc(size_t);
tm_handle_t __real_tm_alloc_aligned(size_t, size_t);
tm_handle_t __real_tm_realloc(tm_handle_t, size_t);
tm_handle_t __wrap_tm_alloc(size_t n) { return fails() ? 0 : __real_tm_alloc(n); }
tm_handle_t __wrap_tm_alloc_aligned(size_t a, size_t n) { return fails() ? 0 : __real_tm_alloc_aligned(a, n); }
tm_handle_t __wrap_tm_realloc(tm_handle_t h, size_t n) { return fails() ? 0 : __real_tm_realloc(h, n); }
}

namespace {

using vec = tinymem::vector<counted>;
using strings = tinymem::vector<tinymem::string>;
using map = tinymem::hash_map<int, counted>;
using words = tinymem::hash_map<tinymem::string, tinymem::string>;

template <class C>
C example();
template <>
vec example<vec>()
{
    vec v;
    for (int i = 0; i < 6; i++)
        v.emplace_back(i);
    return v;
}
template <>
strings example<strings>()
{
    return {"one", "two", "three"};
}
template <>
tinymem::string example<tinymem::string>()
{
    return "a text";
}
template <>
map example<map>()
{
    map m;
    for (int i = 0; i < 6; i++) // as many as fit: the next one grows the table
        m.try_emplace(i, i * i);
    return m;
}
template <>
words example<words>()
{
    return {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}, {"f", "6"}};
}

struct outcome {
    long copies_failed = 0, allocations_failed = 0;
    bool good = true;
};

// One try, in which the n-th copy or allocation fails. False when it ended well, so that there is no n-th.
template <class C, class Operation>
bool one_try(Operation &operation, long n, bool copies, bool tight, bool sticky, outcome &out)
{
    bool threw = false;
    const C wanted = example<C>();
    C c = example<C>();
    if constexpr (!std::is_same_v<C, map> && !std::is_same_v<C, words>) {
        if (tight)
            c.shrink_to_fit();
        else
            c.reserve(c.size() * 3);
    } else if (!tight) {
        c.reserve(100);
    }
    (copies ? counted::throws_at : fails_at) = n;
    and_all_after = sticky;
    try {
        operation(c);
    } catch (const copy_failed &) {
        threw = copies;
    } catch (const std::bad_alloc &) {
        threw = !copies;
    }
    const bool reached = (copies ? counted::throws_at : fails_at) == 0;
    counted::throws_at = fails_at = 0;
    and_all_after = failing_from_now = false;
    if (!reached)
        return false;
    // A failed allocation may also be done without: growth asks for less, shrinking does not matter.
    const bool done_without = !copies && !threw;
    out.good = out.good && (done_without || (threw && c == wanted));
    (copies ? out.copies_failed : out.allocations_failed) += threw;
    return true;
}

template <class C>
void strong(const char *name, std::function<void(C &)> operation)
{
    outcome out;
    const long alive = counted::alive;
    const std::size_t objects = stats_now().live_objects;
    for (int kind = 0; kind < 6; kind++)
        for (long n = 1; n < 1000 && one_try<C>(operation, n, kind % 3 == 0, kind / 3 != 0, kind % 3 == 2, out); n++)
            ;
    out.good = out.good && counted::alive == alive && counted::wrong == 0 && stats_now().live_objects == objects;
    std::printf("# %s: %ld copies and %ld allocations failed\n", name, out.copies_failed, out.allocations_failed);
    tap(out.good && out.copies_failed + out.allocations_failed > 0, name);
}

void vectors()
{
    const std::vector<counted> four{7, 8, 9, 10};
    strong<vec>("vector: push_back", [](vec &v) { const counted c(9); v.push_back(c); });
    strong<vec>("vector: push_back of an element", [](vec &v) { v.push_back(v[2]); });
    strong<vec>("vector: insert", [](vec &v) { const counted c(9); v.insert(v.begin() + 2, c); });
    strong<vec>("vector: insert of an element", [](vec &v) { v.insert(v.begin() + 2, v[4]); });
    strong<vec>("vector: insert n", [](vec &v) { v.insert(v.begin() + 2, 5, counted(9)); });
    strong<vec>("vector: insert a range", [&](vec &v) { v.insert(v.begin() + 1, four.begin(), four.end()); });
    strong<vec>("vector: insert itself", [](vec &v) { v.insert(v.begin() + 1, v.begin(), v.end()); });
    strong<vec>("vector: resize with a value", [](vec &v) { v.resize(20, counted(3)); });
    strong<vec>("vector: resize", [](vec &v) { v.resize(50); });
    strong<vec>("vector: reserve", [](vec &v) { v.reserve(100); });
    strong<vec>("vector: assign n", [](vec &v) { v.assign(4, v[5]); });
    strong<vec>("vector: assign a range", [&](vec &v) { v.assign(four.begin(), four.end()); });
    strong<vec>("vector: copy construction", [](vec &v) { vec w(v); });
    strong<vec>("vector: copy assignment", [](vec &v) { vec w = example<vec>(); w.emplace_back(9); v = w; });
    strong<vec>("vector: emplace_back, emplace", [](vec &v) {
        const counted c(9);
        v.emplace(v.begin(), c);
    });
    strong<strings>("vector of strings: push_back of an element", [](strings &v) { v.push_back(v[0]); });
    strong<strings>("vector of strings: insert a range", [](strings &v) {
        const char *some[] = {"four", "five", "six"};
        v.insert(v.begin(), some, some + 3);
    });
    strong<strings>("vector of strings: copy assignment", [](strings &v) { strings w{"x", "y"}; v = w; });
    strong<strings>("vector of strings: an element appended to itself", [](strings &v) { v[0] += *v[0]; });
}

void others()
{
    using s = tinymem::string;
    strong<s>("string: append", [](s &t) { t += "and more of it"; });
    strong<s>("string: append itself", [](s &t) { t += t; });
    strong<s>("string: insert", [](s &t) { t.insert(1, "something long enough to grow"); });
    strong<s>("string: replace", [](s &t) { t.replace(1, 2, "something long enough to grow"); });
    strong<s>("string: assignment", [](s &t) { t = "something else"; });
    strong<s>("string: sum", [](s &t) { t = t + "x"; });
    strong<map>("hash_map: try_emplace", [](map &m) { const counted c(9); m.try_emplace(99, c); });
    strong<map>("hash_map: a value from itself", [](map &m) { m.try_emplace(99, m[3]); });
    strong<map>("hash_map: insert", [](map &m) { const map::value_type e(99, 9); m.insert(e); });
    strong<map>("hash_map: reserve", [](map &m) { m.reserve(1000); });
    strong<map>("hash_map: copy", [](map &m) { map other(m); other[77] = counted(7); m = other; });
    strong<words>("hash_map of strings: []", [](words &m) { m.insert_or_assign("new", "value"); });
    strong<words>("hash_map of strings: copy", [](words &m) { words other{{"x", "y"}}; m = other; });
}

// An argument that is given as an rvalue is still there when memory runs out.
void arguments_stay()
{
    strings v{"one"};
    v.shrink_to_fit();
    tinymem::string s("kept");
    fails_at = 1;
    const bool reserved = v.try_reserve(100);
    tap(!reserved && fails_at == 0 && v.size() == 1, "try_reserve returns false and throws nothing");
    int thrown = 0;
    try {
        failing_from_now = true;
        v.push_back(std::move(s));
    } catch (const std::bad_alloc &) {
        thrown++;
    }
    failing_from_now = false;
    tap(thrown == 1 && s == "kept" && v.size() == 1, "push_back: the argument keeps its value when memory runs out");
    words m = example<words>();
    tinymem::string key("key");
    try {
        failing_from_now = true;
        m.try_emplace(std::move(key), std::move(s));
    } catch (const std::bad_alloc &) {
        thrown++;
    }
    failing_from_now = false;
    tap(thrown == 2 && s == "kept" && key == "key" && m.size() == 6, "try_emplace: so do key and value");
}

// The real thing: no more address space.
[[maybe_unused]] void full_address_space()
{
    struct rlimit old, tight;
    getrlimit(RLIMIT_AS, &old);
    tight = old;
    std::size_t pages = 0;
    std::FILE *f = std::fopen("/proc/self/statm", "r");
    if (f == nullptr || std::fscanf(f, "%zu", &pages) != 1)
        std::abort();
    std::fclose(f);
    tight.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) + (std::size_t(256) << 20);
    setrlimit(RLIMIT_AS, &tight);
    tinymem::vector<int> v;
    std::size_t grown = 0;
    bool thrown = false;
    try {
        for (;; grown++)
            v.push_back(static_cast<int>(grown));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    setrlimit(RLIMIT_AS, &old);
    bool whole = v.size() == grown;
    for (std::size_t i = 0; i < v.size(); i += 1001)
        whole = whole && v[i] == static_cast<int>(i);
    std::printf("# %zu MiB fitted into 256 MiB\n", v.size() * sizeof(int) >> 20);
    tap(thrown && whole && grown > 1000000, "a full address space: std::bad_alloc, and all elements are there");
    const std::size_t huge = static_cast<std::size_t>(-1) / 2;
    int refused = 0;
    for (std::size_t n : {huge, huge / 2, huge / 4 + 1}) {
        try {
            v.reserve(n);
        } catch (const std::bad_alloc &) {
            refused++;
        }
        try {
            auto a = tinymem::make<long[]>(n);
        } catch (const std::bad_alloc &) {
            refused++;
        }
    }
    tap(refused == 6 && !tinymem::try_make<long[]>(huge), "sizes that overflow: std::bad_alloc, or null");
}

} // namespace

int main()
{
    vectors();
    others();
    arguments_stay();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // these need address space themselves
    full_address_space();
#endif
    // The control: an operation with only the basic guarantee is noticed.
    outcome out;
    std::function<void(vec &)> basic = [](vec &v) { v.pop_back(); const counted c(1); v.push_back(c); };
    (void)one_try<vec>(basic, 1, true, false, false, out);
    tap(!out.good, "control: an operation that loses an element before it throws is noticed");
    tap(counted::alive == 0 && counted::wrong == 0, "every object was destroyed once");
    tap(stats_now().live_objects == 0, "no storage is left");
    return tap_done();
}
