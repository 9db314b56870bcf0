// refused: tinymem: destructors of movable objects must not throw
#include <tinymem/tinymem.hpp>
struct loud {
#if !CONTROL
    ~loud() noexcept(false) {}
#endif
};
#if !CONTROL
template <>
struct tinymem::is_relocatable<loud> : std::true_type {};
#endif
int main() { auto h = tinymem::make<loud>(); }
