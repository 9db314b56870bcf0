/** each.hpp - tinymem::each: visit the live objects of the process. */
#ifndef TINYMEM_CXX_EACH_HPP
#define TINYMEM_CXX_EACH_HPP

#include <exception>

#include <tinymem/cxx/base.hpp>

#if defined(__cpp_exceptions) && __has_include(<bits/cxxabi_forced.h>)
#include <cxxabi.h>
#define TM_FORCED_UNWIND_ 1
#endif

namespace tinymem {

namespace detail {

/* What goes through the C function: the callable, and the exception that ended the visits. */
template <class F>
class visits {
public:
    explicit visits(F &call) noexcept : call_(std::addressof(call)) {}
    std::size_t run()
    {
        const std::size_t n = tm_each(visit, this);
#if defined(__cpp_exceptions)
        if (thrown_)
            std::rethrow_exception(std::move(thrown_));
#endif
        return n;
    }

private:
    /* Cancelling a thread throws no object. The reference to it below refers to nothing, which is no fault. */
    __attribute__((__no_sanitize__("null"))) static bool visit(tm_handle_t h, void *self)
    {
        visits &v = *static_cast<visits *>(self);
#if defined(__cpp_exceptions)
        try {
            return v.call(h);
        }
#if defined(TM_FORCED_UNWIND_)
        catch (abi::__forced_unwind &) {
            throw; /* the thread is being cancelled, which must not be stopped */
        }
#endif
        catch (...) {
            v.thrown_ = std::current_exception();
            return false;
        }
#else
        return v.call(h);
#endif
    }
    bool call(tm_handle_t h)
    {
        if constexpr (std::is_void_v<std::invoke_result_t<F &, tm_handle_t>>) {
            std::invoke(*call_, h);
            return true;
        } else {
            return static_cast<bool>(std::invoke(*call_, h));
        }
    }
    F *call_;
#if defined(__cpp_exceptions)
    std::exception_ptr thrown_;
#endif
};

} // namespace detail

/** Visit the live objects one after the other: calls `call(tm_handle_t)`, which may return nothing, or false to end the
 *  visits. Other threads may allocate and free meanwhile, and objects may move:
 *
 *      tinymem::each([&](tm_handle_t h) {
 *          if (auto p = tinymem::ref<node>::checked(h).pin())  // it has the size of a node, and has not been freed
 *              save(*p);
 *      });
 *
 *  All objects of the process are visited, also the storage of containers and objects of other libraries.
 *  @complexity  linear in the most objects that the process has had at once
 *  @return      how many objects were visited
 *  @errors      what the callable throws: the visits end, and it is thrown again from here.
 *  @thread      any. The callable may call every function of this library. */
template <class F>
inline std::size_t each(F &&call)
{
    using callable = std::remove_reference_t<F>;
    static_assert(std::is_invocable_v<callable &, tm_handle_t>, "tinymem: each calls its callable with a tm_handle_t");
    using result = std::invoke_result_t<callable &, tm_handle_t>;
    static_assert(std::is_void_v<result> || std::is_constructible_v<bool, result>,
                  "tinymem: the callable of each returns nothing, or whether to go on");
    return detail::visits<callable>(call).run();
}

} // namespace tinymem

#undef TM_FORCED_UNWIND_

#endif
