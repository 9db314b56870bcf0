/** locked.hpp - tinymem::locked<T>: an object that stays where it is for long, whichever thread ends it. */
#ifndef TINYMEM_CXX_LOCKED_HPP
#define TINYMEM_CXX_LOCKED_HPP

#include <tinymem/cxx/base.hpp>

namespace tinymem {

namespace detail {

/* A lock that ends by itself. */
class lock_guard {
public:
    lock_guard() noexcept = default;
    /* Nothing is locked for TM_NULL, and when there is no memory. */
    static lock_guard take(tm_handle_t h) noexcept
    {
        void *p = tm_lock(h);
        return p == nullptr ? lock_guard() : lock_guard(h, p);
    }
    static lock_guard take_or_throw(tm_handle_t h)
    {
        lock_guard taken = take(h);
        if (h != null_handle && taken.address_ == nullptr)
            out_of_memory();
        return taken;
    }
    lock_guard(lock_guard &&other) noexcept
        : address_(std::exchange(other.address_, nullptr)), h_(std::exchange(other.h_, null_handle))
    {
    }
    lock_guard &operator=(lock_guard &&other) noexcept
    {
        if (this == &other)
            return *this;
        reset();
        address_ = std::exchange(other.address_, nullptr);
        h_ = std::exchange(other.h_, null_handle);
        return *this;
    }
    ~lock_guard() { reset(); }
    void reset() noexcept
    {
        address_ = nullptr;
        if (h_ != null_handle)
            tm_unlock(std::exchange(h_, null_handle));
    }
    void *address() const noexcept { return address_; }

private:
    lock_guard(tm_handle_t h, void *address) noexcept : address_(address), h_(h) {}
    void *address_ = nullptr;
    tm_handle_t h_ = null_handle;
};

} // namespace detail

/** A lock of one object: its address holds while this lives. It may be stored, and moved to another thread and end
 *  there. The first lock of an object of up to 64 KiB moves the object out of the way, so that it may stay locked as
 *  long as the program runs. Null when there was no object. Movable, not copyable.
 *  @complexity  some microseconds; to hold an address for a moment a tinymem::pinned is quicker.
 *  @thread      any. While it lives its object must not be freed or resized, which the library reports, then
 *               aborts. */
template <class T>
class [[nodiscard]] locked {
public:
    using element_type = T;
    locked() noexcept = default;
    explicit locked(detail::lock_guard &&guard) noexcept : guard_(std::move(guard)) {}

    T *get() const noexcept { return static_cast<T *>(guard_.address()); }
    T &operator*() const noexcept { return *get(); }
    T *operator->() const noexcept { return get(); }
    explicit operator bool() const noexcept { return get() != nullptr; }
    /** End the lock now. */
    void reset() noexcept { guard_.reset(); }

private:
    detail::lock_guard guard_;
};

/** A lock of an array, and a range of its elements. */
template <class T>
class [[nodiscard]] locked<T[]> {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using iterator = T *;
    locked() noexcept = default;
    locked(detail::lock_guard &&guard, std::size_t n) noexcept : guard_(std::move(guard)), n_(n) {}
    locked(locked &&other) noexcept : guard_(std::move(other.guard_)), n_(std::exchange(other.n_, 0)) {}
    locked &operator=(locked &&other) noexcept
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
    detail::lock_guard guard_;
    std::size_t n_ = 0;
};

} // namespace tinymem

#endif
