/** handle.hpp - tinymem::handle<T>: the owner of a movable object; tinymem::make. */
#ifndef TINYMEM_CXX_HANDLE_HPP
#define TINYMEM_CXX_HANDLE_HPP

#include <tinymem/cxx/pinned.hpp>
#include <tinymem/cxx/relocatable.hpp>

namespace tinymem {

/** Owns one movable object, as std::unique_ptr owns one that stays put. 8 bytes, move-only, itself relocatable.
 *  @complexity  constant; the object's destructor runs, pinned, when the owner ends.
 *  @errors      none of its functions throws. Ending the owner while this thread holds a pin of the object, or using it
 *               after tm_free of its id, is reported, then abort.
 *  @thread      as std::unique_ptr. */
template <class T>
class [[nodiscard]] handle {
public:
    using element_type = T;
    constexpr handle() noexcept = default;
    constexpr handle(std::nullptr_t) noexcept {}
    handle(handle &&other) noexcept : h_(std::exchange(other.h_, detail::null_handle)) {}
    handle &operator=(handle &&other) noexcept
    {
        handle(std::move(other)).swap(*this);
        return *this;
    }
    ~handle() { end(); }
    /** Own the object of a handle of the C interface, which must hold a T. */
    static handle adopt(tm_handle_t h) noexcept
    {
        handle made;
        made.h_ = h;
        return made;
    }

    /** Pin the object; null if there is none. */
    pinned<T> pin() const noexcept { return pinned<T>(detail::pin_guard::live(h_)); }
    /** h->member: pinned until the end of the full expression. There is no operator*: `*h.pin()` says how long. */
    pinned<T> operator->() const noexcept { return pin(); }
    /** The address for as long as the scope is open; null if there is no object. */
    T *in(const scope &) const noexcept { return static_cast<T *>(detail::address_of(h_)); }
    /** The C interface's handle: still owned here. */
    tm_handle_t id() const noexcept { return h_; }
    /** As id(), and no longer owned here. */
    [[nodiscard]] tm_handle_t release() noexcept { return std::exchange(h_, detail::null_handle); }
    /** Destroy the object, if any. */
    void reset() noexcept { handle().swap(*this); }
    void swap(handle &other) noexcept { std::swap(h_, other.h_); }
    explicit operator bool() const noexcept { return h_ != detail::null_handle; }

    friend void swap(handle &a, handle &b) noexcept { a.swap(b); }
    friend bool operator==(const handle &a, const handle &b) noexcept { return a.h_ == b.h_; }
    friend bool operator!=(const handle &a, const handle &b) noexcept { return a.h_ != b.h_; }
    friend bool operator==(const handle &a, std::nullptr_t) noexcept { return !a; }
    friend bool operator!=(const handle &a, std::nullptr_t) noexcept { return bool(a); }

private:
    void end() noexcept
    {
        static_assert(detail::check_element<T>());
        if (h_ == detail::null_handle)
            return;
        if constexpr (!std::is_trivially_destructible_v<T>)
            pin()->~T();
        tm_free(h_);
    }
    tm_handle_t h_ = detail::null_handle;
};

/** Owns a movable array of fixed length; 16 bytes. Elements are destroyed from the last to the first. */
template <class T>
class [[nodiscard]] handle<T[]> {
public:
    using element_type = T;
    constexpr handle() noexcept = default;
    constexpr handle(std::nullptr_t) noexcept {}
    handle(handle &&other) noexcept : h_(std::exchange(other.h_, detail::null_handle)), n_(std::exchange(other.n_, 0))
    {
    }
    handle &operator=(handle &&other) noexcept
    {
        handle(std::move(other)).swap(*this);
        return *this;
    }
    ~handle() { end(); }
    static handle adopt(tm_handle_t h, std::size_t n) noexcept
    {
        handle made;
        made.h_ = h;
        made.n_ = n;
        return made;
    }

    pinned<T[]> pin() const noexcept { return pinned<T[]>(detail::pin_guard::live(h_), n_); }
    T *in(const scope &) const noexcept { return static_cast<T *>(detail::address_of(h_)); }
    std::size_t size() const noexcept { return n_; }
    bool empty() const noexcept { return n_ == 0; }
    tm_handle_t id() const noexcept { return h_; }
    [[nodiscard]] tm_handle_t release() noexcept
    {
        n_ = 0;
        return std::exchange(h_, detail::null_handle);
    }
    void reset() noexcept { handle().swap(*this); }
    void swap(handle &other) noexcept
    {
        std::swap(h_, other.h_);
        std::swap(n_, other.n_);
    }
    explicit operator bool() const noexcept { return h_ != detail::null_handle; }

