// Compiled with -fno-exceptions -fno-rtti: what fails prints a line and aborts, and the try_ functions return.
#include "kit.hpp"

#include <csignal>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this program is about their absence"
#endif

namespace {

constexpr std::size_t huge = static_cast<std::size_t>(-1) / 4;

template <class F>
void aborts(const char *name, F f)
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
    char said[300] = "";
    const ssize_t n = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    tap(n > 0 && std::string(said) == "tinymem: out of memory, and the program is compiled without exceptions\n" &&
            WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, name);
}

} // namespace

int main()
{
    tap(!tinymem::try_make<long[]>(huge), "try_make returns null");
    tinymem::vector<int> v{1, 2, 3};
    tinymem::string s("abc");
    tinymem::hash_map<int, int> m{{1, 2}};
    tap(!v.try_reserve(huge) && v.size() == 3 && v[2] == 3, "vector: try_reserve returns false");
    tap(!s.try_reserve(huge) && s == "abc", "string: try_reserve returns false");
    tap(!m.try_reserve(huge) && m[1] == 2, "hash_map: try_reserve returns false");
    aborts("make says so, and aborts", [] { auto a = tinymem::make<long[]>(huge); });
    aborts("vector: reserve", [&] { v.reserve(huge); });
    aborts("string: resize", [&] { s.resize(huge); });
    aborts("hash_map: reserve", [&] { m.reserve(huge); });
    aborts("allocator", [] { (void)tinymem::allocator<int>().allocate(huge); });
    aborts("memory_resource", [] { (void)tinymem::raw_resource()->allocate(huge); });
    aborts("make_near", [] { auto a = tinymem::make_near<long[]>(nullptr, huge); });
    auto owner = tinymem::make_small<int>(7);
    tap(owner.lock() && owner.try_lock() && *owner.lock() == 7, "lock: without exceptions");
    std::size_t visited = 0, moved = 0;
    const std::size_t n = tinymem::each([&](tm_handle_t) { return ++visited < 2; });
    tap(n == 2 && visited == 2, "each: without exceptions");
    {
        tinymem::on_batch count([&](const tinymem::batch &b) { moved += b.moved_objects; });
        tinymem::mover_pause pause;
        (void)tinymem::compact();
        tap(*owner.in(pause) == 7 && moved == 0, "mover_pause, on_batch: without exceptions");
    }
    tap(!tinymem::stats_json().empty() && !tinymem::heap_classes().empty() && !tinymem::option("none") &&
            tinymem::profile_dump() == std::errc::invalid_argument, "figures and options: without exceptions");
    return tap_done();
}
