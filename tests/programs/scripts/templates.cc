// templates.cc - heavy on a compiler: many containers, algorithms, regular expressions, and templates of our own.
#include <algorithm>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Tag {
    static constexpr int value = N;
    friend bool operator<(Tag, Tag) { return false; }
};

template <int N> struct Chain : Chain<N - 1> {
    std::map<std::string, std::vector<std::tuple<Tag<N>, int, std::string>>> table;
    int walk(const std::string &s)
    {
        auto &rows = table[s];
        rows.emplace_back(Tag<N>{}, N, s);
        std::sort(rows.begin(), rows.end());
        return std::accumulate(rows.begin(), rows.end(), 0, [](int a, auto &r) { return a + std::get<1>(r); }) +
               Chain<N - 1>::walk(s);
    }
};

template <> struct Chain<0> {
    int walk(const std::string &) { return 0; }
};

using Value = std::variant<int, double, std::string, std::vector<int>, std::shared_ptr<std::list<std::string>>>;

int visit_all(const std::vector<Value> &values)
{
    std::unordered_map<std::string, std::function<int(int)>> steps;
    int total = 0;
    for (auto &v : values)
        total += std::visit(
            [&](auto &x) {
                return steps.emplace(std::to_string(sizeof x), [&](int n) { return n + (int)sizeof x; })
                    .first->second(1);
            },
            v);
    return total;
}

int matches(const std::string &text)
{
    std::regex words("([a-z]+)-([0-9]+)");
    return (int)std::distance(std::sregex_iterator(text.begin(), text.end(), words), std::sregex_iterator());
}

int use(const std::string &s)
{
    Chain<4> chain;
    return chain.walk(s) + visit_all({1, 2.0, s, std::vector<int>{3}, std::make_shared<std::list<std::string>>()}) +
           matches(s);
}
