/** small_handle.hpp - tinymem::small_handle<T>: the owner of a movable object in 4 bytes; tinymem::make_small.
 *
 *  Idea: an owner ends with its object, so it needs no generation to know that the object is its own. A tree of small
 *  handles costs 4 bytes a link, half of a pointer. */
#ifndef TINYMEM_CXX_SMALL_HANDLE_HPP
#define TINYMEM_CXX_SMALL_HANDLE_HPP

#include <tinymem/cxx/handle.hpp>

namespace tinymem {

/** Owns one movable object, as handle<T> does, in 4 bytes. A use after the object was freed by another name is reported
 *  only until its index is used again. Everything else is as in handle<T>. */
template <class T>
class [[nodiscard]] small_handle {
public:
    using element_type = T;
    constexpr small_handle() noexcept = default;
    constexpr small_handle(std::nullptr_t) noexcept {}
    small_handle(small_handle &&other) noexcept : r_(std::exchange(other.r_, 0)) {}
    /** Take over the object of an owner of 8 bytes. */
    explicit small_handle(handle<T> &&other) noexcept : r_(tm_ref(other.release())) {}
    small_handle &operator=(small_handle &&other) noexcept
    {
        small_handle(std::move(other)).swap(*this);
        return *this;
    }
    ~small_handle() { end(); }
    /** Own the object of a reference of the C interface, which must hold a T. */
    static small_handle adopt(tm_ref_t r) noexcept
    {
        small_handle made;
        made.r_ = r;
        return made;
    }

    /** Pin the object; null if there is none. */
    [[gnu::always_inline]] pinned<T> pin() const noexcept { return pinned<T>(detail::pin_guard::live_ref(r_)); }
    /** h->member: pinned until the end of the full expression. */
    [[gnu::always_inline]] pinned<T> operator->() const noexcept { return pin(); }
    /** The address for as long as the scope is open, or the pause lasts; null if there is no object. */
    T *in(const scope &) const noexcept { return static_cast<T *>(r_ == 0 ? nullptr : tm_deref_ref(r_)); }
    T *in(const mover_pause &) const noexcept { return in(scope()); }
    /** Lock the object; null if there is none. Throws std::bad_alloc. try_lock: null if there is no memory, too. */
    locked<T> lock() const { return locked<T>(detail::lock_guard::take_or_throw(id())); }
    locked<T> try_lock() const noexcept { return locked<T>(detail::lock_guard::take(id())); }
    /** Bytes that the object may use, sizeof(T) or more; 0 if there is none. */
    [[nodiscard]] std::size_t usable_size() const noexcept { return tm_sizeof(id()); }
    /** The C interface's handle: still owned here. */
    tm_handle_t id() const noexcept { return tm_from_ref(r_); }
    /** The C interface's reference, no longer owned here. */
    [[nodiscard]] tm_ref_t release() noexcept { return std::exchange(r_, 0); }
    /** Destroy the object, if any. */
    void reset() noexcept { small_handle().swap(*this); }
    void swap(small_handle &other) noexcept { std::swap(r_, other.r_); }
    explicit operator bool() const noexcept { return r_ != 0; }
    std::size_t hash() const noexcept { return std::hash<tm_ref_t>()(r_); }

    friend void swap(small_handle &a, small_handle &b) noexcept { a.swap(b); }
    friend bool operator==(const small_handle &a, const small_handle &b) noexcept { return a.r_ == b.r_; }
    friend bool operator!=(const small_handle &a, const small_handle &b) noexcept { return a.r_ != b.r_; }
    friend bool operator==(const small_handle &a, std::nullptr_t) noexcept { return !a; }
    friend bool operator!=(const small_handle &a, std::nullptr_t) noexcept { return bool(a); }

private:
    friend class ref<T, 4>;
    friend class ref<const T, 4>;
    void end() noexcept
    {
        static_assert(detail::check_element<T>());
        if (r_ == 0)
            return;
        if constexpr (!std::is_trivially_destructible_v<T>)
            pin()->~T();
        tm_free_ref(r_);
    }
    tm_ref_t r_ = 0;
};

template <class T>
struct is_relocatable<small_handle<T>> : std::true_type {};

template <class T>
ref(const small_handle<T> &) -> ref<T, 4>;

namespace detail {

template <class T, class... Args>
small_handle<T> make_small_object(tm_ref_t r, Args &&...args)
{
    static_assert(check_element<T>());
    if (r == 0)
        return nullptr;
    unowned made(tm_from_ref(r));
    auto pin = pin_guard::live(made.get());
    construct<T>(pin.address(), std::forward<Args>(args)...);
    return small_handle<T>::adopt(tm_ref(made.release()));
}

template <class T>
tm_ref_t try_allocate_ref() noexcept
{
    if constexpr (alignof(T) <= default_alignment)
        return tm_alloc_ref(sizeof(T));
    else
        return tm_ref(try_allocate(1, sizeof(T), alignof(T)));
}

} // namespace detail

/** As make and try_make, with an owner of 4 bytes. */
template <class T, class... Args>
inline small_handle<T> make_small(Args &&...args)
{
    static_assert(detail::check_element<T>());
    const tm_ref_t r = detail::try_allocate_ref<T>();
    if (r == 0)
        detail::out_of_memory();
    return detail::make_small_object<T>(r, std::forward<Args>(args)...);
}

template <class T, class... Args>
inline small_handle<T> try_make_small(Args &&...args)
{
    static_assert(detail::check_element<T>());
    return detail::make_small_object<T>(detail::try_allocate_ref<T>(), std::forward<Args>(args)...);
}

} // namespace tinymem

template <class T>
struct std::hash<tinymem::small_handle<T>> {
    std::size_t operator()(const tinymem::small_handle<T> &h) const noexcept { return h.hash(); }
};

#endif
