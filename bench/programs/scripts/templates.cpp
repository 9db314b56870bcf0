// templates.cpp - heavy templates for the compiler: tuples, visitors, expression trees and containers, DEPTH times.
// It is compiled, never run.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <sstream>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#ifndef DEPTH
#define DEPTH 20
#endif

template <int N> struct Tag {
    static constexpr int value = N;
    int payload[N % 7 + 1];
    bool operator<(const Tag &o) const { return payload[0] < o.payload[0]; }
    bool operator==(const Tag &o) const { return payload[0] == o.payload[0]; }
};

template <class L, class R> struct Sum {
    L left;
    R right;
    template <class X> auto operator()(X x) const { return left(x) + right(x); }
};

template <int N> struct Scale {
    template <class X> auto operator()(X x) const { return x * N; }
};

template <int N> auto expression()
{
    if constexpr (N <= 1)
        return Scale<1>{};
    else
        return Sum<decltype(expression<N / 2>()), Scale<N>>{expression<N / 2>(), {}};
}

template <int N> struct Worker {
    using Choice = std::variant<Tag<N>, Tag<N + 1000>, std::string, std::vector<Tag<N>>>;
    std::map<std::string, Choice> table;
    std::unordered_map<int, std::shared_ptr<Worker>> children;

    long visit() const
    {
        long total = 0;
        for (const auto &[name, choice] : table)
            total += std::visit([&](const auto &c) -> long {
                using T = std::decay_t<decltype(c)>;
                if constexpr (std::is_same_v<T, std::string>)
                    return static_cast<long>(c.size() + name.size());
                else if constexpr (std::is_same_v<T, std::vector<Tag<N>>>)
                    return std::accumulate(c.begin(), c.end(), 0L,
                                           [](long a, const Tag<N> &t) { return a + t.payload[0]; });
                else
                    return T::value;
            }, choice);
        return total;
    }

    std::vector<Tag<N>> sorted() const
    {
        std::vector<Tag<N>> all;
        for (const auto &[name, choice] : table)
            if (auto t = std::get_if<Tag<N>>(&choice))
                all.push_back(*t);
        std::sort(all.begin(), all.end());
        all.erase(std::unique(all.begin(), all.end()), all.end());
        return all;
    }
};

template <int... Ns> long run(std::integer_sequence<int, Ns...>)
{
    std::tuple<Worker<Ns>...> workers;
    long total = 0;
    std::apply([&](auto &...w) { ((total += w.visit() + static_cast<long>(w.sorted().size())), ...); }, workers);
    ((total += expression<Ns + 1>()(Ns)), ...);
    return total;
}

long everything(const std::string &text)
{
    std::regex words("([a-z]+)([0-9]*)");
    std::ostringstream out;
    for (std::sregex_iterator i(text.begin(), text.end(), words), end; i != end; ++i)
        out << (*i)[1] << '\n';
    return run(std::make_integer_sequence<int, DEPTH>()) + static_cast<long>(out.str().size());
}
