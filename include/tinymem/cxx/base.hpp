/** base.hpp - what the other parts of <tinymem/tinymem.hpp> share: the C header, failures, raw storage, scopes. */
#ifndef TINYMEM_CXX_BASE_HPP
#define TINYMEM_CXX_BASE_HPP

#if !defined(__cplusplus) || __cplusplus < 201703L
#error "<tinymem/tinymem.hpp> needs C++17 or later: compile with -std=c++17"
#endif

#include <cstdint>

/* The C header is C: its casts are no concern of those who include this one. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <tinymem/tinymem.h>
namespace tinymem {
namespace detail {
constexpr std::uint64_t word_live = TM_WORD_LIVE_, word_moving = TM_WORD_MOVING_;
} // namespace detail
} // namespace tinymem
#pragma GCC diagnostic pop

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tinymem {

/** Nothing that this thread looks up moves until the scope ends. Scopes nest, end in any order, and cost two stores.
 *  Pass a scope to view() and data() to show that one is open.
 *  @thread  a scope belongs to its thread. A thread that sleeps in one delays compaction. tm_compact in one does
 *           nothing. */
class [[nodiscard]] scope {
public:
    [[nodiscard]] scope() noexcept { tm_scope_enter(); }
    ~scope() { tm_scope_exit(); }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    static void *operator new(std::size_t) = delete;
    static void *operator new[](std::size_t) = delete;
};

/** What pins and scopes this thread holds, and back to that: for longjmp, and for exceptions that pass C code which
 *  enters scopes or pins. Objects of this library's classes end their own, and need none.
 *  @thread  a mark is good on the thread that made it, while what it counts lives. */
class [[nodiscard]] mark {
public:
    [[nodiscard]] mark() noexcept : pins_(tm_pin_mark()), scopes_(tm_scope_mark()) {}
    /** End the pins and scopes that have begun since. Ending one that is older is reported, then aborts. */
    void reset() const noexcept
    {
        tm_scope_reset(scopes_);
        tm_pin_reset(pins_);
    }

private:
    unsigned pins_, scopes_;
};

