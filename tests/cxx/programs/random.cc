// Each container against the standard one: random operations, while a thread compacts without pause.
#include "kit.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace {

int rounds = 20000;

counted number(generator &g, const counted *) { return counted(static_cast<int>(g.below(1000))); }
int number(generator &g, const int *) { return static_cast<int>(g.below(1000)); }
std::string word(generator &g) { return std::string(g.below(40), static_cast<char>('a' + g.below(26))); }

template <class T, class U>
bool same(const tinymem::vector<T> &v, const std::vector<U> &w)
{
    return v.size() == w.size() && std::equal(v.begin(), v.end(), w.begin());
}

struct with_strings {
    using ours = tinymem::string;
    using theirs = std::string;
    static std::string make(generator &g) { return word(g); }
};
template <class T>
struct with {
    using ours = T;
    using theirs = T;
    static T make(generator &g) { return number(g, static_cast<T *>(nullptr)); }
};

template <class Kind, class V, class W>
void insert_an_element(generator &g, V &v, W &w)
{
    const std::size_t i = g.below(v.size());
    const auto at = static_cast<std::ptrdiff_t>(g.below(v.size() + 1));
    const typename Kind::theirs value(w[i]);
    switch (g.below(3)) {
    case 0: v.push_back(v[i]), w.push_back(value); break;
    case 1: v.insert(v.begin() + at, v[i]), w.insert(w.begin() + at, value); break;
    default: v.insert(v.begin() + at, 2, v[i]), w.insert(w.begin() + at, 2, value);
    }
}

template <class Kind, class V, class W>
void insert_something(generator &g, V &v, W &w)
{
    using T = typename Kind::ours;
    const auto at = static_cast<std::ptrdiff_t>(g.below(v.size() + 1));
    const auto value = Kind::make(g);
    const std::vector<typename Kind::theirs> some{value, value, Kind::make(g)};
    switch (g.below(9)) {
    case 0: v.push_back(T(value)), w.push_back(value); break;
    case 1: v.emplace_back(value), w.emplace_back(value); break;
    case 2: v.insert(v.begin() + at, T(value)), w.insert(w.begin() + at, value); break;
    case 3: v.insert(v.begin() + at, 3, T(value)), w.insert(w.begin() + at, 3, value); break;
    case 4: v.resize(v.size() + g.below(5)), w.resize(v.size()); break;
    case 5:
        v.insert(v.begin() + at, some.begin(), some.end());
        w.insert(w.begin() + at, some.begin(), some.end());
        break;
    default:
        if (!v.empty())
            insert_an_element<Kind>(g, v, w);
    }
}

template <class V, class W>
void change_an_element(generator &g, V &v, W &w)
{
    const std::size_t i = g.below(v.size()), k = g.below(v.size());
    const auto at = static_cast<std::ptrdiff_t>(i);
    switch (g.below(4)) {
    case 0: v.erase(v.begin() + at), w.erase(w.begin() + at); break;
    case 1: v.pop_back(), w.pop_back(); break;
    case 2: v[i] = v[k], w[i] = w[k]; break;
    default: swap(v[i], v[k]), std::swap(w[i], w[k]);
    }
}

template <class V, class W>
void change_something(generator &g, V &v, W &w)
{
    const auto from = static_cast<std::ptrdiff_t>(g.below(v.size() + 1));
    const auto n = static_cast<std::ptrdiff_t>(g.below(v.size() + 1 - static_cast<std::size_t>(from)));
    const auto a = v.begin() + from;
    const auto b = w.begin() + from;
    switch (g.below(10)) {
    case 0: v.erase(a, a + n / 2), w.erase(b, b + n / 2); break;
    case 1: std::sort(a, a + n), std::sort(b, b + n); break;
    case 2: std::reverse(v.begin(), v.end()), std::reverse(w.begin(), w.end()); break;
    case 3: v.shrink_to_fit(); break;
    case 4: { V copy(v), other; other = copy; v = std::move(other); v = *&v; } break;
    case 5: if (v.size() > 300) v.clear(), w.clear(); break;
    default:
        if (!v.empty())
            change_an_element(g, v, w);
    }
}

template <class Kind>
void vectors(const char *name, std::uint64_t which)
{
    generator g(which);
    bool good = true;
    {
        tinymem::vector<typename Kind::ours> v;
        std::vector<typename Kind::theirs> w;
        for (int i = 0; i < rounds && good; i++) {
            if (g.below(2) == 0)
                insert_something<Kind>(g, v, w);
            else
                change_something(g, v, w);
            if (i % 100 == 0)
                (void)tm_compact();
            good = i % 7 != 0 || same(v, w);
        }
        good = good && same(v, w);
    }
    tap(good, name);
}

