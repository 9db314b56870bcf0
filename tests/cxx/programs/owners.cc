// Owners of 4 bytes, locks, objects near others, references: what <tinymem/cxx/> promises of them, and all of it while
// objects move.
#include "kit.hpp"

#include <chrono>
#include <unordered_set>

namespace {

struct point {
    int x, y;
};
struct alignas(256) wide {
    int x = 5;
};
struct tree {
    int value = 0;
    tinymem::small_handle<tree> left, right;
};
struct node {
    int value = 0;
    tinymem::small_handle<node> next;
};
struct throws_in_constructor {
    counted c;
    throws_in_constructor() { throw copy_failed(); }
};
struct knows_itself {
    int x = 0;
    tinymem::ref<knows_itself> self() { return tinymem::ref_of(this); }
};

} // namespace

template <>
struct tinymem::is_relocatable<node> : std::true_type {};
template <>
struct tinymem::is_relocatable<tree> : std::true_type {};
template <>
struct tinymem::is_relocatable<throws_in_constructor> : std::true_type {};

static_assert(sizeof(tinymem::small_handle<point>) == 4 && sizeof(tinymem::ref<point, 4>) == 4 && sizeof(tree) == 12);
static_assert(std::is_nothrow_move_constructible_v<tinymem::locked<point>> &&
              std::is_nothrow_move_assignable_v<tinymem::locked<point[]>> &&
              !std::is_copy_constructible_v<tinymem::locked<point>>);
static_assert(!std::is_move_constructible_v<tinymem::mover_pause> && !std::is_move_constructible_v<tinymem::scope>);
static_assert(std::is_same_v<decltype(tinymem::ref(std::declval<tinymem::small_handle<int> &>())),
                             tinymem::ref<int, 4>>);

