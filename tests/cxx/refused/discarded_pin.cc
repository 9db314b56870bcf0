// refused: nodiscard
#include <tinymem/tinymem.hpp>
#pragma GCC diagnostic error "-Wunused-result"
#pragma GCC diagnostic error "-Wunused-value"
int main()
{
    auto h = tinymem::make<int>(3);
#if CONTROL
    auto p = h.pin();
#else
    h.pin();
#endif
}
