/** vector.hpp - tinymem::vector<T>: std::vector whose storage the library may move.
 *
 *  The differences to std::vector: elements are reached through something that holds a scope (v[i] is a
 *  tinymem::element, an iterator holds one) or a pin (v.pin(), the fastest in a loop); T must be
 *  tinymem::is_relocatable; at() and capacity overflow do not throw out_of_range and length_error. Growing moves
 *  elements by their bytes, so their move constructors are neither called nor needed. sizeof is 24, and a
 *  tinymem::vector is itself relocatable.
 *
 *  Invalidation: references to elements end with anything that may grow or shrink the storage. Iterators and elements
 *  name a place, so they outlive growth of storage that there was; they end when the storage does: by clear and
 *  shrink_to_fit of all, assignment, swap, destruction. Storage must not grow or end while this thread holds v.pin(),
 *  or anything v.lock(): the library reports that, then aborts. */
#ifndef TINYMEM_CXX_VECTOR_HPP
#define TINYMEM_CXX_VECTOR_HPP

#include <algorithm>

#include <tinymem/cxx/element.hpp>
#include <tinymem/cxx/pinned.hpp>
#include <tinymem/cxx/relocatable.hpp>

namespace tinymem {

template <class T>
class vector {
public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using reference = element<T>;
    using const_reference = element<const T>;
    using iterator = detail::array_iterator<T>;
    using const_iterator = detail::array_iterator<const T>;
    using reverse_iterator = std::reverse_iterator<iterator>;
    using const_reverse_iterator = std::reverse_iterator<const_iterator>;

    /** No storage yet. Never throws. */
    vector() noexcept = default;
    explicit vector(size_type n) : vector() { resize(n); }
    vector(size_type n, const T &value) : vector() { resize(n, value); }
    template <class It, class = detail::if_iterator<It>>
    vector(It first, It last) : vector()
    {
        append(first, last);
    }
    vector(std::initializer_list<T> list) : vector(list.begin(), list.end()) {}
    vector(const vector &other) : vector(other.begin(), other.end()) {}
    vector(vector &&other) noexcept { swap(other); }
    vector &operator=(const vector &other)
    {
        if (this != &other)
            vector(other).swap(*this);
        return *this;
    }
    vector &operator=(vector &&other) noexcept
    {
        vector(std::move(other)).swap(*this);
        return *this;
    }
    vector &operator=(std::initializer_list<T> list)
    {
        vector(list).swap(*this);
        return *this;
    }
    ~vector()
    {
        static_assert(detail::check_element<T>());
        static_assert(!std::is_const_v<T>, "tinymem: a tinymem::vector has no const elements; make the vector const");
        clear();
        tm_free(h_);
    }
    /** New contents, which may be made from old ones. Strong guarantee. */
    void assign(size_type n, const T &value) { vector(n, value).swap(*this); }
    template <class It, class = detail::if_iterator<It>>
    void assign(It first, It last)
    {
        vector(first, last).swap(*this);
    }
    void assign(std::initializer_list<T> list) { vector(list).swap(*this); }

    /** Constant time; none of these throws. */
    bool empty() const noexcept { return size_ == 0; }
    size_type size() const noexcept { return size_; }
    size_type capacity() const noexcept { return capacity_; }
    size_type max_size() const noexcept { return detail::max_bytes / sizeof(T); }
    /** The storage's handle, TM_NULL before there is one: for tm_sizeof and the like. */
    tm_handle_t id() const noexcept { return h_; }

    /** An element by its index, which must be below size(). Constant time, never throws. */
    reference operator[](size_type i) noexcept { return {h_, i * sizeof(T)}; }
    const_reference operator[](size_type i) const noexcept { return {h_, i * sizeof(T)}; }
    /** As operator[]; an index that is too large is reported, then abort: nothing is thrown. */
    reference at(size_type i) noexcept { return check(i), (*this)[i]; }
    const_reference at(size_type i) const noexcept { return check(i), (*this)[i]; }
    reference front() noexcept { return (*this)[0]; }
    const_reference front() const noexcept { return (*this)[0]; }
    reference back() noexcept { return (*this)[size_ - 1]; }
    const_reference back() const noexcept { return (*this)[size_ - 1]; }
    /** All elements at an address that holds while the scope is open and the storage does not grow; null without
     *  storage. */
    T *data(const scope &) noexcept { return storage(); }
    const T *data(const scope &) const noexcept { return storage(); }
    /** All elements, pinned. */
    pinned<T[]> pin() noexcept { return {detail::pin_guard::live(h_), size_}; }
    pinned<const T[]> pin() const noexcept { return {detail::pin_guard::live(h_), size_}; }
    /** All elements, locked: for long, and for other threads. Throws std::bad_alloc. */
    locked<T[]> lock() { return {detail::lock_guard::take_or_throw(h_), size_}; }
    locked<const T[]> lock() const { return {detail::lock_guard::take_or_throw(h_), size_}; }

