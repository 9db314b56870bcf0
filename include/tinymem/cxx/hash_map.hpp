/** hash_map.hpp - tinymem::hash_map<K, V>: an open-addressed table in one movable block.
 *
 *  Idea: slots first, then one 32-bit word a slot: 0 free, 1 erased, otherwise the hash of the key that is there.
 *  Linear probing over a power of two, at most three quarters of it used. The words make growth and erasure
 *  independent of the program's hash function, so neither can throw from it; elements move by their bytes.
 *
 *  M1  word[i] > 1  <=>  slot[i] holds an element; size_ counts these.
 *  M2  used_ = number of words that are not 0  <=  3/4 of the capacity: a probe ends.
 *
 *  Elements are std::pair<const K, V>. Invalidation: references end with every insertion and with what ends the
 *  iterators: growth (when reserve has not made room), assignment, swap, destruction. A use of such an iterator is
 *  reported as a stale handle. Erasing ends what names the erased element only. Not more than 2^31 slots. */
#ifndef TINYMEM_CXX_HASH_MAP_HPP
#define TINYMEM_CXX_HASH_MAP_HPP

#include <tinymem/cxx/element.hpp>
#include <tinymem/cxx/relocatable.hpp>
#include <tinymem/cxx/string.hpp>

namespace tinymem {

/** The hash that maps use: std::hash, and for tinymem::string one that takes any text without making a string of it. */
template <class K>
struct hash : std::hash<K> {};
template <>
struct hash<string> {
    using is_transparent = void;
    std::size_t operator()(const detail::text &t) const noexcept { return std::hash<std::string_view>()(t.view()); }
};

namespace detail {

template <class H, class = void>
struct is_transparent : std::false_type {};
template <class H>
struct is_transparent<H, std::void_t<typename H::is_transparent>> : std::true_type {};

/* Where things are in the block of a table; in a scope. */
template <class Slot>
struct table {
    Slot *slots;
    std::uint32_t *words;
    table(tm_handle_t h, std::size_t capacity) noexcept
        : slots(static_cast<Slot *>(address_of(h))), words(reinterpret_cast<std::uint32_t *>(slots + capacity))
    {
    }
};

template <class Value>
class table_iterator {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::remove_const_t<Value>;
    using difference_type = std::ptrdiff_t;
    using pointer = Value *;
    using reference = Value &;

    table_iterator() noexcept = default;
    table_iterator(tm_handle_t h, std::size_t capacity, std::size_t i) noexcept : h_(h), capacity_(capacity), i_(i) {}
    table_iterator(const table_iterator &) noexcept = default;
    table_iterator &operator=(const table_iterator &) noexcept = default;
    template <class U, class = std::enable_if_t<std::is_same_v<const U, Value> && !std::is_same_v<U, Value>>>
    table_iterator(const table_iterator<U> &o) noexcept : h_(o.id()), capacity_(o.capacity()), i_(o.index())
    {
    }
    reference operator*() const noexcept { return static_cast<Value *>(tm_deref(h_))[i_]; }
    pointer operator->() const noexcept { return static_cast<Value *>(tm_deref(h_)) + i_; }
    table_iterator &operator++() noexcept
    {
        ++i_;
        to_element();
        return *this;
    }
    table_iterator operator++(int) noexcept
    {
        table_iterator before(*this);
        ++*this;
        return before;
    }
    /* Onwards to the first element from here. */
    void to_element() noexcept
    {
        const table<value_type> t(h_, capacity_);
        while (i_ < capacity_ && t.words[i_] < 2)
            ++i_;
    }
    tm_handle_t id() const noexcept { return h_; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t index() const noexcept { return i_; }

private:
    held_scope scope_;
    tm_handle_t h_ = null_handle;
    std::size_t capacity_ = 0, i_ = 0;
};

template <class A, class B, class = if_same_array<A, B>>
bool operator==(const table_iterator<A> &a, const table_iterator<B> &b) noexcept
{
    return a.index() == b.index();
}
template <class A, class B, class = if_same_array<A, B>>
bool operator!=(const table_iterator<A> &a, const table_iterator<B> &b) noexcept
{
    return a.index() != b.index();
}

} // namespace detail

template <class K, class V, class Hash = hash<K>, class Equal = std::equal_to<>>
class hash_map {
public:
    using key_type = K;
    using mapped_type = V;
    using value_type = std::pair<const K, V>;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using iterator = detail::table_iterator<value_type>;
    using const_iterator = detail::table_iterator<const value_type>;