namespace detail {

/* TM_NULL, without the cast of C. */
constexpr tm_handle_t null_handle = 0;
constexpr std::size_t default_alignment = 16;
constexpr std::size_t max_alignment = std::size_t(2) << 20;
constexpr std::size_t max_bytes = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

[[noreturn]] inline void fail(const char *what) noexcept
{
    std::fprintf(stderr, "tinymem: %s\n", what);
    std::abort();
}

[[noreturn]] inline void out_of_memory()
{
#if defined(__cpp_exceptions)
    throw std::bad_alloc();
#else
    fail("out of memory, and the program is compiled without exceptions");
#endif
}

/* A scope that can be copied: what iterators and elements hold. Each copy is a scope of its own. */
class held_scope {
public:
    held_scope() noexcept { tm_scope_enter(); }
    held_scope(const held_scope &) noexcept { tm_scope_enter(); }
    held_scope &operator=(const held_scope &) noexcept { return *this; }
    ~held_scope() { tm_scope_exit(); }
};

/* The address in an open scope. TM_NULL needs no branch: its word reads 0, also while another thread makes the
 * table. */
inline void *address_of(tm_handle_t h) noexcept { return tm_deref(h); }

/* The same, and null without a report for a stale handle. */
inline void *try_deref(tm_handle_t h) noexcept
{
    const std::uint64_t w = __atomic_load_n(tm_word_of_(h), TM_CONSUME_);
    if (!tm_word_differs_(w, h))
        return tm_word_address_(w);
    return tm_valid(h) ? tm_deref(h) : nullptr;
}

/* The same by reference. */
inline void *try_deref_ref(tm_ref_t r) noexcept
{
    if (r == 0)
        return nullptr;
    const std::uint64_t w = __atomic_load_n(tm_word_of_index_(r), TM_CONSUME_);
    if ((w & (word_live | word_moving)) == word_live)
        return tm_word_address_(w);
    return try_deref(tm_from_ref(r)); /* being moved, or free */
}

/* A handle that must not be TM_NULL. */
inline tm_handle_t or_throw(tm_handle_t h)
{
    if (h == null_handle)
        out_of_memory();
    return h;
}

/* TM_NULL when the product overflows, or there is no memory. Zero bytes are an object too. */
inline tm_handle_t try_allocate(std::size_t n, std::size_t size, std::size_t align) noexcept
{
    if (n > max_bytes / size)
        return null_handle;
    return align <= default_alignment ? tm_alloc(n * size) : tm_alloc_aligned(align, n * size);
}

/* The same with all bytes 0. For alignments that every object has. */
inline tm_handle_t try_allocate_zeroed(std::size_t n, std::size_t size) noexcept { return tm_calloc(n, size); }

/* The same near another object, if there is one and the alignment is that of every object. */
inline tm_handle_t try_allocate_near(tm_handle_t near, std::size_t n, std::size_t size, std::size_t align) noexcept
{
    if (n > max_bytes / size || align > default_alignment)
        return try_allocate(n, size, align);
    return tm_alloc_near(near, n * size);
}

/* Change storage of `h`, or allocate it, for n elements; n > 0. The handle stays. False: nothing has changed. */
inline bool try_resize(tm_handle_t &h, std::size_t n, std::size_t size, std::size_t align) noexcept
{
    if (n > max_bytes / size)
        return false;
    const tm_handle_t now = h == null_handle ? try_allocate(n, size, align) : tm_realloc(h, n * size);
    if (now == null_handle)
        return false;
    h = now;
    return true;
}

/* A T from arguments in parentheses, or, for an aggregate, in braces. */
template <class T, class... Args>
void construct(void *at, Args &&...args)
{
    if constexpr (std::is_constructible_v<T, Args...>)
        ::new (at) T(std::forward<Args>(args)...);
    else
        ::new (at) T{std::forward<Args>(args)...};
}

/* Move n elements by their bytes; the places may overlap, and what was at `to` counts as destroyed. */
template <class T>
void relocate(T *to, const T *from, std::size_t n) noexcept
{
    if (n != 0)
        std::memmove(static_cast<void *>(to), static_cast<const void *>(from), n * sizeof(T));
}

/* Destroys from the last to the first, as arrays are. */
template <class T>
void destroy(T *first, std::size_t n) noexcept
{
    if constexpr (!std::is_trivially_destructible_v<T>)
        while (n > 0)
            first[--n].~T();
}

/* Destroys what has been constructed so far unless all of it has. */
template <class T>
class construction {
public:
    explicit construction(T *first) noexcept : first_(first) {}
    construction(const construction &) = delete;
    construction &operator=(const construction &) = delete;
    ~construction() { destroy(first_, n_); }
    template <class... Args>
    void add(Args &&...args)
    {
        construct<T>(first_ + n_, std::forward<Args>(args)...);
        ++n_;
    }
    void keep() noexcept { n_ = 0; }

private:
    T *first_;
    std::size_t n_ = 0;
};

/* Room for one T on the stack: a value is constructed here, and goes by its bytes to where it belongs. */
template <class T>
class in_transit {
public:
    template <class... Args>
    explicit in_transit(Args &&...args)
    {
        construct<T>(bytes_, std::forward<Args>(args)...);
    }
    in_transit(const in_transit &) = delete;
    in_transit &operator=(const in_transit &) = delete;
    ~in_transit()
    {
        if (here_)
            value()->~T();
    }
    T *value() noexcept { return std::launder(reinterpret_cast<T *>(bytes_)); }
    const T *value() const noexcept { return std::launder(reinterpret_cast<const T *>(bytes_)); }
    void go(T *to) noexcept
    {
        std::memcpy(static_cast<void *>(to), static_cast<const void *>(bytes_), sizeof(T));
        here_ = false;
    }

private:
    alignas(T) unsigned char bytes_[sizeof(T)];
    bool here_ = true;
};

/* Frees a handle unless its owner has been made. */
class unowned {
public:
    explicit unowned(tm_handle_t h) noexcept : h_(h) {}
    unowned(const unowned &) = delete;
    unowned &operator=(const unowned &) = delete;
    ~unowned() { tm_free(h_); }
    tm_handle_t get() const noexcept { return h_; }
    tm_handle_t release() noexcept { return std::exchange(h_, null_handle); }

private:
    tm_handle_t h_;
};

template <class It>
using iterator_category_t = typename std::iterator_traits<It>::iterator_category;

template <class It>
constexpr bool is_forward = std::is_base_of_v<std::forward_iterator_tag, iterator_category_t<It>>;

/* Enables overloads for iterators: integers have no category. */
template <class It>
using if_iterator = std::enable_if_t<std::is_base_of_v<std::input_iterator_tag, iterator_category_t<It>>>;

} // namespace detail
} // namespace tinymem

#endif
