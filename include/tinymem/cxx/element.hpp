/** element.hpp - what v[i] and *v.begin() are: an element of movable storage, named by handle and place.
 *
 *  Idea: neither keeps an address. Each holds a scope and looks the storage up at every use, so that a T & from it
 *  holds while it lives, and storage that grows in place of a handle (tm_realloc) does not leave it behind. Of
 *  storage that was freed the look-up reports a stale handle, where a pointer would read what is not there. */
#ifndef TINYMEM_CXX_ELEMENT_HPP
#define TINYMEM_CXX_ELEMENT_HPP

#include <tinymem/cxx/base.hpp>

namespace tinymem {

template <class T>
class element;

namespace detail {

template <class T>
struct is_element : std::false_type {};
template <class T>
struct is_element<element<T>> : std::true_type {};

template <class U>
using if_no_element = std::enable_if_t<!is_element<std::decay_t<U>>::value>;

} // namespace detail

/** An element of a container: behaves as a T & in expressions, and holds a scope. `*e`, `e->member`, e = value.
 *  `auto x = v[0]` is such an element too, not a copy: name the type, or write `*v[0]`, to copy.
 *  @thread  of the thread that made it, on which it must end. Throws what T's operations throw. */
template <class T>
class element {
public:
    using value_type = std::remove_const_t<T>;
    element(tm_handle_t h, std::size_t offset) noexcept : h_(h), offset_(offset) {}
    element(const element &) noexcept = default;

    /** The object: the reference holds while this element, or another scope of the thread, lives. */
    T &get() const noexcept
    {
        return *std::launder(reinterpret_cast<T *>(static_cast<unsigned char *>(tm_deref(h_)) + offset_));
    }
    operator T &() const noexcept { return get(); }
    T &operator*() const noexcept { return get(); }
    T *operator->() const noexcept { return std::addressof(get()); }
    element<const T> as_const() const noexcept { return {h_, offset_}; }

    element &operator=(const element &other)
    {
        get() = other.get();
        return *this;
    }
    template <class U, class = detail::if_no_element<U>, class = std::enable_if_t<std::is_assignable_v<T &, U>>>
    const element &operator=(U &&value) const
    {
        get() = std::forward<U>(value);
        return *this;
    }
#define TM_ELEMENT_ASSIGNMENT_(op)                                                                                   \
    template <class U>                                                                                               \
    auto operator op(U &&by) const -> decltype(std::declval<T &>() op std::forward<U>(by), *this)                    \
    {                                                                                                                \
        get() op std::forward<U>(by);                                                                                \
        return *this;                                                                                                \
    }
    TM_ELEMENT_ASSIGNMENT_(+=)
    TM_ELEMENT_ASSIGNMENT_(-=)
    TM_ELEMENT_ASSIGNMENT_(*=)
    TM_ELEMENT_ASSIGNMENT_(/=)
    TM_ELEMENT_ASSIGNMENT_(%=)
    TM_ELEMENT_ASSIGNMENT_(&=)
    TM_ELEMENT_ASSIGNMENT_(|=)
    TM_ELEMENT_ASSIGNMENT_(^=)
    TM_ELEMENT_ASSIGNMENT_(<<=)
    TM_ELEMENT_ASSIGNMENT_(>>=)
#undef TM_ELEMENT_ASSIGNMENT_
    template <class U = T &>
    auto operator++(int) const -> decltype(std::declval<U>()++)
    {
        return get()++;
    }
    template <class U = T &>
    auto operator--(int) const -> decltype(std::declval<U>()--)
    {
        return get()--;
    }
    template <class U = T &>
    auto operator++() const -> decltype(++std::declval<U>(), *this)
    {
        ++get();
        return *this;
    }
    template <class U = T &>
    auto operator--() const -> decltype(--std::declval<U>(), *this)
    {
        --get();
        return *this;
    }