    hash_map() = default;
    explicit hash_map(size_type n, Hash hash = Hash(), Equal equal = Equal())
        : hash_(std::move(hash)), equal_(std::move(equal))
    {
        reserve(n);
    }
    template <class It, class = detail::if_iterator<It>>
    hash_map(It first, It last) : hash_map()
    {
        for (; first != last; ++first)
            insert(*first);
    }
    hash_map(std::initializer_list<value_type> list) : hash_map(list.begin(), list.end()) {}
    hash_map(const hash_map &other) : hash_map(other.size_, other.hash_, other.equal_)
    {
        for (const value_type &e : other)
            insert(e);
    }
    hash_map(hash_map &&other) noexcept : hash_(other.hash_), equal_(other.equal_) { swap_tables(other); }
    hash_map &operator=(const hash_map &other)
    {
        if (this != &other)
            hash_map(other).swap(*this);
        return *this;
    }
    hash_map &operator=(hash_map &&other) noexcept
    {
        hash_map(std::move(other)).swap(*this);
        return *this;
    }
    hash_map &operator=(std::initializer_list<value_type> list)
    {
        hash_map(list).swap(*this);
        return *this;
    }
    ~hash_map()
    {
        static_assert(detail::check_element<K>() && detail::check_element<V>());
        clear();
        tm_free(h_);
    }

    /** Constant time; none of these throws. */
    bool empty() const noexcept { return size_ == 0; }
    size_type size() const noexcept { return size_; }
    /** How many elements fit before the table grows. */
    size_type capacity() const noexcept { return slots_ / 4 * 3; }
    tm_handle_t id() const noexcept { return h_; }
    /** Linear in the number of free slots before the first element. */
    iterator begin() noexcept { return first<iterator>(); }
    const_iterator begin() const noexcept { return first<const_iterator>(); }
    const_iterator cbegin() const noexcept { return begin(); }
    iterator end() noexcept { return {h_, slots_, slots_}; }
    const_iterator end() const noexcept { return {h_, slots_, slots_}; }
    const_iterator cend() const noexcept { return end(); }

    /** Constant time on average, linear when all hashes are equal. Throw what hash and comparison throw. With a
     *  transparent hash, as that of tinymem::string, the key may be anything that the two take. */
    template <class Q = K>
    iterator find(const Q &key)
    {
        return {h_, slots_, find_index(key)};
    }
    template <class Q = K>
    const_iterator find(const Q &key) const
    {
        return {h_, slots_, find_index(key)};
    }
    template <class Q = K>
    bool contains(const Q &key) const
    {
        return find_index(key) != slots_;
    }
    template <class Q = K>
    size_type count(const Q &key) const
    {
        return contains(key);
    }
    /** The value of `key`, made by V() if there is none. */
    template <class Q = K>
    element<V> operator[](Q &&key)
    {
        return value_at(try_emplace(std::forward<Q>(key)).first.index());
    }
    /** The value of `key`. That there is none is reported, then abort: nothing is thrown but by hash and comparison. */
    template <class Q = K>
    element<V> at(const Q &key)
    {
        const size_type i = find_index(key);
        if (i == slots_)
            detail::fail("tinymem::hash_map::at: no such key");
        return value_at(i);
    }
    template <class Q = K>
    element<const V> at(const Q &key) const
    {
        return const_cast<hash_map *>(this)->at(key).as_const();
    }

    /** Insert unless the key is there; whether it was inserted. Amortised constant time on average. Strong guarantee;
     *  arguments may be elements of this map, and keep their values when memory runs out. */
    template <class Q = K, class... Args>
    std::pair<iterator, bool> try_emplace(Q &&key, Args &&...args)
    {
        if constexpr (std::is_same_v<std::decay_t<Q>, K> || detail::is_transparent<Hash>::value) {
            return add(key, std::piecewise_construct, std::forward_as_tuple(std::forward<Q>(key)),
                       std::forward_as_tuple(std::forward<Args>(args)...));
        } else {
            K made(static_cast<K>(std::forward<Q>(key)));
            return add(made, std::piecewise_construct, std::forward_as_tuple(std::move(made)),
                       std::forward_as_tuple(std::forward<Args>(args)...));
        }
    }
    std::pair<iterator, bool> insert(const value_type &e) { return add(e.first, e); }
    std::pair<iterator, bool> insert(value_type &&e) { return add(e.first, std::move(e)); }
    template <class Q, class U>
    std::pair<iterator, bool> emplace(Q &&key, U &&value)
    {
        return try_emplace(std::forward<Q>(key), std::forward<U>(value));
    }
    /** Insert, or assign to the value that is there (with V's own guarantee). */
    template <class Q = K, class U = V>
    std::pair<iterator, bool> insert_or_assign(Q &&key, U &&value)
    {
        auto made = try_emplace(std::forward<Q>(key), std::forward<U>(value));
        if (!made.second)
            made.first->second = std::forward<U>(value);
        return made;
    }