void strings()
{
    generator g(4);
    tinymem::string s;
    std::string t;
    bool good = true;
    for (int i = 0; i < rounds && good; i++) {
        const std::string x = word(g);
        const std::size_t at = g.below(t.size() + 1), n = g.below(50);
        tinymem::scope open;
        switch (g.below(12)) {
        case 0: s += x, t += x; break;
        case 1: s.insert(at, x), t.insert(at, x); break;
        case 2: s.erase(at, n), t.erase(at, n); break;
        case 3: s.replace(at, n, x), t.replace(at, n, x); break;
        case 4: s.push_back('!'), t.push_back('!'); break;
        case 5: s = s.substr(at, n), t = t.substr(at, n); break;
        case 6: s.append(s.view(open).substr(at, n)), t.append(std::string(t, at, n)); break;
        case 7: s.insert(at / 2, s), t.insert(at / 2, std::string(t)); break;
        case 8: s.shrink_to_fit(); break;
        case 9: s = s + x, t = t + x; break;
        case 10: s.resize(at), t.resize(at); break;
        default: good = s.find(x) == t.find(x) && s.rfind(x) == t.rfind(x) && s.find('b', at) == t.find('b', at);
        }
        if (t.size() > 4000)
            s.clear(), t.clear();
        good = good && s == t && s.size() == t.size() && s.compare(x) == t.compare(x) && s.pin().c_str()[t.size()] == 0;
    }
    tap(good, "string: as std::string, parts of itself included");
}

template <class Ours, class Theirs>
bool same_maps(const Ours &m, const Theirs &n)
{
    std::size_t seen = 0;
    for (const auto &e : m) {
        auto it = n.find(typename Theirs::key_type(e.first));
        if (it == n.end() || !(e.second == it->second))
            return false;
        seen++;
    }
    return seen == n.size() && m.size() == n.size();
}

template <class K, class Ours, class Theirs>
bool change_a_map(generator &g, const K &k, const K &other, Ours &m, Theirs &n)
{
    const int v = static_cast<int>(g.below(1000));
    switch (g.below(10)) {
    case 0: m[k] = v, n[k] = v; return true;
    case 1: return m.try_emplace(k, v).second == n.try_emplace(k, v).second;
    case 2: m.insert_or_assign(k, v), n.insert_or_assign(k, v); return true;
    case 3:
    case 4: return m.erase(k) == n.erase(k);
    case 5: return m.contains(k) == (n.count(k) != 0) && (!m.contains(k) || *m.at(k) == n.at(k));
    case 6: { Ours copy(m), third; third = copy; m = std::move(third); } return true;
    case 7: if (m.contains(k)) m.try_emplace(other, m[k]), n.try_emplace(other, int(n[k])); return true;
    case 8: m.reserve(g.below(400)); return true;
    default: break;
    }
    if (n.size() > 200) {
        const int odd = v % 2;
        erase_if(m, [odd](const auto &e) { return e.second % 2 == odd; });
        for (auto it = n.begin(); it != n.end();)
            it = it->second % 2 == odd ? n.erase(it) : std::next(it);
    }
    return true;
}

template <class Key, class Ours, class Theirs>
void maps(const char *name, Key key, Ours m, Theirs n, std::uint64_t which)
{
    generator g(which);
    bool good = true;
    for (int i = 0; i < rounds && good; i++) {
        good = change_a_map(g, key(g), key(g), m, n);
        if (i % 100 == 0)
            (void)tm_compact();
        good = good && (i % 7 != 0 || same_maps(m, n));
    }
    tap(good && same_maps(m, n), name);
}

struct poor_hash {
    std::size_t operator()(int k) const noexcept { return static_cast<std::size_t>(k % 5); }
};

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = std::atoi(argv[1]);
    mover compacting;
    vectors<with<int>>("vector of int: as std::vector", 1);
    vectors<with<counted>>("vector of counted objects: as std::vector", 2);
    vectors<with_strings>("vector of movable strings: as std::vector of std::string", 3);
    strings();
    maps("hash_map of int: as std::unordered_map", [](generator &g) { return static_cast<int>(g.below(300)); },
         tinymem::hash_map<int, int>(), std::unordered_map<int, int>(), 5);
    maps("hash_map with five hashes in all", [](generator &g) { return static_cast<int>(g.below(100)); },
         tinymem::hash_map<int, int, poor_hash>(), std::unordered_map<int, int>(), 6);
    maps("hash_map of movable strings", [](generator &g) { return word(g); }, tinymem::hash_map<tinymem::string, int>(),
         std::unordered_map<std::string, int>(), 7);
    const std::size_t moved = compacting.stop();
    std::printf("# %zu objects moved meanwhile\n", moved);
    tap(moved > 100, "objects moved meanwhile");
    tap(counted::alive == 0 && counted::wrong == 0, "every object was destroyed once");
    tap(stats_now().live_objects == 0, "no storage is left");
    tap(stats_now().pins == 0, "no pin is left");
    return tap_done();
}
