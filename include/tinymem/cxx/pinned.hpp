/** pinned.hpp - tinymem::pinned<T>, an object or array that stays where it is; tinymem::ref<T>, a name of one. */
#ifndef TINYMEM_CXX_PINNED_HPP
#define TINYMEM_CXX_PINNED_HPP

#include <tinymem/cxx/base.hpp>
#include <tinymem/cxx/locked.hpp>
#include <tinymem/cxx/mover.hpp>

namespace tinymem {

template <class T>
class handle;
template <class T>
class small_handle;

namespace detail {

/* A pin that ends by itself. */
class pin_guard {
public:
    pin_guard() noexcept = default;
    /* A pin of an object that must be alive (tm_pin), or may be gone (tm_try_pin). Inlined always: that is what makes
     * them as quick as in C. */
    [[gnu::always_inline]] static pin_guard live(tm_handle_t h) noexcept
    {
        return h == null_handle ? pin_guard() : pin_guard(h, tm_pin(h));
    }
    [[gnu::always_inline]] static pin_guard maybe(tm_handle_t h) noexcept
    {
        void *p = h == null_handle ? nullptr : tm_try_pin(h);
        return p == nullptr ? pin_guard() : pin_guard(h, p);
    }
    /* The same by reference. The handle that the index has now is what is pinned. */
    [[gnu::always_inline]] static pin_guard live_ref(tm_ref_t r) noexcept
    {
        const tm_handle_t h = tm_handle_of_ref_(r);
        if ((h & word_live) == 0)
            return r == 0 ? pin_guard() : stale_ref(r);
        return pin_guard(h, tm_pin(h));
    }
    [[gnu::always_inline]] static pin_guard maybe_ref(tm_ref_t r) noexcept
    {
        const tm_handle_t h = r == 0 ? null_handle : tm_handle_of_ref_(r);
        return (h & word_live) == 0 ? pin_guard() : maybe(h);
    }
    pin_guard(pin_guard &&other) noexcept
        : address_(std::exchange(other.address_, nullptr)), h_(std::exchange(other.h_, null_handle))
    {
    }
    pin_guard &operator=(pin_guard &&other) noexcept
    {
        if (this == &other)
            return *this;
        reset();
        address_ = std::exchange(other.address_, nullptr);
        h_ = std::exchange(other.h_, null_handle);
        return *this;
    }
    ~pin_guard() { reset(); }
    void reset() noexcept
    {
        address_ = nullptr;
        if (h_ != null_handle)
            tm_unpin(std::exchange(h_, null_handle));
    }
    void *address() const noexcept { return address_; }
    tm_handle_t id() const noexcept { return h_; }

private:
    pin_guard(tm_handle_t h, void *address) noexcept : address_(address), h_(h) {}
    [[gnu::cold, gnu::noinline]] static pin_guard stale_ref(tm_ref_t r) noexcept
    {
        if (tm_pin_ref(r) == nullptr) /* which reports it */
            tm_unpin(null_handle);
        else
            tm_unpin_ref(r); /* another thread has used the index meanwhile */
        return {};
    }
    void *address_ = nullptr;
    tm_handle_t h_ = null_handle;
};

} // namespace detail

/** A pin of one object: its address holds while this lives. Null when there was no object. Movable, not copyable.
 *  @complexity  constant: three stores and a load.
 *  @thread      ends on the thread that made it. While it lives its object must not be freed or resized, which the
 *               library reports, then aborts. Pins end in any order. Never throws. */
template <class T>
class [[nodiscard]] pinned {
public:
    using element_type = T;
    pinned() noexcept = default;
    explicit pinned(detail::pin_guard &&guard) noexcept : guard_(std::move(guard)) {}

    T *get() const noexcept { return static_cast<T *>(guard_.address()); }
    T &operator*() const noexcept { return *get(); }
    T *operator->() const noexcept { return get(); }
    explicit operator bool() const noexcept { return get() != nullptr; }
    /** End the pin now. */
    void reset() noexcept { guard_.reset(); }

private:
    detail::pin_guard guard_;
};

/** A pin of an array, and a range of its elements. */
template <class T>
class [[nodiscard]] pinned<T[]> {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using iterator = T *;
    pinned() noexcept = default;
    pinned(detail::pin_guard &&guard, std::size_t n) noexcept : guard_(std::move(guard)), n_(n) {}
    pinned(pinned &&other) noexcept : guard_(std::move(other.guard_)), n_(std::exchange(other.n_, 0)) {}
    pinned &operator=(pinned &&other) noexcept
    {
        guard_ = std::move(other.guard_);
        n_ = std::exchange(other.n_, 0);
        return *this;
    }