    iterator begin() noexcept { return {h_, 0}; }
    iterator end() noexcept { return {h_, static_cast<difference_type>(size_)}; }
    const_iterator begin() const noexcept { return {h_, 0}; }
    const_iterator end() const noexcept { return {h_, static_cast<difference_type>(size_)}; }
    const_iterator cbegin() const noexcept { return begin(); }
    const_iterator cend() const noexcept { return end(); }
    reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
    reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
    const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
    const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
    const_reverse_iterator crbegin() const noexcept { return rbegin(); }
    const_reverse_iterator crend() const noexcept { return rend(); }

    /** Room for n elements. Linear. Throws std::bad_alloc and leaves all as it was; try_reserve returns false
     *  instead. */
    void reserve(size_type n)
    {
        if (!try_reserve(n))
            detail::out_of_memory();
    }
    [[nodiscard]] bool try_reserve(size_type n) noexcept
    {
        if (n <= capacity_)
            return true;
        if (!detail::try_resize(h_, n, sizeof(T), alignof(T)))
            return false;
        capacity_ = n;
        return true;
    }
    /** Give back what is not used; of an empty vector all. Linear, never throws. */
    void shrink_to_fit() noexcept
    {
        if (size_ == 0) {
            tm_free(std::exchange(h_, detail::null_handle));
            capacity_ = 0;
        } else if (size_ < capacity_ && detail::try_resize(h_, size_, sizeof(T), alignof(T))) {
            capacity_ = size_;
        }
    }
    /** Destroys all elements and keeps the storage. */
    void clear() noexcept { truncate(0); }
    /** n elements: the last ones go, or new ones are value-initialised, or copies of `value`, which may be an
     *  element. */
    void resize(size_type n) { resize_with(n); }
    void resize(size_type n, const T &value)
    {
        const detail::in_transit<T> copy(value);
        resize_with(n, copy.value());
    }

    /** Amortised constant time. `value` may be an element of this vector. On an exception neither has changed. */
    void push_back(const T &value) { push(value); }
    void push_back(T &&value) { push(std::move(value)); }
    /** As push_back; when memory runs out, arguments given as rvalues may have been moved from. */
    template <class... Args>
    reference emplace_back(Args &&...args)
    {
        if (size_ < capacity_) {
            scope open;
            detail::construct<T>(storage() + size_, std::forward<Args>(args)...);
        } else {
            // Before the storage moves: arguments may be in it.
            detail::in_transit<T> value(std::forward<Args>(args)...);
            grow(1);
            scope open;
            value.go(storage() + size_);
        }
        ++size_;
        return back();
    }
    void pop_back() noexcept { truncate(size_ - 1); }

    /** Insert before `at`. Linear in what is inserted and what is behind. Strong guarantee. Values may be elements. */
    iterator insert(const_iterator at, const T &value)
    {
        push(value);
        return last_to(at.index(), 1);
    }
    iterator insert(const_iterator at, T &&value)
    {
        push(std::move(value));
        return last_to(at.index(), 1);
    }
    iterator insert(const_iterator at, size_type n, const T &value)
    {
        if (n > max_size() - size_)
            detail::out_of_memory();
        resize(size_ + n, value);
        return last_to(at.index(), n);
    }
    template <class It, class = detail::if_iterator<It>>
    iterator insert(const_iterator at, It first, It last)
    {
        const size_type before = size_;
        append(first, last);
        return last_to(at.index(), size_ - before);
    }
    iterator insert(const_iterator at, std::initializer_list<T> list) { return insert(at, list.begin(), list.end()); }
    template <class... Args>
    iterator emplace(const_iterator at, Args &&...args)
    {
        emplace_back(std::forward<Args>(args)...);
        return last_to(at.index(), 1);
    }
    /** Linear in what is erased and what is behind. Never throws; elements behind keep their bytes. */
    iterator erase(const_iterator at) noexcept { return erase(at, at + 1); }
    iterator erase(const_iterator first, const_iterator last) noexcept
    {
        const size_type i = static_cast<size_type>(first.index()), n = static_cast<size_type>(last - first);
        scope open;
        T *p = storage();
        detail::destroy(p + i, n);
        if (n != 0)
            detail::relocate(p + i, p + i + n, size_ - i - n);
        size_ -= n;
        return {h_, first.index()};
    }

