// refused: tinymem: objects of this type may not survive a move, since moving copies their bytes. If the type has no
// pointers into itself and nobody keeps its address, specialise tinymem::is_relocatable for it
#include <tinymem/tinymem.hpp>
struct person {
    std::string name;
};
#if CONTROL
template <>
struct tinymem::is_relocatable<person> : std::true_type {};
#endif
int main() { auto h = tinymem::make<person>(); }
