// What the comments in <tinymem/cxx/> promise, one sentence a result.
#include "kit.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <string>
#include <unordered_set>

namespace {

struct point {
    int x, y;
};
struct alignas(256) wide {
    int x = 5;
};
struct node {
    int value = 0;
    tinymem::handle<node> next;
};
struct tree {
    int value = 0;
    tinymem::vector<tree> children;
};
struct throws_in_constructor {
    static inline int left = 0;
    counted c;
    throws_in_constructor()
    {
        if (left-- == 0)
            throw copy_failed();
    }
};

} // namespace

template <>
struct tinymem::is_relocatable<node> : std::true_type {};
template <>
struct tinymem::is_relocatable<tree> : std::true_type {};
template <>
struct tinymem::is_relocatable<throws_in_constructor> : std::true_type {};

#if __cplusplus >= 202002L
static_assert(std::random_access_iterator<tinymem::vector<int>::iterator>);
static_assert(std::random_access_iterator<tinymem::string::const_iterator>);
static_assert(std::forward_iterator<tinymem::hash_map<int, int>::const_iterator>);
#endif
static_assert(sizeof(tinymem::handle<int>) == 8 && sizeof(tinymem::vector<int>) == 24 && sizeof(tinymem::string) == 24);
static_assert(std::is_nothrow_move_constructible_v<tinymem::hash_map<int, int>>);