    /** Constant time; iterators stay with the storage, and name elements of the other vector. */
    void swap(vector &other) noexcept
    {
        std::swap(h_, other.h_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }
    friend void swap(vector &a, vector &b) noexcept { a.swap(b); }
    friend bool operator==(const vector &a, const vector &b)
    {
        return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
    }
    friend bool operator!=(const vector &a, const vector &b) { return !(a == b); }
    friend bool operator<(const vector &a, const vector &b)
    {
        return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    }
    friend bool operator>(const vector &a, const vector &b) { return b < a; }
    friend bool operator<=(const vector &a, const vector &b) { return !(b < a); }
    friend bool operator>=(const vector &a, const vector &b) { return !(a < b); }

private:
    /* Back to the old size unless all went well. */
    class rollback {
    public:
        explicit rollback(vector &v) noexcept : v_(v), size_(v.size_) {}
        rollback(const rollback &) = delete;
        rollback &operator=(const rollback &) = delete;
        ~rollback()
        {
            if (v_.size_ > size_)
                v_.truncate(size_);
        }
        void keep() noexcept { size_ = v_.size_; }

    private:
        vector &v_;
        size_type size_;
    };

    /* In a scope. */
    T *storage() const noexcept { return static_cast<T *>(detail::address_of(h_)); }

    void check(size_type i) const noexcept
    {
        if (i >= size_)
            detail::fail("tinymem::vector::at: the index is not below the size");
    }

    /* Room for `more` elements, and so much that growing by ones is linear in all. */
    void grow(size_type more)
    {
        if (more > max_size() - size_)
            detail::out_of_memory();
        const size_type need = size_ + more, half = capacity_ / 2;
        const size_type roomy = capacity_ > max_size() - half ? max_size() : capacity_ + half;
        const size_type some = capacity_ == 0 && more == 1 ? (sizeof(T) >= 16 ? 2 : 32 / sizeof(T)) : need;
        if (need > capacity_ && !try_reserve(std::max({need, roomy, some})))
            reserve(need);
    }

    /* `Value` is const T & or T &&, and may be an element: then it is found again where the storage went. */
    template <class Value>
    void push(Value &&value)
    {
        scope open;
        const auto *at = std::addressof(value);
        if (size_ == capacity_) {
            const T *old = storage();
            const bool inside = std::less_equal<const T *>()(old, at) && std::less<const T *>()(at, old + size_);
            const std::ptrdiff_t i = inside ? at - old : 0;
            grow(1);
            at = inside ? storage() + i : at;
        }
        T *to = storage() + size_;
        if constexpr (std::is_lvalue_reference_v<Value>)
            ::new (static_cast<void *>(to)) T(*at);
        else
            ::new (static_cast<void *>(to)) T(std::move(*const_cast<T *>(at)));
        ++size_;
    }

    template <class It>
    void append(It first, It last)
    {
        rollback undo(*this);
        if constexpr (detail::is_forward<It>)
            grow(static_cast<size_type>(std::distance(first, last)));
        for (; first != last; ++first)
            emplace_back(*first);
        undo.keep();
    }

    template <class... Value>
    void resize_with(size_type n, const Value *...value)
    {
        if (n <= size_)
            return truncate(n);
        rollback undo(*this);
        grow(n - size_);
        while (size_ < n)
            emplace_back(*value...);
        undo.keep();
    }

    void truncate(size_type n) noexcept
    {
        const size_type from = std::exchange(size_, n);
        if constexpr (!std::is_trivially_destructible_v<T>) {
            scope open;
            detail::destroy(storage() + n, from - n);
        }
    }

    /* The last n elements go before place i. */
    iterator last_to(difference_type i, size_type n) noexcept
    {
        const size_type place = static_cast<size_type>(i);
        if (n != 0 && place != size_ - n) {
            scope open;
            auto *bytes = reinterpret_cast<unsigned char *>(storage());
            rotate(bytes + place * sizeof(T), (size_ - n - place) * sizeof(T), n * sizeof(T));
        }
        return {h_, i};
    }

    /* `n` bytes behind `before` bytes at p go in front of them. Few go by way of the stack, which is faster. */
    static void rotate(unsigned char *p, size_type before, size_type n) noexcept
    {
        unsigned char few[256];
        if (n > sizeof few) {
            std::rotate(p, p + before, p + before + n);
            return;
        }
        std::memcpy(few, p + before, n);
        std::memmove(p + n, p, before);
        std::memcpy(p, few, n);
    }

    tm_handle_t h_ = detail::null_handle;
    size_type size_ = 0, capacity_ = 0;
};

template <class It, class = detail::if_iterator<It>>
vector(It, It) -> vector<typename std::iterator_traits<It>::value_type>;

template <class T>
struct is_relocatable<vector<T>> : std::true_type {};

/** Erase all elements that equal `value`, or for which `goes` is true; how many there were. Linear. When a predicate
 *  throws, nothing has been lost: elements may be in another order. */
template <class T, class Predicate>
std::size_t erase_if(vector<T> &v, Predicate goes)
{
    auto first = std::remove_if(v.begin(), v.end(), goes);
    const std::size_t n = static_cast<std::size_t>(v.end() - first);
    v.erase(first, v.end());
    return n;
}
template <class T, class U>
std::size_t erase(vector<T> &v, const U &value)
{
    return erase_if(v, [&value](const T &e) { return e == value; });
}

} // namespace tinymem

#endif