    /** Constant time on average; iterators to other elements stay good. By iterator: never throws. Returns the next. */
    iterator erase(const_iterator at) noexcept
    {
        scope open;
        const detail::table<value_type> t(h_, slots_);
        size_type i = at.index();
        --size_;
        t.words[i] = 1;
        if (t.words[(i + 1) & (slots_ - 1)] == 0) { // no probe goes on from here: these slots are as good as free
            for (; t.words[i] == 1; i = (i - 1) & (slots_ - 1)) {
                t.words[i] = 0;
                --used_;
            }
        }
        t.slots[at.index()].~value_type();
        iterator next(h_, slots_, at.index());
        next.to_element();
        return next;
    }
    iterator erase(iterator at) noexcept { return erase(const_iterator(at)); }
    template <class Q = K, class = std::enable_if_t<!std::is_convertible_v<Q, const_iterator>>>
    size_type erase(const Q &key)
    {
        const size_type i = find_index(key);
        if (i == slots_)
            return 0;
        erase(const_iterator(h_, slots_, i));
        return 1;
    }
    /** Destroys all elements and keeps the storage. Linear in the number of slots, never throws. */
    void clear() noexcept
    {
        if (used_ == 0)
            return;
        scope open;
        const detail::table<value_type> t(h_, slots_);
        for (size_type i = 0; i < slots_; ++i)
            if (std::exchange(t.words[i], 0u) > 1)
                t.slots[i].~value_type();
        size_ = used_ = 0;
    }

    /** Room for n elements in all. Linear. Throws std::bad_alloc and leaves all as it was; try_reserve: false. */
    void reserve(size_type n)
    {
        if (!try_reserve(n))
            detail::out_of_memory();
    }
    [[nodiscard]] bool try_reserve(size_type n) noexcept
    {
        if (n <= capacity() && used_ <= size_ + capacity() - n)
            return true;
        return n <= max_slots / 4 * 3 && try_rehash(slots_for(n > size_ ? n : size_));
    }

    /** Constant time, never throws: neither must the swaps of hash and comparison. */
    void swap(hash_map &other) noexcept
    {
        using std::swap;
        swap(hash_, other.hash_);
        swap(equal_, other.equal_);
        swap_tables(other);
    }
    friend void swap(hash_map &a, hash_map &b) noexcept { a.swap(b); }
    friend bool operator==(const hash_map &a, const hash_map &b)
    {
        if (a.size_ != b.size_)
            return false;
        for (const value_type &e : a) {
            const_iterator other = b.find(e.first);
            if (other == b.end() || !(other->second == e.second))
                return false;
        }
        return true;
    }
    friend bool operator!=(const hash_map &a, const hash_map &b) { return !(a == b); }

private:
    static constexpr size_type min_slots = 8, max_slots = size_type(1) << 31;

