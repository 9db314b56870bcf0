/** allocator.hpp - the raw heap for containers of the standard library: tinymem::allocator<T> and
 *  tinymem::raw_resource, which needs a standard library that has <memory_resource>.
 *
 *  The raw heap is malloc: tinymem's when the program runs on libtinymem, the C library's when it is linked with
 *  libtinymem-handles only. Addresses from it are fixed.
 *
 *  Why neither can give movable memory: an allocator's, and a std::pmr::memory_resource's, whole answer is an
 *  address, and the container keeps it, stores it in nodes and hands out references, and never says when it is not
 *  looking. There is no moment at which the bytes may go elsewhere. An allocator's pointer type may be a class, but
 *  std:: containers convert it to T & at each use, and a reference has nothing that could hold a pin. So memory that
 *  moves needs containers that know when they look: tinymem::vector, tinymem::string, tinymem::hash_map. */
#ifndef TINYMEM_CXX_ALLOCATOR_HPP
#define TINYMEM_CXX_ALLOCATOR_HPP

#include <tinymem/cxx/base.hpp>

#if __has_include(<memory_resource>)
#include <memory_resource>
#endif

namespace tinymem {

namespace detail {

/* Of the raw heap, or null. */
inline void *raw_allocate(std::size_t bytes, std::size_t align) noexcept
{
    bytes += bytes == 0;
    if (align <= alignof(std::max_align_t))
        return std::malloc(bytes);
    void *p = nullptr;
    return ::posix_memalign(&p, align, bytes) == 0 ? p : nullptr;
}

} // namespace detail

/** A stateless allocator of the raw heap: all are equal. Throws std::bad_alloc. Any thread. */
template <class T>
class allocator {
public:
    using value_type = T;
    using is_always_equal = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    constexpr allocator() noexcept = default;
    template <class U>
    constexpr allocator(const allocator<U> &) noexcept
    {
    }
    [[nodiscard]] T *allocate(std::size_t n)
    {
        void *p = n > detail::max_bytes / sizeof(T) ? nullptr : detail::raw_allocate(n * sizeof(T), alignof(T));
        if (p == nullptr)
            detail::out_of_memory();
        return static_cast<T *>(p);
    }
    void deallocate(T *p, std::size_t) noexcept { std::free(p); }
    template <class U>
    friend bool operator==(const allocator &, const allocator<U> &) noexcept
    {
        return true;
    }
    template <class U>
    friend bool operator!=(const allocator &, const allocator<U> &) noexcept
    {
        return false;
    }
};

#if __has_include(<memory_resource>)
/** The raw heap as a std::pmr::memory_resource. Throws std::bad_alloc. Any thread. Get it from
 *  tinymem::raw_resource(). */
class raw_memory_resource final : public std::pmr::memory_resource {
    void *do_allocate(std::size_t bytes, std::size_t align) override
    {
        void *p = bytes > detail::max_bytes ? nullptr : detail::raw_allocate(bytes, align);
        if (p == nullptr)
            detail::out_of_memory();
        return p;
    }
    void do_deallocate(void *p, std::size_t, std::size_t) override { std::free(p); }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }
};

/** The one resource of the raw heap, good until the program's end, destructors of static objects included. */
inline std::pmr::memory_resource *raw_resource() noexcept
{
    alignas(raw_memory_resource) static unsigned char place[sizeof(raw_memory_resource)];
    static std::pmr::memory_resource *const made = ::new (static_cast<void *>(place)) raw_memory_resource;
    return made;
}
#endif

} // namespace tinymem

#endif
