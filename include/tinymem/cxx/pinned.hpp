/** pinned.hpp - tinymem::pinned<T>, an object or array that stays where it is; tinymem::ref<T>, a name of one. */
#ifndef TINYMEM_CXX_PINNED_HPP
#define TINYMEM_CXX_PINNED_HPP

#include <tinymem/cxx/base.hpp>

namespace tinymem {

template <class T>
class handle;

namespace detail {

/* A pin that ends by itself. */
class pin_guard {
public:
    pin_guard() noexcept = default;
    /* A pin of an object that must be alive (tm_pin), or may be gone (tm_try_pin). */
    static pin_guard live(tm_handle_t h) noexcept
    {
        return h == null_handle ? pin_guard() : pin_guard(h, tm_pin(h));
    }
    static pin_guard maybe(tm_handle_t h) noexcept
    {
        void *p = h == null_handle ? nullptr : tm_try_pin(h);
        return p == nullptr ? pin_guard() : pin_guard(h, p);
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

    /** Pin the object. Null when it is gone. That the object is not freed while it is pinned is up to the program. */
    pinned<T> pin() const noexcept { return pinned<T>(detail::pin_guard::maybe(id())); }
    /** The address for as long as the scope is open; null when the object is gone. */
    T *in(const scope &) const noexcept { return static_cast<T *>(detail::try_deref(id())); }
    /** Whether the object is still there. */
    bool alive() const noexcept { return tm_valid(id()); }
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
    value_t value_ = 0;
};

} // namespace tinymem

template <class T, std::size_t Bytes>
struct std::hash<tinymem::ref<T, Bytes>> {
    std::size_t operator()(const tinymem::ref<T, Bytes> &r) const noexcept { return r.hash(); }
};

#endif
