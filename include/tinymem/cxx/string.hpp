/** string.hpp - tinymem::string: text whose storage the library may move.
 *
 *  As std::string, with these differences: its characters are read through something that holds them still (pin(),
 *  view(scope), an iterator, s[i]), since there is no conversion to std::string_view that could be kept too long; str()
 *  copies them out. There is no buffer in the object: text that is not empty is one movable block, and a
 *  tinymem::string is 24 bytes and relocatable. Positions beyond the end count as the end, where std::string throws
 *  out_of_range.
 *
 *  Functions take detail::text: a literal, std::string_view, std::string, tinymem::string, or an element of a
 *  container. The text may be a part of the string that it changes. All have the strong guarantee; std::bad_alloc is
 *  all they throw. Invalidation is as for tinymem::vector. */
#ifndef TINYMEM_CXX_STRING_HPP
#define TINYMEM_CXX_STRING_HPP

#include <tinymem/cxx/element.hpp>
#include <tinymem/cxx/pinned.hpp>
#include <tinymem/cxx/relocatable.hpp>

namespace tinymem {

class string;

namespace detail {

/* Text as an argument, in place for as long as the call takes. */
class text {
public:
    text(const char *s) noexcept : view_(s) {}
    text(std::string_view s) noexcept : view_(s) {}
    text(const std::string &s) noexcept : view_(s) {}
    inline text(const string &s) noexcept;
    inline text(const element<string> &s) noexcept;
    inline text(const element<const string> &s) noexcept;
    std::string_view view() const noexcept { return view_; }

private:
    held_scope scope_;
    std::string_view view_;
};

} // namespace detail

/** The characters of a string, pinned: where they are holds while this lives. The string must not change meanwhile. */
class [[nodiscard]] pinned_string {
public:
    explicit pinned_string(pinned<const char[]> &&p) noexcept : p_(std::move(p)) {}
    /** Terminated by '\0'. */
    const char *c_str() const noexcept { return p_ ? p_.get() : ""; }
    const char *data() const noexcept { return c_str(); }
    std::size_t size() const noexcept { return p_.size(); }
    std::string_view view() const noexcept { return {c_str(), size()}; }
    operator std::string_view() const noexcept { return view(); }
    const char *begin() const noexcept { return c_str(); }
    const char *end() const noexcept { return c_str() + size(); }

private:
    pinned<const char[]> p_;
};

class string {
public:
    using value_type = char;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using iterator = detail::array_iterator<char>;
    using const_iterator = detail::array_iterator<const char>;
    using text = detail::text;
    static constexpr size_type npos = static_cast<size_type>(-1);

    string() noexcept = default;
    string(const char *s) : string(std::string_view(s)) {}
    string(std::string_view s) : string() { append(s); }
    explicit string(const std::string &s) : string(std::string_view(s)) {}
    string(const char *s, size_type n) : string(std::string_view(s, n)) {}
    string(size_type n, char c) : string() { resize(n, c); }
    string(const string &other) : string() { append(other); }
    string(string &&other) noexcept { swap(other); }
    string &operator=(const string &other) { return assign(other); }
    string &operator=(string &&other) noexcept
    {
        string(std::move(other)).swap(*this);
        return *this;
    }
    string &operator=(const char *s) { return assign(s); }
    string &operator=(std::string_view s) { return assign(s); }
    ~string() { tm_free(h_); }
    string &assign(const text &t)
    {
        string(t.view()).swap(*this);
        return *this;
    }

    /** Constant time, never throw. */
    bool empty() const noexcept { return size_ == 0; }
    size_type size() const noexcept { return size_; }
    size_type length() const noexcept { return size_; }
    size_type capacity() const noexcept { return capacity_; }
    static constexpr size_type max_size() noexcept { return detail::max_bytes - 1; }
    tm_handle_t id() const noexcept { return h_; }

    /** The characters: for as long as the scope is open, or the result lives, and the string does not change. */
    std::string_view view(const scope &) const noexcept { return view_(); }
    const char *c_str(const scope &) const noexcept { return view_().data(); }
    pinned_string pin() const noexcept
    {
        return pinned_string(pinned<const char[]>(detail::pin_guard::live(h_), size_));
    }
    /** A copy that stays put. Linear. */
    std::string str() const
    {
        scope open;
        return std::string(view_());
    }
    explicit operator std::string() const { return str(); }