    T *get() const noexcept { return static_cast<T *>(guard_.address()); }
    T *data() const noexcept { return get(); }
    std::size_t size() const noexcept { return n_; }
    bool empty() const noexcept { return n_ == 0; }
    T *begin() const noexcept { return get(); }
    T *end() const noexcept { return get() + n_; }
    T &operator[](std::size_t i) const noexcept { return get()[i]; }
    explicit operator bool() const noexcept { return get() != nullptr; }
    void reset() noexcept
    {
        guard_.reset();
        n_ = 0;
    }

private:
    detail::pin_guard guard_;
    std::size_t n_ = 0;
};

/** A name of an object that somebody else owns. Copyable, trivially; compare it, store it, send it to another thread as
 *  any data. ref<T> has 8 bytes and recognises every freed object. ref<T, 4> has 4 bytes and no generation: it
 *  recognises a freed object only until the index is used again, so it suits links that die with what they point at.
 *  @thread  any; none of these functions throws. */
template <class T, std::size_t Bytes = 8>
class ref {
    static_assert(Bytes == 4 || Bytes == 8, "tinymem: a tinymem::ref has 8 bytes, or 4 without the generation");
    using value_t = std::conditional_t<Bytes == 8, tm_handle_t, tm_ref_t>;

public:
    using element_type = T;
    ref() noexcept = default;
    ref(std::nullptr_t) noexcept {}
    ref(const handle<T> &h) noexcept : ref(from_id(h.id())) {}
    /** To const, from a name or its owner. */
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    ref(const ref<U, Bytes> &other) noexcept : ref(from_id(other.id()))
    {
    }
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    ref(const handle<U> &h) noexcept : ref(from_id(h.id()))
    {
    }
    ref(const small_handle<T> &h) noexcept : value_(of_small(h)) {}
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>, class = void>
    ref(const small_handle<U> &h) noexcept : value_(of_small(h))
    {
    }
    /** A name of the other size: widening gives the index's present object. */
    template <std::size_t Other, class = std::enable_if_t<Other != Bytes>>
    explicit ref(const ref<T, Other> &other) noexcept : ref(from_id(other.id()))
    {
    }
    /** From the C interface's handle, which must be of an object of type T. */
    static ref from_id(tm_handle_t h) noexcept
    {
        ref r;
        if constexpr (Bytes == 8)
            r.value_ = h;
        else
            r.value_ = tm_ref(h);
        return r;
    }

    /** From any handle of the C interface; null unless its object is alive and has the size of a T. A cheap check of
     *  the type, which another type of that size passes, too. */
    static ref checked(tm_handle_t h) noexcept { return tm_check(h, sizeof(T)) ? from_id(h) : ref(); }

    /** Pin the object. Null when it is gone. That the object is not freed while it is pinned is up to the program. */
    [[gnu::always_inline]] pinned<T> pin() const noexcept
    {
        if constexpr (Bytes == 8)
            return pinned<T>(detail::pin_guard::maybe(value_));
        else
            return pinned<T>(detail::pin_guard::maybe_ref(value_));
    }
    /** The address for as long as the scope is open, or the pause lasts; null when the object is gone. */
    T *in(const scope &) const noexcept
    {
        if constexpr (Bytes == 8)
            return static_cast<T *>(detail::try_deref(value_));
        else
            return static_cast<T *>(detail::try_deref_ref(value_));
    }
    T *in(const mover_pause &) const noexcept { return in(scope()); }
    /** Lock the object. Null when it is gone. Throws std::bad_alloc; try_lock: null if there is no memory, too. That
     *  the object is not freed meanwhile is up to the program. */
    locked<T> lock() const { return locked<T>(detail::lock_guard::take_or_throw(live_id())); }
    locked<T> try_lock() const noexcept { return locked<T>(detail::lock_guard::take(live_id())); }
    /** Bytes that the object may use; 0 when it is gone. */
    [[nodiscard]] std::size_t usable_size() const noexcept { return tm_sizeof(live_id()); }
    /** Whether the object is still there. */
    bool alive() const noexcept { return live_id() != detail::null_handle; }
    /** The C interface's handle; TM_NULL for a null reference. */
    tm_handle_t id() const noexcept
    {
        if constexpr (Bytes == 8)
            return value_;
        else
            return tm_from_ref(value_);
    }
    /** Whether it names anything at all, alive or not. */
    explicit operator bool() const noexcept { return value_ != 0; }
    std::size_t hash() const noexcept { return std::hash<value_t>()(value_); }

    friend bool operator==(const ref &a, const ref &b) noexcept { return a.value_ == b.value_; }
    friend bool operator!=(const ref &a, const ref &b) noexcept { return a.value_ != b.value_; }
    friend bool operator<(const ref &a, const ref &b) noexcept { return a.value_ < b.value_; }

private:
    tm_handle_t live_id() const noexcept
    {
        const tm_handle_t h = id();
        return Bytes == 4 || tm_valid(h) ? h : detail::null_handle; /* tm_from_ref has looked */
    }
    template <class U>
    static value_t of_small(const small_handle<U> &h) noexcept
    {
        if constexpr (Bytes == 8)
            return h.id();
        else
            return h.r_;
    }
    value_t value_ = 0;
};

/** The name of a pinned or locked object from its address; null if that is not exactly the start of a live object. For
 *  a member function that has only `this`. Takes a lock for a moment. Any thread. Never throws. */
template <class T>
inline ref<T> ref_of(T *held) noexcept
{
    return ref<T>::from_id(tm_handle_of(held));
}

} // namespace tinymem

template <class T, std::size_t Bytes>
struct std::hash<tinymem::ref<T, Bytes>> {
    std::size_t operator()(const tinymem::ref<T, Bytes> &r) const noexcept { return r.hash(); }
};

#endif