    friend bool operator==(const element &a, const element &b) { return a.get() == b.get(); }
    friend bool operator!=(const element &a, const element &b) { return !(a.get() == b.get()); }
    friend bool operator<(const element &a, const element &b) { return a.get() < b.get(); }
    template <class U, class = detail::if_no_element<U>>
    friend bool operator==(const element &a, const U &b)
    {
        return a.get() == b;
    }
    template <class U, class = detail::if_no_element<U>>
    friend bool operator==(const U &a, const element &b)
    {
        return b.get() == a;
    }
    template <class U, class = detail::if_no_element<U>>
    friend bool operator!=(const element &a, const U &b)
    {
        return !(a.get() == b);
    }
    template <class U, class = detail::if_no_element<U>>
    friend bool operator!=(const U &a, const element &b)
    {
        return !(b.get() == a);
    }
    /** Swaps the objects. */
    friend void swap(const element &a, const element &b)
    {
        using std::swap;
        swap(a.get(), b.get());
    }
    template <class Stream>
    friend auto operator<<(Stream &out, const element &e) -> decltype(out << std::declval<T &>())
    {
        return out << e.get();
    }

private:
    detail::held_scope scope_;
    tm_handle_t h_;
    std::size_t offset_;
};

namespace detail {

/* Random access over an array in movable storage. Holds a scope; compares by place. */
template <class T>
class array_iterator {
public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = std::remove_const_t<T>;
    using difference_type = std::ptrdiff_t;
    using pointer = T *;
    using reference = T &;

    array_iterator() noexcept = default;
    array_iterator(tm_handle_t h, difference_type i) noexcept : h_(h), i_(i) {}
    array_iterator(const array_iterator &) noexcept = default;
    array_iterator &operator=(const array_iterator &) noexcept = default;
    /* iterator to const_iterator */
    template <class U, class = std::enable_if_t<std::is_same_v<const U, T> && !std::is_same_v<U, T>>>
    array_iterator(const array_iterator<U> &other) noexcept : h_(other.id()), i_(other.index())
    {
    }

    reference operator*() const noexcept { return static_cast<T *>(tm_deref(h_))[i_]; }
    pointer operator->() const noexcept { return static_cast<T *>(tm_deref(h_)) + i_; }
    reference operator[](difference_type n) const noexcept { return static_cast<T *>(tm_deref(h_))[i_ + n]; }
    array_iterator &operator++() noexcept { return *this += 1; }
    array_iterator &operator--() noexcept { return *this -= 1; }
    array_iterator operator++(int) noexcept { return array_iterator(h_, i_++); }
    array_iterator operator--(int) noexcept { return array_iterator(h_, i_--); }
    array_iterator &operator+=(difference_type n) noexcept
    {
        i_ += n;
        return *this;
    }
    array_iterator &operator-=(difference_type n) noexcept
    {
        i_ -= n;
        return *this;
    }
    tm_handle_t id() const noexcept { return h_; }
    difference_type index() const noexcept { return i_; }

    friend array_iterator operator+(const array_iterator &a, difference_type n) noexcept { return {a.h_, a.i_ + n}; }
    friend array_iterator operator+(difference_type n, const array_iterator &a) noexcept { return {a.h_, a.i_ + n}; }
    friend array_iterator operator-(const array_iterator &a, difference_type n) noexcept { return {a.h_, a.i_ - n}; }

private:
    held_scope scope_;
    tm_handle_t h_ = null_handle;
    difference_type i_ = 0;
};

/* Of iterators to const and not, in any pairing. */
template <class T, class U>
using if_same_array = std::enable_if_t<std::is_same_v<const T, const U>>;

template <class T, class U, class = if_same_array<T, U>>
std::ptrdiff_t operator-(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() - b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator==(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() == b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator!=(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() != b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator<(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() < b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator>(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() > b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator<=(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() <= b.index();
}
template <class T, class U, class = if_same_array<T, U>>
bool operator>=(const array_iterator<T> &a, const array_iterator<U> &b) noexcept
{
    return a.index() >= b.index();
}

} // namespace detail
} // namespace tinymem

#endif
