// What the programs of tests/cxx share: results in TAP, a seeded generator, a value that counts its lives, and a mover.
#ifndef TESTS_CXX_KIT_HPP
#define TESTS_CXX_KIT_HPP

#include <tinymem/tinymem.hpp>

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

inline int results = 0, bad_results = 0;

inline void tap(bool good, const char *name)
{
    std::printf("%s %d - %s\n", good ? "ok" : "not ok", ++results, name);
    bad_results += !good;
}

inline int tap_done()
{
    std::printf("1..%d\n", results);
    return bad_results == 0 ? 0 : 1;
}

// xorshift64* (Vigna 2016). The seed is printed; TEST_SEED in the environment repeats a run.
class generator {
public:
    explicit generator(std::uint64_t other = 0)
    {
        const char *asked = std::getenv("TEST_SEED");
        state_ = asked != nullptr ? std::strtoull(asked, nullptr, 0) : 0x9e3779b97f4a7c15u;
        std::printf("# TEST_SEED=%#" PRIx64 "\n", state_);
        state_ = (state_ ^ other * 0xff51afd7ed558ccdu) | 1;
    }
    std::uint64_t next()
    {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1du;
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() >> 11) % n; }

private:
    std::uint64_t state_;
};

struct copy_failed {};

// A value with an identity that is given back once: owns nothing, counts constructions and destructions, and throws
// copy_failed at the copy that it is told to. A destroyed or never constructed one has the wrong mark.
class counted {
public:
    static inline std::atomic<long> alive{0}, wrong{0}, copies{0};
    static inline long throws_at = 0; // 1: at the next copy; 0: never

    counted(int v = 0) : value_(v) { begin(); }
    counted(const counted &o) : value_(o.read())
    {
        fail_perhaps();
        begin();
    }
    counted(counted &&o) noexcept : value_(o.read())
    {
        o.value_ = -1;
        begin();
    }
    counted &operator=(const counted &o)
    {
        const int v = o.read();
        fail_perhaps();
        value_ = v;
        return *this;
    }
    counted &operator=(counted &&o) noexcept
    {
        const int v = o.read();
        o.value_ = -1;
        value_ = v;
        return *this;
    }
    ~counted()
    {
        wrong += mark_ != live_mark;
        mark_ = 0;
        --alive;
    }
    int read() const noexcept
    {
        wrong += mark_ != live_mark;
        return value_;
    }
    friend bool operator==(const counted &a, const counted &b) { return a.read() == b.read(); }
    friend bool operator<(const counted &a, const counted &b) { return a.read() < b.read(); }

private:
    static constexpr std::uint32_t live_mark = 0x600dc0de;
    static void fail_perhaps()
    {
        ++copies;
#if defined(__cpp_exceptions)
        if (throws_at != 0 && --throws_at == 0)
            throw copy_failed();
#endif
    }
    void begin() noexcept
    {
        mark_ = live_mark;
        ++alive;
    }
    std::uint32_t mark_;
    int value_;
};

template <>
struct tinymem::is_relocatable<counted> : std::true_type {};
template <>
struct std::hash<counted> {
    std::size_t operator()(const counted &c) const noexcept { return static_cast<std::size_t>(c.read()); }
};

#if defined(__cpp_exceptions)
template <class F>
bool throws_copy_failed(F f)
{
    try {
        f();
    } catch (const copy_failed &) {
        return true;
    }
    return false;
}
#endif

// In a child: what it writes to stderr, when it ends by abort.
template <class F>
std::string last_words(F f)
{
    int ends[2];
    if (pipe(ends) != 0)
        std::abort();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        f();
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char buffer[500];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        said.append(buffer, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? said : "did not abort";
}

inline bool says(const std::string &said, const char *what)
{
    const bool good = said.find(what) != std::string::npos;
    if (!good)
        std::printf("# it said: %s\n", said.c_str());
    return good;
}

inline tm_stats_t stats_now()
{
    tm_stats_t s;
    s.struct_size = sizeof s;
    tm_stats(&s);
    return s;
}

// Compacts all the time, and makes and frees blocks of many sizes so that there is something to compact.
class mover {
public:
    mover() : moved_(stats_now().moved_objects), thread_([this] { run(); }) {}
    ~mover() { stop(); }
    std::size_t stop()
    {
        over_ = true;
        if (thread_.joinable())
            thread_.join();
        return moved();
    }
    std::size_t moved() const { return stats_now().moved_objects - moved_; }

private:
    void run()
    {
        std::vector<tm_handle_t> blocks(3000);
        std::uint64_t x = 1;
        while (!over_) {
            for (tm_handle_t &h : blocks) {
                x = x * 6364136223846793005u + 1442695040888963407u;
                if ((x >> 60) != 0)
                    continue;
                tm_free(h);
                h = tm_alloc(static_cast<std::size_t>(x >> 33) % 700);
            }
            (void)tm_compact_step(1000);
            (void)tm_compact();
        }
        for (tm_handle_t h : blocks)
            tm_free(h);
    }
    std::size_t moved_;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

#endif
