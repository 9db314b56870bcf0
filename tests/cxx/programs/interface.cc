// What the C interface has beside objects and pins, as C++ gives it: 4-byte owners, locks, neighbours, visits, the
// mover, figures, options and the profile.
#include "kit.hpp"

#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <pthread.h>
#include <set>
#include <stdexcept>
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

// ---- visits

void visits()
{
    std::vector<tinymem::handle<wide>> all(300);
    std::map<tm_handle_t, int> seen;
    for (auto &h : all)
        h = tinymem::make<wide>();
    const std::size_t n = tinymem::each([&](tm_handle_t h) { ++seen[h]; });
    bool good = n == seen.size() && n == stats_now().live_objects;
    for (const auto &h : all)
        good = good && seen[h.id()] == 1;
    tap(good, "each: every live object once");
    int left = 5;
    const std::size_t few = tinymem::each([&](tm_handle_t) { return --left != 0; });
    tap(few == 5 && left == 0, "each: false ends the visits");
    std::size_t sum = 0;
    auto visit = [&sum, owned = std::make_unique<int>(1)](tm_handle_t h) mutable {
        if (auto p = tinymem::ref<wide>::checked(h).pin())
            sum += static_cast<std::size_t>(p->x * *owned);
    };
    tinymem::each(visit);
    tinymem::each(std::move(visit));
    bool (*never)(tm_handle_t) = [](tm_handle_t) { return false; };
    tap(sum >= 300 * 5 * 2 && tinymem::each(never) == 1 && tinymem::each(*never) == 1, "each: any callable");
    std::size_t nested = 0;
    tinymem::each([&](tm_handle_t) { return nested = tinymem::each([](tm_handle_t) {}), false; });
    tap(nested == n, "each: inside each");
    for (auto &h : all)
        h.reset();
}

void visits_that_throw()
{
    std::vector<tinymem::handle<point>> all(50);
    for (auto &h : all)
        h = tinymem::make<point>(1, 2);
    int calls = 0;
    std::string said;
    try {
        tinymem::each([&](tm_handle_t h) {
            const tinymem::scope open;
            const auto p = tinymem::ref<char>::from_id(h).pin();
            if (++calls == 3)
                throw std::out_of_range("the third one");
        });
    } catch (const std::logic_error &e) {
        said = e.what();
    }
    tap(said == "the third one" && calls == 3, "each: an exception ends the visits, and arrives as it was");
    tap(stats_now().pins == 0 && tm_scope_mark() == 0, "each: pins and scopes of the callable have ended");
    calls = 0;
    std::size_t n = 0;
    n = tinymem::each([&](tm_handle_t) {
        try {
            tinymem::each([](tm_handle_t) { throw 5; });
        } catch (int i) {
            calls += i;
        }
    });
    tap(n >= 50 && calls == static_cast<int>(n) * 5, "control: one that is caught inside does not end them");
}

// The address sanitizer's own library does not bear it.
#if !defined(__SANITIZE_ADDRESS__)
void cancelled_visits()
{
    const auto one = tinymem::make<point>(1, 2);
    for (const bool cancel : {true, false}) {
        struct {
            bool cancel, past;
        } state{cancel, false};
        pthread_t thread;
        auto visits_all = [](void *state_of) -> void * {
            auto *s = static_cast<decltype(state) *>(state_of);
            tinymem::each([s](tm_handle_t) {
                if (s->cancel)
                    pthread_cancel(pthread_self());
                pthread_testcancel();
            });
            s->past = true;
            return nullptr;
        };
        void *result = nullptr;
        pthread_create(&thread, nullptr, visits_all, &state);
        pthread_join(thread, &result);
        if (cancel)
            tap(result == PTHREAD_CANCELED && !state.past, "each: a thread can be cancelled in it");
        else
            tap(result == nullptr && state.past, "control: otherwise it returns");
    }
}
#endif

// ---- the mover