    friend void swap(handle &a, handle &b) noexcept { a.swap(b); }
    friend bool operator==(const handle &a, const handle &b) noexcept { return a.h_ == b.h_; }
    friend bool operator!=(const handle &a, const handle &b) noexcept { return a.h_ != b.h_; }
    friend bool operator==(const handle &a, std::nullptr_t) noexcept { return !a; }
    friend bool operator!=(const handle &a, std::nullptr_t) noexcept { return bool(a); }

private:
    void end() noexcept
    {
        static_assert(detail::check_element<T>());
        if (h_ == detail::null_handle)
            return;
        if constexpr (!std::is_trivially_destructible_v<T>)
            detail::destroy(pin().get(), n_);
        tm_free(h_);
    }
    tm_handle_t h_ = detail::null_handle;
    std::size_t n_ = 0;
};

template <class T>
struct is_relocatable<handle<T>> : std::true_type {};

template <class T>
ref(const handle<T> &) -> ref<T>;

namespace detail {

template <class T>
struct makes_object {
    using type = handle<T>;
};
template <class T>
struct makes_array {};
template <class T>
struct makes_object<T[]> {};
template <class T>
struct makes_array<T[]> {
    using type = handle<T[]>;
};
template <class T, std::size_t N>
struct makes_object<T[N]> {
    static_assert(N == 0 && N != 0, "tinymem: write tinymem::make<T[]>(n) for an array");
};

template <class T, class... Args>
handle<T> make_object(tm_handle_t h, Args &&...args)
{
    static_assert(check_element<T>());
    if (h == null_handle)
        return nullptr;
    unowned made(h);
    auto pin = pin_guard::live(h);
    construct<T>(pin.address(), std::forward<Args>(args)...);
    return handle<T>::adopt(made.release());
}

template <class T>
handle<T[]> make_array(tm_handle_t h, std::size_t n)
{
    if (h == null_handle)
        return nullptr;
    unowned made(h);
    auto pin = pin_guard::live(h);
    construction<T> elements(static_cast<T *>(pin.address()));
    for (std::size_t i = 0; i < n; ++i)
        elements.add();
    elements.keep();
    return handle<T[]>::adopt(made.release(), n);
}

} // namespace detail

/** Make a movable T from `args`, which is pinned while its constructor runs.
 *  @errors  std::bad_alloc, and what the constructor throws; nothing is left behind. try_make: null for want of
 *           memory. */
template <class T, class... Args>
typename detail::makes_object<T>::type make(Args &&...args)
{
    static_assert(detail::check_element<T>());
    const tm_handle_t h = detail::try_allocate(1, sizeof(T), alignof(T));
    if (h == detail::null_handle)
        detail::out_of_memory();
    return detail::make_object<T>(h, std::forward<Args>(args)...);
}

template <class T, class... Args>
typename detail::makes_object<T>::type try_make(Args &&...args)
{
    static_assert(detail::check_element<T>());
    return detail::make_object<T>(detail::try_allocate(1, sizeof(T), alignof(T)), std::forward<Args>(args)...);
}

/** Make a movable array of n elements, each value-initialised: numbers are 0. n may be 0. Linear time. Errors as
 *  above. */
template <class T>
typename detail::makes_array<T>::type make(std::size_t n)
{
    using E = std::remove_extent_t<T>;
    static_assert(detail::check_element<E>());
    const tm_handle_t h = detail::try_allocate(n, sizeof(E), alignof(E));
    if (h == detail::null_handle)
        detail::out_of_memory();
    return detail::make_array<E>(h, n);
}

template <class T>
typename detail::makes_array<T>::type try_make(std::size_t n)
{
    using E = std::remove_extent_t<T>;
    static_assert(detail::check_element<E>());
    return detail::make_array<E>(detail::try_allocate(n, sizeof(E), alignof(E)), n);
}

} // namespace tinymem

template <class T>
struct std::hash<tinymem::handle<T>> {
    std::size_t operator()(const tinymem::handle<T> &h) const noexcept { return std::hash<tm_handle_t>()(h.id()); }
};

#endif
