// What the C interface has beside objects, as C++ gives it: visits, the mover, figures, options and the profile.
#include "kit.hpp"

#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <pthread.h>
#include <stdexcept>

namespace {

struct point {
    int x, y;
};
struct alignas(256) wide {
    int x = 5;
};

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
    visits();
    visits_that_throw();
#if !defined(__SANITIZE_ADDRESS__)
    cancelled_visits();
#endif
    mover_control();
    pauses();
    steps();
    batches();
    figures();
    options();
    profile();
    tap(stats_now().live_objects == 0 && stats_now().pins == 0, "no object is left, and no pin");
    return tap_done();
}