    element<char> operator[](size_type i) noexcept { return {h_, i}; }
    char operator[](size_type i) const noexcept
    {
        scope open;
        return view_().data()[i];
    }
    element<char> front() noexcept { return (*this)[0]; }
    char front() const noexcept { return (*this)[0]; }
    element<char> back() noexcept { return (*this)[size_ - 1]; }
    char back() const noexcept { return (*this)[size_ - 1]; }
    iterator begin() noexcept { return {h_, 0}; }
    iterator end() noexcept { return {h_, static_cast<difference_type>(size_)}; }
    const_iterator begin() const noexcept { return {h_, 0}; }
    const_iterator end() const noexcept { return {h_, static_cast<difference_type>(size_)}; }
    const_iterator cbegin() const noexcept { return begin(); }
    const_iterator cend() const noexcept { return end(); }

    void reserve(size_type n)
    {
        if (!try_reserve(n))
            detail::out_of_memory();
    }
    [[nodiscard]] bool try_reserve(size_type n) noexcept
    {
        if (n <= capacity_)
            return true;
        if (n > max_size() || !detail::try_resize(h_, n + 1, 1, 1))
            return false;
        if (capacity_ == 0)
            *static_cast<char *>(pin_().address()) = '\0';
        capacity_ = n;
        return true;
    }
    void shrink_to_fit() noexcept
    {
        if (size_ == 0) {
            tm_free(std::exchange(h_, detail::null_handle));
            capacity_ = 0;
        } else if (size_ < capacity_ && detail::try_resize(h_, size_ + 1, 1, 1)) {
            capacity_ = size_;
        }
    }
    void clear() noexcept { set_size(0); }
    void resize(size_type n, char c = '\0')
    {
        if (n > size_) {
            grow(n - size_);
            scope open;
            std::memset(storage() + size_, c, n - size_);
        }
        set_size(n);
    }

    /** Amortised linear in what is added. */
    string &append(const text &t) { return replace(size_, 0, t); }
    string &append(size_type n, char c)
    {
        if (n > max_size() - size_)
            detail::out_of_memory();
        resize(size_ + n, c);
        return *this;
    }
    string &operator+=(const text &t) { return append(t); }
    string &operator+=(char c)
    {
        push_back(c);
        return *this;
    }
    void push_back(char c)
    {
        grow(1);
        scope open;
        char *p = storage();
        p[size_] = c;
        p[++size_] = '\0';
    }
    void pop_back() noexcept { set_size(size_ - 1); }
    /** Linear in what is inserted and what is behind. */
    string &insert(size_type at, const text &t) { return replace(at, 0, t); }
    string &erase(size_type at = 0, size_type n = npos) noexcept
    {
        at = at < size_ ? at : size_;
        n = n < size_ - at ? n : size_ - at;
        scope open;
        if (n != 0)
            std::memmove(storage() + at, storage() + at + n, size_ - at - n);
        set_size(size_ - n);
        return *this;
    }
    string &replace(size_type at, size_type n, const text &t)
    {
        const std::string_view s = t.view();
        if (inside(s.data()) && !s.empty())
            return replace(at, n, string(s)); // a copy, since its characters are about to move
        at = at < size_ ? at : size_;
        n = n < size_ - at ? n : size_ - at;
        if (s.size() > n)
            grow(s.size() - n);
        if (h_ != detail::null_handle)
            splice(at, n, s);
        return *this;
    }
    string substr(size_type at = 0, size_type n = npos) const
    {
        scope open;
        return string(view_().substr(at < size_ ? at : size_, n));
    }

    /** Linear searches, as of std::string_view; never throw. */
    size_type find(const text &t, size_type from = 0) const noexcept { return view_().find(t.view(), from); }
    size_type find(char c, size_type from = 0) const noexcept
    {
        scope open;
        return view_().find(c, from);
    }
    size_type rfind(const text &t, size_type from = npos) const noexcept { return view_().rfind(t.view(), from); }
    size_type rfind(char c, size_type from = npos) const noexcept
    {
        scope open;
        return view_().rfind(c, from);
    }
    size_type find_first_of(const text &t, size_type from = 0) const noexcept
    {
        return view_().find_first_of(t.view(), from);
    }
    size_type find_last_of(const text &t, size_type from = npos) const noexcept
    {
        return view_().find_last_of(t.view(), from);
    }
    bool starts_with(const text &t) const noexcept { return view_().substr(0, t.view().size()) == t.view(); }
    bool ends_with(const text &t) const noexcept
    {
        const size_type n = t.view().size();
        return size_ >= n && view_().substr(size_ - n) == t.view();
    }
    bool contains(const text &t) const noexcept { return find(t) != npos; }
    int compare(const text &t) const noexcept { return view_().compare(t.view()); }

