/** relocatable.hpp - which types may live in movable memory.
 *
 *  Idea: the library moves an object by copying its bytes to a new address and forgetting the old ones; no constructor
 *  and no destructor runs. That is right for a type whose objects do not know their own address: trivially copyable
 *  ones, and most that own something elsewhere. It is wrong for a type that points into itself (std::string and
 *  std::list of libstdc++), or whose address others keep (a mutex that threads wait for, a node of an intrusive
 *  list). */
#ifndef TINYMEM_CXX_RELOCATABLE_HPP
#define TINYMEM_CXX_RELOCATABLE_HPP

#include <tinymem/cxx/base.hpp>

namespace tinymem {

/** Whether objects of T survive when their bytes are copied to another address. True by itself for trivially copyable
 *  types. A class says so with one line after its definition, and answers for it:
 *
 *      template <> struct tinymem::is_relocatable<person> : std::true_type {};
 *
 *  A class is relocatable when its bases and members are. */
template <class T>
struct is_relocatable : std::is_trivially_copyable<T> {};

template <class T>
struct is_relocatable<const T> : is_relocatable<T> {};
template <class T, std::size_t N>
struct is_relocatable<T[N]> : is_relocatable<T> {};
template <class A, class B>
struct is_relocatable<std::pair<A, B>> : std::conjunction<is_relocatable<A>, is_relocatable<B>> {};
template <class... Ts>
struct is_relocatable<std::tuple<Ts...>> : std::conjunction<is_relocatable<Ts>...> {};
template <class T>
struct is_relocatable<std::unique_ptr<T>> : std::true_type {};
template <class T>
struct is_relocatable<std::shared_ptr<T>> : std::true_type {};
template <class T>
struct is_relocatable<std::weak_ptr<T>> : std::true_type {};

template <class T>
inline constexpr bool is_relocatable_v = is_relocatable<T>::value;

namespace detail {

/* Instantiated where a type is stored: each condition has its own sentence. */
template <class T>
constexpr bool check_element()
{
    static_assert(std::is_object_v<T> && !std::is_array_v<T>,
                  "tinymem: the movable heap stores objects: not references, functions, void or arrays");
    static_assert(!std::is_volatile_v<T>, "tinymem: a volatile object must not be moved");
    static_assert(is_relocatable_v<T>,
                  "tinymem: objects of this type may not survive a move, since moving copies their bytes. If the type "
                  "has no pointers into itself and nobody keeps its address, specialise tinymem::is_relocatable for "
                  "it");
    static_assert(std::is_nothrow_destructible_v<T>, "tinymem: destructors of movable objects must not throw");
    static_assert(alignof(T) <= max_alignment, "tinymem: movable objects are aligned to 2 MiB at most");
    return true;
}

} // namespace detail
} // namespace tinymem

#endif