    template <class It>
    It first() const noexcept
    {
        It it(h_, slots_, 0);
        if (size_ == 0)
            return {h_, slots_, slots_};
        it.to_element();
        return it;
    }
    element<V> value_at(size_type i) noexcept
    {
        scope open;
        value_type *slots = static_cast<value_type *>(tm_deref(h_));
        const auto *value = reinterpret_cast<unsigned char *>(std::addressof(slots[i].second));
        return {h_, static_cast<size_type>(value - reinterpret_cast<unsigned char *>(slots))};
    }
    static size_type slots_for(size_type n) noexcept
    {
        size_type slots = min_slots;
        while (slots / 4 * 3 < n)
            slots *= 2;
        return slots;
    }
    /* std::hash of a number is the number: spread it. Finalizer of MurmurHash3 (Appleby 2011). */
    template <class Q>
    std::uint32_t word_of(const Q &key) const
    {
        std::uint64_t x = hash_(key);
        x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
        x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
        const auto word = static_cast<std::uint32_t>(x ^ x >> 33);
        return word < 2 ? word + 2 : word;
    }
    /* slots_ if it is not there. */
    template <class Q>
    size_type find_index(const Q &key) const
    {
        if (size_ == 0)
            return slots_;
        if constexpr (!std::is_same_v<Q, K> && !detail::is_transparent<Hash>::value) {
            const K made(static_cast<K>(key));
            return find_word(made, word_of(made));
        } else {
            return find_word(key, word_of(key));
        }
    }
    template <class Q>
    size_type find_word(const Q &key, std::uint32_t word) const
    {
        if (size_ == 0)
            return slots_;
        scope open;
        const detail::table<value_type> t(h_, slots_);
        for (size_type i = word & (slots_ - 1); t.words[i] != 0; i = (i + 1) & (slots_ - 1))
            if (t.words[i] == word && equal_(t.slots[i].first, key))
                return i;
        return slots_;
    }
    /* The first slot that an element with that word may take. */
    static size_type place_for(const detail::table<value_type> &t, size_type slots, std::uint32_t word) noexcept
    {
        size_type i = word & (slots - 1);
        while (t.words[i] > 1)
            i = (i + 1) & (slots - 1);
        return i;
    }
    /* A pair from `args`, whose key is `key`. */
    template <class Q, class... Args>
    std::pair<iterator, bool> add(const Q &key, Args &&...args)
    {
        const std::uint32_t word = word_of(key);
        size_type i = find_word(key, word);
        if (i != slots_)
            return {iterator(h_, slots_, i), false};
        if (used_ >= capacity()) {
            if (size_ >= max_slots / 4 * 3)
                detail::out_of_memory();
            const size_type slots = slots_for(size_ + size_ / 2 + 1); // erased slots may be what fills the table
            detail::unowned fresh(try_table(slots));
            if (fresh.get() == detail::null_handle)
                detail::out_of_memory();
            detail::in_transit<value_type> value(std::forward<Args>(args)...); // arguments may be in the old table
            move_to(fresh.release(), slots);
            scope open;
            const detail::table<value_type> t(h_, slots_);
            i = place_for(t, slots_, word);
            value.go(t.slots + i);
        } else {
            scope open;
            i = place_for(detail::table<value_type>(h_, slots_), slots_, word);
            ::new (static_cast<void *>(detail::table<value_type>(h_, slots_).slots + i))
                value_type(std::forward<Args>(args)...);
        }
        scope open;
        const detail::table<value_type> t(h_, slots_);
        used_ += std::exchange(t.words[i], word) == 0;
        ++size_;
        return {iterator(h_, slots_, i), true};
    }
    static tm_handle_t try_table(size_type slots) noexcept
    {
        constexpr size_type align = alignof(value_type) < alignof(std::uint32_t) ? alignof(std::uint32_t)
                                                                                  : alignof(value_type);
        const tm_handle_t h = detail::try_allocate(slots, sizeof(value_type) + sizeof(std::uint32_t), align);
        if (h == detail::null_handle)
            return h;
        scope open;
        std::memset(detail::table<value_type>(h, slots).words, 0, slots * sizeof(std::uint32_t));
        return h;
    }
    bool try_rehash(size_type slots) noexcept
    {
        const tm_handle_t h = try_table(slots);
        if (h != detail::null_handle)
            move_to(h, slots);
        return h != detail::null_handle;
    }
    void move_to(tm_handle_t h, size_type slots) noexcept
    {
        scope open;
        const detail::table<value_type> from(h_, slots_), to(h, slots);
        for (size_type i = 0; i < slots_; ++i) {
            if (from.words[i] < 2)
                continue;
            const size_type place = place_for(to, slots, from.words[i]);
            detail::relocate(to.slots + place, from.slots + i, 1);
            to.words[place] = from.words[i];
        }
        tm_free(std::exchange(h_, h));
        slots_ = slots;
        used_ = size_;
    }
    void swap_tables(hash_map &other) noexcept
    {
        std::swap(h_, other.h_);
        std::swap(size_, other.size_);
        std::swap(used_, other.used_);
        std::swap(slots_, other.slots_);
    }

    tm_handle_t h_ = detail::null_handle;
    size_type size_ = 0, used_ = 0, slots_ = 0;
    Hash hash_{};
    Equal equal_{};
};

template <class K, class V, class Hash, class Equal>
struct is_relocatable<hash_map<K, V, Hash, Equal>> : std::conjunction<is_relocatable<Hash>, is_relocatable<Equal>> {};

/** Erase all elements for which `goes` is true; how many there were. Linear. When it throws, some are erased. */
template <class K, class V, class Hash, class Equal, class Predicate>
std::size_t erase_if(hash_map<K, V, Hash, Equal> &m, Predicate goes)
{
    const std::size_t before = m.size();
    for (auto it = m.begin(); it != m.end();)
        it = goes(*it) ? m.erase(it) : ++it;
    return before - m.size();
}

} // namespace tinymem

#endif
