/** handle.hpp - tinymem::handle<T>: the owner of a movable object; tinymem::make. */
#ifndef TINYMEM_CXX_HANDLE_HPP
#define TINYMEM_CXX_HANDLE_HPP

#include <tinymem/cxx/pinned.hpp>
#include <tinymem/cxx/relocatable.hpp>

namespace tinymem {

template <class T>
class element;

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
    /** Take over the object of an owner of 4 bytes. */
    explicit handle(small_handle<T> &&other) noexcept : h_(tm_from_ref(other.release())) {}
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
    [[gnu::always_inline]] pinned<T> pin() const noexcept { return pinned<T>(detail::pin_guard::live(h_)); }
    /** h->member: pinned until the end of the full expression. There is no operator*: `*h.pin()` says how long. */
    [[gnu::always_inline]] pinned<T> operator->() const noexcept { return pin(); }
    /** The address for as long as the scope is open, or the pause lasts; null if there is no object. */
    T *in(const scope &) const noexcept { return static_cast<T *>(detail::address_of(h_)); }
    T *in(const mover_pause &) const noexcept { return in(scope()); }
    /** Lock the object; null if there is none. Throws std::bad_alloc. try_lock: null if there is no memory, too. */
    locked<T> lock() const { return locked<T>(detail::lock_guard::take_or_throw(h_)); }
    locked<T> try_lock() const noexcept { return locked<T>(detail::lock_guard::take(h_)); }
    /** Bytes that the object may use, sizeof(T) or more; 0 if there is none. */
    [[nodiscard]] std::size_t usable_size() const noexcept { return tm_sizeof(h_); }
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

    [[gnu::always_inline]] pinned<T[]> pin() const noexcept { return pinned<T[]>(detail::pin_guard::live(h_), n_); }
    T *in(const scope &) const noexcept { return static_cast<T *>(detail::address_of(h_)); }
    T *in(const mover_pause &) const noexcept { return in(scope()); }
    locked<T[]> lock() const
    {
        auto taken = detail::lock_guard::take_or_throw(h_);
        return locked<T[]>(std::move(taken), n_);
    }
    /** Null and empty if there is no memory. */
    locked<T[]> try_lock() const noexcept
    {
        auto taken = detail::lock_guard::take(h_);
        const std::size_t n = taken.address() == nullptr ? 0 : n_;
        return locked<T[]>(std::move(taken), n);
    }
    [[nodiscard]] std::size_t usable_size() const noexcept { return tm_sizeof(h_); }
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

/* The object beside which another one is made. That of a ref may be gone. An element is of a container of owners. */
template <class Near>
tm_handle_t near_id(const Near &near) noexcept
{
    return near.id();
}
template <class T, std::size_t Bytes>
tm_handle_t near_id(const ref<T, Bytes> &near) noexcept
{
    return near.alive() ? near.id() : null_handle;
}
template <class T>
tm_handle_t near_id(const element<T> &near) noexcept
{
    return near_id(near.get());
}
inline tm_handle_t near_id(std::nullptr_t) noexcept { return null_handle; }
inline tm_handle_t near_id(tm_handle_t near) noexcept { return near; }

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

/* Whether value-initialisation sets all bytes to 0. Also of other types, but the language does not tell which. */
template <class T>
constexpr bool starts_as_zeros = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>;

template <class T>
tm_handle_t try_allocate_array(std::size_t n) noexcept
{
    static_assert(check_element<T>());
    if constexpr (starts_as_zeros<T> && alignof(T) <= default_alignment)
        return try_allocate_zeroed(n, sizeof(T));
    else
        return try_allocate(n, sizeof(T), alignof(T));
}

/* An owner of the array in memory of any contents, or of zeros. */
template <class T>
handle<T[]> make_array_in(tm_handle_t h, std::size_t n)
{
    static_assert(check_element<T>());
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

template <class T>
handle<T[]> make_array(tm_handle_t h, std::size_t n)
{
    if constexpr (starts_as_zeros<T> && alignof(T) <= default_alignment)
        return h == null_handle ? handle<T[]>() : handle<T[]>::adopt(h, n);
    else
        return make_array_in<T>(h, n);
}

} // namespace detail

/** Make a movable T from `args`, which is pinned while its constructor runs.
 *  @errors  std::bad_alloc, and what the constructor throws; nothing is left behind. try_make: null for want of
 *           memory. */
template <class T, class... Args>
typename detail::makes_object<T>::type make(Args &&...args)
{
    static_assert(detail::check_element<T>());
    const tm_handle_t h = detail::or_throw(detail::try_allocate(1, sizeof(T), alignof(T)));
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
    return detail::make_array<E>(detail::or_throw(detail::try_allocate_array<E>(n)), n);
}

template <class T>
typename detail::makes_array<T>::type try_make(std::size_t n)
{
    using E = std::remove_extent_t<T>;
    return detail::make_array<E>(detail::try_allocate_array<E>(n), n);
}

/** As make and try_make, near another object: in the same page if there is room, or else in the same slab, or else
 *  anywhere. For objects that are used together, such as a node and its parent. They mostly stay together when they
 *  move.
 *  @param near  an owner, a ref, a container or a handle of the C interface. It may be null, and a ref whose object is
 *               gone counts as null. The object must not be freed meanwhile. Types aligned to more than 16 bytes are
 *               made anywhere. */
template <class T, class Near, class... Args>
typename detail::makes_object<T>::type make_near(const Near &near, Args &&...args)
{
    static_assert(detail::check_element<T>());
    const tm_handle_t at = detail::near_id(near);
    const tm_handle_t h = detail::or_throw(detail::try_allocate_near(at, 1, sizeof(T), alignof(T)));
    return detail::make_object<T>(h, std::forward<Args>(args)...);
}

template <class T, class Near, class... Args>
typename detail::makes_object<T>::type try_make_near(const Near &near, Args &&...args)
{
    static_assert(detail::check_element<T>());
    const tm_handle_t at = detail::near_id(near);
    return detail::make_object<T>(detail::try_allocate_near(at, 1, sizeof(T), alignof(T)), std::forward<Args>(args)...);
}

template <class T, class Near>
typename detail::makes_array<T>::type make_near(const Near &near, std::size_t n)
{
    using E = std::remove_extent_t<T>;
    const tm_handle_t at = detail::near_id(near);
    return detail::make_array_in<E>(detail::or_throw(detail::try_allocate_near(at, n, sizeof(E), alignof(E))), n);
}

template <class T, class Near>
typename detail::makes_array<T>::type try_make_near(const Near &near, std::size_t n)
{
    using E = std::remove_extent_t<T>;
    const tm_handle_t at = detail::near_id(near);
    return detail::make_array_in<E>(detail::try_allocate_near(at, n, sizeof(E), alignof(E)), n);
}

} // namespace tinymem

template <class T>
struct std::hash<tinymem::handle<T>> {
    std::size_t operator()(const tinymem::handle<T> &h) const noexcept { return std::hash<tm_handle_t>()(h.id()); }
};

#endif
