// cxx.cc - operator new and delete, and the standard containers as programs use them.
#include "kit.h"

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <unordered_map>

namespace {

void new_delete(benchmark::State &state)
{
    const auto size = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        void *p = ::operator new(size);
        benchmark::DoNotOptimize(p);
        ::operator delete(p, size);
    }
}

void new_delete_aligned(benchmark::State &state)
{
    const auto alignment = static_cast<std::align_val_t>(state.range(0));
    for (auto _ : state) {
        void *p = ::operator new(128, alignment);
        benchmark::DoNotOptimize(p);
        ::operator delete(p, 128, alignment);
    }
}

void unique_ptr_batch(benchmark::State &state)
{
    struct Point { double x, y, z; };
    for (auto _ : state) {
        std::vector<std::unique_ptr<Point>> points;
        for (int i = 0; i < 500; i++)
            points.push_back(std::make_unique<Point>(Point{1.0 * i, 2, 3}));
        benchmark::DoNotOptimize(points.back()->x);
    }
}

void vector_push_back(benchmark::State &state)
{
    const auto n = static_cast<int>(state.range(0));
    for (auto _ : state) {
        std::vector<int> v;
        for (int i = 0; i < n; i++)
            v.push_back(i);
        benchmark::DoNotOptimize(v.data());
    }
}

template <class Container> void sequence(benchmark::State &state)
{
    for (auto _ : state) {
        Container c;
        for (int i = 0; i < 1000; i++) {
            c.push_back(i);
            if (i % 3 == 0)
                c.pop_front();
        }
        benchmark::DoNotOptimize(c.front());
    }
}

template <class Map> void map_insert_erase(benchmark::State &state)
{
    kit::Random random(3);
    Map map;
    for (int i = 0; i < 10000; i++)
        map[random.below(20000)] = i;
    for (auto _ : state) {
        map[random.below(20000)] = 1;
        map.erase(random.below(20000));
    }
}

void set_of_strings(benchmark::State &state)
{
    kit::Random random(4);
    for (auto _ : state) {
        std::set<std::string> set;
        for (int i = 0; i < 300; i++)
            set.insert(std::string(10 + random.below(60), static_cast<char>('a' + random.below(26))));
        benchmark::DoNotOptimize(set.size());
    }
}

void string_append(benchmark::State &state)
{
    for (auto _ : state) {
        std::string text;
        for (int i = 0; i < 200; i++)
            text += "forty characters or so of text, appended ";
        benchmark::DoNotOptimize(text.data());
    }
}

void shared_ptr_copy_tree(benchmark::State &state)
{
    struct Node { std::shared_ptr<Node> left, right; };
    struct Build {
        static std::shared_ptr<Node> tree(int depth)
        {
            auto node = std::make_shared<Node>();
            if (depth) {
                node->left = tree(depth - 1);
                node->right = tree(depth - 1);
            }
            return node;
        }
    };
    for (auto _ : state)
        benchmark::DoNotOptimize(Build::tree(9));
}

BENCHMARK(new_delete)->Arg(16)->Arg(64)->Arg(512)->Arg(4096);
BENCHMARK(new_delete_aligned)->Arg(64)->Arg(4096);
BENCHMARK(unique_ptr_batch);
BENCHMARK(vector_push_back)->Arg(1000)->Arg(100000);
BENCHMARK_TEMPLATE(sequence, std::list<int>);
BENCHMARK_TEMPLATE(sequence, std::deque<int>);
BENCHMARK_TEMPLATE(map_insert_erase, std::map<size_t, int>);
BENCHMARK_TEMPLATE(map_insert_erase, std::unordered_map<size_t, int>);
BENCHMARK(set_of_strings);
BENCHMARK(string_append);
BENCHMARK(shared_ptr_copy_tree);

} // namespace

BENCHMARK_MAIN();