// Leaves a tenth of its objects, so that there is something to move.
std::vector<tinymem::handle<point[]>> with_holes()
{
    std::vector<tinymem::handle<point[]>> all;
    for (int i = 0; i < 4000; i++)
        all.push_back(tinymem::make<point[]>(30));
    for (std::size_t i = 0; i < all.size(); i++)
        if (i % 10 != 0)
            all[i].reset();
    return all;
}

void mover_control()
{
    const auto mode = [] { return tinymem::stats().mover_mode; };
    tinymem::set_mover(tinymem::mover_mode::off);
    tap(mode() == TM_MOVER_OFF, "set_mover: off");
    errno = 0;
    const bool refused = !tinymem::set_mover(tinymem::mover_mode::manual, 0) && errno == EINVAL &&
                         !tinymem::set_mover(tinymem::mover_mode::manual, 10, 1001);
    tap(refused && mode() == TM_MOVER_OFF, "set_mover: a share or target out of range is refused");
    const bool set = tinymem::set_mover(tinymem::mover_mode::manual, 20, 30);
    const auto s = tinymem::stats();
    tap(set && mode() == TM_MOVER_MANUAL && s.mover_share == 20 && s.mover_target == 30,
        "set_mover: manual, with both");
    tap(tinymem::set_mover(tinymem::mover_mode::keep, tinymem::mover_keep, 40) && mode() == TM_MOVER_MANUAL &&
            tinymem::stats().mover_target == 40 && tinymem::stats().mover_share == 20,
        "set_mover: keeps what is not set");
}

void pauses()
{
    auto all = with_holes();
    std::optional<tinymem::mover_pause> pause(std::in_place);
    {
        const tinymem::mover_pause nested;
        tap(tinymem::stats().mover_paused == 2, "mover_pause: nests");
    }
    std::vector<const point *> at;
    for (const auto &h : all)
        at.push_back(h.in(*pause));
    (void)tinymem::compact();
    std::size_t n = 0;
    for (std::size_t i = 0; i < all.size(); i++)
        n += all[i].in(*pause) != at[i];
    const tinymem::ref<point> gone;
    tap(n == 0 && tinymem::stats().mover_paused == 1 && gone.in(*pause) == nullptr,
        "mover_pause: an address holds without a pin");
    std::thread([&] { pause.reset(); }).join();
    (void)tinymem::compact();
    for (std::size_t i = 0; i < all.size(); i++)
        n += all[i].pin().get() != at[i];
    tap(n > 100 && tinymem::stats().mover_paused == 0, "control: afterwards objects move; it ended on another thread");
}

void steps()
{
    using namespace std::chrono_literals;
    auto all = with_holes();
    int n = 0;
    while (tinymem::compact_step(1ms) && n < 100000)
        ++n;
    tap(n < 100000, "compact_step: ends");
    (void)tinymem::compact_step(-5us);
    (void)tinymem::compact_step(std::chrono::hours(24 * 365));
    tinymem::idle();
    tap(all[0].pin()[29].y == 0, "compact_step: budgets below and above what C can say");
}