namespace {

// Destroyed after main, when the library must still work.
tinymem::vector<tinymem::string> global{"a", "global", "vector"};

void handles()
{
    auto h = tinymem::make<point>(3, 4);
    tap(h->x == 3 && h.pin()->y == 4, "make: an aggregate from its members");
    tinymem::ref<point> r = h;
    tinymem::ref<point, 4> small = h;
    tap(sizeof r == 8 && sizeof small == 4 && r.alive() && small.pin()->x == 3, "references have 8 bytes, or 4");
    auto g = std::move(h);
    tap(!h && h == nullptr && !h.pin() && g->x == 3, "a moved-from owner is null");
    auto &same = g;
    g = std::move(same);
    tap(g && g->y == 4, "moving to itself keeps the object");
    {
        tinymem::scope open;
        tap(g.in(open) == r.in(open) && g.in(open)->x == 3 && h.in(open) == nullptr, "addresses in a scope");
    }
    {
        tinymem::mark before;
        tm_scope_enter();
        (void)tm_pin(g.id());
        before.reset();
        tap(tm_scope_mark() == 0 && tm_pin_mark() == 0, "a mark ends the scopes and pins since");
    }
    g.reset();
    tinymem::scope open;
    tap(!r.pin() && !r.alive() && r.in(open) == nullptr && !small.pin(), "references to a freed object give null");
    auto again = tinymem::make<point>(1, 1);
    tap(!r.pin() && r != tinymem::ref<point>(again), "also when the index is used again");
    tinymem::ref<const point> reader = again;
    tinymem::ref<const point, 4> small_reader = tinymem::ref<point, 4>(again);
    tap(reader.pin()->x == 1 && small_reader.pin()->y == 1, "references to const");
    const auto fixed = tinymem::make<const point>(5, 6);
    tap(fixed->y == 6, "an object that is const");
    tm_handle_t raw = again.release();
    tap(!again && tinymem::handle<point>::adopt(raw)->x == 1, "release and adopt");
    auto w = tinymem::make<wide>();
    tap(reinterpret_cast<std::uintptr_t>(w.pin().get()) % 256 == 0 && w->x == 5, "alignment of the type");
    node first;
    first.next = tinymem::make<node>();
    first.next->next = tinymem::make<node>();
    first.next->next->value = 9;
    tap(first.next->next->value == 9, "a list of owners");
    auto p = first.next.pin();
    auto q = std::move(p);
    tap(!p && q->next.pin()->value == 9, "a pin can be moved");
    std::set<tinymem::ref<point>> ordered{r, nullptr};
    std::unordered_set<tinymem::ref<point>> hashed{r, r};
    tap(ordered.size() == 2 && hashed.size() == 1, "references order and hash");
}

void lives()
{
    {
        auto h = tinymem::make<counted>(5);
        auto a = tinymem::make<counted[]>(7);
        tap(counted::alive == 8 && a.size() == 7 && a.pin()[6].read() == 0, "owners construct");
        a = nullptr;
        tap(counted::alive == 1, "and destroy");
        auto none = tinymem::make<counted[]>(0);
        tap(none && none.empty() && none.pin().begin() == none.pin().end(), "an array of nothing");
    }
    const std::size_t objects = stats_now().live_objects;
    throws_in_constructor::left = 0;
    bool thrown = throws_copy_failed([] { auto h = tinymem::make<throws_in_constructor>(); });
    tap(thrown && stats_now().live_objects == objects, "a constructor that throws leaves nothing behind");
    throws_in_constructor::left = 4;
    thrown = throws_copy_failed([] { auto h = tinymem::make<throws_in_constructor[]>(9); });
    tap(thrown && stats_now().live_objects == objects && counted::alive == 0, "nor does the fifth of an array");
    tap(stats_now().pins == 0, "and no pin");
}

// How many of the objects are at another address after compaction. With `hold`, each is pinned meanwhile.
std::size_t moved(bool hold)
{
    std::vector<tinymem::handle<point[]>> all;
    std::vector<std::uintptr_t> at;
    std::vector<tinymem::pinned<point[]>> pins;
    for (int i = 0; i < 4000; i++)
        all.push_back(tinymem::make<point[]>(30));
    // Before there are holes: the library's own thread may compact at any time after that.
    for (std::size_t i = 0; i < all.size(); i++) {
        auto p = all[i].pin();
        at.push_back(reinterpret_cast<std::uintptr_t>(p.get()));
        if (hold && i % 10 == 0)
            pins.push_back(std::move(p));
    }
    for (std::size_t i = 0; i < all.size(); i++)
        if (i % 10 != 0)
            all[i].reset();
    std::size_t n = 0;
    (void)tm_compact();
    for (std::size_t i = 0; i < all.size(); i += 10)
        n += reinterpret_cast<std::uintptr_t>(all[i].pin().get()) != at[i];
    return n;
}

// The same of vectors, while another thread compacts. With `hold`, an iterator has looked each of them up.
std::size_t moved_beside(bool hold)
{
    std::vector<tinymem::vector<int>> all(4000, tinymem::vector<int>(60));
    std::vector<std::pair<tinymem::vector<int>::iterator, int *>> seen;
    std::vector<std::uintptr_t> at;
    for (const auto &v : all)
        at.push_back(reinterpret_cast<std::uintptr_t>(v.pin().get()));
    for (std::size_t i = 0; i < all.size(); i++)
        if (i % 10 != 0)
            all[i] = {};
        else if (hold)
            seen.emplace_back(all[i].begin(), std::addressof(*all[i].begin()));
    std::thread([] { (void)tm_compact(); }).join();
    std::size_t n = 0;
    for (const auto &[it, address] : seen)
        n += std::addressof(*it) != address;
    for (std::size_t i = 0; i < all.size() && !hold; i += 10)
        n += reinterpret_cast<std::uintptr_t>(all[i].pin().get()) != at[i];
    return n;
}

void moves()
{
    tap(moved_beside(true) == 0, "what an iterator has looked up stays while another thread compacts");
    tap(moved_beside(false) > 100, "control: without iterators the vectors move");
    tap(moved(false) > 100, "an address is not kept across a move");
    tap(moved(true) == 0, "control: it is while the object is pinned");
}

void vectors()
{
    tinymem::vector<int> v{1, 2, 3};
    auto it = v.begin() + 1;
    for (int i = 4; i < 5000; i++)
        v.push_back(i);
    tap(*it == 2 && it[4990] == 4992, "an iterator names its place, across growth");
    tinymem::vector<int> w(std::move(v));
    tap(v.empty() && v.begin() == v.end() && *it == 2, "a moved-from vector is empty; iterators go with the storage");
    v.push_back(6);
    auto &self = w;
    w = self;
    w = std::move(self);
    w.swap(self);
    tap(v[0] == 6 && w.size() == 4999 && w.back() == 4999, "assignment to itself");
    tap(std::accumulate(w.rbegin(), w.rend(), 0L) == 4999L * 5000 / 2, "reverse iterators");
    const auto pinned = w.pin();
    tap(std::accumulate(pinned.begin(), pinned.end(), 0L) == 4999L * 5000 / 2, "a pinned vector is a range");
    v = {3, 1, 3, 2};
    tap(erase(v, 3) == 2 && v == tinymem::vector<int>{1, 2} && erase_if(v, [](int x) { return x > 1; }) == 1, "erase");
    tinymem::vector<int> none;
    none.insert(none.end(), none.begin(), none.end());
    none.erase(none.begin(), none.end());
    none.shrink_to_fit();
    tap(none == tinymem::vector<int>() && none.data(tinymem::scope()) == nullptr && !none.id(), "an empty vector");
    tinymem::vector<bool> bits(3);
    bits[1] = true;
    tinymem::vector<wide> aligned(100);
    tap(bits[1] && !bits[2] && reinterpret_cast<std::uintptr_t>(aligned.pin().get()) % 256 == 0, "of bool, of wide");
    tinymem::vector<std::unique_ptr<int>> owners;
    for (int i = 0; i < 100; i++)
        owners.insert(owners.begin(), std::make_unique<int>(i));
    tap(**owners[0] == 99 && **owners[99] == 0, "of move-only objects");
    tinymem::vector<tree> trees(2);
    trees[0]->children.emplace_back()->value = 7;
    trees.insert(trees.begin(), std::move(*trees[1]));
    tap(trees[1]->children[0]->value == 7, "of vectors of itself");
    std::istringstream numbers("4 5 6");
    tinymem::vector<int> read{std::istream_iterator<int>(numbers), std::istream_iterator<int>()};
    tap(read == tinymem::vector<int>({4, 5, 6}) && read < tinymem::vector<int>({4, 6}), "from a stream; comparison");
    const int sum = read[0] + read[1] * 2;
    read[0] += 5;
    ++read[1];
    swap(read[0], read[1]);
    tap(sum == 14 && read == tinymem::vector<int>({6, 9, 6}), "elements in expressions");
    read[0] *= 2;
    read[1] |= 2;
    read[2] <<= 1;
    const int was = read[2]++;
    tap(was == 12 && read == tinymem::vector<int>({12, 11, 13}) && read[0] < 13 && read[1] >= 11, "in assignments");
    tinymem::vector<int> at_front;
    for (int i = 0; i < 500; i++)
        at_front.insert(at_front.begin(), {i, i});
    tinymem::vector<int> more(300, 7);
    at_front.insert(at_front.begin() + 1, more.begin(), more.end());
    tap(at_front[0] == 499 && at_front[300] == 7 && at_front[301] == 499 && at_front.back() == 0, "insertion of much");
}

void strings()
{
    tinymem::string s("abc"), empty;
    tap(s == "abc" && "abc" == s && s == std::string("abc") && s == std::string_view("abc") && s != empty && s < "abd",
        "comparison with every kind of text");
    tap(empty == "" && empty.pin().c_str()[0] == '\0' && empty.str().empty() && empty.find("x") == s.npos,
        "empty text");
    s.append(std::string_view("\0d", 2));
    tap(s.size() == 5 && s.str() == std::string("abc\0d", 5), "characters of value 0");
    s.erase(3, 1).insert(99, "!").replace(99, 9, "?").erase(99);
    tap(s == "abcd!?" && s.substr(99).empty() && s.substr(4) == "!?", "positions beyond the end are the end");
    tinymem::vector<tinymem::string> v{"x", "y"};
    v[0] += v[1];
    v[1] = "z";
    s = v[0];
    s += *v[1];
    tap(s == "xyz" && s.starts_with(v[0]) && s.ends_with("yz") && s.contains("y"), "elements as text");
    tap(std::hash<tinymem::string>()(s) == std::hash<std::string_view>()("xyz"), "the hash of a string_view");
    std::ostringstream out;
    out << s << v[1];
    tap(out.str() == "xyzz", "to a stream");
    s = s.view(tinymem::scope()).substr(1);
    tap(s == "yz", "assignment of a part of itself");
    std::string upper = s.str();
    for (char &c : s)
        c = 'q';
    s[0] = 'p';
    tap(s == "pq" && s.back() == 'q' && upper == "yz", "characters can be written");
    s = std::string("st");
    tap("a" + s + "b" + 'c' == "astbc" && std::string("a") + s == "ast", "sums");
}

void maps()
{
    tinymem::hash_map<tinymem::string, int> m{{"a", 1}, {"b", 2}};
    m["c"] = *m["a"] + *m["b"];
    tap(m["c"] == 3 && m.contains(std::string_view("a")) && m.count("z") == 0 && m.size() == 3, "any text is a key");
    auto n = std::move(m);
    tap(m.empty() && m.begin() == m.end() && m.find("a") == m.end() && m.erase("a") == 0, "a moved-from map is empty");
    m["again"] = 1;
    auto &self = n;
    n = self;
    n = std::move(self);
    tap(n.size() == 3 && m.size() == 1 && n.at("b") == 2, "assignment to itself");
    tinymem::hash_map<int, int> squares;
    for (int i = 0; i < 1000; i++)
        squares.emplace(i, i * i);
    std::size_t seen = 0;
    for (auto it = squares.begin(); it != squares.end(); ++seen)
        it = it->first % 3 == 0 ? squares.erase(it) : std::next(it);
    tap(seen == 1000 && squares.size() == 666 && !squares.contains(3) && squares.at(4) == 16, "erasing in a loop");
    const tm_handle_t before = squares.id();
    squares.reserve(700);
    for (int i = 0; i < 100000; i++) {
        squares[5000 + i] = i;
        squares.erase(5000 + i);
    }
    tap(squares.size() == 666 && squares.capacity() < 3000, "erased slots are used again");
    tap(squares.contains(7L) && before != 0, "keys of another type");
    tinymem::hash_map<int, tinymem::hash_map<int, tinymem::string>> nested;
    nested[1].get()[2] = "deep";
    tap(*nested[1]->at(2) == "deep", "maps of maps");
}

struct throws_when_told {
    static inline bool told = false;
    static void perhaps()
    {
        if (told)
            throw copy_failed();
    }
    std::size_t operator()(int k) const { return perhaps(), static_cast<std::size_t>(k); }
    bool operator()(int a, int b) const { return perhaps(), a == b; }
};

void throwing_hash()
{
    tinymem::hash_map<int, int, throws_when_told, throws_when_told> m{{1, 2}, {3, 4}};
    throws_when_told::told = true;
    const bool thrown = throws_copy_failed([&] { m[5] = 6; }) && throws_copy_failed([&] { m.erase(1); }) &&
                        throws_copy_failed([&] { (void)m.find(3); });
    m.reserve(1000); // calls neither
    m.erase(m.begin());
    throws_when_told::told = false;
    tap(thrown && m.size() == 1 && m.contains(1) != m.contains(3), "hash and comparison may throw");
}

void raw_heap()
{
    std::vector<int, tinymem::allocator<int>> v(100, 3);
    std::map<int, int, std::less<>, tinymem::allocator<std::pair<const int, int>>> m{{1, 2}};
    std::pmr::vector<wide> p(5, tinymem::raw_resource());
    tap(v[99] == 3 && m[1] == 2 && reinterpret_cast<std::uintptr_t>(p.data()) % 256 == 0,
        "std containers on the raw heap");
    tap(tinymem::allocator<int>() == tinymem::allocator<long>() &&
            tinymem::raw_resource()->is_equal(*tinymem::raw_resource()), "allocators are equal");
    bool thrown = false;
    try {
        (void)tinymem::allocator<long>().allocate(static_cast<std::size_t>(-1) / 8);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    tap(thrown, "a size that overflows: std::bad_alloc");
}

void misuse()
{
    tap(says(last_words([] { tinymem::vector<int> v{1}; (void)*v.at(1); }), "index is not below"),
        "at() beyond the end");
    tap(says(last_words([] { tinymem::hash_map<int, int> m; (void)*m.at(1); }), "no such key"),
        "at() of no key");
    tap(says(last_words([] {
            tinymem::vector<int> v{1};
            auto it = v.begin();
            v = tinymem::vector<int>{2};
            std::printf("%d", *it);
        }), "tm_deref"), "an iterator of storage that is gone is reported");
    tap(says(last_words([] {
            tinymem::vector<int> v{1};
            auto p = v.pin();
            v.reserve(100000);
        }), "pin"), "growing pinned storage is reported");
    tap(last_words([] { tinymem::vector<int> v{1}; (void)*v.at(0); }) == "did not abort", "control: right use is not");
}

void readers()
{
    tinymem::vector<tinymem::string> v;
    tinymem::hash_map<int, tinymem::string> m;
    for (int i = 0; i < 2000; i++)
        m[i] = v.emplace_back(std::to_string(i)).get();
    mover compacting;
    std::atomic<long> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++)
        threads.emplace_back([&] {
            const auto &cv = v;
            const auto &cm = m;
            for (int i = 0; i < 4000 || (i < 4000000 && compacting.moved() < 100); i++) {
                wrong += *cv[static_cast<std::size_t>(i) % 2000] != std::to_string(i % 2000);
                wrong += cm.find(i % 2000)->second != std::to_string(i % 2000);
            }
        });
    for (auto &t : threads)
        t.join();
    tap(wrong == 0 && compacting.stop() >= 100, "three threads read one vector and one map while objects move");
}

} // namespace

int main()
{
    handles();
    lives();
    moves();
    vectors();
    strings();
    maps();
    throwing_hash();
    raw_heap();
    misuse();
    readers();
    tap(stats_now().live_objects == 4 && stats_now().pins == 0, "no storage is left but a global vector's, and no pin");
    return tap_done();
}