    void swap(string &other) noexcept
    {
        std::swap(h_, other.h_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }
    friend void swap(string &a, string &b) noexcept { a.swap(b); }
    /** For any stream that takes a std::string_view, so that <ostream> need not be included. */
    template <class Stream>
    friend auto operator<<(Stream &out, const string &s) -> decltype(out << std::string_view())
    {
        scope open;
        return out << s.view_();
    }

private:
    friend class detail::text;
    /* These are called in a scope: of the caller, or of a text. */
    char *storage() const noexcept { return static_cast<char *>(detail::address_of(h_)); }
    std::string_view view_() const noexcept
    {
        return h_ == detail::null_handle ? std::string_view("", 0) : std::string_view(storage(), size_);
    }
    detail::pin_guard pin_() const noexcept { return detail::pin_guard::live(h_); }

    bool inside(const char *p) const noexcept
    {
        const char *s = storage();
        return s != nullptr && !std::less<const char *>()(p, s) && !std::less<const char *>()(s + capacity_, p);
    }
    void set_size(size_type n) noexcept
    {
        size_ = n;
        if (h_ == detail::null_handle)
            return;
        scope open;
        storage()[n] = '\0';
    }
    void splice(size_type at, size_type n, std::string_view s) noexcept
    {
        scope open;
        char *p = storage();
        std::memmove(p + at + s.size(), p + at + n, size_ - at - n);
        if (!s.empty())
            std::memcpy(p + at, s.data(), s.size());
        set_size(size_ - n + s.size());
    }
    void grow(size_type more)
    {
        if (more > max_size() - size_)
            detail::out_of_memory();
        const size_type need = size_ + more, half = capacity_ / 2;
        if (need <= capacity_)
            return;
        const size_type roomy = capacity_ > max_size() - half ? max_size() : capacity_ + half;
        if (!try_reserve(need > roomy ? need : roomy))
            reserve(need);
    }

    tm_handle_t h_ = detail::null_handle;
    size_type size_ = 0, capacity_ = 0; // capacity without the '\0' behind the last character
};

inline detail::text::text(const string &s) noexcept : view_(s.view_()) {}
inline detail::text::text(const element<string> &s) noexcept : text(s.get()) {}
inline detail::text::text(const element<const string> &s) noexcept : text(s.get()) {}

template <>
struct is_relocatable<string> : std::true_type {};

namespace detail {
template <class U>
using if_other_text = std::enable_if_t<std::is_convertible_v<const U &, text> && !std::is_same_v<U, string> &&
                                       !is_element<U>::value>;
}

/* Two strings, or a string and any text. */
#define TM_STRING_COMPARISON_(op)                                                                                    \
    inline bool operator op(const string &a, const string &b) noexcept { return a.compare(b) op 0; }                 \
    template <class U, class = detail::if_other_text<U>>                                                             \
    bool operator op(const string &a, const U &b) noexcept                                                           \
    {                                                                                                                \
        return a.compare(b) op 0;                                                                                    \
    }                                                                                                                \
    template <class U, class = detail::if_other_text<U>>                                                             \
    bool operator op(const U &a, const string &b) noexcept                                                           \
    {                                                                                                                \
        return 0 op b.compare(a);                                                                                    \
    }
TM_STRING_COMPARISON_(==)
TM_STRING_COMPARISON_(!=)
TM_STRING_COMPARISON_(<)
TM_STRING_COMPARISON_(>)
TM_STRING_COMPARISON_(<=)
TM_STRING_COMPARISON_(>=)
#undef TM_STRING_COMPARISON_

inline string operator+(string a, const detail::text &b) { return std::move(a.append(b)); }
template <class U, class = detail::if_other_text<U>>
string operator+(const U &a, const string &b)
{
    string sum(detail::text(a).view());
    sum.append(b);
    return sum;
}
inline string operator+(string a, char b)
{
    a.push_back(b);
    return a;
}

} // namespace tinymem

/** The hash of the characters: equal to that of an equal std::string_view. */
template <>
struct std::hash<tinymem::string> {
    std::size_t operator()(const tinymem::string &s) const noexcept
    {
        tinymem::scope open;
        return std::hash<std::string_view>()(s.view(open));
    }
};

#endif