void batches()
{
    std::size_t moved_now = 0, older = 0, newer = 0;
    {
        const tinymem::on_batch count([&](const tinymem::batch &b) { moved_now += b.moved_objects; });
        auto all = with_holes();
        (void)tinymem::compact();
    }
    tap(moved_now > 100, "on_batch: told what has moved");
    const std::size_t then = moved_now;
    {
        auto all = with_holes();
        (void)tinymem::compact();
    }
    tap(moved_now == then, "on_batch: not called after its end");
    auto count_older = [&older](const tinymem::batch &b) { older += b.moved_objects; };
    std::optional<tinymem::on_batch<decltype(count_older)>> old(std::in_place, count_older);
    {
        const tinymem::on_batch newest([&](const tinymem::batch &b) { newer += b.moved_objects; });
        old.reset();
        auto all = with_holes();
        (void)tinymem::compact();
    }
    tap(older == 0 && newer > 100, "on_batch: a newer one takes the place of an older one, whose end leaves it");
    tap(says(last_words([] {
            const tinymem::on_batch bad([](const tinymem::batch &) { throw 1; });
            auto all = with_holes();
            (void)tinymem::compact();
        }), "terminate"), "on_batch: an exception in it terminates");
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

// ---- figures, options, the profile

void figures()
{
    const auto h = tinymem::make<wide>();
    const auto before = tinymem::stats();
    const auto heap = tinymem::heap_stats();
    tap(before.live_objects >= 1 && before.struct_size == sizeof(tm_stats_t) && heap.movable.live_blocks >= 1 &&
            heap.resident == heap.raw.resident + heap.movable.resident + heap.spans.resident + heap.metadata +
                                 heap.table, "stats, heap_stats: figures that add up");
    const auto classes = tinymem::heap_classes();
    std::size_t live = 0;
    for (const auto &c : classes)
        live += c.heap == TM_HEAP_MOVABLE ? c.live_blocks : 0;
    tap(!classes.empty() && classes.size() < TM_HEAP_CLASSES_MAX && live >= 1, "heap_classes: those that there are");
    const std::string json = tinymem::stats_json(), prometheus = tinymem::stats_prometheus();
    tap(json.front() == '{' && json.find('\0') == json.npos && json.find("\"movable\"") != json.npos &&
            prometheus.find("# TYPE") != prometheus.npos && prometheus.back() == '\n', "stats_json, stats_prometheus");
    tap(std::string(tinymem::version()) == tm_version() && tinymem::version()[0] != '\0', "version");
}

void options()
{
    const auto was = tinymem::option("purge_delay");
    const auto set = tinymem::set_option("purge_delay", "1234");
    const auto is = tinymem::option("purge_delay");
    tap(was && !set && is == "1234" && !tinymem::set_option("purge_delay", was->c_str()), "option, set_option");
    tap(!tinymem::option("no_such_option") && tinymem::set_option("no_such_option", "1") ==
                                                  std::errc::no_such_file_or_directory &&
            tinymem::set_option("purge_delay", "soon") == std::errc::invalid_argument &&
            tinymem::set_option("check", "full") == std::errc::operation_not_permitted, "set_option: its errors");
}

// The library looks for return addresses in memory of the stack, which sanitizers take for a fault: no sample there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t interval = std::size_t(1) << 40;
#else
constexpr std::size_t interval = 1;
#endif

void profile()
{
    const std::string file = "/tmp/tinymem-cxx-" + std::to_string(getpid()) + ".profile";
    tap(tinymem::profile_dump(file.c_str()) == std::errc::invalid_argument, "profile_dump: nothing to write");
    const auto started = tinymem::profile_start(interval);
    const auto again = tinymem::profile_start(4096); // it is on already
    const auto h = tinymem::make<point[]>(1000);
    const auto dumped = tinymem::profile_dump(file.c_str());
    const auto nowhere = tinymem::profile_dump("/no/such/folder/x");
    tinymem::profile_stop();
    const auto other = tinymem::profile_start(4096);
    std::ifstream in(file);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    std::remove(file.c_str());
    tap(!started && !again && !dumped && text.size() > (interval == 1 ? 1000 : 1),
        "profile_start, profile_dump: a file");
    tap(interval != 1 || other == std::errc::device_or_resource_busy, "profile_start: its error");
    tap(nowhere == std::errc::no_such_file_or_directory, "profile_dump: an error of opening the file");
    tap(!tinymem::should_move(nullptr) && !tinymem::should_move(&results), "should_move: only blocks of malloc");
}

} // namespace

int main()
{
    small_handles();
    small_handles_fail();
    locks();
    neighbours();
    references();
    visits();
    visits_that_throw();
#if !defined(__SANITIZE_ADDRESS__)
    cancelled_visits();
#endif
    mover_control();
    pauses();
    steps();
    batches();
    together();
    figures();
    options();
    profile();
    tap(stats_now().live_objects == 0 && stats_now().pins == 0, "no object is left, and no pin");
    return tap_done();
}