namespace {

volatile int sink;

template <class T>
std::uintptr_t number(T *p)
{
    return reinterpret_cast<std::uintptr_t>(p);
}

// ---- nothing

// Looks up nothing, in every way, while another thread makes the heap.
void nothing()
{
    long found = 0, missing = 0;
    std::thread looks([&found] {
        for (int i = 0; i < 5000; i++) {
            const tinymem::small_handle<int> small;
            const tinymem::handle<int> owner;
            const tinymem::ref<int> name;
            const tinymem::ref<int, 4> small_name;
            const tinymem::scope open;
            found += bool(small.pin()) + bool(owner.pin()) + bool(name.pin()) + bool(small_name.pin());
            found += (small.in(open) != nullptr) + (owner.in(open) != nullptr) + (name.in(open) != nullptr) +
                     (small_name.in(open) != nullptr);
            found += bool(small.lock()) + bool(owner.lock()) + name.alive() + small_name.alive();
        }
    });
    for (int i = 0; i < 500; i++)
        missing += !tinymem::make<int>(i);
    looks.join();
    tap(found == 0 && missing == 0, "null owners and references give null, also before the first object");
}

// ---- owners of 4 bytes

void small_handles()
{
    auto h = tinymem::make_small<point>(3, 4);
    tinymem::ref<point, 4> small = h;
    tinymem::ref<const point> reader = h;
    tap(h->x == 3 && small.pin()->y == 4 && reader.pin()->x == 3 && reader.alive() && h.usable_size() >= sizeof(point),
        "small_handle: an owner of 4 bytes, and references to its object");
    auto g = std::move(h);
    auto &same = g;
    g = std::move(same);
    tap(!h && h == nullptr && !h.pin() && h.id() == 0 && g->y == 4, "small_handle: a moved-from owner is null");
    {
        const tinymem::scope open;
        tap(g.in(open) == small.in(open) && g.in(open)->x == 3 && h.in(open) == nullptr,
            "small_handle: addresses in a scope");
    }
    g.reset();
    {
        const tinymem::scope open;
        tap(!small.pin() && !small.alive() && small.in(open) == nullptr && !small.lock() && !reader.pin(),
            "small_handle: references to a freed object give null");
    }
    auto taken = tinymem::small_handle<point>(tinymem::make<point>(5, 6));
    auto back = tinymem::small_handle<point>::adopt(taken.release());
    auto wider = tinymem::handle<point>(std::move(back));
    tap(!taken && !back && wider->x == 5, "small_handle: takes over an owner of 8 bytes, and back; release and adopt");
    back = tinymem::small_handle<point>(std::move(wider));
    const auto fixed = tinymem::make_small<const point>(7, 8);
    const tinymem::ref<const point, 4> fixed_name = fixed;
    tap(fixed->y == 8 && fixed_name.lock()->x == 7, "small_handle: an object that is const");
    tap(number(tinymem::make_small<wide>().pin().get()) % 256 == 0, "small_handle: alignment of the type");
    auto root = tinymem::make_small<tree>();
    root->left = tinymem::make_small<tree>();
    root->left->right = tinymem::make_small<tree>();
    root->left->right->value = 9;
    tap(root->left->right->value == 9, "small_handle: a tree of owners");
    tinymem::vector<tinymem::small_handle<counted>> many;
    for (int i = 0; i < 100; i++)
        many.push_back(tinymem::make_small<counted>(i));
    std::unordered_set<tinymem::small_handle<point>> hashed;
    hashed.insert(std::move(back));
    tap(counted::alive == 100 && many[99].get()->read() == 99 && hashed.size() == 1, "small_handle: in containers");
    many.clear();
    tap(counted::alive == 0 && counted::wrong == 0, "small_handle: owners destroy");
}

void small_handles_fail()
{
    const std::size_t objects = stats_now().live_objects;
    const bool thrown = throws_copy_failed([] { auto h = tinymem::make_small<throws_in_constructor>(); });
    tap(thrown && stats_now().live_objects == objects && counted::alive == 0 && stats_now().pins == 0,
        "make_small: a constructor that throws leaves nothing behind");
    tap(says(last_words([] {
            auto h = tinymem::make_small<point>(1, 2);
            tm_free(h.id());
            sink = h->x;
        }), "tm_pin"), "small_handle: use after the object was freed is reported");
    tap(last_words([] {
            auto h = tinymem::make_small<point>(1, 2);
            sink = h->x;
        }) == "did not abort", "control: right use is not");
}

// ---- locks

// How many of the objects are at another address after compaction. With `hold`, each is locked meanwhile.
std::size_t moved(bool hold)
{
    std::vector<tinymem::handle<point[]>> all;
    std::vector<std::uintptr_t> at;
    std::vector<tinymem::locked<point[]>> locks;
    for (int i = 0; i < 4000; i++)
        all.push_back(tinymem::make<point[]>(30));
    for (std::size_t i = 0; i < all.size(); i++)
        if (hold && i % 10 == 0) {
            locks.push_back(all[i].lock());
            at.push_back(number(locks.back().get()));
        } else {
            at.push_back(number(all[i].pin().get()));
        }
    for (std::size_t i = 0; i < all.size(); i++)
        if (i % 10 != 0)
            all[i].reset();
    (void)tinymem::compact();
    std::size_t n = 0;
    for (std::size_t i = 0; i < all.size(); i += 10)
        n += number(all[i].pin().get()) != at[i];
    return n;
}

void locks()
{
    auto h = tinymem::make<point>(3, 4);
    tinymem::locked<point> l = h.lock();
    const tinymem::ref<const point> r = h;
    tinymem::locked<const point> second = r.lock();
    tap(l->x == 3 && (*l).y == 4 && l.get() == second.get() && h.pin().get() == l.get(), "lock: the address, twice");
    tinymem::locked<point> other = std::move(l);
    auto &same = other;
    other = std::move(same);
    tap(!l && other->x == 3, "lock: can be moved");
    std::thread([ended = std::move(other)]() mutable { ended.reset(); }).join();
    second.reset();
    h.reset();
    tap(!r.lock() && !r.try_lock() && !h.lock() && !h.try_lock(),
        "lock: ends on another thread; null without an object");
    tinymem::vector<int> v{1, 2, 3};
    int sum = 0;
    for (int x : v.lock())
        sum += x;
    const auto array = tinymem::make<int[]>(5);
    const auto held = array.try_lock();
    tap(sum == 6 && held.size() == 5 && held[4] == 0 && tinymem::vector<int>().lock().empty(), "lock: a range");
    tap(moved(false) > 100, "control: without locks objects move");
    tap(moved(true) == 0, "lock: an address holds while the object is locked");
    tap(says(last_words([] {
            auto one = tinymem::make<point>(1, 2);
            auto locked = one.lock();
            one.reset();
        }), "lock"), "lock: freeing the object is reported");
    tap(last_words([] {
            auto one = tinymem::make<point>(1, 2);
            auto locked = one.lock();
            locked.reset();
            one.reset();
        }) == "did not abort", "control: freeing it afterwards is not");
}

// ---- neighbours

// How many of 100 new objects lie in the page of the object that they are made near. The heap has holes everywhere.
int in_its_page(bool near)
{
    const tinymem::mover_pause still; // the library's thread would fill the holes
    std::vector<tinymem::handle<point[]>> all;
    int n = 0;
    for (int i = 0; i < 8000; i++)
        all.push_back(tinymem::make<point[]>(16));
    for (std::size_t i = 0; i < all.size(); i += 2)
        all[i].reset();
    for (std::size_t i = 201; i < all.size(); i += 78) {
        all[i - 1] = near ? tinymem::make_near<point[]>(all[i], 16) : tinymem::make<point[]>(16);
        n += number(all[i - 1].in(still)) >> 12 == number(all[i].in(still)) >> 12;
    }
    return n;
}

void neighbours()
{
    tap(in_its_page(true) > 80, "make_near: in the page of the other object");
    tap(in_its_page(false) < 20, "control: other objects lie elsewhere");
    auto a = tinymem::make<point>(1, 2);
    tinymem::ref<point> gone = a;
    tinymem::ref<point, 4> gone_too = a;
    auto b = tinymem::make_near<point>(a, 3, 4);
    auto small = tinymem::make_small<int>(5);
    tap(b->x == 3 && tinymem::try_make_near<point>(gone, 5, 6)->y == 6 && *tinymem::make_near<int>(small, 7).pin() == 7,
        "make_near: an owner, a reference");
    tinymem::vector<tinymem::handle<point>> owners;
    owners.push_back(tinymem::make_near<point>(a.id(), 7, 8));
    tap(tinymem::make_near<point>(owners[0], 1, 2)->y == 2, "make_near: a handle of C, an owner in a container");
    a.reset();
    tap(tinymem::make_near<point>(gone, 1, 2) && tinymem::make_near<point>(gone_too, 1, 2) &&
            tinymem::make_near<point>(nullptr, 1, 2) && tinymem::make_near<point>(tinymem::vector<int>(), 1, 2),
        "make_near: anywhere near nothing");
    tap(number(tinymem::make_near<wide>(b).pin().get()) % 256 == 0 && tinymem::make_near<int[]>(b, 9).pin()[8] == 0 &&
            !tinymem::try_make_near<long[]>(b, static_cast<std::size_t>(-1) / 8),
        "make_near: aligned types, arrays, too much");
    const std::size_t objects = stats_now().live_objects;
    const bool thrown = throws_copy_failed([&] { auto h = tinymem::make_near<throws_in_constructor>(b); });
    tap(thrown && stats_now().live_objects == objects, "make_near: a constructor that throws leaves nothing behind");
}

void references()
{
    auto h = tinymem::make<knows_itself>();
    auto p = h.pin();
    tap(p->self() == tinymem::ref<knows_itself>(h) && !tinymem::ref_of(&results), "ref_of: a name from `this`");
    tap(tinymem::ref<knows_itself>::checked(h.id()) && tinymem::ref<knows_itself, 4>::checked(h.id()).pin() &&
            !tinymem::ref<wide>::checked(h.id()) && !tinymem::ref<int>::checked(0) &&
            tinymem::ref<wide>::checked(tinymem::make<wide>().id()), "checked: only of an object of that size");
    const auto zeros = tinymem::make<unsigned char[]>(3000000);
    long sum = 0;
    for (unsigned char c : zeros.pin())
        sum += c;
    tap(sum == 0 && tinymem::make<double[]>(3).pin()[2] == 0 && tinymem::make<int *[]>(0), "numbers of arrays are 0");
}

// ---- all at once

// A list of 4-byte owners, built beside itself, read in four ways.
long build_and_read(int n)
{
    tinymem::small_handle<node> head;
    long wrong = 0;
    int value = 0;
    for (int i = 0; i < n; i++) {
        auto made = tinymem::make_small<node>();
        if (i % 2 == 0)
            made = tinymem::small_handle<node>(tinymem::make_near<node>(head));
        made->value = i;
        made->next = std::move(head);
        head = std::move(made);
    }
    value = n;
    tinymem::ref<node, 4> at = head;
    while (at) {
        const tinymem::scope open;
        wrong += at.in(open)->value != --value || at.pin()->value != value;
        if (value % 16 == 0)
            wrong += at.lock()->value != value || at.usable_size() < sizeof(node);
        at = at.in(open)->next;
    }
    wrong += value != 0;
    while (head) { // not by one recursion, nor while it is pinned
        auto next = std::move(head->next);
        head = std::move(next);
    }
    return wrong;
}

void together()
{
    mover compacting;
    std::atomic<bool> over{false};
    std::atomic<long> wrong{0};
    std::atomic<std::size_t> moved{0};
    std::vector<std::thread> threads;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (int t = 0; t < 2; t++)
        threads.emplace_back([&] {
            for (int i = 0; i < 30 || (compacting.moved() < 100 && std::chrono::steady_clock::now() < until); i++)
                wrong += build_and_read(200);
        });
    threads.emplace_back([&] {
        while (!over) {
            const tinymem::on_batch count([&](const tinymem::batch &b) { moved += b.moved_objects; });
            if (const tinymem::mover_pause still; tinymem::stats().mover_paused != 1)
                ++wrong;
            wrong += tinymem::each([](tm_handle_t h) { return tinymem::ref<char>::from_id(h).alive() || true; }) == 0;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    });
    threads[0].join();
    threads[1].join();
    over = true;
    threads[2].join();
    tap(wrong == 0 && compacting.stop() >= 100, "lists of 4-byte owners, visits, pauses, batches while objects move");
}

} // namespace

int main()
{
    nothing();
    small_handles();
    small_handles_fail();
    locks();
    neighbours();
    references();
    together();
    tap(stats_now().live_objects == 0 && stats_now().pins == 0, "no object is left, and no pin");
    return tap_done();
}
